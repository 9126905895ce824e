// A daemon comes to its end, whatever its workers do meanwhile and whoever has its place by then.

import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { resolveConfig } from "../../../daemon/config.ts";
import type { Daemon } from "../../../daemon/daemon.ts";
import { ENGINES } from "../../../daemon/engines.ts";
import { Life } from "../../../daemon/life/life.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

const LEASE_MS = 60_000;
const CLOSED = "Error: the daemon closed the connection";
const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function open(options: Parameters<typeof Lab.open>[0] = {}): Promise<Lab> {
  const lab = await Lab.open(options);
  endings.push(() => lab.close());
  return lab;
}

/** Another daemon's pid file is where this one's was. */
function takePlaceIn(root: string, name = "sessiond.pid"): void {
  const path = join(root, name);
  writeFileSync(`${path}.other`, "1\n");
  renameSync(`${path}.other`, path);
}

/** The outcome of a call that the daemon may never answer. */
function outcomeOf(call: Promise<unknown>): Promise<string> {
  return codeOf(call).catch(() => "answered");
}

test("one that leaves takes no more calls, which would never end: the next one answers them", async () => {
  const lab = await open();
  const [anna, bert, carl] = [await lab.worker(), await lab.worker(), await lab.worker()];
  const [held, unique, other] = [newId("one"), newId("one"), newId("other")];
  await anna.create(held, { n: 0 });
  await carl.create(other, { n: 0 });
  const { fence } = await anna.lease(held, LEASE_MS);
  const created = bert.create(unique, { n: 1 }, { unique: true });
  while ((await carl.values(unique)) === undefined);
  const stopped = lab.daemon.stop();
  // Until the unique session has ended the one that is held.
  const late = outcomeOf(carl.commit(other, { n: 1 }));
  await anna.commitLeased(held, { n: 1 }, fence);
  await anna.call("release", held, fence);
  await created;
  await stopped;
  expect(await late).toBe(CLOSED);
  expect(lab.values(other)).toEqual({ n: 0 });
});

test("one that leaves and finds its place taken meanwhile leaves what waits to the next one", async () => {
  const lab = await open();
  const [anna, bert] = [await lab.worker(), await lab.worker()];
  const [held, unique] = [newId("one"), newId("one")];
  await anna.create(held, { n: 0 });
  const { fence } = await anna.lease(held, LEASE_MS);
  const created = outcomeOf(bert.create(unique, { n: 1 }, { unique: true }));
  while ((await anna.values(unique)) === undefined);
  const stopped = lab.daemon.stop();
  takePlaceIn(lab.root);
  await outcomeOf(anna.call("release", held, fence));
  await stopped;
  expect(await created).toBe(CLOSED);
  expect(lab.daemon.hasLostPlace).toBe(false);
});

test("one whose place is taken while unique sessions of a prefix follow each other ends", async () => {
  const lab = await open();
  const worker = await lab.worker();
  await worker.status();
  takePlaceIn(lab.root);
  const created = [1, 2, 3].map((n) => outcomeOf(worker.create(newId("one"), { n }, { unique: true })));
  await lab.daemon.stopped;
  expect(await Promise.all(created)).toEqual([CLOSED, CLOSED, CLOSED]);
  expect(lab.daemon.hasLostPlace).toBe(true);
});

test("one whose place is taken before it serves does not begin to, and leaves the place alone", async () => {
  const root = freshRoot();
  endings.push(() => removeRoot(root));
  const config = resolveConfig({ root, type: "memory", logLevel: "silent" });
  const makeBackend = await ENGINES.memory();
  const begun: Promise<Daemon> = Life.begin(config, async (around) => {
    takePlaceIn(root, "sessiond-memory.pid");
    around.mayWrite();
    return makeBackend(around);
  });
  void begun.then((daemon) => endings.push(() => daemon.stop())).catch(() => undefined);
  expect(await codeOf(begun)).toBe("ERR_DAEMON_RUNNING");
  expect(existsSync(config.socket)).toBe(false);
});

describeWithRedis("one with sessions in Redis", () => {
  test("whose place is taken while a unique session is made ends", async () => {
    const redis = await RedisProcess.start();
    endings.push(() => redis.remove());
    const lab = await open({ type: "redis", redis: redis.url });
    const worker = await lab.worker();
    await worker.status();
    takePlaceIn(lab.root, "sessiond-redis.pid");
    const created = outcomeOf(worker.create(newId(), { n: 1 }, { unique: true }));
    await lab.daemon.stopped;
    expect(await created).toBe(CLOSED);
  });
});
