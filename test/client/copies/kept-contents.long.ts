// The memory that a worker's copies take, after a collection, in a process of its own.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WorkerProcess } from "../../support/processes.ts";
import type { Filled, Filling } from "./kept-contents.ts";

const MIB = 1024 * 1024;
const MAX_BYTES = 8 * MIB;
/** What the process itself comes to have meanwhile: compiled code, say. */
const NOISE_BYTES = MIB;

let worker: WorkerProcess;

beforeAll(async () => {
  worker = WorkerProcess.start("test/client/copies/kept-contents.js");
  // Everything has run once.
  for (const [, filling] of FILLINGS) await fill({ ...filling, sessions: Math.min(200, filling.sessions) });
});

afterAll(() => worker.kill());

function fill(filling: Filling): Promise<Filled> {
  return worker.call<Filled>("fill", MAX_BYTES, filling);
}

const FILLINGS: readonly (readonly [name: string, filling: Filling])[] = [
  ["a hundred thousand of a few bytes", { sessions: 100_000, textBytes: 0, keys: 1 }],
  ["those of a few bytes that were read", { sessions: 50_000, textBytes: 0, keys: 1, isRead: true }],
  ["those of some hundred bytes", { sessions: 50_000, textBytes: 100, keys: 12 }],
  ["those of some hundred bytes that were read", { sessions: 50_000, textBytes: 100, keys: 12, isRead: true }],
  ["those of two kilobytes that were read", { sessions: 20_000, textBytes: 2_000, keys: 3, isRead: true }],
  ["those that were changed once", { sessions: 40_000, textBytes: 300, keys: 3, changes: 1 }],
  ["those that were changed key by key", { sessions: 5_000, textBytes: 300, keys: 3, changes: 30 }],
  [
    "those that were changed more often than changes are kept apart",
    { sessions: 2_000, textBytes: 9, keys: 3, changes: 80 },
  ],
  ["those with keys of their own", { sessions: 5_000, textBytes: 0, keys: 60, hasOwnKeys: true, isRead: true }],
  ["those that were only stamped", { sessions: 20_000, textBytes: 300, keys: 3, isRead: true, stamps: 3 }],
  ["those that have ended", { sessions: 50_000, textBytes: 300, keys: 3, changes: 2, isDropped: true }],
  ["those of twenty kilobytes", { sessions: 3_000, textBytes: 20_000, keys: 3, isRead: true }],
  ["those of a megabyte that were changed", { sessions: 60, textBytes: MIB, keys: 3, isRead: true, changes: 3 }],
  ["those near the bound", { sessions: 20, textBytes: 3.3 * MIB, keys: 3, isRead: true, changes: 3 }],
  ["those larger than the bound", { sessions: 20, textBytes: 9 * MIB, keys: 3, isRead: true, changes: 3 }],
  ["ids that were cut out of long headers", { sessions: 20_000, textBytes: 30, keys: 3, headerBytes: 4_000 }],
];

describe("a worker's copies", () => {
  test.each(FILLINGS)("take no more than they are bounded to: %s", async (_name, filling) => {
    const { counted, taken } = await fill(filling);
    expect(counted).toBeLessThan(MAX_BYTES + NOISE_BYTES);
    expect(taken).toBeLessThan(MAX_BYTES + NOISE_BYTES);
    // What is still in the pool may come on top, an eighth of the bound.
    expect(taken).toBeLessThan(1.25 * counted + MAX_BYTES / 8 + NOISE_BYTES);
    expect(taken).toBeGreaterThan(counted / 2 - NOISE_BYTES);
  });
});
