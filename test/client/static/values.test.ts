// Values as they are set and read, with their exact types.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { typed } from "../../../protocol/value/value.ts";
import { codeOf, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

describe("values", () => {
  it("null and undefined remove the key", async () => {
    const id = await makeSession({ a: 1, b: 2, c: 3 });
    await Session.Run({ id }, () => {
      Session.set("a", null);
      Session.b = undefined;
      expect([Session.Exist("a"), Session.Exist("b"), Session.a]).toEqual([false, false, undefined]);
    });
    expect(await Session.Run({ id }, () => Session.Keys)).toEqual(["c"]);
  });

  it("the value you set is the value you get: falsy ones too", async () => {
    const entries = { zero: 0, minus: -0, no: false, empty: "", list: [], box: {} };
    const id = await makeSession(entries);
    const read = (): unknown => Object.fromEntries(Session.Keys.map((key) => [key, Session.get(key)]));
    expect(await Session.Run({ id }, read)).toStrictEqual(entries);
    expect(await Session.Run({ id }, () => Object.is(Session.get("minus"), -0))).toBe(true);
  });

  it("an object is live: what is changed in place is saved", async () => {
    const id = await makeSession({ cart: { items: [{ n: 1 }] }, other: 1 });
    await Session.Run({ id }, () => {
      const cart = Session.cart as { items: { n: number }[] };
      expect(Session.Modified).toBe(false);
      cart.items.push({ n: 2 });
      expect(Session.Modified).toBe(true);
      expect(Session.cart).toBe(cart);
    });
    expect(await Session.Run({ id }, () => Session.cart)).toEqual({ items: [{ n: 1 }, { n: 2 }] });
  });

  it("an object stays live after it was set, and after each save", async () => {
    const list: number[] = [1];
    const id = await Session.Run({}, async () => {
      Session.list = list;
      list.push(2);
      await Session.Save();
      expect(Session.Modified).toBe(false);
      list.push(3);
      expect(Session.Modified).toBe(true);
      await Session.Save();
      list.push(4);
      return idNow();
    });
    expect(await Session.Run({ id }, () => Session.list)).toEqual([1, 2, 3, 4]);
  });

  it("an object that is replaced or removed is live no more", async () => {
    const id = await makeSession({ a: { n: 1 }, b: { n: 1 } });
    await Session.Run({ id }, () => {
      const [a, b] = [Session.a, Session.b] as { n: number }[];
      Session.a = { n: 5 };
      delete Session.b;
      if (a !== undefined) a.n = 9;
      if (b !== undefined) b.n = 9;
    });
    expect(await Session.Run({ id }, () => [Session.a, Session.Exist("b")])).toEqual([{ n: 5 }, false]);
  });

  it("two contexts never share an object", async () => {
    const id = await makeSession({ a: { n: 1 } });
    await Promise.all([
      Session.Run({ id }, () => {
        (Session.a as { n: number }).n = 2;
        Session.Modified = false;
      }),
      Session.Run({ id }, () => {
        expect(Session.a).toEqual({ n: 1 });
      }),
    ]);
    expect(await Session.Run({ id }, () => Session.a)).toEqual({ n: 1 });
  });

  it("a value that cannot be stored is refused by its place and changes nothing", async () => {
    const id = await makeSession({ cart: 1 });
    await Session.Run({ id }, async () => {
      const bad = { items: [1, 2, 3, { price: () => 1 }] };
      await expect(Promise.resolve().then(() => Session.set("cart", bad))).rejects.toMatchObject({
        code: "ERR_BAD_VALUE",
        message: expect.stringContaining("cart.items[3].price"),
      });
      class Thing {}
      const values = [() => 1, Symbol("s"), new Thing(), new Set([1]), /x/, new Date(Number.NaN), 2n ** 63n];
      for (const value of values) expect(await codeOf(() => Session.set("cart", value))).toBe("ERR_BAD_VALUE");
      expect([Session.cart, Session.Modified]).toEqual([1, false]);
    });
  });

  it("an object that has become unstorable in place makes the save fail, and is not forgotten in silence", async () => {
    const id = await makeSession({ cart: { n: 1 }, other: 1 });
    const failing = Session.Run({ id }, () => {
      (Session.cart as Record<string, unknown>).f = () => 1;
    });
    await expect(failing).rejects.toMatchObject({ code: "ERR_BAD_VALUE", message: expect.stringContaining("cart.f") });
    expect(await Session.Run({ id }, () => Session.cart)).toEqual({ n: 1 });
  });

  it("TypeOf tells the exact type before and after the save", async () => {
    const values: Record<string, [unknown, string]> = {
      flag: [true, "Boolean"],
      int: [5, "Integer"],
      long: [2 ** 40, "Long"],
      float: [1.5, "Float"],
      forced: [typed("Float", 3), "Float"],
      text: ["x", "String"],
      when: [new Date(0), "Date"],
      bytes: [Buffer.of(1), "Byte[]"],
      texts: [["a"], "String[]"],
      mixed: [[1, "a"], "Variant[]"],
      shorts: [typed("Short[]", [1, 2]), "Short[]"],
      box: [{ a: 1 }, "Collection"],
    };
    const types = (): unknown => Object.fromEntries(Object.keys(values).map((key) => [key, Session.TypeOf(key)]));
    const expected = Object.fromEntries(Object.entries(values).map(([key, [, type]]) => [key, type]));
    const id = await Session.Run({}, () => {
      for (const [key, [value]] of Object.entries(values)) Session.set(key, value);
      expect(types()).toEqual(expected);
      return idNow();
    });
    await Session.Run({ id }, () => {
      expect(types()).toEqual(expected);
      expect([Session.forced, Session.shorts]).toEqual([3, [1, 2]]);
      expect(Session.TypeOf("nothing")).toBeUndefined();
    });
  });

  it("overwriting keeps the stored type when it holds the new value exactly", async () => {
    const id = await makeSession({ f: typed("Float", 1.5), s: typed("Short", 1) });
    await Session.Run({ id }, () => {
      Session.f = 3;
      Session.s = 7;
    });
    await Session.Run({ id }, () => {
      expect([Session.TypeOf("f"), Session.TypeOf("s"), Session.f, Session.s]).toEqual(["Float", "Short", 3, 7]);
      Session.s = 70_000;
      expect(Session.TypeOf("s")).toBe("Integer");
    });
  });
});
