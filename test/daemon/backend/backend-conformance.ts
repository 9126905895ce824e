// What every backend does alike: this suite is the specification of `Backend`. One line for each engine in backend.test.ts.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Engine } from "../../../daemon/backend/backend.ts";
import type { DaemonOptions } from "../../../daemon/config.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import { BackendHouse, type BackendWorker } from "../../support/daemon/backend-house.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { valuesOf } from "../../support/daemon/raw-worker.ts";
import { until } from "../../support/processes.ts";

/** @param options of the daemon, asked for before each test. */
export function describeBackend(name: string, engine: Engine, options: () => DaemonOptions = () => ({})): void {
  describe(`the backend on ${name}`, () => {
    let house: BackendHouse;
    let anna: BackendWorker;
    let bert: BackendWorker;
    let id: string;

    beforeEach(async () => {
      house = await BackendHouse.open(engine, options());
      [anna, bert] = [house.worker("anna"), house.worker("bert")];
      id = newId();
    });

    afterEach(() => house.close());

    test("has nothing of a session that never was", async () => {
      expect(await anna.read(id)).toMatchObject({ kind: KIND.absent, image: null });
      expect(await codeOf(anna.commit(id, { n: 1 }))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(anna.touch(id))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(anna.lease(id))).toBe("ERR_SESSION_GONE");
      await anna.end(id);
    });

    test("shows everybody what one has committed", async () => {
      await anna.create(id, { n: 1, text: "a" });
      await anna.commit(id, { n: 2, text: undefined });
      expect(await bert.values(id)).toEqual({ n: 2 });
    });

    test("creates no session twice", async () => {
      await anna.create(id, { n: 1 });
      expect(await codeOf(bert.create(id, { n: 2 }))).toBe("ERR_ID_TAKEN");
      expect(await bert.values(id)).toEqual({ n: 1 });
    });

    test("sends a worker nothing that it holds already, and names no two contents the same", async () => {
      const first = await anna.create(id, { n: 1 });
      expect(await bert.read(id, first.mtimeMs)).toMatchObject({ kind: KIND.same, image: null });
      const second = await anna.commit(id, { n: 2 });
      expect(second.mtimeMs).not.toBe(first.mtimeMs);
      expect(valuesOf(await bert.read(id, first.mtimeMs))).toEqual({ n: 2 });
    });

    test("applies a commit that is sent again once, whatever has happened since", async () => {
      await anna.create(id, { n: 0 });
      await anna.commit(id, { n: 1 }, {}, 100);
      await bert.commit(id, { n: 2 });
      expect(valuesOf(await anna.commit(id, { n: 1 }, {}, 100))).toEqual({ n: 2 });
    });

    test("loses nobody's key when many commit at once", async () => {
      await anna.create(id, {});
      const keys = Array.from({ length: 40 }, (_, n) => `key${n}`);
      await Promise.all(keys.map((key, n) => (n % 2 === 0 ? anna : bert).commit(id, { [key]: n })));
      expect(await anna.values(id)).toEqual(Object.fromEntries(keys.map((key, n) => [key, n])));
    });

    test("ends a session for good", async () => {
      await anna.create(id, { n: 1 });
      await bert.end(id);
      expect((await anna.read(id)).kind).toBe(KIND.absent);
      expect(await codeOf(anna.commit(id, { n: 2 }))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(anna.create(id, { n: 3 }))).toBe("ERR_ID_TAKEN");
    });

    test("touches a session without a change of its contents", async () => {
      const { startupMs } = await anna.create(id, { n: 1 });
      expect((await bert.touch(id)).startupMs).toBeGreaterThanOrEqual(startupMs);
      expect(await anna.values(id)).toEqual({ n: 1 });
    });

    test("gives one lease at a time, in the order in which they were asked for", async () => {
      await anna.create(id, { n: 0 });
      const first = await anna.lease(id);
      const [second, third] = [bert.lease(id), anna.lease(id)];
      await anna.commit(id, { n: 1 }, { fence: first.fence, release: true });
      expect(valuesOf((await second).state)).toEqual({ n: 1 });
      await bert.commit(id, { n: 2 }, { fence: (await second).fence, release: true });
      expect(valuesOf((await third).state)).toEqual({ n: 2 });
      expect((await third).fence).toBeGreaterThan((await second).fence);
      anna.release(id, (await third).fence);
      await bert.commit(id, { n: 3 });
    });

    test("takes no commit under a lease that is over", async () => {
      await anna.create(id, { n: 0 });
      const { fence } = await anna.lease(id, 1);
      const next = await bert.lease(id);
      expect(await codeOf(anna.commit(id, { n: 1 }, { fence, release: true }))).toBe("ERR_LEASE_LOST");
      anna.release(id, fence);
      await bert.commit(id, { n: 2 }, { fence: next.fence, release: true });
      expect(await anna.values(id)).toEqual({ n: 2 });
    });

    test("ends the leases of a connection that is closed, and its calls that wait", async () => {
      await anna.create(id, { n: 0 });
      await anna.lease(id);
      const waiting = bert.lease(id);
      anna.leave();
      bert.release(id, (await waiting).fence);
      const other = house.worker("other");
      const { fence } = await other.lease(id);
      const outcome = bert.lease(id).then(
        () => "granted",
        () => "ended",
      );
      bert.leave();
      other.release(id, fence);
      await other.commit(id, { n: 1 });
      expect(await outcome).toBe("ended");
    });

    test("refuses a turn that would never come", async () => {
      const another = newId();
      await Promise.all([anna.create(id, {}), anna.create(another, {})]);
      const [a, b] = [await anna.lease(id), await bert.lease(another)];
      const waiting = anna.lease(another, 60_000, [a.fence]);
      expect(await codeOf(bert.lease(id, 60_000, [b.fence]))).toBe("ERR_DEADLOCK");
      bert.release(another, b.fence);
      await waiting;
    });

    test("leaves of several unique sessions that are created at once exactly one", async () => {
      const ids = Array.from({ length: 5 }, () => newId("unique"));
      await anna.create(id, { n: 0 });
      await Promise.all(ids.map((one, n) => anna.create(one, { n }, { unique: true })));
      const kinds = await Promise.all(ids.map(async (one) => (await bert.read(one)).kind));
      // Which one is that which was stored last: over several servers not always the last that was asked for.
      expect([...kinds].sort()).toEqual([...ids.slice(1).map(() => KIND.absent), KIND.contents].sort());
      expect(await bert.values(id)).toEqual({ n: 0 });
    });

    describe("a session that goes on under another id", () => {
      let next: string;
      beforeEach(() => {
        next = newId();
      });

      test("has its contents there, and what came with the call; the old one has ended for good", async () => {
        await anna.create(id, { n: 1, text: "a" });
        expect(valuesOf(await anna.commit(id, { n: 2, more: true }, { successor: next }))).toEqual({
          ...{ n: 2, text: "a", more: true },
        });
        expect(await bert.values(next)).toEqual({ n: 2, text: "a", more: true });
        expect((await bert.read(id)).kind).toBe(KIND.absent);
        for (const call of [
          bert.commit(id, {}),
          bert.touch(id),
          bert.lease(id),
          bert.commit(id, {}, { successor: newId() }),
        ])
          expect(await codeOf(call)).toBe("ERR_SESSION_GONE");
        expect(await codeOf(bert.create(id, {}))).toBe("ERR_ID_TAKEN");
        await bert.end(id);
        await bert.commit(next, { n: 3 });
        expect(await anna.values(next)).toEqual({ n: 3, text: "a", more: true });
      });

      test("keeps every byte but those of its time", async () => {
        await anna.create(id, { n: 1, list: [1, 2] }, { timeoutSeconds: 77, cookiePath: "/deep" });
        const before = (await bert.read(id)).image;
        const after = (await anna.commit(id, {}, { successor: next })).image;
        expect(after?.subarray(8).equals(before?.subarray(8) ?? Buffer.of())).toBe(true);
      });

      test("takes along what was committed before, and refuses what comes behind", async () => {
        await anna.create(id, { n: 0 });
        const earlier = bert.commit(id, { earlier: 1 });
        const going = anna.commit(id, { n: 1 }, { successor: next });
        const later = codeOf(bert.commit(id, { later: 1 }));
        const waiting = codeOf(bert.lease(id));
        await Promise.all([earlier, going]);
        expect([await later, await waiting]).toEqual(["ERR_SESSION_GONE", "ERR_SESSION_GONE"]);
        expect(await bert.values(next)).toEqual({ n: 1, earlier: 1 });
      });

      test("goes once, however often the call is sent, and once only of two that are sent", async () => {
        await anna.create(id, { n: 0 });
        const calls = [
          anna.commit(id, { n: 1 }, { successor: next }, 100),
          bert.commit(id, { n: 2 }, { successor: newId() }),
        ];
        const [one, other] = await Promise.allSettled(calls);
        expect(one?.status).toBe("fulfilled");
        expect(other).toMatchObject({ status: "rejected", reason: { code: "ERR_SESSION_GONE" } });
        await bert.commit(next, { n: 3 });
        expect(valuesOf(await anna.commit(id, { n: 1 }, { successor: next }, 100))).toEqual({ n: 3 });
      });

      test("stays where the other id is or was in use", async () => {
        await anna.create(id, { n: 0 });
        const taken = newId();
        await anna.create(taken, { other: 1 });
        expect(await codeOf(anna.commit(id, { n: 1 }, { successor: taken }))).toBe("ERR_ID_TAKEN");
        await anna.end(taken);
        expect(await codeOf(anna.commit(id, { n: 1 }, { successor: taken }))).toBe("ERR_ID_TAKEN");
        expect(await bert.values(id)).toEqual({ n: 0 });
        expect((await bert.read(next)).kind).toBe(KIND.absent);
        await bert.commit(id, { n: 4 });
        await anna.commit(id, {}, { successor: next });
        expect(await bert.values(next)).toEqual({ n: 4 });
      });

      test("of two sessions that ask for one id one gets it", async () => {
        const other = newId();
        await Promise.all([anna.create(id, { n: 1 }), anna.create(other, { n: 2 })]);
        const calls = [id, other].map((one) => anna.commit(one, {}, { successor: next }));
        const outcomes = await Promise.allSettled([...calls, bert.create(next, { n: 3 })]);
        expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
        const left = [await bert.values(id), await bert.values(other), await bert.values(next)];
        expect(left.map((values) => values?.n).filter((n) => n !== undefined).length).toBeGreaterThan(1);
        for (const values of left) expect([undefined, 1, 2, 3]).toContain(values?.n);
      });

      test("waits for no session that is there: of two that ask for each other's id both stay", async () => {
        const other = newId();
        await Promise.all([anna.create(id, { n: 1 }), anna.create(other, { n: 2 })]);
        const calls = [anna.commit(id, {}, { successor: other }), bert.commit(other, {}, { successor: id })];
        expect(await Promise.all(calls.map(codeOf))).toEqual(["ERR_ID_TAKEN", "ERR_ID_TAKEN"]);
        const { fence } = await bert.lease(other);
        expect(await codeOf(anna.commit(id, {}, { successor: other }))).toBe("ERR_ID_TAKEN");
        await bert.commit(other, { n: 3 }, { fence, release: true });
        await anna.commit(id, { n: 4 });
        expect([await anna.values(id), await anna.values(other)]).toEqual([{ n: 4 }, { n: 3 }]);
      });

      test("goes under a lease, which ends with it; not under one that is over", async () => {
        await anna.create(id, { n: 0 });
        const { fence } = await anna.lease(id);
        const waiting = codeOf(bert.lease(id));
        await anna.commit(id, { n: 1 }, { fence });
        await anna.commit(id, { m: 1 }, { fence, release: true, successor: next });
        expect(await waiting).toBe("ERR_SESSION_GONE");
        expect(await bert.values(next)).toEqual({ n: 1, m: 1 });
        expect(await codeOf(anna.commit(id, {}, { fence, release: true }))).toBe("ERR_LEASE_LOST");
        const again = await bert.lease(next);
        bert.release(next, again.fence);
        expect(await codeOf(bert.commit(next, {}, { fence: again.fence, release: true, successor: newId() }))).toBe(
          "ERR_LEASE_LOST",
        );
        expect(await anna.values(next)).toEqual({ n: 1, m: 1 });
      });

      test("is the one that stays where all others of the prefix are ended", async () => {
        const [one, goesOn, other] = [newId("many"), newId("many"), newId("many")];
        await Promise.all([anna.create(one, { n: 1 }), anna.create(other, { n: 2 })]);
        await anna.commit(one, {}, { successor: goesOn, unique: true });
        expect(await bert.values(goesOn)).toEqual({ n: 1 });
        for (const ended of [one, other]) expect((await bert.read(ended)).kind).toBe(KIND.absent);
        const [last, { fence }] = [newId("many"), await anna.lease(goesOn)];
        await anna.commit(goesOn, {}, { fence, release: true, successor: last, unique: true });
        expect(await bert.values(last)).toEqual({ n: 1 });
      });
    });

    test("lists sessions in the order of their ids, each on one page, of exactly one prefix, and wakes none", async () => {
      const ids = Array.from({ length: 7 }, () => newId("list"));
      await Promise.all([...ids, newId("list:x"), newId("lis")].map((one, n) => anna.create(one, { n })));
      await anna.create(newId("list"), {}, { timeoutSeconds: 0.000_001 });
      const createdMs = Date.now();
      await until(() => Date.now() > createdMs);
      await anna.end(ids[3] ?? "");
      const left = ids.filter((_, n) => n !== 3).sort();
      const { sessionsAwake } = house.backend.report();
      const pages = await bert.list("list", 3);
      expect(pages.flat()).toEqual(left);
      expect(Math.max(...pages.map((page) => page.length))).toBe(3);
      expect((await bert.list(null, 1000)).flat()).toHaveLength(left.length + 2);
      expect(await bert.list("*", 1000)).toEqual([[]]);
      expect(house.backend.report().sessionsAwake).toBe(sessionsAwake);
    });

    test("looks at all sessions when it is asked to, says how many are over, and ends these", async () => {
      await Promise.all([id, newId("sweep")].map((one, n) => anna.create(one, { n })));
      await anna.create(newId("sweep"), {}, { timeoutSeconds: 0.000_001 });
      const createdMs = Date.now();
      await until(() => Date.now() > createdMs);
      const looks = await Promise.all([anna.sweep("look"), bert.sweep("look")]);
      const none = { ended: 0, unreadable: 0, failed: 0 };
      expect(looks).toEqual([
        { ...none, seen: 3, ended: 1 },
        { ...none, seen: 3, ended: 1 },
      ]);
      expect(await anna.sweep("end")).toEqual({ ...none, seen: 3, ended: 1 });
      expect(await bert.sweep("end")).toEqual({ ...none, seen: 2 });
    });

    test("ends a sweep that nobody waits for any more, or that it does not come to, before it stops", async () => {
      void anna.sweep("end");
      const refused = expect(bert.sweep("end")).rejects.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" });
      anna.leave();
      await house.backend.stop();
      await refused;
      await expect(bert.sweep("look")).rejects.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" });
    });

    test("answers what is under way before it stops", async () => {
      const commits = Array.from({ length: 20 }, (_, n) => anna.create(newId(), { n }));
      await house.backend.stop();
      await Promise.all(commits);
    });

    test("tells an operator what it holds", async () => {
      await anna.create(id, { n: 0 });
      expect(house.backend.report()).toMatchObject({ sessionsCached: 1, waitingTurns: 0, tombstones: 0 });
    });
  });
}
