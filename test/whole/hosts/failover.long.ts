// Masters that die or are cut off under load, with `durability: "replica"`: what Redis acknowledged to a replica is there on the next master, exactly
// once, and whoever reads it there sees it.

import { afterEach, describe, expect, test } from "vitest";
import { AppHost } from "../../storms/hosts/app-host.ts";
import { type LoadFigures, PART, printLoad, runLoadStorm } from "../../storms/hosts/load-storm.ts";
import { DOWN_AFTER_MS, Sentinels } from "../../storms/hosts/sentinels.ts";
import type { Recorded } from "../../storms/recorder.ts";
import { canHaveHosts, Network, type NetworkHost } from "../../support/network.ts";
import { describeWithRedis } from "../../support/redis/redis-server.ts";

const { may, suffix } = canHaveHosts();
const NODES = 3;
const ends: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface World {
  readonly sentinels: Sentinels;
  /** The first stands beside the first master, behind the same link. */
  readonly hosts: readonly AppHost[];
}

async function start(replicas: number, places: (network: Network) => readonly NetworkHost[]): Promise<World> {
  const network = new Network(NODES + 2);
  ends.push(() => network.remove());
  const sentinels = await Sentinels.start(network.hosts.slice(0, NODES), replicas);
  ends.push(() => sentinels.remove());
  const hosts: AppHost[] = [];
  for (const place of places(network)) {
    const host = await AppHost.start({ place, redis: sentinels.url, durability: "replica" });
    ends.push(() => host.close());
    hosts.push(host);
  }
  return { sentinels, hosts };
}

const LOAD = { seed: 1, workersPerHost: 2, sessions: 6, width: 4, readShare: 55 };

function expectKept(figures: LoadFigures): void {
  expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, stale: 0 });
  // Nobody knows what became of a call while no replica answered, and leases that were held then may end by their time.
  const told = ["ERR_STORE", "ERR_LEASE_LOST"];
  expect(Object.keys(figures.failures).filter((code) => !told.includes(code))).toEqual([]);
}

describeWithRedis("failovers by Sentinels", () => {
  describe.runIf(may)(`on hosts in networks of their own${suffix}`, () => {
    test.each([1, 2])("lose, double and hide nothing with replicas, however the master goes: %d", async (replicas) => {
      const { sentinels, hosts } = await start(replicas, (network) => network.hosts.slice(NODES));
      const faults = [sentinels.killMaster(), sentinels.cutMaster(), sentinels.killMaster()];
      const figures = await runLoadStorm({ ...LOAD, hosts, faults, operations: 6_000 * PART });
      printLoad(`failovers, replicas: ${replicas}, down-after ${DOWN_AFTER_MS} ms`, figures);
      expectKept(figures);
      expect(figures.faults).toEqual({ "masters killed": 2, "masters cut off": 1 });
    });

    test("lose and double nothing of a host that is cut off with the master", async () => {
      const places = (network: Network): NetworkHost[] => [
        network.hosts[0] as NetworkHost,
        ...network.hosts.slice(NODES),
      ];
      const { sentinels, hosts } = await start(2, places);
      // Until it is told that it is no master any more it answers those that are cut off with it, from what it has.
      const isAlone = ({ kind, by, call, end }: Recorded): boolean =>
        (kind === "read" || kind === "count") &&
        by.startsWith("h1") &&
        sentinels.failovers.some(({ fromNs, toNs }) => end > fromNs && call < toNs);
      let alone = 0;
      const counts = (record: Recorded): boolean => {
        if (!isAlone(record)) return true;
        alone += 1;
        return false;
      };
      const figures = await runLoadStorm({
        ...{ ...LOAD, hosts, counts },
        faults: [sentinels.cutMaster()],
        operations: 4_000 * PART,
      });
      printLoad(`a host beside the master, ${alone} reads there meanwhile`, figures);
      expectKept(figures);
      expect(figures.faults).toEqual({ "masters cut off": 1 });
    });
  });
});
