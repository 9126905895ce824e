// Large sessions on a real Redis: what changes is appended to their values, and every promise stays. Here that is done to sessions of any size.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { ENGINES } from "../../../daemon/engines.ts";
import { planTurn, storingOf } from "../../../daemon/redis/sessions/plan.ts";
import {
  isMarked,
  NO_MARKS,
  readValue,
  type StoredSession,
  SUMMARY_BYTES,
  sessionValue,
} from "../../../daemon/redis/value/value.ts";
import { newImage, parseDelta } from "../../../protocol/image/image.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import type { BackendWorker } from "../../support/daemon/backend-house.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { deltaOf, valuesOf } from "../../support/daemon/raw-worker.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { isWrite, RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { describeBackend } from "../backend/backend-conformance.ts";

const MAX_RECORDS = 5;
const SMALL = { maxSessionBytes: 20_000 };
/** Whether the images of all sessions are large enough; and a fault that is planted. */
const rules = vi.hoisted(() => ({ appendsAll: true, isBlind: false }));

vi.mock("../../../daemon/redis/value/records.ts", async (original) => {
  const real = await original<typeof import("../../../daemon/redis/value/records.ts")>();
  const mayAppend: typeof real.mayAppend = (layout, bytes) =>
    rules.appendsAll ? layout.recordCount < MAX_RECORDS : real.mayAppend(layout, bytes);
  return { ...real, mayAppend };
});

vi.mock("../../../daemon/redis/calls/scripts.ts", async (original) => {
  const real = await original<typeof import("../../../daemon/redis/calls/scripts.ts")>();
  const { Script } = await import("../../../daemon/redis/link/link.ts");
  const blind = new Script(real.WRITE.text.replace(" or what == 'a'", ""));
  const write = () => (rules.isBlind ? blind : real.WRITE);
  return {
    ...real,
    get WRITE() {
      return write();
    },
  };
});

describeWithRedis("sessions in Redis that are appended to", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());
  afterEach(() => {
    Object.assign(rules, { appendsAll: true, isBlind: false });
  });

  describeBackend(
    "redis, everything appended",
    async (around) => (await ENGINES.redis())(around),
    () => {
      redis.cli("FLUSHALL");
      return { type: "redis", redis: redis.socketUrl };
    },
  );

  describe("on two hosts", () => {
    let way: FaultyWay;
    const hosts = new RedisHosts();
    let anna: BackendWorker;
    let bert: BackendWorker;
    let id: string;

    beforeEach(async () => {
      redis.cli("FLUSHALL");
      way = await FaultyWay.to(redis.port);
      const [north, south] = [await hosts.open(way.url, SMALL), await hosts.open(redis.socketUrl, SMALL)];
      [anna, bert] = [north.worker("anna"), south.worker("bert")];
      id = newId();
    });
    afterEach(async () => {
      way.unblock();
      await hosts.close();
      await way.close();
    });

    /** What Redis has of it. */
    function stored(): StoredSession {
      const value = readValue(id, Buffer.from(redis.cli("--json", "EVAL", HEX, "1", `gs:${id}`).slice(1, -1), "hex"));
      return value.kind === "session" ? value : expect.fail();
    }

    test("what one appends the other reads, and its marks, to which it appends itself", async () => {
      await anna.create(id, { n: 0, long: "x".repeat(1000) });
      for (let n = 1; n <= 4; n++) {
        const [writer, reader] = n % 2 === 0 ? [anna, bert] : [bert, anna];
        await writer.commit(id, { n, [`key${n}`]: "y".repeat(n) });
        expect(stored().layout.recordCount).toBe(n);
        expect(await reader.values(id)).toMatchObject({ n, [`key${n}`]: "y".repeat(n) });
      }
      expect(stored().image.equals((await anna.read(id)).image ?? expect.fail())).toBe(true);
    });

    test("a stamp, a lease and an end are as of any other", async () => {
      await anna.create(id, { n: 0 });
      await bert.commit(id, { n: 1 });
      const first = await anna.lease(id);
      await bert.commit(id, { n: 2 });
      expect(await codeOf(anna.commit(id, { n: 9 }, { fence: first.fence, release: true }))).toBe("ERR_CONFLICT");
      const second = await anna.lease(id, 60_000);
      const waiting = bert.commit(id, { m: 1 });
      await anna.commit(id, { n: 3 }, { fence: second.fence });
      expect(stored().layout.recordCount).toBe(3);
      await anna.commit(id, { n: 4 }, { fence: second.fence, release: true });
      await waiting;
      expect(await anna.values(id)).toEqual({ n: 4, m: 1 });
      await bert.commit(id, {}, { timeoutSeconds: 500 });
      expect(Number(redis.cli("PTTL", `gs:${id}`))).toBeGreaterThan(500_000);
      await anna.end(id);
      expect((await bert.read(id)).kind).toBe(KIND.absent);
    });

    test("an append whose answer is lost is there once", async () => {
      await anna.create(id, { n: 0 });
      const cut = way.loseAnswer(isWrite);
      const commit = anna.commit(id, { n: 1 }, {}, 7);
      await cut;
      expect(stored().layout.recordCount).toBe(1);
      expect(await bert.values(id)).toEqual({ n: 1 });
      await bert.commit(id, { n: 2 });
      way.unblock();
      await commit;
      expect(stored().layout.recordCount).toBe(2);
      expect(valuesOf(await bert.commit(id, { m: 1 }))).toMatchObject({ n: 2 });
      expect(await anna.values(id)).toEqual({ n: 2, m: 1 });
    });

    test("an append is no blind one: what would be too large together with another host's is refused", async () => {
      await anna.create(id, { n: 0 });
      await bert.values(id);
      const large = "x".repeat(15_000);
      const both = await Promise.allSettled([anna.commit(id, { a: large }), bert.commit(id, { b: large })]);
      expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(stored().image.length).toBeLessThan(20_000);
    });

    async function losesNothing(): Promise<boolean> {
      await anna.create(id, {});
      const keys = Array.from({ length: 60 }, (_, n) => `key${n}`);
      for (let n = 0; n < keys.length; n += 4) {
        const some = keys.slice(n, n + 4);
        await Promise.all(some.map((key, m) => (m % 2 === 0 ? anna : bert).commit(id, { [key]: n + m })));
        expect(stored().layout.recordCount).toBeLessThanOrEqual(MAX_RECORDS);
      }
      const seen = [await anna.values(id), await bert.values(id)];
      return seen.every((values) => Object.keys(values ?? {}).length === keys.length && values?.key59 === 59);
    }

    test("whole writes and appends of two hosts at once lose nothing", async () => {
      expect(await losesNothing()).toBe(true);
    });

    test("appends that compare no version would be found by that", async () => {
      rules.isBlind = true;
      expect(await losesNothing().catch(() => false)).toBe(false);
    });

    test("as they are, large ones are appended to and small ones written whole", async () => {
      rules.appendsAll = false;
      await anna.create(id, { n: 0, long: "x".repeat(8_000) });
      for (let n = 1; n <= 66; n++) await anna.commit(id, { n });
      expect(stored().layout.recordCount).toBe(1);
      expect(await bert.values(id)).toMatchObject({ n: 66 });
      id = newId();
      await anna.create(id, { n: 0 });
      await anna.commit(id, { n: 1 });
      expect(stored().layout.recordCount).toBe(0);
    });
  });
});

test("a turn of many commits keeps few images of the session, and what it appends makes the last one", () => {
  const [id, nowMs] = [newId(), Date.now()];
  const value = sessionValue(newImage({ nowMs, timeoutSeconds: 100 }), { marks: NO_MARKS });
  const stored = readValue(id, value);
  const image = stored.kind === "session" ? stored.image : expect.fail();
  const due = Array.from({ length: 40 }, (_, n) => {
    const delta = deltaOf({ [`key${n % 30}`]: "x".repeat(n) });
    const caller = { owner: {}, client: "anna" };
    const ends = { answer: () => undefined, fail: () => undefined, arrivedMs: 0 };
    return {
      type: "commit",
      caller,
      sequence: n,
      base: 0,
      delta,
      parsed: parseDelta(delta),
      options: {},
      ...ends,
    } as const;
  });
  const standing = {
    id,
    image,
    name: 1,
    marks: NO_MARKS,
    isTaken: true,
    ending: undefined,
    due,
    lease: undefined,
    nowMs,
  };
  const plan = planTurn(standing, { maxSessionBytes: 100_000, timeoutSeconds: 100 });
  expect([plan.turns.length, plan.images.length]).toEqual([40, 8]);
  const { order } = storingOf(plan, { id, stored, lease: undefined, nowMs });
  expect(order.what).toBe("a");
  // As the script does it.
  const [summary, record] = [order.bytes.subarray(0, SUMMARY_BYTES), order.bytes.subarray(SUMMARY_BYTES)];
  const after = readValue(id, Buffer.concat([summary, value.subarray(SUMMARY_BYTES), record]));
  expect(after.kind === "session" && after.image.equals(plan.image ?? expect.fail())).toBe(true);
  expect(due.every((turn) => isMarked(after.marks, { client: "anna", sequence: turn.sequence }))).toBe(true);
});

const HEX = `
local hex = {}
for byte in string.gmatch(redis.call('GET', KEYS[1]), '.') do hex[#hex + 1] = string.format('%02x', string.byte(byte)) end
return table.concat(hex)`;
