// What the kernel says a process has used so far.

import { readFileSync } from "node:fs";

/** USER_HZ, which is the same on every Linux architecture Node runs on. */
const TICK_US = 10_000;
const USER_TIME_FIELD = 11;

/** CPU of these processes in µs, to 10 ms; 0 where /proc is not there. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + TICK_US * ticksOf(pid), 0);
}

function ticksOf(pid: number): number {
  const stat = readProc(`${pid}/stat`);
  // The name in parentheses may hold blanks: the fields are counted behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[USER_TIME_FIELD] ?? 0) + Number(fields[USER_TIME_FIELD + 1] ?? 0);
}

/** Resident bytes of a process. */
export function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s*(\d+) kB/m.exec(readProc(`${pid}/status`))?.[1] ?? 0);
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, "latin1");
  } catch {
    return "";
  }
}
