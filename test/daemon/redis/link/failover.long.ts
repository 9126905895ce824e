// A master that dies or is shut off while others take over: the link finds the new one by itself, and nothing that was acknowledged to a
// replica is lost.

import { afterEach, beforeEach, expect, it } from "vitest";
import { connectLink, type Link, Script } from "../../../../daemon/redis/link/link.ts";
import { until } from "../../../support/processes.ts";
import { startBehindSentinels } from "../../../support/redis/behind-sentinels.ts";
import { startCluster } from "../../../support/redis/cluster.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis } from "../../../support/redis/redis-server.ts";

const ADD = new Script("redis.call('APPEND',KEYS[1],'x') return #redis.call('GET',KEYS[1])");

describeWithRedis("a failover", () => {
  const ends: (() => Promise<void>)[] = [];
  /** Nothing more is to be added. Whatever a test came to: at a link that is closed the additions would leave it no turn to end. */
  let isOver = false;
  beforeEach(() => {
    isOver = false;
  });
  afterEach(async () => {
    isOver = true;
    for (const end of ends.splice(0).reverse()) await end();
  });
  const connect = async (url: string): Promise<Link> => {
    const link = await connectLink(linkOptions(url, { answerMs: 500, waitMs: 60_000 }));
    ends.push(() => link.close());
    return link;
  };

  /** Adds one after the other until it is stopped; what was acknowledged by a replica, and what may have been done besides. */
  async function adding(link: Link, key: string): Promise<{ acknowledged: number; unsure: number }> {
    const count = { acknowledged: 0, unsure: 0 };
    while (!isOver) {
      try {
        await link.serverOf(key).run(ADD, [key], [], { replicas: 1, ms: 200 });
        count.acknowledged++;
      } catch {
        count.unsure++;
      }
    }
    return count;
  }

  for (const [fault, signal] of [["dies", "SIGKILL"] as const, ["stands still", "SIGSTOP"] as const]) {
    it(`by Sentinels is followed when the master ${fault}`, async () => {
      const servers = await startBehindSentinels(1);
      ends.push(() => servers.remove());
      const { master, replicas: [replica] = [], url } = servers;
      if (replica === undefined) throw new Error("no replica");
      // One of the Sentinels that are named is not there.
      const link = await connect(url.replace("//", "//127.0.0.1:1,"));
      const stale: unknown[] = [];
      link.onStale((keys) => stale.push(keys));
      const adds = adding(link, "gs:a");
      await until(async () => Number(await master.answer("STRLEN", "gs:a")) > 20);
      master.signal(signal);
      await until(async () => /role:master/.test(await replica.answer("INFO", "replication")));
      const length = Number(await replica.answer("STRLEN", "gs:a"));
      await until(async () => Number(await replica.answer("STRLEN", "gs:a")) > length + 5);
      isOver = true;
      const { acknowledged, unsure } = await adds;
      const kept = Number(replica.cli("STRLEN", "gs:a"));
      expect(kept).toBeGreaterThanOrEqual(acknowledged);
      expect(kept).toBeLessThanOrEqual(acknowledged + unsure);
      expect(stale).toContain(null);
      expect(link.report()).toMatchObject({ isConnected: true, role: "master" });
    });
  }

  for (const [fault, signal] of [["dies", "SIGKILL"] as const, ["stands still", "SIGSTOP"] as const]) {
    it(`of a cluster is followed when a master ${fault}, and the other shards go on`, async () => {
      const cluster = await startCluster({ hasReplica: true });
      ends.push(() => cluster.remove());
      const { masters: [first] = [], replica } = cluster;
      if (first === undefined || replica === undefined) throw new Error("no replica");
      const link = await connect(cluster.url);
      const keys = Array.from({ length: 100 }, (_, at) => `gs:${at}`);
      const mine = keys.find((key) => Number(first.cli("CLUSTER", "KEYSLOT", key)) < 5461) ?? "";
      const others = keys.filter((key) => link.serverOf(key) !== link.serverOf(mine));
      const adds = adding(link, mine);
      await until(async () => Number(await first.answer("STRLEN", mine)) > 20);
      first.signal(signal);
      await until(async () => /role:master/.test(await replica.answer("INFO", "replication")));
      const length = Number(await replica.answer("STRLEN", mine));
      await until(async () => Number(await replica.answer("STRLEN", mine)) > length + 5);
      isOver = true;
      const { acknowledged, unsure } = await adds;
      const kept = Number(replica.cli("STRLEN", mine));
      expect(kept).toBeGreaterThanOrEqual(acknowledged);
      expect(kept).toBeLessThanOrEqual(acknowledged + unsure);
      expect(others.length).toBeGreaterThan(0);
      for (const other of others) await link.serverOf(other).run(ADD, [other], []);
      expect(link.report()).toMatchObject({ shards: [1, 2, 3].map(() => ({ isConnected: true })) });
    });
  }
});
