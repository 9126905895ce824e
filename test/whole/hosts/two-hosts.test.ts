// The storms of many hosts, small: two daemons of their own on one Redis, on this machine itself. Those in namespaces are in `hosts.long.ts`.

import { afterEach, expect, test } from "vitest";
import { AppHost } from "../../storms/hosts/app-host.ts";
import { flushScripts, killClients, killDaemon, killRedis, loseAnswers, shuffled } from "../../storms/hosts/faults.ts";
import { printLoad, runLoadStorm } from "../../storms/hosts/load-storm.ts";
import { Rounds } from "../../storms/hosts/rounds.ts";
import { describeWithRedis, HERE, RedisProcess } from "../../support/redis/redis-server.ts";
import { Random } from "../../support/values/random.ts";

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(): Promise<{ readonly redis: RedisProcess; readonly hosts: readonly AppHost[] }> {
  const redis = await RedisProcess.start();
  ends.push(() => redis.remove());
  const hosts: AppHost[] = [];
  for (const way of [redis.url, { host: "127.0.0.1", port: redis.port }]) {
    const host = await AppHost.start({ place: HERE, redis: way });
    ends.push(() => host.close());
    hosts.push(host);
  }
  return { redis, hosts };
}

/** Of a kind each. */
const ROUNDS = 40;

function newSeed(): number {
  const seed = Date.now() % 2 ** 32;
  console.log(`seed ${seed}`);
  return seed;
}

describeWithRedis("two hosts on one Redis", () => {
  test("lose nothing, double nothing and read nothing stale, whatever breaks", async () => {
    const { redis, hosts } = await start();
    const [one, other] = hosts as [AppHost, AppHost];
    const seed = newSeed();
    const faults = shuffled(new Random(seed), [
      [6, () => loseAnswers(other)],
      [4, () => killClients(redis)],
      [1, () => killRedis(redis)],
      [2, () => flushScripts(redis)],
      [1, () => killDaemon(one)],
    ]);
    const load = { workersPerHost: 2, sessions: 3, operations: 1_500, width: 6, readShare: 48 };
    const figures = await runLoadStorm({ hosts, seed, faults, ...load });
    printLoad("two hosts", figures);
    expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0 });
    expect(figures.failures).toEqual({});
  });

  test("agree on what has ended, on the unique one, and on who has another id", async () => {
    const { redis, hosts } = await start();
    const seed = newSeed();
    const rounds = new Rounds(
      hosts.map((host) => host.startWorker()),
      ROUNDS,
      seed,
    );
    const plan = shuffled(new Random(seed), [
      [4, () => killClients(redis)],
      [4, () => loseAnswers(hosts[1] as AppHost)],
      [1, () => killDaemon(hosts[0] as AppHost)],
    ]);
    const figures = await rounds.run(8, plan);
    expect(figures.problems).toEqual([]);
    expect(figures.failures).toEqual({});
  });
});
