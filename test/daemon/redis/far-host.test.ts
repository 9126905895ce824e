// A host whose way to Redis is longer than that of another one, which changes the same session without a gap: whatever the far host tries has been
// overtaken when it arrives. It gets its turn all the same.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { isCode } from "../../../protocol/errors.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import type { BackendWorker } from "../../support/daemon/backend-house.ts";
import { newId } from "../../support/daemon/lab.ts";
import { valuesOf } from "../../support/daemon/raw-worker.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

/** Many times the round trip of the near host. */
const DELAY_MS = 5;
/** Changes of the near host, after which it leaves the session alone: the far one was kept from its turn until then. */
const MAX_CHANGES = 20_000;

describeWithRedis(
  "a host that is farther away from Redis than another one, which changes a session without a gap",
  () => {
    let redis: RedisProcess;
    let way: FaultyWay;
    const hosts = new RedisHosts();
    let near: BackendWorker[];
    let far: BackendWorker;
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
      const house = await hosts.open(redis.socketUrl);
      near = ["anna", "bert", "carl"].map((name) => house.worker(name));
      far = (await hosts.open(way.url)).worker("dora");
      id = newId();
      await near[0]?.create(id, { n: 0 });
      way.delayMs = DELAY_MS;
    });
    afterEach(async () => {
      way.delayMs = 0;
      await hosts.close();
    });

    /** Counts in transactions for as long as the call of the far host has no answer. Resolves to that, and to how many there were. */
    async function beside<T>(call: () => Promise<T>): Promise<{ readonly answer: T; readonly changes: number }> {
      let changes = 0;
      let isAnswered = false;
      const count = async (worker: BackendWorker): Promise<void> => {
        while (!isAnswered && changes < MAX_CHANGES) {
          try {
            const { fence, state } = await worker.lease(id, 60_000, undefined, true);
            if (state.kind === KIND.absent) return worker.release(id, fence);
            await worker.commit(id, { n: Number(valuesOf(state)?.n) + 1 }, { fence, release: true });
            changes += 1;
          } catch (error) {
            if (isCode(error, "ERR_SESSION_GONE")) return;
            if (!isCode(error, "ERR_CONFLICT")) throw error;
          }
        }
      };
      const ends = near.map(count);
      const answer = await call().finally(() => {
        isAnswered = true;
      });
      await Promise.all(ends);
      expect(changes).toBeLessThan(MAX_CHANGES);
      return { answer, changes };
    }

    test("has its change stored, and none of the others is lost", async () => {
      const { changes } = await beside(() => far.commit(id, { far: true }));
      expect(await far.values(id)).toEqual({ n: changes, far: true });
    });

    test("ends it", async () => {
      await beside(() => far.end(id));
      expect((await far.read(id)).kind).toBe(KIND.absent);
    });

    test("gives it another id", async () => {
      const successor = newId();
      const { changes } = await beside(() => far.commit(id, { far: true }, { successor }));
      expect(await far.values(successor)).toEqual({ n: changes, far: true });
    });

    test("has a transaction on it", async () => {
      const { changes } = await beside(async () => {
        const { fence, state } = await far.lease(id);
        await far.commit(id, { n: Number(valuesOf(state)?.n) + 1, far: true }, { fence, release: true });
      });
      expect(await far.values(id)).toEqual({ n: changes + 1, far: true });
    });

    test("reads it", async () => {
      const { answer } = await beside(() => far.read(id));
      expect(valuesOf(answer)).toEqual({ n: expect.any(Number) });
    });

    test("stamps it", async () => {
      expect((await beside(() => far.touch(id))).answer.kind).not.toBe(KIND.absent);
    });

    test("ends it, where it makes another one that is to be the only one", async () => {
      const only = newId();
      await beside(() => far.create(only, {}, { unique: true }));
      expect([(await far.read(id)).kind, (await far.read(only)).kind]).toEqual([KIND.absent, KIND.contents]);
    });
  },
);
