// Several hosts on one Redis: what one has committed the others see, nothing is lost or done twice, whoever is faster and whatever answer gets lost.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { isCode } from "../../../protocol/errors.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import type { BackendHouse, BackendWorker } from "../../support/daemon/backend-house.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { valuesOf } from "../../support/daemon/raw-worker.ts";
import { until } from "../../support/processes.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { isWrite, RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

/** Faults that are planted, to see that the tests find them. */
const planted = vi.hoisted(() => ({ noMarks: false, noLastRead: false }));

vi.mock("../../../daemon/redis/value/marks.ts", async (original) => {
  const real = await original<typeof import("../../../daemon/redis/value/marks.ts")>();
  const isMarked: typeof real.isMarked = (...args) => !planted.noMarks && real.isMarked(...args);
  return { ...real, isMarked };
});

vi.mock("../../../daemon/redis/calls/scripts.ts", async (original) => {
  const real = await original<typeof import("../../../daemon/redis/calls/scripts.ts")>();
  const { Script } = await import("../../../daemon/redis/link/link.ts");
  const last = "  redis.call('GETRANGE', key, 0, 0)\n  return 1";
  const faulty = new Script(real.WRITE.text.replace(last, "  return 1"));
  const write = () => (planted.noLastRead ? faulty : real.WRITE);
  return {
    ...real,
    get WRITE() {
      return write();
    },
  };
});

describeWithRedis("hosts on one Redis", () => {
  let redis: RedisProcess;
  let way: FaultyWay;
  const hosts = new RedisHosts();
  let [north, south]: BackendHouse[] = [];
  let anna: BackendWorker;
  let bert: BackendWorker;
  let id: string;

  beforeAll(async () => {
    redis = await RedisProcess.start();
    way = await FaultyWay.to(redis.port);
  });

  afterAll(async () => {
    await way.close();
    await redis.remove();
  });

  beforeEach(async () => {
    redis.cli("FLUSHALL");
    way.unblock();
    [north, south] = [await hosts.open(way.url), await hosts.open(redis.socketUrl)];
    [anna, bert] = [north.worker("anna"), south.worker("bert")];
    id = newId();
  });

  afterEach(async () => {
    Object.assign(planted, { noMarks: false, noLastRead: false });
    way.unblock();
    await hosts.close();
  });

  /** Adds one in a transaction, again and again until nobody was in between. Returns how often others were. */
  async function increment(worker: BackendWorker, isOptimistic = false): Promise<number> {
    for (let conflicts = 0; ; conflicts++) {
      const { fence, state } = await worker.lease(id, 5_000, undefined, isOptimistic);
      const n = Number(valuesOf(state)?.n);
      try {
        await worker.commit(id, { n: n + 1 }, { fence, release: true });
        return conflicts;
      } catch (error) {
        if (!isCode(error, "ERR_CONFLICT")) throw error;
      }
    }
  }

  async function seesEverything(): Promise<boolean> {
    await anna.create(id, { n: 0 });
    for (let n = 1; n <= 40; n++) {
      const [writer, reader] = n % 2 === 0 ? [anna, bert] : [bert, anna];
      await writer.commit(id, { n });
      if ((await reader.values(id))?.n !== n) return false;
    }
    return true;
  }

  test("a read that begins after an acknowledgement sees it on every host", async () => {
    expect(await seesEverything()).toBe(true);
  });

  test("a host that is told nothing more of a key that it has changed itself is found by that", async () => {
    planted.noLastRead = true;
    expect(await seesEverything()).toBe(false);
  });

  test("a read of contents that another host knows too sends no bytes", async () => {
    const { mtimeMs } = await anna.create(id, { n: 1 });
    expect(await bert.read(id, mtimeMs)).toMatchObject({ kind: KIND.same, image: null });
    await anna.commit(id, { n: 2 });
    expect((await bert.read(id, mtimeMs)).kind).toBe(KIND.contents);
  });

  test("keys that different hosts change at the same time are all there", async () => {
    await anna.create(id, {});
    const keys = Array.from({ length: 60 }, (_, n) => `key${n}`);
    await Promise.all(keys.map((key, n) => (n % 2 === 0 ? anna : bert).commit(id, { [key]: n })));
    expect(await bert.values(id)).toEqual(Object.fromEntries(keys.map((key, n) => [key, n])));
  });

  test("transactions of all hosts count exactly", async () => {
    await anna.create(id, { n: 0 });
    const workers = [anna, bert, north?.worker("carl"), south?.worker("dora")].filter((one) => one !== undefined);
    const each = 15;
    const loops = workers.map(async (worker) => {
      for (let left = each; left > 0; left--) await increment(worker);
    });
    await Promise.all(loops);
    expect(await anna.values(id)).toEqual({ n: workers.length * each });
  });

  test("a transaction meets what another host has written, and keeps the others off when it runs again", async () => {
    await anna.create(id, { n: 0 });
    const first = await anna.lease(id);
    await bert.commit(id, { n: 10 });
    expect(await codeOf(anna.commit(id, { n: 1 }, { fence: first.fence, release: true }))).toBe("ERR_CONFLICT");
    const second = await anna.lease(id);
    expect(valuesOf(second.state)).toEqual({ n: 10 });
    let isBertDone = false;
    const later = bert.commit(id, { m: 1 }).then(() => {
      isBertDone = true;
    });
    await anna.commit(id, { n: 11 }, { fence: second.fence });
    expect(isBertDone).toBe(false);
    await anna.commit(id, { n: 12 }, { fence: second.fence, release: true });
    await later;
    expect(await anna.values(id)).toEqual({ n: 12, m: 1 });
  });

  test("a lease of a host that is gone ends by its time", async () => {
    await anna.create(id, { n: 0 });
    const first = await anna.lease(id);
    await bert.commit(id, { n: 1 });
    expect(await codeOf(anna.commit(id, {}, { fence: first.fence, release: true }))).toBe("ERR_CONFLICT");
    await anna.lease(id, 300);
    way.block();
    await bert.commit(id, { n: 2 });
    expect(await bert.values(id)).toEqual({ n: 2 });
  });

  test("a lease that is given back ends at once for all hosts", async () => {
    await anna.create(id, { n: 0 });
    const first = await anna.lease(id);
    await bert.commit(id, { n: 1 });
    expect(await codeOf(anna.commit(id, {}, { fence: first.fence, release: true }))).toBe("ERR_CONFLICT");
    const second = await anna.lease(id, 60_000);
    const waiting = bert.commit(id, { n: 2 });
    anna.release(id, second.fence);
    await waiting;
  });

  describe("an answer that is lost", () => {
    /** Anna commits, and the answer is lost; before she can ask again bert commits. */
    async function overtakenWithoutAnswer(): Promise<unknown> {
      await anna.create(id, { n: 0 });
      const cut = way.loseAnswer(isWrite);
      const commit = anna.commit(id, { n: 1 });
      await cut;
      expect(await bert.values(id)).toEqual({ n: 1 });
      await bert.commit(id, { n: 2 });
      way.unblock();
      await commit;
      return (await anna.values(id))?.n;
    }

    test("is found, and its commit is not applied again", async () => {
      expect(await overtakenWithoutAnswer()).toBe(2);
    });

    test("would be found to be applied twice without marks", async () => {
      planted.noMarks = true;
      expect(await overtakenWithoutAnswer()).toBe(1);
    });

    test("of a commit under a lease is found, too", async () => {
      await anna.create(id, { n: 0 });
      const { fence } = await anna.lease(id);
      const cut = way.loseAnswer(isWrite);
      const commit = anna.commit(id, { n: 1 }, { fence, release: true });
      await cut;
      await bert.commit(id, { m: 1 });
      way.unblock();
      await commit;
      expect(await anna.values(id)).toEqual({ n: 1, m: 1 });
    });

    test("of a commit under a lease ends nothing by the lease's time: the commit was in time", async () => {
      await anna.create(id, { n: 0 });
      const { fence } = await anna.lease(id, 200);
      const deadlineMs = performance.now() + 200;
      const cut = way.loseRequest(isWrite);
      const commit = anna.commit(id, { n: 1 }, { fence, release: true });
      await cut;
      await until(() => performance.now() > deadlineMs);
      way.unblock();
      await commit;
      expect(await bert.values(id)).toEqual({ n: 1 });
    });

    test("of a commit under a lease does not end it by its time, either, where others are to follow", async () => {
      await anna.create(id, { n: 0 });
      const { fence } = await anna.lease(id, 200);
      const deadlineMs = performance.now() + 200;
      const cut = way.loseRequest(isWrite);
      const commit = anna.commit(id, { n: 1 }, { fence });
      await cut;
      await until(() => performance.now() > deadlineMs);
      way.unblock();
      await commit;
      await anna.commit(id, { n: 2 }, { fence, release: true });
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("and no other time is given to a holder who always has one more under way", async () => {
      await anna.create(id, { n: 0 });
      const carl = north?.worker("carl") ?? expect.fail();
      const { fence } = await anna.lease(id, 5);
      const next = carl.lease(id);
      const MOST = 2_000;
      let commits = 0;
      const goOn = async (): Promise<void> => {
        while (commits < MOST) {
          commits += 1;
          await anna.commit(id, { n: commits }, { fence });
        }
      };
      expect(await Promise.all([codeOf(goOn()), codeOf(goOn())])).toEqual(["ERR_LEASE_LOST", "ERR_LEASE_LOST"]);
      carl.release(id, (await next).fence);
    });

    test("is found by the next host, whom the worker asks again", async () => {
      await anna.create(id, { n: 0 });
      const cut = way.loseAnswer(isWrite);
      const commit = anna.commit(id, { n: 1 }, {}, 100).catch(() => undefined);
      await cut;
      const later = south?.worker("anna");
      await bert.commit(id, { n: 2 });
      expect(valuesOf((await later?.commit(id, { n: 1 }, {}, 100)) ?? expect.fail())).toEqual({ n: 2 });
      way.unblock();
      await commit;
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("of a creation is found, and a commit that did not reach Redis is made", async () => {
      const cut = way.loseAnswer(isWrite);
      const creation = anna.create(id, { n: 1 });
      await cut;
      way.unblock();
      await creation;
      const lost = way.loseRequest(isWrite);
      const commit = anna.commit(id, { n: 2 });
      await lost;
      expect(await bert.values(id)).toEqual({ n: 1 });
      way.unblock();
      await commit;
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test.each([
      ["asks first", false],
      ["does not ask first", true],
    ])("counts nothing twice, however often connections break, where a transaction %s", async (_, isOptimistic) => {
      await anna.create(id, { n: 0 });
      const workers = [anna, bert, north?.worker("carl"), north?.worker("emil")].filter((one) => one !== undefined);
      const each = 15;
      const done = Promise.all(
        workers.map(async (worker) => {
          for (let left = each; left > 0; left--) await increment(worker, isOptimistic);
        }),
      );
      for (let n = 0; n < 10; n++) {
        const cut = n % 3 === 0 ? way.loseRequest(isWrite) : way.loseAnswer(isWrite);
        await Promise.race([cut, done]);
        way.unblock();
      }
      await done;
      expect(await bert.values(id)).toEqual({ n: workers.length * each });
    });
  });

  describe("a session that goes on under another id", () => {
    test.each([
      ["answer", 1],
      ["request", 1],
      ["answer", 2],
      ["request", 2],
      ["answer", 3],
      ["request", 3],
      ["answer", 4],
      ["request", 4],
    ] as const)(
      "is one of the two when its host dies with the %s of step %i, and the other host ends it",
      async (what, step) => {
        const next = newId();
        await anna.create(id, { n: 1 });
        let seen = 0;
        const isStep = (request: Buffer): boolean => isWrite(request) && ++seen === step;
        const cut = what === "answer" ? way.loseAnswer(isStep) : way.loseRequest(isStep);
        const commit = anna.commit(id, { n: 2 }, { successor: next }, 100).catch(() => undefined);
        await cut;
        const later = south?.worker("anna");
        const state = await later?.commit(id, { n: 2 }, { successor: next }, 100);
        expect(state && valuesOf(state)).toEqual({ n: 2 });
        expect(await bert.values(next)).toEqual({ n: 2 });
        expect((await bert.read(id)).kind).toBe(KIND.absent);
        await bert.commit(next, { n: 3 });
        way.unblock();
        await commit;
        expect(await anna.values(next)).toEqual({ n: 3 });
        expect((await anna.read(id)).kind).toBe(KIND.absent);
        expect(await codeOf(bert.commit(id, { n: 4 }))).toBe("ERR_SESSION_GONE");
      },
    );

    test("is not brought back by what is left of its beginning", async () => {
      const next = newId();
      await anna.create(id, { n: 1 }, { timeoutSeconds: 0.3 });
      let seen = 0;
      const cut = way.loseRequest((request) => isWrite(request) && ++seen === 3);
      const commit = anna.commit(id, {}, { successor: next }, 100).catch(() => undefined);
      await cut;
      redis.cli("DEL", `gs:${next}`);
      const sentMs = Date.now();
      await until(() => Date.now() > sentMs + 310);
      expect((await bert.read(id)).kind).toBe(KIND.absent);
      const found = await until(() => redis.cli("STRLEN", `gs:${id}`) !== "0" || undefined);
      expect(found).toBe(true);
      way.unblock();
      await commit;
      expect((await bert.read(next)).kind).toBe(KIND.absent);
    });
  });

  test("of unique sessions that hosts create at once exactly one is left", async () => {
    for (let round = 0; round < 5; round++) {
      const prefix = `unique${round}`;
      await bert.create(newId(prefix), { old: 1 });
      const ids = Array.from({ length: 6 }, () => newId(prefix));
      await Promise.all(ids.map((one, n) => (n % 2 === 0 ? anna : bert).create(one, { n }, { unique: true })));
      expect((await bert.list(prefix, 100)).flat()).toHaveLength(1);
    }
  });

  test("one that becomes unique, and one that is created unique, do not end each other", async () => {
    for (let round = 0; round < 10; round++) {
      const prefix = `both${round}`;
      const [old, young] = [newId(prefix), newId(prefix)];
      await anna.create(old, {});
      const calls = [anna.commit(old, { n: 1 }, { unique: true }), bert.create(young, {}, { unique: true })];
      await Promise.allSettled(calls);
      expect((await bert.list(prefix, 100)).flat()).toHaveLength(1);
    }
  });

  test("ended on one host is ended on all", async () => {
    await anna.create(id, { n: 1 });
    await bert.values(id);
    await anna.end(id);
    expect((await bert.read(id)).kind).toBe(KIND.absent);
    expect(await codeOf(bert.commit(id, { n: 2 }))).toBe("ERR_SESSION_GONE");
    expect(await codeOf(bert.create(id, { n: 2 }))).toBe("ERR_ID_TAKEN");
  });
});
