// Answers of Redis that never come, while a lease is in force: what was done is found, and no holder is told that it took too long.

import { afterEach, beforeEach, expect, test } from "vitest";
import { INDEX, MEMBERS } from "../../../daemon/redis/calls/scripts.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import type { BackendWorker } from "../../support/daemon/backend-house.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { until } from "../../support/processes.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

describeWithRedis("a lease whose commit is stored, and the answer lost", () => {
  let redis: RedisProcess;
  let way: FaultyWay;
  const hosts = new RedisHosts();
  let anna: BackendWorker;
  let bert: BackendWorker;
  const id = newId();

  beforeEach(async () => {
    redis = await RedisProcess.start();
    way = await FaultyWay.to(redis.port);
    anna = (await hosts.open(way.url)).worker("anna");
    bert = (await hosts.open(redis.url)).worker("bert");
    await anna.create(id, { n: 0 });
  });

  afterEach(async () => {
    await hosts.close();
    await way.close();
    await redis.remove();
  });

  /** Stores under the lease, and is told of it only after whatever `meanwhile` does. */
  async function commitUnheard(fence: number, meanwhile: () => Promise<unknown>): Promise<void> {
    way.mode = "holds";
    const commit = anna.commit(id, { n: 1 }, { fence });
    await until(isStored);
    await meanwhile();
    way.mode = "passes";
    way.cut();
    await commit;
  }

  let before = "";
  function isStored(): boolean {
    return redis.cli("GETRANGE", `gs:${id}`, "0", "7") !== before;
  }

  test("goes on", async () => {
    const { fence } = await anna.lease(id);
    before = redis.cli("GETRANGE", `gs:${id}`, "0", "7");
    await commitUnheard(fence, async () => undefined);
    await anna.commit(id, { n: 2 }, { fence, release: true });
    expect(await bert.values(id)).toEqual({ n: 2 });
  });

  test("is one for contents that another host has changed, if that has come between", async () => {
    const { fence } = await anna.lease(id);
    before = redis.cli("GETRANGE", `gs:${id}`, "0", "7");
    await commitUnheard(fence, () => bert.commit(id, { b: 1 }));
    expect(await codeOf(anna.commit(id, { n: 2 }, { fence, release: true }))).toBe("ERR_CONFLICT");
    expect(await bert.values(id)).toEqual({ n: 1, b: 1 });
  });
});

describeWithRedis("a session that becomes the only one of its prefix", () => {
  let redis: RedisProcess;
  let way: FaultyWay;
  const hosts = new RedisHosts();

  beforeEach(async () => {
    redis = await RedisProcess.start();
    way = await FaultyWay.to(redis.port);
  });

  afterEach(async () => {
    way.unblock();
    await hosts.close();
    await way.close();
    await redis.remove();
  });

  /** A question to the index, or a place in it. */
  function isOfIndex(request: Buffer): boolean {
    return [INDEX, MEMBERS].some(({ digest }) => request.includes(digest));
  }

  test("is it, where that was to be done under a lease whose time is over before the index has an answer", async () => {
    const [anna, bert] = [
      (await hosts.open(way.url)).worker("anna"),
      (await hosts.open(redis.socketUrl)).worker("bert"),
    ];
    const [other, only] = [newId(), newId()];
    await bert.create(other, {});
    await anna.create(only, { n: 0 });
    const { fence } = await anna.lease(only, 200);
    const deadlineMs = performance.now() + 200;
    const cut = way.loseRequest(isOfIndex);
    const commit = anna.commit(only, { n: 1 }, { fence, release: true, unique: true });
    await cut;
    await until(() => performance.now() > deadlineMs);
    way.unblock();
    await commit;
    expect(await bert.values(only)).toEqual({ n: 1 });
    expect((await bert.read(other)).kind).toBe(KIND.absent);
  });

  test("is not, where the index refuses it, and its lease is the next one's", async () => {
    const [anna] = [(await hosts.open(redis.socketUrl)).worker("anna")];
    const [old, only] = [newId(), newId()];
    await anna.create(old, { n: 0 });
    const { fence } = await anna.lease(old);
    const next = anna.lease(old, 60_000, undefined, true);
    redis.cli("CONFIG", "SET", "maxmemory", "1");
    const options = { fence, release: true, unique: true, successor: only };
    expect(await codeOf(anna.commit(old, { n: 1 }, options))).toBe("ERR_STORE");
    expect((await next).fence).toBeGreaterThan(fence);
  });

  test.each([1, 2, 3, 4, 5])("is it, also when answer %d of the index of the prefix is lost", async (step) => {
    const [anna, bert] = [(await hosts.open(way.url)).worker("anna"), (await hosts.open(redis.url)).worker("bert")];
    const [other, only] = [newId(), newId()];
    await anna.create(newId(), {}, { unique: true });
    await bert.create(other, {});
    let seen = 0;
    const cut = way.loseAnswer((request) => isOfIndex(request) && ++seen === step);
    const created = anna.create(only, {}, { unique: true });
    await Promise.race([cut, created]);
    way.unblock();
    await created;
    expect((await bert.read(only)).kind).toBe(KIND.contents);
    expect((await bert.read(other)).kind).toBe(KIND.absent);
  });
});
