// Which server is gone by as the master when Sentinels contradict each other, say nothing, or are in the middle of a failover.

import { afterEach, beforeEach, expect, it } from "vitest";
import { connectLink, type Link, type LinkOptions, Script } from "../../../../daemon/redis/link/link.ts";
import { until } from "../../../support/processes.ts";
import { FakeSentinel, type Said } from "../../../support/redis/fake-sentinel.ts";
import { FaultyWay } from "../../../support/redis/faulty-way.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, RedisProcess } from "../../../support/redis/redis-server.ts";

const APPEND = new Script("return redis.call('APPEND',KEYS[1],'x')");
/** Nothing is found by a look, or by waiting for an answer. */
const BLIND = { lookMs: 1_000_000, answerMs: 1_000_000, waitMs: 1_000_000 };
const OFTEN = { lookMs: 10 };

describeWithRedis("the master of Sentinels", () => {
  let old: RedisProcess;
  let next: RedisProcess;
  const ends: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    [old, next] = await Promise.all([RedisProcess.start(), RedisProcess.start()]);
    for (const server of [old, next]) ends.push(() => server.remove());
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function sentinels(...says: readonly Said[]): Promise<readonly FakeSentinel[]> {
    const all = await Promise.all(says.map((said) => FakeSentinel.start(said)));
    for (const sentinel of all) ends.push(() => sentinel.close());
    return all;
  }

  async function connect(all: readonly FakeSentinel[], others: Partial<LinkOptions> = {}): Promise<Link> {
    const url = `redis+sentinel://${all.map(({ place }) => place).join(",")}/m`;
    const link = await connectLink(linkOptions(url, others));
    ends.push(() => link.close());
    return link;
  }

  async function write(link: Link): Promise<unknown> {
    return link.serverOf("gs:a").run(APPEND, ["gs:a"], []);
  }

  /** Only clients like ours begin with HELLO. */
  function wasVisited(server: RedisProcess): boolean {
    return server.cli("INFO", "commandstats").includes("cmdstat_hello:");
  }

  function isAway(link: Link, reason: RegExp): boolean {
    const report = link.report();
    return report.isConnected === false && reason.test(String(report.reason));
  }

  const first = (): Said => ({ port: old.port, epoch: 0 });
  const second = (): Said => ({ port: next.port, epoch: 1 });

  it("is that of the newest configuration, however many name an older one, and the older one is not even visited", async () => {
    const link = await connect(await sentinels(first(), first(), second()));
    expect(await write(link)).toBe(1);
    expect([wasVisited(old), wasVisited(next)]).toEqual([false, true]);
    expect(link.report()).toMatchObject({ sentinels: { named: 3, answering: 3, known: 3, epoch: 1 } });
  });

  it("is not gone by where fewer than half of them answer", async () => {
    const all = await sentinels(first(), second(), second());
    for (const one of all.slice(1)) one.does = "says nothing";
    await expect(connect(all, { waitMs: 1, answerMs: 500 })).rejects.toThrow(
      /Only [01] of 3 Sentinels name a master, and at least half must: .*127\.0\.0\.1:\d+ \(did not answer for 500 ms\)\./,
    );
    expect(wasVisited(old)).toBe(false);
    for (const one of all.slice(1, 2)) one.does = "answers";
    const link = await connect(all);
    expect(await write(link)).toBe(1);
    expect([wasVisited(old), wasVisited(next)]).toEqual([false, true]);
    expect(link.report()).toMatchObject({ sentinels: { named: 3, answering: 2 } });
  });

  it("is never an older one than was seen, until every Sentinel says so: then they have been set up anew", async () => {
    const [here, there] = await sentinels({ ...second(), epoch: 5 }, { ...second(), epoch: 5 });
    if (here === undefined || there === undefined) throw new Error("no Sentinels");
    const link = await connect([here, there], OFTEN);
    there.does = "says nothing";
    here.says = { ...first(), epoch: 4 };
    await next.kill();
    await until(() => isAway(link, /name a former master \(epoch 4, and there was 5\): 127\.0\.0\.1:\d+ \(/));
    expect(wasVisited(old)).toBe(false);
    there.does = "answers";
    await next.startAgain();
    await until(() => link.report().isConnected);
    expect(wasVisited(old)).toBe(false);
    there.says = first();
    await until(() => wasVisited(old));
    await until(() => link.report().isConnected);
    expect(link.report()).toMatchObject({ reconnects: 2, sentinels: { epoch: 4 } });
  });

  it("may have a name here and an address there", async () => {
    const all = await sentinels({ ...first(), host: "localhost" }, first());
    const link = await connect(all, OFTEN);
    const asked = all.map((one) => one.asked);
    await until(() => all.every((one, at) => one.asked > 8 + Number(asked[at])));
    expect(link.report()).toMatchObject({ isConnected: true, reconnects: 0 });
  });

  it("is the replica that was promoted, though the Sentinel that did it has its old address still", async () => {
    const promoted = { ...second(), oldPort: old.port, state: "reconf_slaves" };
    const link = await connect(await sentinels(first(), promoted, first()));
    expect(await write(link)).toBe(1);
    expect([wasVisited(old), wasVisited(next)]).toEqual([false, true]);
  });

  it("is left, and not visited, from when another one is chosen until that is the master", async () => {
    const all = await sentinels(first(), { ...first(), state: "wait_start" });
    const [, leader] = all;
    if (leader === undefined) throw new Error("no Sentinel");
    const link = await connect(all, OFTEN);
    expect(await write(link)).toBe(1);
    leader.says = { ...first(), state: "wait_promotion" };
    await until(() => isAway(link, /have chosen another master in the place of 127\.0\.0\.1:\d+/));
    leader.says = { ...second(), oldPort: old.port, state: "reconf_slaves" };
    expect(await write(link)).toBe(1);
    expect(next.cli("GET", "gs:a")).toBe("x");
  });

  it("is left as soon as it says nothing and another one is named", async () => {
    const all = await sentinels(first());
    const link = await connect(all, BLIND);
    await write(link);
    old.signal("SIGSTOP");
    const call = write(link).catch((error: unknown) => error);
    for (const one of all) one.says = second();
    expect(await call).toMatchObject({ outcome: "unsure", code: "ROLE" });
    expect(await write(link)).toBe(1);
    expect(next.cli("GET", "gs:a")).toBe("x");
  });

  it("is not waited for when another one is named while it is connected to", async () => {
    const way = await FaultyWay.to(old.port);
    ends.push(() => way.close());
    way.mode = "holds";
    const all = await sentinels({ ...first(), port: way.port });
    const connecting = connect(all, BLIND);
    await until(() => way.connections > 0);
    for (const one of all) one.says = second();
    expect(await write(await connecting)).toBe(1);
    expect(next.cli("GET", "gs:a")).toBe("x");
  });

  it("is found where one Sentinel refuses and others answer, and the right is named where none does", async () => {
    const all = await sentinels(first(), first());
    const [one, other] = all;
    if (one === undefined || other === undefined) throw new Error("no Sentinels");
    one.does = "refuses";
    const link = await connect(all);
    expect(link.report()).toMatchObject({ isConnected: true, sentinels: { named: 2, answering: 1 } });
    other.does = "refuses";
    await expect(connect(all)).rejects.toThrow(/does not give its user the rights .*\+sentinel\|master/);
  });
});
