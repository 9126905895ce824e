// What the daemon promises for one session, whatever engine keeps it: commits, ends, leases, unique sessions, expiry.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { deltaOf, type RawWorker, valuesOf } from "../../support/daemon/raw-worker.ts";

const PLACES = [
  ["the type memory", { type: "memory" }],
  ["the type file", { type: "file" }],
  ["no room to keep a session in memory", { cacheBytes: 1 }],
] as const;

describe.each(PLACES)("with %s", (_, options) => {
  let lab: Lab;
  let anna: RawWorker;
  let bert: RawWorker;
  let id: string;

  beforeEach(async () => {
    lab = await Lab.open(options);
    [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
    id = newId();
  });

  afterEach(() => lab.close());

  describe("a commit", () => {
    test("creates a session when it says so", async () => {
      await anna.create(id, { user: "anna" });
      expect(await bert.values(id)).toEqual({ user: "anna" });
    });

    test("never creates one when it does not", async () => {
      expect(await codeOf(anna.commit(id, { user: "anna" }))).toBe("ERR_SESSION_GONE");
      expect(await bert.values(id)).toBeUndefined();
    });

    test("does not create one that is there already", async () => {
      await anna.create(id, { user: "anna" });
      expect(await codeOf(bert.create(id, { user: "bert" }))).toBe("ERR_ID_TAKEN");
      expect(await anna.values(id)).toEqual({ user: "anna" });
    });

    test("changes the keys it names and no others", async () => {
      await anna.create(id, { a: 1, b: 2, c: 3 });
      await Promise.all([anna.commit(id, { a: 10 }), bert.commit(id, { b: undefined, d: 4 })]);
      expect(await anna.values(id)).toEqual({ a: 10, c: 3, d: 4 });
    });

    test("is merged with others key by key in the order of arrival", async () => {
      await anna.create(id, { n: 0 });
      const commits: Promise<unknown>[] = [];
      for (let n = 1; n <= 100; n++) commits.push(anna.commit(id, { n, [`key${n}`]: n }));
      await Promise.all(commits);
      const values = await bert.values(id);
      expect(values).toMatchObject({ n: 100, key1: 1, key50: 50, key100: 100 });
    });

    test("shares one write with what arrived together with it", async () => {
      await anna.create(id, { n: 0 });
      const before = await anna.status();
      await Promise.all(Array.from({ length: 50 }, (_, n) => anna.commit(id, { n })));
      const after = await anna.status();
      expect((after.commits ?? 0) - (before.commits ?? 0)).toBe(50);
      expect((after.writes ?? 0) - (before.writes ?? 0)).toBeLessThan(10);
    });

    test("that is sent twice is applied once", async () => {
      await anna.create(id, { n: 0 });
      await anna.commit(id, { n: 1 }, { sequence: 7 });
      await bert.commit(id, { n: 2 });
      expect(valuesOf(await anna.commit(id, { n: 1 }, { sequence: 7 }))).toEqual({ n: 2 });
    });

    test("that would make the session too large changes nothing", async () => {
      await lab.stop();
      await lab.start({ maxSessionBytes: 1000 });
      const carl = await lab.worker("carl");
      await carl.create(newId(), { a: "x".repeat(500) });
      const other = newId();
      await carl.create(other, { a: "x".repeat(900) });
      expect(await codeOf(carl.commit(other, { b: "y".repeat(100) }))).toBe("ERR_TOO_LARGE");
      expect(Object.keys((await carl.values(other)) ?? {})).toEqual(["a"]);
    });

    test("with a broken delta changes nothing and harms nobody else", async () => {
      await anna.create(id, { n: 0 });
      const broken = deltaOf({ n: 1 }).subarray(0, -1);
      expect(await codeOf(anna.call("commit", id, 99, 0, broken, null))).toMatch(/ERR_PROTOCOL|ERR_BAD_VALUE/);
      await bert.commit(id, { n: 2 });
      expect(await anna.values(id)).toEqual({ n: 2 });
    });
  });

  describe("an ended session", () => {
    beforeEach(async () => {
      await anna.create(id, { n: 0 });
      await anna.abandon(id);
    });

    test("is gone for every worker", async () => {
      expect(await bert.values(id)).toBeUndefined();
    });

    test("takes no commit, no touch and no lease", async () => {
      expect(await codeOf(bert.commit(id, { n: 1 }))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(bert.call("touch", id, 0))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(bert.lease(id))).toBe("ERR_SESSION_GONE");
    });

    test("cannot be created again under its id", async () => {
      expect(await codeOf(bert.create(id, { n: 1 }))).toBe("ERR_ID_TAKEN");
    });

    test("may be ended again", async () => {
      await bert.abandon(id);
    });
  });

  test("an end and commits that arrive together leave no session, whatever their order", async () => {
    for (let round = 0; round < 20; round++) {
      const other = newId();
      await anna.create(other, { n: 0 });
      const calls = [anna.commit(other, { n: 1 }), bert.abandon(other), anna.commit(other, { n: 2 })];
      await Promise.allSettled(round % 2 === 0 ? calls : calls.reverse());
      expect(await bert.values(other)).toBeUndefined();
    }
  });

  describe("a lease", () => {
    beforeEach(() => anna.create(id, { n: 0 }));

    test("that waits for another one begins with what that one has written", async () => {
      const { fence } = await anna.lease(id);
      const [next, last] = [bert.lease(id), anna.lease(id)];
      await bert.settle();
      await anna.commitLeased(id, { n: 1 }, fence);
      const second = await next;
      expect(valuesOf(second)).toMatchObject({ n: 1 });
      await bert.commitLeased(id, { n: 2 }, second.fence);
      expect(valuesOf(await last)).toMatchObject({ n: 2 });
    });

    test("is given before the commit that ended the one before is answered: its owner begins meanwhile", async () => {
      const { fence } = await anna.lease(id);
      const order: string[] = [];
      const next = anna.lease(id).then(() => order.push("lease"));
      await anna.settle();
      await Promise.all([next, anna.commitLeased(id, { n: 1 }, fence).then(() => order.push("commit"))]);
      expect(order).toEqual(["lease", "commit"]);
    });

    test("is not given on a session that the one before let expire", async () => {
      const { fence } = await anna.lease(id);
      const waiting = codeOf(bert.lease(id));
      await bert.settle();
      await anna.commit(id, { n: 1 }, { options: { fence, release: true, timeoutSeconds: 0 } });
      expect(await waiting).toBe("ERR_SESSION_GONE");
    });

    test("is granted first come, first served", async () => {
      const first = await anna.lease(id);
      const order: string[] = [];
      const carl = await lab.worker("carl");
      const waiting = [];
      for (const [name, worker] of Object.entries({ bert, carl, anna })) {
        waiting.push(
          worker.lease(id).then(({ fence }) => {
            order.push(name);
            return worker.call("release", id, fence);
          }),
        );
        await worker.settle();
      }
      await anna.call("release", id, first.fence);
      await Promise.all(waiting);
      expect(order).toEqual(["bert", "carl", "anna"]);
    });

    test("comes with the newest contents and a number that only grows", async () => {
      const first = await anna.lease(id);
      await anna.commitLeased(id, { n: 1 }, first.fence);
      const second = await bert.lease(id);
      expect(valuesOf(second)).toEqual({ n: 1 });
      expect(second.fence).toBeGreaterThan(first.fence);
    });

    test("makes plain commits wait, while reads do not", async () => {
      const { fence } = await anna.lease(id);
      let isDone = false;
      const plain = bert.commit(id, { plain: true }).then(() => {
        isDone = true;
      });
      expect(await bert.values(id)).toEqual({ n: 0 });
      await bert.settle();
      expect(isDone).toBe(false);
      await anna.commitLeased(id, { n: 1 }, fence);
      await plain;
      expect(await anna.values(id)).toEqual({ n: 1, plain: true });
    });

    test("passes on at once when the connection of its holder breaks, and what it still sends counts for nothing", async () => {
      const { fence } = await anna.lease(id, 60_000);
      const next = bert.lease(id);
      await anna.close();
      const granted = await next;
      expect(valuesOf(granted)).toEqual({ n: 0 });
      const again = await lab.worker("anna-again");
      expect(await codeOf(again.commitLeased(id, { n: 99 }, fence))).toBe("ERR_LEASE_LOST");
      await bert.commitLeased(id, { n: 1 }, granted.fence);
      expect(await again.values(id)).toEqual({ n: 1 });
    });

    test("ends at its deadline, and its late commit is refused", async () => {
      const { fence } = await anna.lease(id, 1);
      const next = await bert.lease(id);
      expect(await codeOf(anna.commitLeased(id, { n: 99 }, fence))).toBe("ERR_LEASE_LOST");
      await bert.commitLeased(id, { n: 1 }, next.fence);
      expect(await anna.values(id)).toEqual({ n: 1 });
    });

    test("is worth nothing to another connection", async () => {
      const { fence } = await anna.lease(id);
      expect(await codeOf(bert.commitLeased(id, { n: 99 }, fence))).toBe("ERR_LEASE_LOST");
      await bert.call("release", id, fence);
      await anna.commitLeased(id, { n: 1 }, fence);
      expect(await bert.values(id)).toEqual({ n: 1 });
    });

    test("is not given for longer than allowed, and the error names the limit", async () => {
      await expect(anna.lease(id, 60_001)).rejects.toThrow(/60000/);
      expect(await codeOf(anna.lease(id, 60_001))).toBe("ERR_BAD_OPTION");
    });

    test("on a session that ends while others wait lets them fail", async () => {
      const { fence } = await anna.lease(id);
      const ending = bert.abandon(id);
      const waiting = codeOf(bert.lease(id));
      await bert.settle();
      await anna.call("release", id, fence);
      await ending;
      expect(await waiting).toBe("ERR_SESSION_GONE");
    });

    test("on one session keeps nobody off another", async () => {
      await anna.lease(id);
      const other = newId();
      await bert.create(other, { n: 0 });
      await bert.commit(other, { n: 1 });
      expect(await bert.values(other)).toEqual({ n: 1 });
    });
  });

  describe("a session whose time is over", () => {
    test("is gone at the next look, for every operation", async () => {
      const ids = Array.from({ length: 4 }, () => newId());
      for (const one of ids) await anna.create(one, { n: 0 }, { timeoutSeconds: 0 });
      const [read, commit, touch, lease] = ids as [string, string, string, string];
      expect(await bert.values(read)).toBeUndefined();
      expect(await codeOf(bert.commit(commit, { n: 1 }))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(bert.call("touch", touch, 0))).toBe("ERR_SESSION_GONE");
      expect(await codeOf(bert.lease(lease))).toBe("ERR_SESSION_GONE");
    });

    test("does not come back under its id", async () => {
      await anna.create(id, { n: 0 }, { timeoutSeconds: 0 });
      expect(await anna.values(id)).toBeUndefined();
      expect(await codeOf(bert.create(id, { n: 0 }))).toBe("ERR_ID_TAKEN");
    });

    test("lives on when its life is made longer in time", async () => {
      await anna.create(id, { n: 0 }, { timeoutSeconds: 1000 });
      await anna.commit(id, {}, { options: { timeoutSeconds: 5000 } });
      expect(await bert.values(id)).toEqual({ n: 0 });
    });
  });

  describe("a unique session", () => {
    test("ends every other one of exactly its prefix", async () => {
      const others = [newId("anna"), newId("anna"), newId("annabel"), newId("ann"), newId("an*a")];
      for (const other of others) await anna.create(other, { n: 0 });
      const unique = newId("anna");
      await anna.create(unique, { n: 0 }, { unique: true });
      const alive = await Promise.all(others.map(async (other) => (await bert.values(other)) !== undefined));
      expect(alive).toEqual([false, false, true, true, true]);
      expect(await bert.values(unique)).toEqual({ n: 0 });
    });

    test("survives as the only one when several are created at once", async () => {
      for (let round = 0; round < 20; round++) {
        const ids = Array.from({ length: 6 }, () => newId(`crowd${round}`));
        await Promise.allSettled(ids.map((one, n) => (n % 2 ? anna : bert).create(one, { n }, { unique: true })));
        const alive = await Promise.all(ids.map((one) => anna.values(one)));
        expect(alive.filter((values) => values !== undefined)).toHaveLength(1);
      }
    });

    test("ends the others even if it is abandoned in the same moment", async () => {
      const [other, unique] = [newId("brief"), newId("brief")];
      await anna.create(other, { n: 0 });
      await Promise.allSettled([anna.create(unique, { n: 0 }, { unique: true }), bert.abandon(unique)]);
      expect(await bert.values(other)).toBeUndefined();
    });

    test("is not ended by the retry of an older one, whose answer was lost", async () => {
      const [older, newer] = [newId("retry"), newId("retry")];
      await anna.commit(older, { n: 1 }, { sequence: 50, options: { create: true, unique: true } });
      await bert.create(newer, { n: 2 }, { unique: true });
      await anna
        .commit(older, { n: 1 }, { sequence: 50, options: { create: true, unique: true } })
        .catch(() => undefined);
      expect(await bert.values(newer)).toEqual({ n: 2 });
      expect(await bert.values(older)).toBeUndefined();
    });
  });
});
