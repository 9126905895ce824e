// What else becomes of a Redis, and of what is in it: each is told to whom it concerns, and to nobody else.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { DaemonOptions } from "../../../daemon/config.ts";
import { startupMs } from "../../../protocol/image/image.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import type { BackendHouse, BackendWorker } from "../../support/daemon/backend-house.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { valuesOf } from "../../support/daemon/raw-worker.ts";
import { until } from "../../support/processes.ts";
import { RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

describeWithRedis("a backend whose Redis has its own ways", () => {
  let redis: RedisProcess;
  const hosts = new RedisHosts();
  let house: BackendHouse;
  let anna: BackendWorker;
  let id: string;
  let key: string;

  const open = (options: DaemonOptions = {}): Promise<BackendHouse> => hosts.open(redis.socketUrl, options);

  beforeAll(async () => {
    redis = await RedisProcess.start();
  });

  afterAll(() => redis.remove());

  beforeEach(async () => {
    redis.cli("FLUSHALL");
    house = await open();
    anna = house.worker("anna");
    id = newId();
    key = `gs:${id}`;
  });

  afterEach(() => hosts.close());

  test.each([
    ["a value that somebody else has written", (name: string) => ["SET", name, "x".repeat(200)]],
    ["a short one", (name: string) => ["SET", name, "S"]],
    ["a list", (name: string) => ["RPUSH", name, "x"]],
  ])("cannot read %s, and says so of that session alone; it can be ended", async (_what, command) => {
    const other = newId();
    await anna.create(other, { n: 1 });
    redis.cli(...command(key));
    const calls = [
      anna.read(id),
      anna.commit(id, { n: 1 }),
      anna.lease(id),
      anna.touch(id),
      anna.create(id, {}),
      anna.commit(other, { n: 2 }).then(() => Promise.reject(Object.assign(new Error(), { code: "fine" }))),
    ];
    const unreadable = "ERR_UNREADABLE";
    expect(await Promise.all(calls.map(codeOf))).toEqual([...new Array(5).fill(unreadable), "fine"]);
    expect(redis.cli("EXISTS", key)).toBe("1");
    expect(await anna.sweep("end")).toMatchObject({ seen: 2, ended: 0, unreadable: 1 });
    expect((await anna.list(null, 10)).flat()).toEqual([other]);
    await anna.end(id);
    expect((await anna.read(id)).kind).toBe(KIND.absent);
    expect(await codeOf(anna.create(id, {}))).toBe("ERR_ID_TAKEN");
  });

  test("a session that became larger than may be read is left as it is", async () => {
    await anna.create(id, { text: "x".repeat(5000) });
    const strict = (await open({ maxSessionBytes: 1000 })).worker("bert");
    expect(await codeOf(strict.read(id))).toBe("ERR_UNREADABLE");
    expect(await codeOf(strict.create(newId(), { text: "x".repeat(5000) }))).toBe("ERR_TOO_LARGE");
    expect(await anna.values(id)).toEqual({ text: "x".repeat(5000) });
  });

  test("a Redis that is full writes nothing, and says so; what is there can be read and ended", async () => {
    const other = newId();
    await Promise.all([anna.create(id, { n: 1 }), anna.create(other, {})]);
    redis.cli("CONFIG", "SET", "maxmemory", "1");
    try {
      const refused = anna.commit(id, { n: 2 });
      await expect(refused).rejects.toMatchObject({
        code: "ERR_STORE",
        message: expect.stringContaining("nothing was"),
      });
      expect(await codeOf(anna.create(newId(), {}))).toBe("ERR_STORE");
      expect(await anna.values(id)).toEqual({ n: 1 });
      await anna.end(other);
      expect(redis.cli("EXISTS", `gs:${other}`)).toBe("0");
    } finally {
      redis.cli("CONFIG", "SET", "maxmemory", "0");
    }
    await anna.commit(id, { n: 3 });
    expect(await anna.values(id)).toEqual({ n: 3 });
    expect((await anna.read(other)).kind).toBe(KIND.absent);
  });

  test("where a replica is to have it and there is none, it is said that it may have been written", async () => {
    const careful = (await open({ durability: "replica" })).worker("bert");
    const commit = careful.create(id, { n: 1 });
    await expect(commit).rejects.toMatchObject({
      code: "ERR_STORE",
      message: expect.stringContaining("may have been"),
    });
    expect(await anna.values(id)).toEqual({ n: 1 });
    // Sent again it is known by its mark, which no replica has either.
    await expect(careful.commit(id, { n: 1 }, { create: true }, 1)).rejects.toMatchObject({ code: "ERR_STORE" });
  });

  test("a Redis that forgets scripts is told them again", async () => {
    await anna.create(id, { n: 1 });
    redis.cli("SCRIPT", "FLUSH");
    await anna.commit(id, { n: 2 });
    redis.cli("SCRIPT", "FLUSH");
    expect(await anna.values(id)).toEqual({ n: 2 });
  });

  test("sessions of a Redis that was emptied are gone", async () => {
    await anna.create(id, { n: 1 });
    await anna.values(id);
    redis.cli("FLUSHDB");
    expect((await anna.read(id)).kind).toBe(KIND.absent);
    expect(await codeOf(anna.commit(id, { n: 2 }))).toBe("ERR_SESSION_GONE");
  });

  test("a session whose key somebody has deleted is gone, and an update does not bring it back", async () => {
    await anna.create(id, { n: 1 });
    redis.cli("DEL", key);
    expect(await codeOf(anna.commit(id, { n: 2 }))).toBe("ERR_SESSION_GONE");
    expect(redis.cli("EXISTS", key)).toBe("0");
  });

  test("connections that an operator ends are made again, and nothing is taken for current that was read over them", async () => {
    await anna.create(id, { n: 1 });
    const bert = (await open()).worker("bert");
    await bert.values(id);
    for (let n = 2; n < 8; n++) {
      redis.cli("CLIENT", "KILL", "TYPE", "normal");
      await anna.commit(id, { n });
      expect(await bert.values(id)).toEqual({ n });
    }
  });

  test("a Redis that is killed and comes again has what it acknowledged", async () => {
    await anna.create(id, { n: 0 });
    const commits = Array.from({ length: 20 }, (_, n) => anna.commit(id, { [`key${n}`]: n }));
    await redis.kill();
    await redis.startAgain();
    await Promise.all(commits);
    expect(Object.keys((await anna.values(id)) ?? {})).toHaveLength(21);
  });

  test("a session ends when its time is over by Redis' clock, and nothing but that time brings Redis to forget it", async () => {
    const bert = (await open()).worker("bert");
    let createdMs = 0;
    // One that he has seen before it ended, however slow the machine is.
    await until(async () => {
      id = newId();
      createdMs = (await anna.create(id, { n: 1 }, { timeoutSeconds: 0.2 })).startupMs;
      return (await bert.values(id))?.n === 1;
    });
    key = `gs:${id}`;
    const [seconds, micros] = redis.cli("TIME").split("\n").map(Number);
    expect(Math.abs((seconds ?? 0) * 1000 + (micros ?? 0) / 1000 - createdMs)).toBeLessThan(5_000);
    await until(() => Date.now() > createdMs + 210);
    expect((await anna.read(id)).kind).toBe(KIND.absent);
    expect((await bert.read(id)).kind).toBe(KIND.absent);
    expect(await codeOf(anna.commit(id, { n: 2 }))).toBe("ERR_SESSION_GONE");
    expect(await codeOf(bert.touch(id))).toBe("ERR_SESSION_GONE");
    const forgetMs = Number(redis.cli("PTTL", key));
    expect(forgetMs).toBeGreaterThan(0);
    expect(forgetMs).toBeLessThan(60_000);
  });

  test("what one host has touched lives on for the others, and its version stays", async () => {
    const { mtimeMs, startupMs: createdMs } = await anna.create(id, { n: 1 }, { timeoutSeconds: 2 });
    const bert = (await open()).worker("bert");
    await bert.values(id);
    await until(() => Date.now() > createdMs + 1_100);
    const touched = await bert.touch(id);
    expect(touched.startupMs).toBeGreaterThan(createdMs + 1_000);
    await until(() => Date.now() > createdMs + 2_100);
    const state = await anna.read(id, mtimeMs);
    expect(state).toMatchObject({ kind: KIND.same, startupMs: touched.startupMs });
    expect(startupMs((await anna.read(id)).image ?? Buffer.of())).toBe(touched.startupMs);
  });

  test("a touch within a second of the last stamp asks, and writes nothing", async () => {
    const created = await anna.create(id, { n: 1 });
    const before = redis.cli("GETRANGE", key, "0", "-1");
    expect((await anna.touch(id)).startupMs).toBe(created.startupMs);
    expect(redis.cli("GETRANGE", key, "0", "-1")).toBe(before);
  });

  test("copies of sessions that were not used lately are forgotten, and nothing else of them", async () => {
    const small = await open({ cacheBytes: 40_000 });
    const bert = small.worker("bert");
    const ids = Array.from({ length: 60 }, () => newId());
    for (const [n, one] of ids.entries()) await bert.create(one, { n, text: "x".repeat(500) });
    await until(() => Number(small.backend.report().bytesCached) <= 40_000 || undefined);
    expect(Number(small.backend.report().sessionsCached)).toBeLessThan(30);
    for (const [n, one] of ids.entries()) expect(valuesOf(await bert.read(one))?.n).toBe(n);
  });

  test("the copies used longest ago are looked for once for many that come", async () => {
    const full = await open({ cacheBytes: 1_000_000 });
    const bert = full.worker("bert");
    const create = (count: number): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, () => bert.create(newId(), { text: "x".repeat(1_000) })));
    let walks = 0;
    const walk = Map.prototype[Symbol.iterator];
    vi.spyOn(Map.prototype, Symbol.iterator).mockImplementation(function (this: Map<unknown, unknown>) {
      if (this.size > 250) walks += 1;
      return walk.call(this);
    });
    try {
      while (Number(full.backend.report().bytesCached) < 950_000) await create(50);
      walks = 0;
      for (let n = 0; n < 200; n++) await create(1);
    } finally {
      vi.restoreAllMocks();
    }
    expect(Number(full.backend.report().bytesCached)).toBeLessThanOrEqual(1_000_000);
    expect(walks).toBeGreaterThan(0);
    expect(walks).toBeLessThan(200 / 4);
  });

  test("what is kept for a client that commits does not grow with its commits", async () => {
    await anna.create(id, { n: 0 });
    const sizes: number[] = [];
    for (let n = 1; n <= 60; n++) {
      await anna.commit(id, { n: 1 }, {}, 1000 + n, 1000 + n);
      sizes.push(Number(redis.cli("STRLEN", key)));
    }
    expect(sizes.at(-1)).toBe(sizes[1]);
  });
});
