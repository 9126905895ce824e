// What a setting bounds in bytes is bounded: whatever was done to however many sessions, neither worker nor daemon holds more than it says
// and a part of that, beyond what it had before. Measured after a collection, so no clock and no speed of the machine is in it.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MEMORY_BOUNDS } from "../support/memory-bounds.ts";
import { freshRoot, removeRoot, WorkerProcess } from "../support/processes.ts";
import type { Traffic } from "./traffic.ts";

const MIB = 1024 * 1024;
const CACHE_BYTES = 4 * MIB;
const DAEMON = { cacheBytes: CACHE_BYTES, maxTombstones: 2_000, maxReplacedValues: 10_000, openSessions: 100 };
/** Code that was compiled meanwhile is in it, and what the daemon's other settings bound. */
const [WORKER_PART, DAEMON_PART] = [1.5, 2];
const TIMEOUT_MS = 240_000;

/** What each kind of contents takes in a worker by itself, test/client/copies/kept-contents.long.ts looks at. */
const MANY: readonly (readonly [name: string, traffic: Traffic, times: number])[] = [
  ["sessions of some kilobytes, read, changed and stamped", { textBytes: 4_000, sessions: 4_000, touches: 20 }, 10_000],
  [
    "tiny sessions that come, change one by one, and end",
    { textBytes: 0, sessions: 2_000, ends: 25, keys: 30 },
    12_000,
  ],
  ["objects that several keys share", { textBytes: 100, sessions: 3_000, hasReferences: true }, 8_000],
  ["large sessions, some near the bound and some beyond it", { textBytes: 3 * MIB, sessions: 12 }, 300],
];

let root: string;
let daemon: WorkerProcess;
let worker: WorkerProcess;

beforeEach(async () => {
  root = freshRoot();
  daemon = WorkerProcess.start("test/whole/measured.js");
  worker = WorkerProcess.start("test/whole/measured.js");
  await daemon.call("startDaemon", { root, ...DAEMON });
});

afterEach(async () => {
  await worker.kill();
  await daemon.kill();
  await removeRoot(root);
});

/** Everything has run once, and hardly anything is kept. */
async function warmUp(): Promise<void> {
  await worker.call("connect", { root, cacheBytes: 0 });
  for (const [, traffic] of MANY) await worker.call("drive", { ...traffic, textBytes: 10, sessions: 5 }, 1, 400);
}

describe("memory that is held", () => {
  test.each([
    ["ended sessions", "maxTombstones", [100_000, 0]],
    ["replaced values", "maxReplacedValues", [0, 200_000]],
  ] as const)("for %s is what the settings' table says of each", async (_name, name, counts) => {
    await worker.call("remember", 100, 100);
    const before = await worker.call<number>("kept");
    await worker.call("remember", ...counts);
    const each = MEMORY_BOUNDS.find(({ setting }) => setting === name)?.each ?? 0;
    // Of values there are two of each, one that was replaced and one that took its place.
    const [tombstones, values] = counts;
    const taken = (await worker.call<number>("kept")) - before;
    expect(taken).toBeLessThan(each * (tombstones + values / 2) + MIB);
  });

  test.each(MANY)(
    "by a worker and its daemon is bounded, with %s",
    async (_name, traffic, times) => {
      await warmUp();
      const [workerBefore, daemonBefore] = await Promise.all([
        worker.call<number>("kept"),
        daemon.call<number>("kept"),
      ]);
      await worker.call("connect", { root, cacheBytes: CACHE_BYTES });
      await worker.call("drive", traffic, 2, times);
      const [workerAfter, daemonAfter] = await Promise.all([worker.call<number>("kept"), daemon.call<number>("kept")]);
      expect(workerAfter - workerBefore).toBeLessThan(WORKER_PART * CACHE_BYTES);
      expect(daemonAfter - daemonBefore).toBeLessThan(DAEMON_PART * CACHE_BYTES);
    },
    TIMEOUT_MS,
  );
});
