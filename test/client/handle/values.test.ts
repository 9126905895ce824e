// The table of values of the contract, through a real file: what is set is what is got, in the same worker and in another one.
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import type { SessionError } from "../../../protocol/errors.ts";
import { typed } from "../../../protocol/value/value.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;

beforeAll(async () => {
  house = await SessionHouse.open();
  await connect(house.options);
});
afterAll(() => house.close());

interface Seen {
  readonly value: unknown;
  readonly type: string | undefined;
}

/** What the setting request sees, the next one of the same worker, and one of another worker that never saw it. */
async function seenEverywhere(value: unknown): Promise<readonly Seen[]> {
  const see = (): Seen => ({ value: Session.get("v"), type: Session.TypeOf("v") });
  let id: string | null = null;
  const own = await Session.Run({}, () => {
    Session.set("v", value);
    id = Session.Id;
    return see();
  });
  const next = await Session.Run({ id }, see);
  const other = await house.worker({ cacheBytes: 0 }).open(id ?? "");
  return [own, next, { value: other?.get("v"), type: other?.typeOf("v") }];
}

describe("an object of another realm", () => {
  it("is seen by others as one of theirs, is live, and is not changed by being looked at", async () => {
    const cart = runInNewContext(
      "({ lines: [{ price: 1.5 }], at: new Date(5), more: new Map([['k', 1]]).size, tags: ['a'] })",
    );
    const id = await Session.Run({}, () => {
      Session.cart = cart;
      cart.lines.push(runInNewContext("({ price: 2, at: new Date(6) })"));
      return Session.Id ?? "";
    });
    const wanted = { lines: [{ price: 1.5 }, { price: 2, at: new Date(6) }], at: new Date(5), more: 1, tags: ["a"] };
    expect(await Session.Run({ id }, () => Session.cart)).toStrictEqual(wanted);
    const before = house.fileOf(id);
    const modified = await Session.Run({ id }, async () => {
      const live = Session.cart as typeof wanted;
      live.at = runInNewContext("new Date(5)");
      live.tags = runInNewContext("['a']");
      live.lines[1] = runInNewContext("({ price: 2, at: new Date(6) })");
      const first = Session.Modified;
      live.tags = runInNewContext("['a', 'b']");
      const second = Session.Modified;
      await Session.Save();
      return [first, second, Session.Modified];
    });
    expect(modified).toEqual([false, true, false]);
    expect(house.fileOf(id).equals(before)).toBe(false);
    expect((await house.worker().open(id))?.get("cart")).toStrictEqual({ ...wanted, tags: ["a", "b"] });
  });
});

const shared = { n: 1 };
const date = new Date(Date.UTC(2024, 1, 29, 12, 34, 56, 789));

describe("is read back as it was set, in every worker:", () => {
  it.each<[string, unknown, string, unknown]>([
    ["true", true, "Boolean", true],
    ["false", false, "Boolean", false],
    ["0", 0, "Integer", 0],
    ["the largest Integer", 2 ** 31 - 1, "Integer", 2 ** 31 - 1],
    ["the smallest Integer", -(2 ** 31), "Integer", -(2 ** 31)],
    ["one more is a Long", 2 ** 31, "Long", 2 ** 31],
    ["one less is a Long", -(2 ** 31) - 1, "Long", -(2 ** 31) - 1],
    ["the largest safe integer", Number.MAX_SAFE_INTEGER, "Long", Number.MAX_SAFE_INTEGER],
    ["an unsafe integer is a Float", 2 ** 60, "Float", 2 ** 60],
    ["a fraction", 0.1, "Float", 0.1],
    ["NaN", Number.NaN, "Float", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY, "Float", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY, "Float", Number.NEGATIVE_INFINITY],
    ["-0", -0, "Float", -0],
    ["a small bigint", 5n, "Long", 5],
    ["a large bigint", 2n ** 62n, "Long", 2n ** 62n],
    ["the smallest bigint", -(2n ** 63n), "Long", -(2n ** 63n)],
    ["text", "text", "String", "text"],
    ["text of every kind", 'é日本👍\0\r\n"', "String", 'é日本👍\0\r\n"'],
    ["empty text", "", "String", ""],
    ["long text", "x".repeat(1_000_000), "String", "x".repeat(1_000_000)],
    ["a date", date, "Date", date],
    ["a date before 1970", new Date(-1), "Date", new Date(-1)],
    ["a buffer", Buffer.from([0, 255]), "Byte[]", Buffer.from([0, 255])],
    ["bytes", new Uint8Array([1, 2]), "Byte[]", Buffer.from([1, 2])],
    ["Int16Array", new Int16Array([-1, 2]), "Short[]", [-1, 2]],
    ["Int32Array", new Int32Array([-1, 2]), "Integer[]", [-1, 2]],
    ["BigInt64Array", new BigInt64Array([1n, 2n ** 62n]), "Long[]", [1, 2n ** 62n]],
    ["Float32Array", new Float32Array([0.5]), "Single[]", [0.5]],
    ["Float64Array", new Float64Array([0.1]), "Float[]", [0.1]],
    ["booleans", [true, false], "Boolean[]", [true, false]],
    ["integers", [1, 2], "Integer[]", [1, 2]],
    ["longs", [1, 2 ** 40], "Long[]", [1, 2 ** 40]],
    ["floats", [1, 0.5], "Float[]", [1, 0.5]],
    ["texts", ["a", ""], "String[]", ["a", ""]],
    ["dates", [date, date], "Date[]", [date, date]],
    ["mixed", [1, "a", null, true, date], "Variant[]", [1, "a", null, true, date]],
    ["nested", [[1], ["a", [2]]], "Variant[]", [[1], ["a", [2]]]],
    ["an empty array", [], "Variant[]", []],
    ["an object", { a: 1, b: { c: [] } }, "Collection", { a: 1, b: { c: [] } }],
    ["an empty object", {}, "Collection", {}],
    ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), "Collection", { a: 1 }],
    ["a Map", new Map([["a", 1]]), "Collection", { a: 1 }],
    ["objects in an array", [{ a: 1 }, { b: 2 }], "Variant[]", [{ a: 1 }, { b: 2 }]],
    ["typed Float", typed("Float", 3), "Float", 3],
    ["typed Short", typed("Short", 7), "Short", 7],
    ["typed Byte", typed("Byte", 255), "Byte", 255],
    ["typed Long", typed("Long", 1), "Long", 1],
    ["typed Single", typed("Single", 0.1), "Single", Math.fround(0.1)],
    ["typed Short[]", typed("Short[]", [1, 2]), "Short[]", [1, 2]],
    ["typed Collection", typed("Collection", new Map([["k", typed("Byte", 1)]])), "Collection", { k: 1 }],
    ["Gambas' null date", typed("Date", null), "Date", null],
    ["text that is not UTF-8", typed("String", Buffer.from([0xff])), "String", Buffer.from([0xff])],
  ])("%s", async (_name, value, type, expected) => {
    for (const seen of await seenEverywhere(value)) expect(seen).toEqual({ value: expected, type });
  });

  it("a shared object is one object, also across keys", async () => {
    const id = await Session.Run({}, () => {
      Session.pair = [shared, shared];
      Session.a = shared;
      Session.b = { inner: shared };
      return Session.Id;
    });
    const check = (get: (key: string) => unknown): void => {
      const [first, second] = get("pair") as [unknown, unknown];
      expect(first).toEqual({ n: 1 });
      expect(second).toBe(first);
      expect(get("a")).toBe(first);
      expect((get("b") as { inner: unknown }).inner).toBe(first);
    };
    await Session.Run({ id }, () => check((key) => Session.get(key)));
    const other = await house.worker().open(id ?? "");
    check((key) => other?.get(key));
  });

  it("a change of a shared object through one key is seen and saved through the other", async () => {
    const id = await Session.Run({}, () => {
      const both = { n: 1 };
      Session.a = both;
      Session.b = both;
      return Session.Id;
    });
    await Session.Run({ id }, () => {
      (Session.a as { n: number }).n = 2;
      expect(Session.b).toEqual({ n: 2 });
    });
    await Session.Run({ id }, () => {
      expect([Session.a, Session.b]).toEqual([{ n: 2 }, { n: 2 }]);
      expect(Session.a).toBe(Session.b);
    });
  });

  it("Gambas' null date keeps its type beside shared objects too", async () => {
    const id = await Session.Run({}, () => {
      Session.when = typed("Date", null);
      Session.pair = [shared, shared];
      return Session.Id;
    });
    await Session.Run({ id }, () => {
      expect([Session.pair, Session.when, Session.TypeOf("when")]).toEqual([[shared, shared], null, "Date"]);
      expect(Session.Exist("when")).toBe(true);
    });
  });

  it("a circular object", async () => {
    const loop: Record<string, unknown> = { name: "loop", list: [] };
    loop.self = loop;
    (loop.list as unknown[]).push(loop);
    for (const { value } of await seenEverywhere(loop)) {
      const seen = value as typeof loop;
      expect(seen.self).toBe(seen);
      expect((seen.list as unknown[])[0]).toBe(seen);
    }
  });

  it("keys that are dangerous in an object", async () => {
    const value = JSON.parse('{"__proto__": {"evil": 1}, "constructor": 2, "toString": 3}');
    for (const seen of await seenEverywhere(value)) {
      const object = seen.value as Record<string, unknown>;
      expect(Object.keys(object)).toEqual(["__proto__", "constructor", "toString"]);
      expect((object as { evil?: unknown }).evil).toBeUndefined();
    }
    expect(({} as { evil?: unknown }).evil).toBeUndefined();
  });
});

describe("is refused, naming the place, and nothing is changed:", () => {
  class Point {
    x = 1;
  }
  it.each<[string, unknown, string]>([
    ["a function", { a: [() => 1] }, "v.a[0]"],
    ["a symbol", Symbol("s"), "v"],
    ["a class instance", { p: new Point() }, "v.p"],
    ["a Set", [new Set()], "v[0]"],
    ["a RegExp", { r: /x/ }, "v.r"],
    ["an invalid Date", { d: new Date(Number.NaN) }, "v.d"],
    ["a bigint beyond int64", [2n ** 63n], "v[0]"],
    ["a Promise", { p: Promise.resolve() }, "v.p"],
    ["an Error", new Error("x"), "v"],
    ["a WeakMap", { deep: [{ w: new WeakMap() }] }, "v.deep[0].w"],
    ["typed that does not fit", { t: typed("Byte", 256) }, "v.t"],
    ["typed of another kind", typed("Integer", "5"), "v"],
  ])("%s", async (_name, value, place) => {
    const id = await Session.Run({}, () => {
      Session.v = "before";
      return Session.Id;
    });
    await Session.Run({ id }, () => {
      let problem: SessionError | undefined;
      try {
        Session.v = value;
      } catch (error) {
        problem = error as SessionError;
      }
      expect(problem?.code).toBe("ERR_BAD_VALUE");
      expect(problem?.message).toContain(place);
      expect([Session.v, Session.Modified]).toEqual(["before", false]);
    });
  });

  it("an unknown type name", () => {
    expect(() => typed("Strange", 1)).toThrow(expect.objectContaining({ code: "ERR_BAD_VALUE" }));
  });

  it("and makes no session", async () => {
    await Session.Run({}, () => {
      expect(() => Session.set("v", () => 1)).toThrow();
      expect(Session.Id).toBeNull();
    });
  });
});
