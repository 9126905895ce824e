// What a daemon tells about itself: every figure an operator needs, and that each moves with what it counts.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PROTOCOL_VERSION } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import type { RawWorker } from "../../support/daemon/raw-worker.ts";
import { repository } from "../../support/repository.ts";

interface Histogram {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

let lab: Lab;
let worker: RawWorker;

beforeEach(async () => {
  lab = await Lab.open({ sweepMs: 1 });
  worker = await lab.worker("operator");
});

afterEach(() => lab.close());

function report(): Promise<Record<string, unknown>> {
  return worker.status();
}

async function histogram(name: string): Promise<Histogram> {
  return (await report())[name] as Histogram;
}

test("says who it is and how it was started", async () => {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
  expect(await report()).toMatchObject({
    ...{ version, protocol: PROTOCOL_VERSION, pid: process.pid, root: lab.root, uptimeSeconds: expect.any(Number) },
    ...{ type: "file", durability: "file", hasRecordLocks: expect.any(Boolean), connections: 1 },
  });
});

test("counts sessions in memory and on disk, their bytes, reads that found them there, and writes", async () => {
  const ids = Array.from({ length: 5 }, () => newId());
  for (const id of ids) await worker.create(id, { text: "x".repeat(1000) });
  for (const id of ids) await worker.open(id);
  await worker.open(newId());
  await worker.abandon(ids[0] ?? "");
  // A sweep that has met the one just ended looks at it once more, in its turn.
  await expect.poll(async () => (await report()).sessionsCached).toBe(4);
  const figures = await report();
  expect(figures).toMatchObject({ commits: 5, writes: 5, opens: 6, hits: 5, abandons: 1 });
  expect(figures).toMatchObject({ hitRate: 5 / 6, repairs: 0, tombstones: 1 });
  expect(figures.bytesCached).toBeGreaterThan(4000);
  expect(figures.memoryBytes).toBeGreaterThan(1_000_000);
  for (let onDisk: unknown; onDisk !== 4; onDisk = (await report()).sessionsOnDisk);
});

test("has latencies of reads, commits and waits for a lease, and of the event loop", async () => {
  const id = newId();
  await worker.create(id, { n: 0 });
  await worker.open(id);
  const { fence } = await worker.lease(id);
  const waiting = worker.lease(id);
  for (let rounds = 0; rounds < 20; rounds++) await worker.settle();
  await worker.commitLeased(id, { n: 1 }, fence);
  await worker.call("release", id, (await waiting).fence);
  for (const [name, count] of Object.entries({ openMicros: 1, commitMicros: 2, leaseMicros: 2 })) {
    const { p50, p99, max, ...rest } = await histogram(name);
    expect(rest.count, name).toBe(count);
    expect(p50, name).toBeGreaterThan(0);
    expect(p99, name).toBeGreaterThanOrEqual(p50);
    expect(max, name).toBeGreaterThanOrEqual(p50);
  }
  expect(await histogram("loopDelayMicros")).toHaveProperty("count");
});

test("counts what waits", async () => {
  const other = await lab.worker("other");
  const id = newId();
  await worker.create(id, { n: 0 });
  const { fence } = await worker.lease(id);
  const waiting = [other.commit(id, { text: "x".repeat(500) }), other.lease(id)];
  await other.settle();
  const figures = await report();
  // Two of the other one's, and this call itself.
  expect(figures).toMatchObject({ waitingCalls: 3, connections: 2 });
  expect(figures.waitingBytes).toBeGreaterThan(500);
  await worker.commitLeased(id, { n: 1 }, fence);
  await Promise.all(waiting);
  expect(await report()).toMatchObject({ waitingCalls: 1, waitingBytes: 0 });
});

test("counts errors by their code", async () => {
  const [id, damaged] = [newId(), newId()];
  await worker.create(damaged, {});
  writeFileSync(lab.path(damaged), "no session");
  expect(await codeOf(worker.open("../x"))).toBe("ERR_BAD_ID");
  expect(await codeOf(worker.commit(id, { n: 0 }))).toBe("ERR_SESSION_GONE");
  expect(await codeOf(worker.commit(id, { n: 0 }))).toBe("ERR_SESSION_GONE");
  expect(await codeOf(worker.open(damaged))).toBe("ERR_UNREADABLE");
  expect((await report()).errors).toEqual({ ERR_BAD_ID: 1, ERR_SESSION_GONE: 2, ERR_UNREADABLE: 1 });
});
