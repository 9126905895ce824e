// A master that may be an old one, whose place another has taken: known by that no replica follows it.

import { afterEach, expect, it } from "vitest";
import { connectLink, type Link } from "../../../../daemon/redis/link/link.ts";
import { until } from "../../../support/processes.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, KEEPING, RedisProcess } from "../../../support/redis/redis-server.ts";

const GUARD = "gs:-";

describeWithRedis("a master of Sentinels that no replica follows", () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function start(): Promise<{ master: RedisProcess; replica: RedisProcess; url: string }> {
    const guarded = [
      ...KEEPING,
      "--min-replicas-to-write",
      "1",
      "--min-replicas-max-lag",
      "1",
      "--repl-diskless-sync-delay",
      "0",
    ];
    const master = await RedisProcess.start(guarded);
    const replica = await RedisProcess.start([...KEEPING, "--replicaof", "127.0.0.1", String(master.port)]);
    const sentinel = await RedisProcess.startSentinel([`sentinel monitor m 127.0.0.1 ${master.port} 1`]);
    for (const server of [master, replica, sentinel]) ends.push(() => server.remove());
    await until(() => goodReplicas(master) === 1);
    return { master, replica, url: `redis+sentinel://127.0.0.1:${sentinel.port}/m` };
  }

  async function connect(url: string, guard: string | undefined): Promise<Link> {
    const link = await connectLink(linkOptions(url, { waitMs: 100, guard }));
    ends.push(() => link.close());
    return link;
  }

  function goodReplicas(master: RedisProcess): number {
    return Number(/min_slaves_good_slaves:(\d+)/.exec(master.cli("INFO", "replication"))?.[1]);
  }

  it("answers no barrier of those who ask for a guard, until one follows it again", async () => {
    const { master, replica, url } = await start();
    const [guarded, other] = [await connect(url, GUARD), await connect(url, undefined)];
    await guarded.servers[0]?.barrier();
    await replica.kill();
    await until(() => goodReplicas(master) === 0);
    await expect(guarded.servers[0]?.barrier()).rejects.toMatchObject({ outcome: "refused", code: "NOREPLICAS" });
    expect(await other.servers[0]?.barrier()).toBeGreaterThan(0);
    await replica.startAgain();
    await until(() => goodReplicas(master) === 1);
    expect(await guarded.servers[0]?.barrier()).toBeGreaterThan(0);
  });
});
