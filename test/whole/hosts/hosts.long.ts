// Three hosts and a Redis, each with a network of its own: what the hosts see of one another's sessions while links are cut, answers are lost, and
// Redis and daemons are killed or stand still. Faults come after so many operations, whatever time those take.

import { afterEach, describe, expect, test } from "vitest";
import { AppHost } from "../../storms/hosts/app-host.ts";
import {
  cutLink,
  type Fault,
  flushScripts,
  killClients,
  killDaemon,
  killRedis,
  loseAnswers,
  shuffled,
  stopDaemon,
  stopRedis,
} from "../../storms/hosts/faults.ts";
import { PART, printLoad, runLoadStorm } from "../../storms/hosts/load-storm.ts";
import { printRounds, Rounds } from "../../storms/hosts/rounds.ts";
import { canHaveHosts, Network, type NetworkHost } from "../../support/network.ts";
import { describeWithRedis, REDIS_PORT, RedisProcess } from "../../support/redis/redis-server.ts";
import { Random } from "../../support/values/random.ts";

const { may, suffix } = canHaveHosts();
const ends: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Every change is flushed to a disk that may be slow. */
const PATIENCE_MS = 1_200_000;

interface World {
  readonly redis: RedisProcess;
  readonly hosts: readonly AppHost[];
  readonly links: readonly NetworkHost[];
}

/** The first host meets Redis itself, the others by ways that lose answers. */
async function start(): Promise<World> {
  const network = new Network(4);
  ends.push(() => network.remove());
  const [server, ...links] = network.hosts as [NetworkHost, ...NetworkHost[]];
  const redis = await RedisProcess.startOn(server);
  ends.push(() => redis.remove());
  const hosts: AppHost[] = [];
  for (const [n, place] of links.entries()) {
    const at = { host: server.address, port: REDIS_PORT };
    const host = await AppHost.start({ place, redis: n === 0 ? `redis://${at.host}:${at.port}` : at });
    ends.push(() => host.close());
    hosts.push(host);
  }
  return { redis, hosts, links };
}

function newSeed(): number {
  const seed = Date.now() % 2 ** 32;
  console.log(`seed ${seed}`);
  return seed;
}

/** Everything that goes wrong, so many times each for each host, or for Redis. */
function everything({ redis, hosts, links }: World, random: Random): Fault[] {
  const [, ...distant] = hosts;
  const each = <T>(count: number, some: readonly T[], make: (one: T) => Fault): (readonly [number, () => Fault])[] =>
    some.map((one) => [count, () => make(one)] as const);
  return shuffled(random, [
    ...each(2, links, cutLink),
    ...each(10, distant, loseAnswers),
    ...each(4, hosts, killDaemon),
    ...each(2, hosts, stopDaemon),
    [4, () => killRedis(redis)],
    [4, () => stopRedis(redis)],
    [8, () => flushScripts(redis)],
    [12, () => killClients(redis)],
  ]);
}

describeWithRedis("storms over hosts", () => {
  describe.runIf(may)(`in networks of their own${suffix}`, () => {
    test(
      "lose nothing, double nothing and show nothing stale on any host",
      async () => {
        const world = await start();
        const seed = newSeed();
        const faults = everything(world, new Random(seed));
        const load = { workersPerHost: 2, sessions: 6, operations: 85_000 * PART, width: 4, readShare: 55 };
        const figures = await runLoadStorm({ hosts: world.hosts, seed, faults, ...load });
        printLoad(`three hosts, seed ${seed}`, figures);
        expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0 });
        expect(Object.keys(figures.failures).filter((code) => code !== "ERR_STORE")).toEqual([]);
      },
      PATIENCE_MS,
    );

    test(
      "agree on what has ended, on the unique one, and on who has another id",
      async () => {
        const world = await start();
        const seed = newSeed();
        const faults = everything(world, new Random(seed));
        const workers = world.hosts.map((host) => host.startWorker());
        const rounds = new Rounds(workers, 2_000 * PART, seed);
        const figures = await rounds.run(12, faults);
        printRounds(`sessions that end, three hosts, seed ${seed}`, figures);
        expect(figures.problems).toEqual([]);
        expect(Object.keys(figures.failures).filter((code) => !code.startsWith("ERR_STORE"))).toEqual([]);
        expect(figures.unsure).toBeLessThan(figures.rounds / 4);
      },
      PATIENCE_MS,
    );
  });
});
