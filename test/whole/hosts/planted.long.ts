// The storms of many hosts are worth something only if they find what they are for: faults are planted in the daemon's program, and the same load that
// finds nothing wrong without them must find each.

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { AppHost, type AppHostOptions } from "../../storms/hosts/app-host.ts";
import { type Change, ChangedProduct } from "../../storms/hosts/changed-product.ts";
import { type Fault, loseAnswers, loseAnswersAndDaemon } from "../../storms/hosts/faults.ts";
import { type LoadFigures, runLoadStorm } from "../../storms/hosts/load-storm.ts";
import { describeWithRedis, HERE, RedisProcess } from "../../support/redis/redis-server.ts";

const ends: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startRedis(): Promise<RedisProcess> {
  const redis = await RedisProcess.start();
  ends.push(() => redis.remove());
  return redis;
}

/** Two hosts. The second has a way to Redis that can be made bad. */
async function startHosts(
  redis: RedisProcess,
  planted: readonly Change[],
  aheadMs = 0,
): Promise<readonly [AppHost, AppHost]> {
  const start = async (way: AppHostOptions["redis"], ahead: number): Promise<AppHost> => {
    const product = new ChangedProduct(planted, ahead);
    ends.push(() => product.remove());
    const { daemonPath } = product;
    const host = await AppHost.start({ place: HERE, redis: way, daemonPath, aheadMs: ahead });
    ends.push(() => host.close());
    return host;
  };
  const one = await start(redis.url, 0);
  return [one, await start({ host: "127.0.0.1", port: redis.port }, aheadMs)];
}

interface Storm {
  readonly planted: readonly Change[];
  readonly lostAnswers?: number;
  /** With each of those the daemon. */
  readonly killsDaemons?: boolean;
  /** So far the clock of the second host is ahead of the others'. */
  readonly aheadMs?: number;
  /** With several a host has transactions that follow each other before they are stored. */
  readonly workersPerHost?: number;
}

async function storm({
  planted,
  lostAnswers = 0,
  killsDaemons = false,
  aheadMs,
  workersPerHost = 1,
}: Storm): Promise<LoadFigures> {
  const hosts = await startHosts(await startRedis(), planted, aheadMs);
  const faults: Fault[] = Array.from({ length: lostAnswers }, () =>
    killsDaemons ? loseAnswersAndDaemon(hosts[1]) : loseAnswers(hosts[1]),
  );
  const load = { workersPerHost, sessions: 2, operations: 2_000, width: 6, readShare: 48 };
  return runLoadStorm({ hosts, seed: 1, faults, ...load });
}

function expectClean(figures: LoadFigures): void {
  const { violations, lost, doubled, stale, failures } = figures;
  const found = { violations, lost, doubled, stale, failures };
  // All of it: what an assertion says by itself leaves out most of an object.
  expect(found, JSON.stringify(figures, null, 2)).toEqual({
    ...{ violations: [], lost: 0, doubled: 0, stale: 0 },
    failures: {},
  });
}

const DAYS_MS = 86_400_000;

const NO_LAST_READ: Change = {
  file: "calls/scripts.js",
  from: /(local done = redis\.pcall\('SET'[\s\S]*?return done end\n[^\n]*\n {2}end\n) {2}redis\.call\('GETRANGE', key, 0, 0\)/,
  to: "$1",
};
const EARLY_BARRIER: Change = {
  file: "calls/calls.js",
  from: /return this\.#track\(this\.#barrier\(server\)\);/,
  to: `return (this.underWay ??= this.#track(this.#barrier(server)).finally(() => {
    this.underWay = undefined;
  }));`,
};
const OWN_CLOCK: Change = {
  file: "calls/clock.js",
  from: /return performance\.now\(\) \+ this\.#offsetMs;/,
  to: "return Date.now();",
};
const PROVISIONAL: Change = {
  file: "sessions/session.js",
  from: /this\.#leasing\.noteSent\(order\.bytes\);/,
  to: "$& queueMicrotask(() => this.copy.adoptOwn(stored));",
};
const ANY_VERSION: Change = {
  file: "sessions/leasing.js",
  from: /return isVersion\(this\.#version, version\) \|\| isVersion\(this\.#sent, version\);/,
  to: "return true;",
};
const COUNTER: Change = {
  file: "sessions/plan.js",
  from: /const value = sessionValue\(image, .*\n/,
  to: `$&
    const was = stored?.version ?? Buffer.alloc(0);
    if (was.length === 8) {
      was.copy(value, 1, 1, 4);
      value.writeUInt32BE((was.readUInt32BE(4) + 1) >>> 0, 4);
    }
`,
};

/** Redis comes back without what it acknowledged last, as the next master does that was not told of it. What the first host sees then. */
async function readAfterLoss(planted: readonly Change[]): Promise<unknown> {
  const redis = await startRedis();
  const [one, other] = (await startHosts(redis, planted)).map((host) => host.startWorker());
  if (one === undefined || other === undefined) throw new Error("no workers");
  const { id } = await one.call<{ id: string }>("create", { prefix: "loss" });
  await one.call("set", id, "first", 1);
  const [kept, saved] = [join(redis.folder, "appendonlydir"), join(redis.folder, "saved")];
  cpSync(kept, saved, { recursive: true });
  await one.call("set", id, "lost", 2);
  await redis.kill();
  rmSync(kept, { recursive: true });
  cpSync(saved, kept, { recursive: true });
  await redis.startAgain();
  await other.call("set", id, "second", 3);
  return one.call("look", id, ["first", "lost", "second"]);
}

/**
 * What a read sees that begins after a write of another host was acknowledged, while an earlier read still waits for its barrier:
 *
 *   1. the second host reads; the answer of its barrier is kept on the way   2. the first host writes, and has its answer; what the second is told of that
 *   is kept as well   3. the second host reads again   4. the answer of 1 comes, and only when that read has ended the rest
 */
async function readBehind(planted: readonly Change[]): Promise<unknown> {
  const hosts = await startHosts(await startRedis(), planted);
  const [writer, reader] = [hosts[0].startWorker(), hosts[1].startWorker()];
  const { id } = await writer.call<{ id: string }>("create", { prefix: "behind" });
  await reader.call("look", id, ["key"]);
  await hosts[1].makeWay("keeps");
  const first = reader.call("look", id, ["key"]);
  while ((await hosts[1].kept()) === 0);
  await writer.call("set", id, "key", 1);
  const second = reader.call("look", id, ["key"]);
  // Answered behind the read, which has begun then.
  await reader.call("status");
  await hosts[1].let(1);
  await first;
  await hosts[1].makeWay("passes");
  return second;
}

describeWithRedis("the storms of many hosts", () => {
  test("find nothing wrong when nothing is planted", async () => {
    expectClean(await storm({ planted: [], lostAnswers: 20 }));
  });

  test("find nothing wrong where transactions of a host follow each other before they are stored", async () => {
    expectClean(await storm({ planted: [], lostAnswers: 10, workersPerHost: 3 }));
  });

  test("find transactions that go on where what they have seen was not stored", async () => {
    const { violations } = await storm({ planted: [ANY_VERSION], lostAnswers: 10, workersPerHost: 3 });
    expect(violations.length).toBeGreaterThan(0);
  });

  // That commits without marks are found is shown by test/daemon/redis/hosts.test.ts.
  test("find nothing wrong where daemons are killed behind answers that were lost", async () => {
    expectClean(await storm({ planted: [], lostAnswers: 20, killsDaemons: true }));
  });

  test("find scripts that do not end with a read, after which changes of others are not told", async () => {
    expect((await storm({ planted: [NO_LAST_READ] })).stale).toBeGreaterThan(0);
  });

  test("find a barrier that was sent before a read began", async () => {
    expect(await readBehind([])).toEqual([1]);
    expect(await readBehind([EARLY_BARRIER])).not.toEqual([1]);
  });

  test("find copies that are seen before they are stored", async () => {
    // Whether somebody looks in these moments is chance: one storm of many finds nothing.
    let found = 0;
    for (let storms = 0; found === 0 && storms < 5; storms++) {
      found = (await storm({ planted: [PROVISIONAL] })).violations.length;
    }
    expect(found).toBeGreaterThan(0);
  });

  test("find deadlines by a host's own clock, and none where clocks are wrong", async () => {
    expectClean(await storm({ planted: [], aheadMs: 2 * DAYS_MS }));
    const { failures } = await storm({ planted: [OWN_CLOCK], aheadMs: 2 * DAYS_MS });
    expect(Object.keys(failures)).not.toEqual([]);
  });

  test("find versions that are counted, when a Redis comes back without the last ones", async () => {
    expect(await readAfterLoss([])).toEqual([1, null, 3]);
    expect(await readAfterLoss([COUNTER])).not.toEqual([1, null, 3]);
  });
});
