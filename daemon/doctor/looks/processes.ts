// Goes once through the processes of a user: who watches files, who has sessions of a root open, which Gambas programs run.

import { basename, dirname, join, resolve } from "node:path";
import type { Application, Program, WatchFacts } from "../checks/checks.ts";
import { linkAt, namesIn, statAt, textOf } from "./quietly.ts";

const INTERPRETERS = /^gb[xrs]3(?: \(deleted\))?$/;
/** A process with more open files than this is not looked through: it would take seconds. */
const MAX_FILES = 20_000;

export interface Crowd {
  readonly usedInstances: number;
  readonly usedWatches: number;
  /** Those that have files in `session/` open. */
  readonly readers: readonly number[];
  readonly programs: readonly Program[];
}

export function lookAtProcesses(uid: number, root: string): Crowd {
  const crowd = { usedInstances: 0, usedWatches: 0, readers: [] as number[], programs: [] as Program[] };
  const sessions = join(root, "session/");
  for (const name of namesIn("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || statAt(`/proc/${pid}`)?.uid !== uid) continue;
    const program = gambasProgram(pid);
    if (program !== undefined) crowd.programs.push(program);
    const files = namesIn(`/proc/${pid}/fd`);
    if (files.length > MAX_FILES) continue;
    const links = files.map((fd) => [fd, linkAt(`/proc/${pid}/fd/${fd}`) ?? ""] as const);
    if (links.some(([, target]) => target.startsWith(sessions))) crowd.readers.push(pid);
    for (const [fd] of links.filter(([, target]) => target === "anon_inode:inotify")) {
      crowd.usedInstances += 1;
      crowd.usedWatches += textOf(`/proc/${pid}/fdinfo/${fd}`)?.match(/^inotify /gm)?.length ?? 0;
    }
  }
  return crowd;
}

export function lookAtWatches({ usedInstances, usedWatches }: Crowd): WatchFacts | undefined {
  const [maxInstances, maxWatches] = ["max_user_instances", "max_user_watches"].map((name) =>
    Number(textOf(`/proc/sys/fs/inotify/${name}`)),
  );
  return maxInstances && maxWatches ? { usedInstances, maxInstances, usedWatches, maxWatches } : undefined;
}

/** Processes by the folder of their application. */
export function applicationsOf(pids: Iterable<number>): readonly Application[] {
  const byFolder = new Map<string, number[]>();
  for (const pid of pids) {
    const folder = folderOf(pid);
    if (folder === undefined) continue;
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), pid]);
  }
  return [...byFolder].map(([folder, pids]) => ({ folder, pids }));
}

/** Where it works, or where its program is if it works nowhere in particular; of these the package they are in. */
function folderOf(pid: number): string | undefined {
  const folder = linkAt(`/proc/${pid}/cwd`);
  if (folder === undefined) return undefined;
  const script = argumentsOf(pid).find((word, at) => at > 0 && !word.startsWith("-"));
  const base = folder === "/" && script !== undefined ? dirname(resolve(folder, script)) : folder;
  for (let one = base; one !== dirname(one); one = dirname(one))
    if (statAt(join(one, "package.json")) !== undefined) return one;
  return base;
}

function gambasProgram(pid: number): Program | undefined {
  const exe = linkAt(`/proc/${pid}/exe`);
  if (exe === undefined || !INTERPRETERS.test(basename(exe))) return undefined;
  const [first = "", ...others] = argumentsOf(pid);
  return { pid, name: others.find((word) => !word.startsWith("-")) ?? first };
}

function argumentsOf(pid: number): readonly string[] {
  return (textOf(`/proc/${pid}/cmdline`) ?? "").split("\0").filter((word) => word !== "");
}
