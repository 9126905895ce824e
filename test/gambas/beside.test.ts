// Node workers beside real Gambas programs on the same sessions at the same time: no acknowledged write is lost, no change of Gambas'
// own is undone, nothing that ended comes back. The longer run of the same is storms/beside-gambas.ts.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dialectOf } from "../../protocol/image/image.ts";
import { describeGambas, dialect } from "../support/gambas/gambas.ts";
import { until } from "../support/processes.ts";
import { type Habit, Neighbours } from "./beside.ts";

const habits: readonly [string, Habit, { transactions: number; plainCommits: number }][] = [
  ["reads and writes back", { kind: "reads", pause: 0.002 }, { transactions: 100, plainCommits: 50 }],
  ["reads and writes back without a pause", { kind: "reads", pause: 0 }, { transactions: 100, plainCommits: 50 }],
  ["changes another key", { kind: "changes", pause: 0.002 }, { transactions: 100, plainCommits: 50 }],
  ["changes another key without a pause", { kind: "changes", pause: 0 }, { transactions: 100, plainCommits: 50 }],
  ["holds its lock for 0.5 s", { kind: "holds", seconds: 0.5, pause: 0.02 }, { transactions: 20, plainCommits: 10 }],
];

let neighbours: Neighbours;

describeGambas("Node beside Gambas: writes", () => {
  beforeAll(async () => {
    neighbours = await Neighbours.open({}, {}, { cacheBytes: 0 });
  });
  afterAll(() => neighbours.close());

  it.each(habits)("are all kept while a Gambas program %s", async (_name, habit, work) => {
    const outcome = await neighbours.work(work, habit);
    expect(outcome).toMatchObject({
      counter: outcome.acknowledged,
      keysMissing: 0,
      gambasLost: 0,
      gambasKey: habit.kind === "changes" ? outcome.gambasTurns : 0,
      isSameInGambas: true,
    });
    expect(outcome.acknowledged).toBe(3 * work.transactions);
  });

  it("are in the file when they are acknowledged, also right behind a save of Gambas", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const beside = house.startOracle({ cookie: id });
    await beside.do("touch");
    for (let n = 1; n <= 50; n++) {
      await beside.do("put", [["g", { type: "Integer", value: n }]]);
      await beside.do("save");
      await first.run(id, ["set", "n", n]);
      const image = house.readSession(id).toString("latin1");
      expect(image).toContain(`n\x04${String.fromCharCode(n)}\0\0\0`);
      expect(image).toContain(`g\x04${String.fromCharCode(n)}\0\0\0`);
      await beside.do("load");
    }
    await beside.end();
  });

  it("are put back when a program saves what it had loaded before, and the daemon counts it", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const stale = house.startOracle({ cookie: id });
    await stale.do("touch");
    await first.run(id, ["set", "n", 1], ["set", "new", "by node"]);
    const before = await first.counted("repairs");
    await stale.do("put", [["g", { type: "Integer", value: 5 }]]);
    await stale.end();
    expect(await first.run(id, ["get", "n"], ["get", "new"], ["get", "g"])).toEqual([1, "by node", 5]);
    expect((await first.counted("repairs")) - before).toBe(2);
  });

  it("are told from objects that a program only wrote back, whatever tags it gives them", async () => {
    const { house, first } = neighbours;
    const [, , , , id] = await first.run(
      null,
      ["set", "cart", { items: [{ sku: "a", price: 1.5 }], total: 1.5 }],
      ["set", "list", [1, 2, 3]],
      ["set", "same", { deep: [[1], ["x"]] }],
      ["set", "gone", { only: "here" }],
      ["read", "Id"],
    );
    const stale = house.startOracle({ cookie: String(id) });
    await stale.do("touch");
    await first.run(
      String(id),
      ["set", "cart", { items: [], total: 0 }],
      ["set", "new", [{ at: 1 }]],
      ["delete", "gone"],
    );
    const before = await first.counted("repairs");
    await stale.do("put", [["g", { type: "Collection", value: [["n", { type: "Integer", value: 5 }]] }]]);
    await stale.end();
    const values = await first.run(String(id), ["get", "cart"], ["get", "new"], ["keys"], ["get", "g"]);
    expect(values).toEqual([{ items: [], total: 0 }, [{ at: 1 }], ["cart", "list", "same", "g", "new"], { n: 5 }]);
    expect((await first.counted("repairs")) - before).toBe(3);
  });

  it("change nothing for a worker where a program saves what it loaded, in whatever dialect", async () => {
    const { house, first } = neighbours;
    const [, id] = await first.run(null, ["set", "cart", { items: [[1], { a: "b" }] }], ["read", "Id"]);
    await house.oracle([["touch"]], { cookie: String(id) });
    const before = await first.status();
    expect(await first.run(String(id), ["get", "cart"], ["set", "n", 1], ["get", "cart"])).toHaveLength(3);
    const after = await first.status();
    expect([after.repairs, after.conflicts]).toEqual([before.repairs, before.conflicts]);
    expect(dialectOf(house.readImage(String(id)))).toBe(dialect);
    expect(
      (
        await house.oracle(
          [
            ["exist", "cart"],
            ["exist", "n"],
          ],
          { cookie: String(id) },
        )
      ).map(({ value }) => value),
    ).toEqual([true, true]);
  });

  it("that bring the first reference are readable by the Gambas that is installed", async () => {
    const { house, first } = neighbours;
    const [, , id] = await first.run(null, ["set", "cart", { items: [1] }], ["share", "cart", "again"], ["read", "Id"]);
    const [same, got] = await house.oracle(
      [
        ["same", "cart", "again"],
        ["get", "again"],
      ],
      { cookie: String(id) },
    );
    expect(same?.value).toBe(true);
    expect(got?.value).toMatchObject({ type: "Collection" });
  });

  it("that removed a key stay, although a Gambas program still had it", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const stale = house.startOracle({ cookie: id });
    await stale.do("touch");
    await first.run(id, ["delete", "n"]);
    await stale.end();
    expect(await first.ask(id, "keys")).toEqual(["g"]);
    const [exists] = await house.oracle([["exist", "n"]], { cookie: id });
    expect(exists?.value).toBe(false);
  });

  it("are put back in the file without anybody asking", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const stale = house.startOracle({ cookie: id });
    await stale.do("touch");
    await first.run(id, ["set", "n", 12_345]);
    const image = house.readSession(id).subarray(8);
    await stale.end();
    await until(() => house.hasSession(id) && readFileSync(house.sessionFile(id)).subarray(8).equals(image));
  });
});

describeGambas("Node beside Gambas: reads", () => {
  beforeAll(async () => {
    neighbours = await Neighbours.open({}, { cacheBytes: 0 });
  });
  afterAll(() => neighbours.close());

  it.each([
    ["without a pause", 0],
    ["every 2 ms", 0.002],
  ])("10 000 of a session that Gambas saves %s are none of them lost, empty or out of order", async (_when, pause) => {
    const { done, ...wrong } = await neighbours.look(5_000, 300, pause);
    expect(wrong).toEqual({ lost: 0, empty: 0, older: 0, gambasLost: 0 });
    expect(done).toBeGreaterThanOrEqual(10_000);
  });
});

describeGambas("Node beside Gambas: the end of a session", () => {
  beforeAll(async () => {
    neighbours = await Neighbours.open({}, {});
  });
  afterAll(() => neighbours.close());

  it("that Node abandons is final, also for a Gambas program that had it loaded and saves it again", async () => {
    const { house, first, workers } = neighbours;
    const id = await neighbours.newSession();
    const loaded = house.startOracle({ cookie: id });
    await loaded.do("touch");
    await first.run(id, ["abandon"]);
    const before = await first.counted("resurrectionsUndone");
    await loaded.do("put", [["g", { type: "Integer", value: 9 }]]);
    await loaded.do("save");
    expect(await Promise.all(workers.map((worker) => worker.finds(id)))).toEqual([false, false]);
    await loaded.do("put", [["g", { type: "Integer", value: 10 }]]);
    await loaded.end();
    await until(() => !house.hasSession(id));
    expect(await Promise.all(workers.map((worker) => worker.finds(id)))).toEqual([false, false]);
    expect(await first.counted("resurrectionsUndone")).toBeGreaterThan(before);
    expect((await house.oracle([["touch"]], { cookie: id }))[0]?.value).toBe(false);
  });

  it("to which Node gives another id is final too, and a Gambas program finds all of it under the new one", async () => {
    const { house, first, workers } = neighbours;
    const id = await neighbours.newSession();
    await house.oracle([["put", [["byGambas", { type: "Integer", value: 7 }]]]], { cookie: id });
    const loaded = house.startOracle({ cookie: id });
    await loaded.do("touch");
    const [, next] = await first.run(id, ["regenerate"], ["read", "Id"]);
    expect([next === id, house.hasSession(id)]).toEqual([false, false]);
    await loaded.do("put", [["late", { type: "Integer", value: 9 }]]);
    await loaded.end();
    await until(() => !house.hasSession(id));
    expect(await Promise.all(workers.map((worker) => worker.finds(id)))).toEqual([false, false]);
    const [mine, none] = await house.oracle(
      [
        ["get", "byGambas"],
        ["get", "late"],
      ],
      { cookie: String(next) },
    );
    expect([mine?.value, none?.value]).toEqual([{ type: "Integer", value: 7 }, { type: "Null" }]);
    expect(await Promise.all(workers.map((worker) => worker.finds(String(next))))).toEqual([true, true]);
  });

  it("is one end, however it meets Gambas' last save", async () => {
    expect(await neighbours.abandon(20)).toMatchObject({ found: 0 });
  });

  it("that Node replaced by a unique one is final too", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const loaded = house.startOracle({ cookie: id });
    await loaded.do("touch");
    await first.run(null, ["write", "Prefix", "10.0.0.1"], ["write", "Unique", true], ["set", "n", 1]);
    expect(house.hasSession(id)).toBe(false);
    await loaded.end();
    await until(() => !house.hasSession(id));
    expect(await first.finds(id)).toBe(false);
  });

  it("is remembered over the death of the daemon", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const loaded = house.startOracle({ cookie: id });
    await loaded.do("touch");
    await first.run(id, ["abandon"]);
    const { pid } = await first.status();
    process.kill(Number(pid), "SIGKILL");
    await loaded.end();
    expect(await first.finds(id)).toBe(false);
    await until(() => !house.hasSession(id));
    expect((await first.status()).pid).not.toBe(pid);
  });
});

describeGambas("Node beside Gambas: a program that goes on without the lock", () => {
  beforeAll(async () => {
    neighbours = await Neighbours.open({});
  });
  afterAll(() => neighbours.close());

  it("is seen: the transaction runs again on what it saved, and nothing is overwritten", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    const inside = first.inside("gate");
    const adding = first.addBehindGate(id, "n", "gate");
    await inside;
    // It finds the session locked, asks for a second, and then loads and saves all the same.
    await house.oracle(
      [
        ["put", [["g", { type: "Integer", value: 7 }]]],
        ["put", [["n", { type: "Integer", value: 40 }]]],
      ],
      { cookie: id },
    );
    await first.openGate("gate");
    expect(await adding).toEqual([0, 40]);
    expect(await first.run(id, ["get", "n"], ["get", "g"])).toEqual([41, 7]);
    expect(await first.counted("conflicts")).toBe(1);
  });

  it("and wrote only what was there costs the transaction nothing", async () => {
    const { house, first } = neighbours;
    const id = await neighbours.newSession();
    await first.run(id, ["set", "n", 1]);
    const inside = first.inside("other gate");
    const adding = first.addBehindGate(id, "n", "other gate");
    await inside;
    const [got] = await house.oracle([["get", "n"]], { cookie: id });
    expect(got?.value).toEqual({ type: "Integer", value: 1 });
    await first.openGate("other gate");
    expect(await adding).toEqual([1]);
    expect(await first.ask(id, "get", "n")).toBe(2);
  });
});
