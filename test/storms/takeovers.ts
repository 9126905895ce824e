// Daemons that take each other's place under load: workers read, commit and run transactions all the while, everything recorded.

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  daemonPid,
  freshRoot,
  isAlive,
  removeRoot,
  startDaemonProcess,
  until,
  WorkerProcess,
} from "../support/processes.ts";
import type { Load } from "./load.ts";
import { readRecords } from "./recorder.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface TakeoverOptions {
  readonly seed: number;
  readonly workers: number;
  /** Of all workers together; the takeovers are spread over them. */
  readonly operations: number;
  readonly takeovers: number;
}

export interface TakeoverFigures extends Verdict {
  readonly takeovers: number;
  /** From the start of a new daemon's process until it serves. */
  readonly longestTakeoverMs: number;
}

const SESSIONS = 3;
const WIDTH = 4;
/** Bytes a recorded operation takes in a file, at least roughly. */
const BYTES_PER_OPERATION = 100;

export async function runTakeovers(options: TakeoverOptions): Promise<TakeoverFigures> {
  const root = freshRoot();
  mkdirSync(join(root, "records"));
  const env = { GAMBAS_SESSION_ROOT: root };
  const workers = Array.from({ length: options.workers }, () => WorkerProcess.start("test/storms/worker.js", [], env));
  const [reader] = workers;
  if (reader === undefined) throw new Error("there is no worker");
  try {
    const sessionIds = await Promise.all(Array.from({ length: SESSIONS }, () => reader.call<string>("create")));
    const names = workers.map((_, place) => `w${place}`);
    const paths = names.map((name) => join(root, "records", name));
    const loads = workers.map((worker, place) => {
      const operations = Math.ceil(options.operations / workers.length);
      const load: Load = {
        name: `w${place}`,
        sessionIds,
        seed: options.seed + place,
        operations,
        width: WIDTH,
        readShare: 48,
      };
      return worker.call("run", load, paths[place]);
    });
    const [longestTakeoverMs] = await Promise.all([takeOverAgainAndAgain(root, paths, options), ...loads]);
    const last = join(root, "records", "reader");
    await reader.call("readAll", sessionIds, names, last);
    const records = [...names, "reader"].flatMap((name) => readRecords(join(root, "records", name), name));
    return { takeovers: options.takeovers, longestTakeoverMs, ...judge(records) };
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
    await removeRoot(root);
  }
}

async function takeOverAgainAndAgain(
  root: string,
  paths: readonly string[],
  options: TakeoverOptions,
): Promise<number> {
  let longestMs = 0;
  for (let count = 1; count <= options.takeovers; count++) {
    const bytes = (count / (options.takeovers + 1)) * options.operations * BYTES_PER_OPERATION;
    await until(() => recordedBytes(paths) >= bytes);
    const before = await until(() => daemonPid(root));
    const beganMs = performance.now();
    const daemon = await startDaemonProcess(root, ["--takeover"]);
    longestMs = Math.max(longestMs, performance.now() - beganMs);
    if (daemonPid(root) !== daemon.pid) throw new Error("the new daemon was not elected");
    await until(() => !isAlive(before));
  }
  return Math.round(longestMs);
}

function recordedBytes(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}
