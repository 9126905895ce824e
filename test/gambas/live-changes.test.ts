// Node and Gambas change the same keys in turn, each on what the other left: every change counts, also one that brings an old value back.
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { canonicalEntry, describeGambas, type TypedJson } from "../support/gambas/gambas.ts";
import { integer, kinds, setting, TwoSides, typeName } from "./two-sides.ts";

let sides: TwoSides;

/** One change by one side. */
interface Change {
  readonly side: "Node" | "Gambas";
  readonly key: string;
  readonly json: TypedJson | undefined;
}

const change: fc.Arbitrary<Change> = fc.record({
  side: fc.constantFrom("Node" as const, "Gambas" as const),
  key: fc.constantFrom("a", "b", "c", "dé", "__proto__", "e", "f"),
  json: fc.option(fc.constantFrom(...kinds), { nil: undefined, freq: 3 }),
});

describeGambas("one session in turn: changes", () => {
  beforeAll(async () => {
    sides = await TwoSides.open();
  });
  afterAll(() => sides.close());

  it("a key that either side sets the other can remove at once", async () => {
    const id = await sides.bornInGambas([["first", integer(1)]]);
    for (let round = 0; round < 5; round++) {
      await sides.node.run(id, ["set", "byNode", round]);
      await sides.gambas(id, ["remove", "byNode"], ["put", [["byGambas", integer(round)]]]);
      expect(await sides.node.run(id, ["exist", "byNode"], ["get", "byGambas"], ["delete", "byGambas"])).toEqual([
        false,
        round,
        true,
      ]);
      expect(await sides.inGambas(id, "byGambas")).toBeUndefined();
    }
  });

  it("a flag that Node raises and Gambas lowers is what the last one made it", async () => {
    const id = await sides.bornInGambas([["flag", { type: "Boolean", value: false }]]);
    for (let round = 0; round < 5; round++) {
      expect(await sides.node.run(id, ["get", "flag"], ["set", "flag", true])).toEqual([false, undefined]);
      expect(await sides.inGambas(id, "flag")).toEqual({ type: "Boolean", value: true });
      await sides.gambas(id, ["put", [["flag", { type: "Boolean", value: false }]]]);
    }
    expect(await sides.node.ask(id, "get", "flag")).toBe(false);
  });

  it("a value that Gambas brings back after its own other one stays, although Node had once replaced it", async () => {
    const id = await sides.bornInGambas([["k", integer(1)]]);
    await sides.node.run(id, ["set", "k", 2]);
    await sides.gambas(id, ["put", [["k", integer(3)]]]);
    expect(await sides.node.ask(id, "get", "k")).toBe(3);
    await sides.gambas(id, ["put", [["k", integer(1)]]]);
    expect(await sides.node.ask(id, "get", "k")).toBe(1);
  });

  it("a copy from before two changes, Gambas' and then Node's, undoes neither of them", async () => {
    const id = await sides.bornInGambas([["k", integer(1)]]);
    const stale = sides.house.startOracle({ cookie: id });
    await stale.do("touch");
    expect(await sides.node.ask(id, "get", "k")).toBe(1);
    await sides.gambas(id, ["put", [["k", integer(2)]]]);
    expect(await sides.node.run(id, ["get", "k"], ["set", "k", 3])).toEqual([2, undefined]);
    await stale.end();
    expect(await sides.node.ask(id, "get", "k")).toBe(3);
  });

  it.each(["before it saves", "before it saves, and Node has looked since"])(
    "a copy from before a change by Node undoes it neither when the daemon is killed %s",
    async (when) => {
      const id = await sides.bornInGambas([["k", integer(1)]]);
      const stale = sides.house.startOracle({ cookie: id });
      await stale.do("touch");
      await sides.node.run(id, ["set", "k", 2], ["set", "byNode", true]);
      await stale.do("put", [["byGambas", integer(1)]]);
      const { pid } = await sides.node.status();
      process.kill(Number(pid), "SIGKILL");
      if (when.includes("looked")) expect(await sides.node.ask(id, "get", "k")).toBe(2);
      await stale.end();
      expect(await sides.node.run(id, ["get", "k"], ["get", "byNode"], ["get", "byGambas"])).toEqual([2, true, 1]);
      expect(await sides.inGambas(id, "k")).toEqual(integer(2));
    },
  );

  it("any changes of keys by both sides leave the same keys, values and order as a map would", async () => {
    const walks = fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { minLength: 5, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(walks, async (walk) => {
        const id = await sides.bornInGambas([["first", integer(0)]]);
        const model = new Map<string, TypedJson>([["first", integer(0)]]);
        for (const requests of walk) {
          await changeInTurn(id, requests, model);
          const expected = [...model].map((entry) => canonicalEntry(entry));
          const shown = await sides.node.dump(id);
          expect(shown.map(({ key, type }) => [key, type])).toEqual(
            expected.map(([key, json]) => [key, typeName(json)]),
          );
          expect(await sides.entriesInGambas(id)).toEqual(expected);
        }
      }),
      { numRuns: 8 },
    );
  });
});

/** Neighbours by the same side are one request or one program, others follow each other. */
async function changeInTurn(id: string, changes: readonly Change[], model: Map<string, TypedJson>): Promise<void> {
  for (const { side, key, json } of changes) {
    if (json === undefined) {
      model.delete(key);
      if (side === "Node") await sides.node.run(id, ["delete", key]);
      else await sides.gambas(id, ["remove", key]);
    } else {
      model.set(key, json);
      if (side === "Node") await sides.node.run(id, setting(key, json));
      else await sides.gambas(id, ["put", [[key, json]]]);
    }
  }
}
