// Leases of the workers of one host, which do not wait for Redis, and commits under leases that are over without their fault.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CommitOptions } from "../../../protocol/wire/operations.ts";
import type { BackendHouse, BackendWorker } from "../../support/daemon/backend-house.ts";
import { newId } from "../../support/daemon/lab.ts";
import { valuesOf } from "../../support/daemon/raw-worker.ts";
import { until } from "../../support/processes.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { isWrite, RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

/** "done", or the code of the error. */
function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "done",
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
  );
}

interface Report {
  readonly waitingTurns: number;
  readonly redis: { readonly keysWritten: number; readonly keysRead: number };
}

describeWithRedis("leases of one host", () => {
  let redis: RedisProcess;
  let way: FaultyWay;
  const hosts = new RedisHosts();
  let north: BackendHouse;
  /** Of one host, whose way to Redis is ours. */
  let anna: BackendWorker;
  let carl: BackendWorker;
  /** Of another one. */
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
    way.unblock();
    north = await hosts.open(way.url);
    [anna, carl] = [north.worker("anna"), north.worker("carl")];
    bert = (await hosts.open(redis.socketUrl)).worker("bert");
    id = newId();
    await anna.create(id, { n: 0 });
  });
  afterEach(async () => {
    way.unblock();
    await hosts.close();
  });

  /** Adds one in a transaction. */
  async function increment(worker: BackendWorker): Promise<void> {
    const { fence, state } = await worker.lease(id, 60_000, undefined, true);
    await worker.commit(id, { n: Number(valuesOf(state)?.n) + 1 }, { fence, release: true });
  }

  describe("a lease that is passed on while the commit that ends it is on its way", () => {
    /** Anna's commit, and what carl was given on it. */
    interface Passed {
      readonly commit: Promise<string>;
      readonly fence: number;
    }

    /** @param lose what becomes of her commit. */
    async function pass(lose: "loseAnswer" | "loseRequest"): Promise<Passed> {
      const first = await anna.lease(id, 60_000, undefined, true);
      expect(first.isUnverified).toBe(true);
      const waiting = carl.lease(id, 60_000, undefined, true);
      const cut = way[lose](isWrite);
      const commit = outcomeOf(anna.commit(id, { n: 1 }, { fence: first.fence, release: true }));
      const { fence, state, isUnverified } = await waiting;
      expect([valuesOf(state), isUnverified]).toEqual([{ n: 1 }, true]);
      await cut;
      return { commit, fence };
    }

    test("is for what is stored then", async () => {
      const first = await anna.lease(id, 60_000, undefined, true);
      const waiting = carl.lease(id, 60_000, undefined, true);
      const commit = anna.commit(id, { n: 1 }, { fence: first.fence, release: true });
      const { fence, state } = await waiting;
      const later = carl.commit(id, { n: 2 }, { fence, release: true });
      const { mtimeMs } = await commit;
      expect(state.mtimeMs).toBe(mtimeMs);
      await later;
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test.each(["loseAnswer", "loseRequest"] as const)(
      "is taken back where nobody knows what became of that: %s",
      async (lose) => {
        const { commit, fence } = await pass(lose);
        const later = outcomeOf(carl.commit(id, { n: 2 }, { fence, release: true }));
        way.unblock();
        expect(await later).toBe("ERR_CONFLICT");
        expect(await commit).toBe("done");
        expect(await bert.values(id)).toEqual({ n: 1 });
        await increment(carl);
        expect(await bert.values(id)).toEqual({ n: 2 });
      },
    );

    test("is taken back where another host was faster: both run again", async () => {
      const { commit, fence } = await pass("loseRequest");
      await bert.commit(id, { m: 1 });
      const later = outcomeOf(carl.commit(id, { n: 2 }, { fence, release: true }));
      way.unblock();
      expect(await later).toBe("ERR_CONFLICT");
      expect(await commit).toBe("ERR_CONFLICT");
      expect(await anna.values(id)).toEqual({ n: 0, m: 1 });
    });

    test("is another one's again when its holder gives it back, or is gone", async () => {
      const { commit, fence } = await pass("loseAnswer");
      carl.release(id, fence);
      carl.leave();
      way.unblock();
      expect(await commit).toBe("done");
      await increment(anna);
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("has not ended the one before for ever: a commit that is sent again is carried out once, however late it arrives from before", async () => {
      const { fence, state } = await anna.lease(id, 60_000, undefined, true);
      const waiting = carl.lease(id, 60_000, undefined, true);
      const commit = [id, { n: 1 }, { fence, release: true }, 100, 100, state.mtimeMs] as const;
      const kept = way.keepRequest(isWrite);
      void anna.commit(...commit).catch(() => undefined);
      await waiting;
      await kept;
      anna.leave();
      // She is connected again, to the same daemon.
      const again = outcomeOf(north.worker("anna").commit(...commit));
      way.unblock();
      expect(await again).toBe("done");
      await way.deliver();
      expect(await bert.values(id)).toEqual({ n: 1 });
    });

    test("ends by its own time", async () => {
      const first = await anna.lease(id, 60_000, undefined, true);
      const waiting = carl.lease(id, 1, undefined, true);
      await anna.commit(id, { n: 1 }, { fence: first.fence, release: true });
      const { fence } = await waiting;
      await increment(anna);
      expect(await outcomeOf(carl.commit(id, { n: 9 }, { fence, release: true }))).toBe("ERR_LEASE_LOST");
      expect(await bert.values(id)).toEqual({ n: 2 });
    });
  });

  describe("transactions that follow each other before the first is stored", () => {
    let slow: FaultyWay;
    let house: BackendHouse;
    let workers: BackendWorker[];

    /** Nothing that Redis says arrives before `hear`. */
    beforeEach(async () => {
      slow = await FaultyWay.to(redis.port);
      house = await hosts.open(slow.url, { maxSessionBytes: 10_000 });
      workers = Array.from({ length: 5 }, (_, n) => house.worker(`worker${n}`));
      await workers[0]?.read(id);
      slow.mode = "keeps";
    });
    afterEach(async () => {
      hear();
      await hosts.close();
      await slow.close();
    });

    function hear(): void {
      slow.mode = "passes";
      slow.let(slow.kept);
    }

    const report = (): Report => house.backend.report() as unknown as Report;

    /** Leases in the order of the workers; each commits as soon as it has its own. Resolves when all have begun that can, to how each ends. */
    async function follow(some: readonly (readonly [Record<string, unknown>, CommitOptions?])[]): Promise<string[]> {
      let begun = 0;
      const ends = some.map(async ([changes, options = {}], n) => {
        const worker = workers[n] as BackendWorker;
        const { fence, state } = await worker.lease(id, 60_000, undefined, true);
        begun += 1;
        const sum = Number(valuesOf(state)?.n) + 1;
        return worker.commit(id, { n: sum, ...changes }, { ...options, fence, release: true });
      });
      const outcomes = ends.map(outcomeOf);
      await until(() => begun > 1);
      hear();
      return Promise.all(outcomes);
    }

    test("are stored by one call", async () => {
      const before = report().redis.keysWritten;
      let begun = 0;
      const done = workers.map(async (worker) => {
        const { fence, state } = await worker.lease(id, 60_000, undefined, true);
        const commit = worker.commit(id, { n: Number(valuesOf(state)?.n) + 1 }, { fence, release: true });
        begun += 1;
        await commit;
      });
      // None of them waits for its turn any more.
      await until(() => begun === workers.length && report().waitingTurns === 0);
      hear();
      await Promise.all(done);
      expect(report().redis.keysWritten - before).toBe(2);
      expect(await bert.values(id)).toEqual({ n: workers.length });
    });

    test("are not stored without those before them, which are lost with their worker", async () => {
      const [first, second, third] = workers as [BackendWorker, BackendWorker, BackendWorker];
      const before = report().redis.keysWritten;
      const leases = [first, second, third].map((worker) => worker.lease(id, 60_000, undefined, true));
      /** Adds one to what the worker was given. */
      const add = async (n: number, more: Record<string, unknown> = {}): Promise<string> => {
        const { fence, state } = (await leases[n]) as Awaited<(typeof leases)[0]>;
        const changes = { n: Number(valuesOf(state)?.n) + 1, ...more };
        const worker = workers[n] as BackendWorker;
        return outcomeOf(worker.commit(id, changes, { fence, release: true }, 100, 100, state.mtimeMs));
      };
      const [one, two] = [add(0), add(1, { two: true })];
      await leases[2];
      const three = add(2);
      await new Promise(setImmediate);
      await until(() => slow.kept > 0 && report().waitingTurns === 0);
      // The answer to the first arrives, and the call that is to store the others does not.
      slow.mode = "deaf";
      await until(() => {
        slow.let(slow.kept);
        return report().redis.keysWritten - before === 2;
      });
      expect(await one).toBe("done");
      second.leave();
      hear();
      slow.cut();
      expect(await three).toBe("ERR_CONFLICT");
      expect(await two).toBe("ERR_CLOSED");
      expect(await bert.values(id)).toEqual({ n: 1 });
    });

    /** The third has the lease on what the second has staged, and asks whether that is the newest. Resolves to that revision, and to the answer's to be. */
    async function askBehindStaged(): Promise<readonly [number, Promise<number>]> {
      const [first, second, third] = workers as [BackendWorker, BackendWorker, BackendWorker];
      const leases = [first, second, third].map((worker) => worker.lease(id, 60_000, undefined, true));
      for (const [n, worker] of [first, second].entries()) {
        const { fence } = (await leases[n]) as Awaited<(typeof leases)[0]>;
        void worker.commit(id, { n: n + 1 }, { fence, release: true }).catch(() => undefined);
      }
      const { state } = (await leases[2]) as Awaited<(typeof leases)[0]>;
      expect(valuesOf(state)).toEqual({ n: 2 });
      return [state.mtimeMs, third.read(id, state.mtimeMs).then(({ mtimeMs }) => mtimeMs)];
    }

    test("tell the last of them, who only reads, that he saw the newest as soon as it is stored", async () => {
      const [seen, asked] = await askBehindStaged();
      hear();
      expect(await asked).toBe(seen);
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("tell the last of them, who only reads, what there is instead where they are not stored", async () => {
      const [seen, asked] = await askBehindStaged();
      await bert.commit(id, { bert: true });
      slow.cut();
      hear();
      expect(await asked).not.toBe(seen);
    });

    /** The answer to the first worker's commit arrives, and what is to store those of all others does not. Resolves to how each ends, when all can be heard again. */
    async function loseAllButFirst(): Promise<string[]> {
      const { keysWritten: before } = report().redis;
      let begun = 0;
      const ends = workers.map(async (worker) => {
        const { fence, state } = await worker.lease(id, 60_000, undefined, true);
        begun += 1;
        const changes = { n: Number(valuesOf(state)?.n) + 1 };
        return outcomeOf(worker.commit(id, changes, { fence, release: true }, 100, 100, state.mtimeMs));
      });
      await until(() => begun === workers.length && slow.kept > 0 && report().waitingTurns === 0);
      slow.mode = "deaf";
      await until(() => {
        slow.let(slow.kept);
        return report().redis.keysWritten - before === 2;
      });
      hear();
      slow.cut();
      return Promise.all(ends);
    }

    test("are looked for together, where nobody knows what became of them", async () => {
      const { keysRead: before } = report().redis;
      expect(await loseAllButFirst()).toEqual(["done", "done", ...Array(3).fill("ERR_CONFLICT")]);
      // Those behind the first are refused when that is stored, which is looked for once.
      expect(report().redis.keysRead - before).toBeLessThan(4);
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("run again where Redis refuses the first, and wait for no other host, as there was none", async () => {
      redis.cli("CONFIG", "SET", "maxmemory", "1");
      try {
        expect(await follow([[{}], [{}], [{}]])).toEqual(["ERR_STORE", "ERR_CONFLICT", "ERR_CONFLICT"]);
      } finally {
        redis.cli("CONFIG", "SET", "maxmemory", "0");
      }
      expect((await workers[0]?.lease(id, 60_000, undefined, true))?.isUnverified).toBe(true);
    });

    test("keep nobody waiting who reads meanwhile, however many there are", async () => {
      const leases = [0, 1].map((n) => (workers[n] as BackendWorker).lease(id, 60_000, undefined, true));
      /** The next one ends, and another one waits behind the one after him. */
      const goOn = async (n: number): Promise<void> => {
        leases.push((workers[(n + 2) % 4] as BackendWorker).lease(id, 60_000, undefined, true));
        const { fence, state } = (await leases[n]) as Awaited<(typeof leases)[0]>;
        const commit = (workers[n % 4] as BackendWorker).commit(
          id,
          { n: Number(valuesOf(state)?.n) + 1 },
          { fence, release: true },
        );
        ends.push(commit);
        await leases[n + 1];
      };
      const ends: Promise<unknown>[] = [];
      await goOn(0);
      await until(() => slow.kept > 0);
      // Somebody has touched the key: the copy is not current.
      redis.cli("SETRANGE", `gs:${id}`, "0", "S");
      await until(() => slow.kept > 1);
      let hasRead = false;
      for (let n = 1; n < 8 && !hasRead; n++) {
        await goOn(n);
        const { keysWritten } = report().redis;
        await until(() => {
          // One call after the other: at each answer the next one is staged.
          if (report().redis.keysWritten > keysWritten) return true;
          slow.let(slow.kept);
          return false;
        });
        if (n === 1) {
          void workers[4]?.read(id).then(() => {
            hasRead = true;
          });
        }
      }
      expect(hasRead).toBe(true);
      hear();
      await Promise.all(ends);
    });

    test("are all there in a large session, to which they are appended", async () => {
      const text = "x".repeat(5_000);
      hear();
      await workers[0]?.commit(id, { text });
      slow.mode = "keeps";
      expect(await follow([[{ a: 1 }], [{ b: 2 }], [{ text: "y" }], [{ text }]])).toEqual(Array(4).fill("done"));
      expect(await bert.values(id)).toEqual({ n: 4, a: 1, b: 2, text });
    });

    test("fail alone, where what they store would be too large", async () => {
      expect(await follow([[{}], [{ text: "x".repeat(20_000) }], [{}]])).toEqual(["done", "ERR_TOO_LARGE", "done"]);
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("find no session any more behind one that gives it another id", async () => {
      const successor = newId();
      expect(await follow([[{}], [{}, { successor }], [{}]])).toEqual(["done", "done", "ERR_SESSION_GONE"]);
      expect(await bert.values(successor)).toEqual({ n: 2 });
    });
  });

  describe("a commit under a lease whose daemon is killed, while the commit is still on its way", () => {
    /** It is sent to the next daemon, and only then arrives from the first. Resolves to how that ends, and to what is there then. */
    async function sentTwice(meanwhile: () => Promise<unknown>): Promise<readonly [string, unknown]> {
      const { fence, state } = await anna.lease(id);
      const commit = [id, { n: 1 }, { fence, release: true }, 100, 100, state.mtimeMs] as const;
      const kept = way.keepRequest(isWrite);
      void anna.commit(...commit).catch(() => undefined);
      await kept;
      await meanwhile();
      const later = (await hosts.open(redis.socketUrl)).worker("anna");
      const outcome = await outcomeOf(later.commit(...commit));
      await way.deliver();
      return [outcome, await bert.values(id)];
    }

    test("is carried out by the next one, once", async () => {
      expect(await sentTwice(async () => undefined)).toEqual(["done", { n: 1 }]);
    });

    test("never is, where the session has been changed since its holder saw it", async () => {
      expect(await sentTwice(() => bert.commit(id, { m: 1 }))).toEqual(["ERR_CONFLICT", { n: 0, m: 1 }]);
    });
  });
});
