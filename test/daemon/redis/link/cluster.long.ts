// A link to a cluster: each key at the master of its slot, also while slots move, with pushes and barriers of its own.

import { afterAll, beforeAll, expect, it } from "vitest";
import { connectLink, type Link, Script } from "../../../../daemon/redis/link/link.ts";
import { mastersIn, slotOf } from "../../../../daemon/redis/link/topology.ts";
import { neededRights } from "../../../../daemon/redis/server/rights.ts";
import { until } from "../../../support/processes.ts";
import { type RedisCluster, startCluster } from "../../../support/redis/cluster.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, type RedisProcess } from "../../../support/redis/redis-server.ts";

const GET = new Script("return redis.call('GET',KEYS[1])");
const SET = new Script("redis.call('SET',KEYS[1],ARGV[1]) redis.call('GETRANGE',KEYS[1],0,0) return 1");

describeWithRedis("a link to a cluster", () => {
  let cluster: RedisCluster;
  const links: Link[] = [];
  /** Of a user who may do what is needed and no more. */
  const grant = (rights: readonly string[]): void => {
    for (const node of cluster.masters) node.cli("ACL", "SETUSER", "few", "reset", "on", ">pw", ...rights);
  };
  const needed = neededRights(["gs:", "gs!"], true, false).split(" ");
  const withUser = (url: string): string => url.replaceAll("redis://", "redis://few:pw@");
  const connect = async (url = withUser(cluster.url)): Promise<Link> => {
    const link = await connectLink(linkOptions(url));
    links.push(link);
    return link;
  };
  const keys = Array.from({ length: 60 }, (_, at) => `gs:${at}`);
  const run = (link: Link, script: Script, key: string, ...args: string[]): Promise<unknown> =>
    link.serverOf(key).run(script, [key], args);

  beforeAll(async () => {
    cluster = await startCluster({ hasReplica: false });
    grant(needed);
  });
  afterAll(async () => {
    for (const link of links) await link.close();
    await cluster.remove();
  });

  it("knows the slot of a key as the servers do", () => {
    const [node] = cluster.masters;
    for (const key of [...keys, "", "{}a", "a{b}c", "a{b", "{a}{b}", "gs:::1:ÄÖ"]) {
      expect(slotOf(key)).toBe(Number(node?.cli("CLUSTER", "KEYSLOT", key)));
    }
  });

  it("names the right that is missing for it", async () => {
    for (const right of ["+cluster|nodes", "+asking", "+setrange", "~gs!*"]) {
      grant(needed.filter((one) => one !== right));
      await expect(connect()).rejects.toThrow(`the right to ${right};`);
    }
    grant(needed);
  });

  it("has each key at its master, and finds all of them", async () => {
    const link = await connect();
    for (const key of keys) expect(await run(link, SET, key, key)).toBe(1);
    for (const key of keys) expect(String(await run(link, GET, key))).toBe(key);
    expect(new Set(keys.map((key) => link.serverOf(key))).size).toBe(3);
    const found = new Set<string>();
    for await (const key of link.scan("gs:*")) found.add(key);
    expect(found).toEqual(new Set(keys));
    expect(link.report()).toMatchObject({ shards: [1, 2, 3].map(() => ({ isConnected: true, role: "master" })) });
  });

  it("finds the others where one node and one that is away are named", async () => {
    const [node] = cluster.masters;
    const link = await connect(withUser(`redis://127.0.0.1:1,${node?.url}`));
    for (const key of keys) await run(link, SET, key, "1");
  });

  it("tells what others write before the barrier of that key's server is answered", async () => {
    const [mine, other] = [await connect(), await connect()];
    const stale = new Set<string>();
    mine.onStale((told) => {
      for (const key of told ?? []) stale.add(key);
    });
    for (let round = 0; round < 5; round++) {
      for (const key of keys) await run(mine, GET, key);
      stale.clear();
      for (const key of keys) {
        await run(other, SET, key, String(round));
        await mine.serverOf(key).barrier();
        expect(stale.has(key)).toBe(true);
      }
    }
  });

  it("follows a slot that moves, and holds nothing for certain that it read on the way", async () => {
    const [link, other] = [await connect(), await connect()];
    const [key = "", slot] = [keys[0], String(slotOf(keys[0] ?? ""))];
    const [from, to] = ends(cluster.masters, slot);
    await run(link, SET, key, "before");
    const [fromId, toId] = [from.cli("CLUSTER", "MYID"), to.cli("CLUSTER", "MYID")];
    to.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
    from.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
    const stale: unknown[] = [];
    link.onStale((told) => stale.push(told));
    from.cli("MIGRATE", "127.0.0.1", String(to.port), key, "0", "5000");
    await link.serverOf(key).barrier();
    expect(stale).toEqual([[key]]);
    expect(String(await run(link, GET, key))).toBe("before");
    expect(stale).toEqual([[key], [key]]);
    await run(other, SET, key, "meanwhile");
    for (const node of [to, from]) node.cli("CLUSTER", "SETSLOT", slot, "NODE", toId);
    expect(String(await run(link, GET, key))).toBe("meanwhile");
    expect(stale).toContain(null);
    expect(await run(other, SET, key, "after")).toBe(1);
    await link.serverOf(key).barrier();
    expect(stale.at(-1)).toEqual([key]);
    expect(String(await run(link, GET, key))).toBe("after");
  });

  it("answers no barrier at a node that cannot know whether it is still the master", async () => {
    const link = await connectLink(linkOptions(cluster.url, { waitMs: 300 }));
    links.push(link);
    const [first] = cluster.masters;
    if (first === undefined) throw new Error("no node");
    const mine = keys.find((key) => slotOf(key) < 5461) ?? "";
    const server = link.serverOf(mine);
    expect(await server.barrier()).toBeGreaterThan(1e12);
    // It stops when a slot is nobody's, as it does when the others do not answer.
    first.cli("CLUSTER", "DELSLOTS", "0");
    await until(() => first.cli("CLUSTER", "INFO").includes("cluster_state:fail"));
    await expect(server.barrier()).rejects.toMatchObject({ outcome: "refused", code: "CLUSTERDOWN" });
    first.cli("CLUSTER", "ADDSLOTS", "0");
    await until(() => first.cli("CLUSTER", "INFO").includes("cluster_state:ok"));
    expect(await server.barrier()).toBeGreaterThan(1e12);
  });
});

/** Who has the slot, and somebody else. */
function ends(nodes: readonly RedisProcess[], slot: string): readonly [RedisProcess, RedisProcess] {
  const [from] = nodes.filter((node) => {
    const mine = node
      .cli("CLUSTER", "NODES")
      .split("\n")
      .filter((line) => line.includes("myself"));
    const [master] = mastersIn(mine.join("\n"), { host: "127.0.0.1", port: node.port }, false);
    return master?.ranges.some(([first, last]) => first <= Number(slot) && Number(slot) <= last);
  });
  const to = nodes.find((node) => node !== from);
  if (from === undefined || to === undefined) throw new Error("no owner");
  return [from, to];
}
