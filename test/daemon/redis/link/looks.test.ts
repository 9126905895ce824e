// A link looks after servers that it does not use: one that was made a replica, or that Sentinels have left, is left by itself.

import { afterEach, expect, it } from "vitest";
import { connectLink, type Link } from "../../../../daemon/redis/link/link.ts";
import { until } from "../../../support/processes.ts";
import { FakeSentinel } from "../../../support/redis/fake-sentinel.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, RedisProcess } from "../../../support/redis/redis-server.ts";

describeWithRedis("an idle link", () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const start = async (): Promise<RedisProcess> => {
    const redis = await RedisProcess.start();
    ends.push(() => redis.remove());
    return redis;
  };
  const connect = async (url: string): Promise<Link> => {
    const link = await connectLink(linkOptions(url, { lookMs: 10 }));
    ends.push(() => link.close());
    return link;
  };

  it("leaves a server that was made a replica, and takes it again as a master", async () => {
    const redis = await start();
    const link = await connect(redis.url);
    redis.cli("REPLICAOF", "127.0.0.1", "1");
    await until(() => link.report().isConnected === false && /is a replica/.test(String(link.report().reason)));
    redis.cli("REPLICAOF", "NO", "ONE");
    await until(() => link.report().isConnected === true);
    expect(link.report()).toMatchObject({ role: "master" });
  });

  it("leaves a master that goes on, but which Sentinels do not name any more", async () => {
    const [old, next] = [await start(), await start()];
    const sentinel = await FakeSentinel.start({ port: old.port, epoch: 0 });
    ends.push(() => sentinel.close());
    const link = await connect(`redis+sentinel://${sentinel.place}/m`);
    const count = (redis: RedisProcess): number => redis.cli("CLIENT", "LIST", "TYPE", "normal").split("\n").length;
    const alone = count(next);
    sentinel.says = { port: next.port, epoch: 1 };
    await until(() => count(next) > alone);
    await until(() => link.report().reconnects === 1);
    expect(link.report()).toMatchObject({ isConnected: true });
  });

  it("knows of a server what is true now, and shows an operator nothing else", async () => {
    const redis = await start();
    redis.cli("ACL", "SETUSER", "hidden", "on", ">geheim", "~*", "+@all");
    const link = await connect(redis.url.replace("//", "//hidden:geheim@"));
    await link.serverOf("gs:a").barrier();
    const replica = await start();
    replica.cli("REPLICAOF", "127.0.0.1", String(redis.port));
    await until(() => link.report().replicas === 1 && link.report().replicaLagBytes === 0);
    const report = link.report();
    expect(report).toMatchObject({
      redis: redis.url,
      isConnected: true,
      server: expect.stringMatching(/^(?:Redis|Valkey) \d/),
      role: "master",
      evictionPolicy: "noeviction",
      keepsLog: true,
      reconnects: 0,
      barrierMs: expect.any(Number),
    });
    expect(JSON.stringify(report)).not.toMatch(/hidden|geheim|gs:a/);
  });
});
