// Transactions of workers on two hosts: what they cost, and what is told of them when another host is faster, or an answer gets lost.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Handle } from "../../../client/index.ts";
import type { Client } from "../../../client/link/client.ts";
import { until } from "../../support/processes.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { isWrite } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { SessionHouse } from "../../support/session-house.ts";

describeWithRedis("transactions over two hosts", () => {
  let redis: RedisProcess;
  const houses: SessionHouse[] = [];

  /** A worker on a host of its own. */
  async function workerOn(url: string, more: { readonly maxStaleMs?: number } = {}): Promise<Client> {
    const options = { type: "redis", redis: url } as const;
    const house = await SessionHouse.open({ ...options, ...more });
    houses.push(house);
    return house.worker(options);
  }

  async function make(worker: Client): Promise<string> {
    const made = worker.create({ prefix: "hosts" });
    made.set("n", 0);
    await made.save();
    return made.id as string;
  }

  async function open(worker: Client, id: string): Promise<Handle> {
    return (await worker.open(id)) as Handle;
  }

  beforeEach(async () => {
    redis = await RedisProcess.start();
  });
  afterEach(async () => {
    for (const house of houses.splice(0)) await house.close();
    await redis.remove();
  });

  /** What a daemon has asked Redis for. */
  async function asked(worker: Client): Promise<Record<"scriptCalls" | "keysWritten" | "barriers", number>> {
    const { redis: counts } = (await worker.status()) as unknown as { redis: Record<string, number> };
    const { scriptCalls = 0, keysWritten = 0, barriers = 0 } = counts;
    return { scriptCalls, keysWritten, barriers };
  }

  test("cost one call each, which stores what they have changed", async () => {
    const anna = await workerOn(redis.url);
    const handle = await open(anna, await make(anna));
    const before = await asked(anna);
    for (let n = 0; n < 50; n++) await handle.transaction((session) => session.set("n", Number(session.get("n")) + 1));
    const { scriptCalls, keysWritten, barriers } = await asked(anna);
    expect([scriptCalls - before.scriptCalls, keysWritten - before.keysWritten]).toEqual([50, 50]);
    // The daemon compares its clock with that of Redis now and then.
    expect(barriers - before.barriers).toBeLessThan(25);
    expect(handle.get("n")).toBe(50);
  });

  describe.each([0, 60_000])("with maxStaleMs %d, that begin on what another host has changed", (maxStaleMs) => {
    let way: FaultyWay;
    let anna: Client;
    let handle: Handle;
    /** Of five other sessions, for each run. */
    let others: Handle[][];
    let runs: number;

    /** Her host has not been told yet of what bert, on another one, has changed. */
    beforeEach(async () => {
      way = await FaultyWay.to(redis.port);
      anna = await workerOn(way.url, { maxStaleMs });
      const bert = await workerOn(redis.url);
      const id = await make(bert);
      handle = await open(anna, id);
      const ids = await Promise.all(Array.from({ length: 5 }, () => make(bert)));
      others = [];
      for (let run = 0; run < 2; run++) others.push(await Promise.all(ids.map((other) => open(anna, other))));
      runs = 0;
      way.mode = "keeps";
      const changed = await open(bert, id);
      changed.set("n", 1);
      await changed.save();
    });
    afterEach(async () => {
      way.mode = "passes";
      way.let(way.kept);
      for (const house of houses.splice(0)) await house.close();
      await way.close();
    });

    /** Runs it, and lets what is told arrive when that is over, and somebody waits for more. */
    async function transact<T>(fn: (session: Handle) => T | Promise<T>): Promise<T> {
      const done = handle.transaction((session) => {
        runs += 1;
        return fn(session as Handle);
      });
      done.catch(() => undefined);
      await until(() => runs > 0);
      await until(() => way.kept > 1);
      way.mode = "passes";
      way.let(way.kept);
      return done;
    }

    /** What may follow from a transaction, and is stored in other sessions. @param run the first, or the second. */
    function followUps(run: number): readonly Promise<unknown>[] {
      const [first, second, third, fourth, fifth] = others[run - 1] as [Handle, Handle, Handle, Handle, Handle];
      const change = (session: { set(key: string, value: unknown): void }): void => session.set("m", 1);
      change(first);
      const id = fifth.id as string;
      change(first);
      const nested = second.transaction(() => third.transaction(change));
      return [first.save(), nested, fourth.regenerate(), fifth.abandon(), anna.abandon(id), make(anna)];
    }

    test("run again, where they have read alone", async () => {
      expect(await transact((session) => session.get("n"))).toBe(1);
      expect(runs).toBe(2);
    });

    test("would tell what was there before, if nobody asked", async () => {
      vi.spyOn(anna, "isNewest").mockImplementation(async () => true);
      expect(await handle.transaction((session) => session.get("n"))).toBe(0);
    });

    test("run again, where they have failed", async () => {
      const failing = transact((session) => {
        throw new Error(`n is ${session.get("n")}`);
      });
      await expect(failing).rejects.toThrow("n is 1");
      expect(runs).toBe(2);
    });

    test("run again, before they end the session", async () => {
      await transact(async (session) => {
        if (session.get("n") === 0) await session.abandon();
      });
      expect(runs).toBe(2);
      expect(handle.get("n")).toBe(1);
    });

    test("run again, before anything is stored in another session, whatever does that", async () => {
      const stored: unknown[] = [];
      await transact(async (session) => {
        const n = session.get("n");
        await Promise.all(followUps(runs).map((storing) => storing.then(() => stored.push(n))));
      });
      expect([stored, runs]).toEqual([[1, 1, 1, 1, 1, 1], 2]);
    });

    test("leave nothing in another session, either, that they did not wait for", async () => {
      const stored: unknown[] = [];
      const all: Promise<unknown>[] = [];
      await transact((session) => {
        const n = session.get("n");
        for (const storing of followUps(runs)) {
          all.push(
            storing.then(
              () => stored.push(n),
              ({ code }) => expect(code).toBe("ERR_CONFLICT"),
            ),
          );
        }
        session.set("seen", n);
      });
      await Promise.all(all);
      expect([stored, runs]).toEqual([[1, 1, 1, 1, 1, 1], 2]);
    });

    test("run again, where they have changed something", async () => {
      await transact((session) => session.set("n", Number(session.get("n")) + 1));
      expect(handle.get("n")).toBe(2);
      expect(runs).toBe(2);
    });
  });

  test.each(["reads", "fails"])("run once on what is not stored yet, also one that only %s", async (what) => {
    const way = await FaultyWay.to(redis.port);
    const anna = await workerOn(way.url);
    const id = await make(anna);
    const [house] = houses as [SessionHouse];
    const workers = [anna, house.worker({ type: "redis" }), house.worker({ type: "redis" })];
    const handles = await Promise.all(workers.map((worker) => open(worker, id)));
    way.mode = "keeps";
    const ran: unknown[] = [];
    const ends: Promise<unknown>[] = [];
    for (const [index, handle] of handles.entries()) {
      const end = handle.transaction((session) => {
        const n = session.get("n");
        ran.push(n);
        if (index < 2) session.set("n", Number(n) + 1);
        else if (what === "fails") throw new Error(`n is ${n}`);
        return n;
      });
      ends.push(end.catch(({ message }) => message));
      await until(() => ran.length > index);
    }
    way.mode = "passes";
    way.let(way.kept);
    expect(await Promise.all(ends)).toEqual([0, 1, what === "fails" ? "n is 2" : 2]);
    expect(ran).toEqual([0, 1, 2]);
    for (const one of houses.splice(0)) await one.close();
    await way.close();
  });

  // 1. Anna's commit is stored, and its answer lost.   2. Bert gives the session another id, with her change in it.
  // 3. Her daemon looks, finds a tombstone and her mark in it, and says that she has no session any more.
  test("are done, also where what they changed has gone on under another id before that could be told", async () => {
    const way = await FaultyWay.to(redis.port);
    const [anna, bert] = [await workerOn(way.url), await workerOn(redis.socketUrl)];
    const id = await make(bert);
    const handle = await open(anna, id);
    const cut = way.loseAnswer(isWrite);
    const done = handle.transaction((session) => {
      session.set("n", 1);
      return "ran";
    });
    await cut;
    const other = await open(bert, id);
    await other.regenerate();
    way.unblock();
    expect(await done).toBe("ran");
    // What owns the handle saves at its own end: it must not try that under the id that is gone.
    await handle.save();
    expect(handle.id).toBeNull();
    expect((await bert.open(other.id as string))?.get("n")).toBe(1);
    for (const house of houses.splice(0)) await house.close();
    await way.close();
  });
});
