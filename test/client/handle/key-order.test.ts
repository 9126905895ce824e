// The order of keys is that of a Map, as in Gambas: replacing keeps the place, and who was removed and is set again is the last one.
// However the same changes come, in one request or in many, the file, the worker that made them and every other one agree.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import { layoutOf } from "../../../protocol/image/image.ts";
import { typed } from "../../../protocol/value/value.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { Random } from "../../support/values/random.ts";

let house: SessionHouse;

beforeAll(async () => {
  house = await SessionHouse.open();
  await connect(house.options);
});
afterAll(() => house.close());

type Step = readonly [key: string, value: unknown];

function take([key, value]: Step): void {
  if (value === undefined) Session.delete(key);
  else Session.set(key, value);
}

async function make(entries: Record<string, unknown>): Promise<string> {
  return Session.Run({}, () => {
    for (const [key, value] of Object.entries(entries)) Session.set(key, value);
    return Session.Id ?? "";
  });
}

function fileKeys(id: string): string[] {
  return [...layoutOf(house.fileOf(id)).entries.keys()].filter((key) => key !== "_");
}

/** The keys as all see them; they must agree. */
async function keysOf(id: string): Promise<string[]> {
  const keys = fileKeys(id);
  expect(await Session.Run({ id }, () => Session.Keys)).toEqual(keys);
  expect((await house.worker({ cacheBytes: 0 }).open(id))?.keys).toEqual(keys);
  return keys;
}

const WAYS: Record<string, (id: string, steps: readonly Step[]) => Promise<void>> = {
  "in one request": (id, steps) => Session.Run({ id }, () => steps.forEach(take)),
  "in a request for each": async (id, steps) => {
    for (const step of steps) await Session.Run({ id }, () => take(step));
  },
  "in one request that saves in between": (id, steps) =>
    Session.Run({ id }, async () => {
      for (const [index, step] of steps.entries()) {
        take(step);
        if (index % 3 === 1) await Session.Save();
      }
    }),
  "in one request, with a save under way": (id, steps) =>
    Session.Run({ id }, async () => {
      const half = steps.length >> 1;
      steps.slice(0, half).forEach(take);
      const saved = Session.Save();
      steps.slice(half).forEach(take);
      await saved;
    }),
  "in one transaction": (id, steps) => Session.Run({ id }, () => Session.Transaction(() => steps.forEach(take))),
  "in parts of one transaction": (id, steps) =>
    Session.Run({ id }, () =>
      Session.Transaction(async () => {
        for (const step of steps) await Session.Transaction(() => take(step));
      }),
    ),
  "in transactions that share a lease": async (id, steps) => {
    await Promise.all(steps.map((step) => Session.Run({ id }, () => Session.Transaction(() => take(step)))));
  },
};

describe.each(Object.entries(WAYS))("%s", (_name, way) => {
  it.each([
    ["scalars", { a: 1, b: 2, c: 3 }, 9],
    ["objects", { a: { n: 1 }, b: [1], c: { n: 3 } }, { n: 9 }],
    ["objects that keys share", ((o) => ({ a: o, b: { o }, c: [o] }))({ n: 1 }), { n: 9 }],
  ])("a key that is deleted and set again is the last one: %s", async (_what, entries, value) => {
    const steps: Step[] = [
      ["a", undefined],
      ["a", value],
    ];
    const id = await make(entries);
    await way(id, steps);
    expect(await keysOf(id)).toEqual(["b", "c", "a"]);
    expect(await Session.Run({ id }, () => Session.a)).toEqual(value);
    await way(id, [
      ["b", undefined],
      ["z", 1],
      ["b", value],
      ["y", 2],
      ["b", 5],
    ]);
    expect(await keysOf(id)).toEqual(["c", "a", "z", "b", "y"]);
    await way(id, [
      ["c", undefined],
      ["c", value],
      ["c", undefined],
      ["a", 0],
    ]);
    expect(await keysOf(id)).toEqual(["a", "z", "b", "y"]);
  });

  it("any changes leave the keys in the order of a Map", async () => {
    const random = new Random(34);
    const shared = { n: 0 };
    const values = [() => random.below(100), () => ({ n: random.below(9) }), () => [shared, shared], () => shared];
    for (let run = 0; run < 12; run++) {
      const model = new Map<string, unknown>([
        ["a", 1],
        ["b", 1],
        ["c", 1],
      ]);
      const id = await make(Object.fromEntries(model));
      const steps = Array.from({ length: 3 + random.below(12) }, (): Step => {
        const key = "abcdef"[random.below(6)] as string;
        const value = random.below(3) === 0 ? undefined : values[random.below(run % 2 === 0 ? 1 : 4)]?.();
        if (value === undefined) model.delete(key);
        else model.set(key, value);
        return [key, value];
      });
      await way(id, steps);
      expect([steps, await keysOf(id)]).toEqual([steps, [...model.keys()]]);
      expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual(Object.fromEntries(model));
    }
  });
});

describe("a key that is removed and set again", () => {
  it("is the last one at once, before it is saved, and stays so", async () => {
    const id = await make({ a: 1, b: 2, c: 3 });
    await Session.Run({ id }, async () => {
      Session.set("a", null);
      Session.a = 1;
      expect(Session.Keys).toEqual(["b", "c", "a"]);
      expect(Object.keys(Session)).toEqual(["b", "c", "a"]);
      await Session.Save();
      expect(Session.Keys).toEqual(["b", "c", "a"]);
      Session.b = 5;
      expect(Session.Keys).toEqual(["b", "c", "a"]);
    });
    expect(await keysOf(id)).toEqual(["b", "c", "a"]);
  });

  it("is not moved once more by a change that came while it was saved", async () => {
    const id = await make({ a: 1, b: 2 });
    await Session.Run({ id }, async () => {
      delete Session.a;
      Session.a = 2;
      const saved = Session.Save();
      Session.a = 3;
      await saved;
      const other = await house.worker().open(id);
      other?.set("c", 1);
      await other?.save();
    });
    expect(await keysOf(id)).toEqual(["b", "a", "c"]);
  });

  it("goes to the end as well when a part of a transaction that failed is taken back", async () => {
    const id = await make({ a: { n: 1 }, b: 2 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        delete Session.a;
        Session.a = { n: 2 };
        const part = Session.Transaction(() => {
          (Session.a as { n: number }).n = 3;
          throw new Error("no");
        });
        await expect(part).rejects.toThrow("no");
      }),
    );
    expect(await keysOf(id)).toEqual(["b", "a"]);
    expect(await Session.Run({ id }, () => Session.a)).toEqual({ n: 2 });
  });

  it("has the type of a new one", async () => {
    for (const name of ["in one request", "in a request for each", "in one transaction"]) {
      const id = await make({ f: typed("Float", 3), s: typed("Short[]", [1]) });
      await WAYS[name]?.(id, [
        ["f", undefined],
        ["f", 4],
        ["s", undefined],
        ["s", [2]],
      ]);
      const types = await Session.Run({ id }, () => [Session.TypeOf("f"), Session.TypeOf("s")]);
      expect([name, types]).toEqual([name, ["Integer", "Integer[]"]]);
    }
  });

  it("of the old object that was read, too, with what it was", async () => {
    const id = await make({ a: { f: typed("Float", 3) }, b: 2 });
    await Session.Run({ id }, () => {
      const { a } = Session;
      delete Session.a;
      Session.a = a;
      (a as { f: number }).f = 4;
    });
    expect(await keysOf(id)).toEqual(["b", "a"]);
    expect(await Session.Run({ id }, () => Session.a)).toEqual({ f: 4 });
  });

  it("in saves of two workers that are written at once has the place that each of them gave it", async () => {
    const id = await make({ a: 1, b: 2, c: 3 });
    const [one, two] = await Promise.all([house.worker().open(id), house.worker().open(id)]);
    if (one === undefined || two === undefined) throw new Error("no session");
    const [held, letGo] = [deferred(), deferred()];
    const turn = house.worker().transaction(id, () => {
      held.resolve();
      return letGo.promise;
    });
    await held.promise;
    one.delete("a");
    one.set("a", 4);
    two.delete("b");
    two.set("b", 5);
    const first = one.save();
    const second = two.save();
    letGo.resolve();
    await Promise.all([turn, first, second]);
    expect([
      ["c", "a", "b"],
      ["c", "b", "a"],
    ]).toContainEqual(await keysOf(id));
  });
});
