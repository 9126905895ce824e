// The static Session, member by member: with a session, without one, and outside every context.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { typed } from "../../../protocol/value/value.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";

const ID = /^[^:]*(?::[^:]*)*:[0-9A-F]{24}$/;
const MEMBERS = [
  "Id",
  "Keys",
  "Modified",
  "Path",
  "Prefix",
  "Size",
  "Timeout",
  "Type",
  "Unique",
  "CookiePath",
  "Abandon",
  "Exist",
  "Load",
  "Save",
  "get",
  "set",
  "delete",
  "Transaction",
  "Run",
  "TypeOf",
];

let house: SessionHouse;

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 4_000_000 });
  await connect(house.options);
});
afterAll(() => house.close());

/** A saved session with these entries. */
async function makeSession(entries: Record<string, unknown>): Promise<string> {
  return Session.Run({ remoteAddress: "10.0.0.1" }, () => {
    for (const [key, value] of Object.entries(entries)) Session.set(key, value);
    return idNow();
  });
}

function idNow(): string {
  const id = Session.Id;
  if (id === null) throw new Error("no session here");
  return id;
}

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SessionError) return error.code;
    throw error;
  }
  return "no error";
}

describe("outside every context", () => {
  afterEach(() => {
    Session.Prefix = "";
    Session.Unique = false;
    Session.CookiePath = "";
    Session.Timeout = 86_400;
  });

  it.each<[string, () => unknown]>([
    ["Id", () => Session.Id],
    ["Keys", () => Session.Keys],
    ["Modified", () => Session.Modified],
    [
      "Modified =",
      () => {
        Session.Modified = false;
      },
    ],
    ["Path", () => Session.Path],
    ["Size", () => Session.Size],
    ["Abandon", () => Session.Abandon()],
    ["Exist", () => Session.Exist("a")],
    ["Load", () => Session.Load()],
    ["Save", () => Session.Save()],
    ["get", () => Session.get("a")],
    ["set", () => Session.set("a", 1)],
    ["delete", () => Session.delete("a")],
    ["TypeOf", () => Session.TypeOf("a")],
    ["Transaction", () => Session.Transaction(() => 1)],
    ["[key]", () => Session.a],
    [
      "[key] =",
      () => {
        Session.a = 1;
      },
    ],
    [
      "delete [key]",
      () => {
        delete Session.a;
      },
    ],
    ["in", () => "a" in Session],
  ])("%s throws ERR_NO_SESSION_CONTEXT and says what to do", async (_name, use) => {
    const error = await Promise.resolve()
      .then(use)
      .then(
        () => undefined,
        (problem: unknown) => problem,
      );
    expect(error).toBeInstanceOf(SessionError);
    expect(error).toMatchObject({ code: "ERR_NO_SESSION_CONTEXT", name: "SessionError" });
    expect((error as Error).message).toMatch(/session\(\).*Session\.Run/);
  });

  it("Prefix is that of the sessions made from now on", async () => {
    Session.Prefix = "shop";
    expect(Session.Prefix).toBe("shop");
    const id = await makeSession({ a: 1 });
    expect(id).toMatch(/^shop:[0-9A-F]{24}$/);
  });

  it("Prefix refuses what no id can hold, and stays", async () => {
    Session.Prefix = "good";
    for (const bad of ["a/b", "a b", "a;b", "a=b", "a,b", "a\0b", 'a"b', "a\\b", "x".repeat(200), "\ud800"]) {
      expect(
        await codeOf(() => {
          Session.Prefix = bad;
        }),
      ).toBe("ERR_BAD_OPTION");
    }
    expect(Session.Prefix).toBe("good");
  });

  it("Timeout is that of the sessions made from now on", async () => {
    Session.Timeout = 120;
    expect(Session.Timeout).toBe(120);
    const id = await makeSession({ a: 1 });
    expect((await house.worker().open(id))?.timeout).toBe(120);
    expect(
      await codeOf(() => {
        Session.Timeout = Number.NaN;
      }),
    ).toBe("ERR_BAD_OPTION");
    expect(Session.Timeout).toBe(120);
  });

  it("CookiePath is that of the sessions made from now on", async () => {
    Session.CookiePath = "/app";
    expect(Session.CookiePath).toBe("/app");
    const id = await makeSession({ a: 1 });
    expect((await house.worker().open(id))?.cookiePath).toBe("/app");
  });

  it("CookiePath refuses what would end a cookie's attribute or its line", async () => {
    for (const bad of ["/a;b", "/a\r\nX: y", "/\0", "/é", 5 as unknown as string]) {
      expect(
        await codeOf(() => {
          Session.CookiePath = bad;
        }),
      ).toBe("ERR_BAD_OPTION");
    }
    expect(Session.CookiePath).toBe("");
  });

  it("Unique is that of the sessions made from now on", async () => {
    Session.Prefix = "lonely";
    const first = await makeSession({ a: 1 });
    Session.Unique = true;
    expect(Session.Unique).toBe(true);
    const second = await makeSession({ a: 2 });
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
  });

  it('Type is "file"; anything unknown is refused and changes nothing', async () => {
    expect(Session.Type).toBe("file");
    Session.Type = "FILE";
    for (const bad of ["sqlite", "redis", "", 5n as unknown as string, null as unknown as string]) {
      expect(() => {
        Session.Type = bad;
      }).toThrow(/Unknown session type/);
    }
    expect(Session.Type).toBe("file");
  });

  it("says nothing and throws nothing to those who only look at it", async () => {
    const awaited = await (Session as unknown);
    expect(awaited === Session).toBe(true);
    expect(inspect(Session)).toEqual(expect.any(String));
    expect(`${Object.prototype.toString.call(Session)}`).toBe("[object Object]");
    expect(JSON.stringify(Session)).toBe("{}");
    expect(Object.keys(Session)).toEqual([]);
    expect(Session.then).toBeUndefined();
  });
});

describe("in a context without a session", () => {
  const inEmpty = <T>(fn: () => T | Promise<T>): Promise<T> => Session.Run({ remoteAddress: "::ffff:10.1.2.3" }, fn);

  it("reads as nothing, and writes nothing", async () => {
    await inEmpty(async () => {
      expect(Session.Id).toBeNull();
      expect(Session.Keys).toEqual([]);
      expect(Session.Modified).toBe(false);
      expect(Session.Path).toBeNull();
      expect(Session.Prefix).toBe("10.1.2.3");
      expect(Session.Size).toBe(0);
      expect(Session.Timeout).toBe(86_400);
      expect(Session.Type).toBe("file");
      expect(Session.Unique).toBe(false);
      expect(Session.CookiePath).toBe("");
      expect(Session.Exist("a")).toBe(false);
      expect(Session.get("a")).toBeUndefined();
      expect(Session.a).toBeUndefined();
      expect("a" in Session).toBe(false);
      expect(Session.TypeOf("a")).toBeUndefined();
      expect(Session.delete("a")).toBe(false);
      delete Session.a;
      Session.set("a", null);
      Session.a = undefined;
      Session.Modified = false;
      await expect(Session.Load()).resolves.toBeUndefined();
      await expect(Session.Save()).resolves.toBeUndefined();
      await expect(Session.Abandon()).resolves.toBeUndefined();
      expect(Session.Id).toBeNull();
    });
  });

  it("a property alone makes no session", async () => {
    const id = await inEmpty(() => {
      Session.Timeout = 60;
      Session.CookiePath = "/x";
      Session.Prefix = "p";
      Session.Unique = true;
      Session.Modified = true;
      return Session.Id;
    });
    expect(id).toBeNull();
  });

  it("Modified = true does nothing as long as there is nothing", async () => {
    await inEmpty(async () => {
      Session.Modified = true;
      expect(Session.Modified).toBe(false);
      await Session.Save();
      expect(Session.Id).toBeNull();
    });
  });

  it("the first write makes the session, with what was set before", async () => {
    const id = await inEmpty(async () => {
      Session.Timeout = 600;
      Session.CookiePath = "/shop";
      Session.Prefix = "ab";
      Session.a = 1;
      expect(Session.Modified).toBe(true);
      expect(Session.Size).toBe(0);
      const made = idNow();
      expect(made).toMatch(/^ab:[0-9A-F]{24}$/);
      expect(Session.Path).toBe(house.pathOf(made));
      expect(house.has(made)).toBe(false);
      await Session.Save();
      expect(Session.Modified).toBe(false);
      expect(Session.Size).toBe(house.fileOf(made).length);
      return made;
    });
    await Session.Run({ id }, () => {
      expect([Session.Id, Session.a, Session.Timeout, Session.CookiePath]).toEqual([id, 1, 600, "/shop"]);
      expect(Session.Keys).toEqual(["a"]);
    });
  });

  it("Modified = false takes the unsaved session back", async () => {
    const id = await inEmpty(() => {
      Session.a = 1;
      const made = idNow();
      Session.Modified = false;
      expect([Session.Id, Session.a, Session.Keys.length]).toEqual([null, undefined, 0]);
      return made;
    });
    expect(house.has(id)).toBe(false);
  });

  it("Load on an unsaved session takes it back", async () => {
    await inEmpty(async () => {
      Session.a = 1;
      await Session.Load();
      expect([Session.Id, Session.a]).toEqual([null, undefined]);
      Session.b = 2;
      expect(Session.Keys).toEqual(["b"]);
    });
  });

  it("Abandon of an unsaved session leaves nothing", async () => {
    const id = await inEmpty(async () => {
      Session.a = 1;
      const made = idNow();
      await Session.Abandon();
      expect(Session.Id).toBeNull();
      return made;
    });
    expect(house.has(id)).toBe(false);
  });

  it("Abandon ends a session whose first save is still under way", async () => {
    const id = await inEmpty(async () => {
      Session.a = 1;
      const made = idNow();
      const saving = Session.Save().catch(() => undefined);
      // As many steps as it takes to be on its way to the daemon, and none that could bring the answer.
      for (let step = 0; step < 10; step++) await Promise.resolve();
      await Session.Abandon();
      await saving;
      return made;
    });
    expect(house.has(id)).toBe(false);
  });

  it("every new session has an id of its own, of 24 upper-case hex digits", async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => makeSession({ a: 1 })));
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^10\.0\.0\.1:[0-9A-F]{24}$/);
  });

  it("without an address and a prefix the id begins with its colon", async () => {
    const id = await Session.Run({}, () => {
      Session.a = 1;
      return idNow();
    });
    expect(id).toMatch(/^:[0-9A-F]{24}$/);
    expect(house.has(id)).toBe(true);
  });

  it("an IPv6 address is a prefix too", async () => {
    const id = await Session.Run({ remoteAddress: "2001:db8::1" }, () => {
      Session.a = 1;
      return idNow();
    });
    expect(id).toMatch(/^2001:db8::1:[0-9A-F]{24}$/);
    expect(id).toMatch(ID);
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
  });
});

describe("index access", () => {
  it("reads, writes, deletes and finds like get, set, delete and Exist", async () => {
    const id = await makeSession({ a: 1, b: "x" });
    await Session.Run({ id }, () => {
      expect([Session.a, Session.b, "a" in Session, "c" in Session]).toEqual([1, "x", true, false]);
      Session.c = [1, 2];
      expect(Session.get("c")).toEqual([1, 2]);
      expect(delete Session.a).toBe(true);
      expect(Session.Exist("a")).toBe(false);
      expect(Session.Keys).toEqual(["b", "c"]);
    });
    expect(await Session.Run({ id }, () => Session.Keys)).toEqual(["b", "c"]);
  });

  it("lists the keys and nothing else", async () => {
    const id = await makeSession({ a: 1, "b c": "x", 7: true });
    await Session.Run({ id }, () => {
      expect(Object.keys(Session)).toEqual(Session.Keys);
      expect(Object.entries(Session)).toEqual(Session.Keys.map((key) => [key, Session.get(key)]));
      expect({ ...Session }).toEqual({ a: 1, "b c": "x", 7: true });
      expect(JSON.parse(JSON.stringify(Session))).toEqual({ a: 1, "b c": "x", 7: true });
      const seen: string[] = [];
      for (const key in Session) seen.push(key);
      expect(seen).toEqual(Session.Keys);
      expect(Object.hasOwn(Session, "a")).toBe(true);
      expect(Object.hasOwn(Session, "z")).toBe(false);
    });
  });

  it("names of members are no keys here, but they are for get and set", async () => {
    const id = await Session.Run({}, () => {
      for (const name of MEMBERS) {
        Session.set(name, `key ${name}`);
        expect(Session.get(name)).toBe(`key ${name}`);
        expect(Session.Exist(name)).toBe(true);
        expect(Session[name]).not.toBe(`key ${name}`);
      }
      expect(Session.Keys).toEqual(MEMBERS);
      return idNow();
    });
    await Session.Run({ id }, () => {
      expect(Session.Keys).toEqual(MEMBERS);
      expect(Session.delete("Id")).toBe(true);
      expect(Session.Exist("Id")).toBe(false);
      expect(Session.Id).toBe(id);
    });
  });

  it("read-only members and methods cannot be assigned or deleted", async () => {
    const id = await makeSession({ a: 1 });
    const loose = Session as unknown as Record<string, unknown>;
    await Session.Run({ id }, async () => {
      for (const name of ["Id", "Keys", "Path", "Size", "Abandon", "Save", "get", "Run", "Transaction"]) {
        expect(
          await codeOf(() => {
            loose[name] = 1;
          }),
        ).toBe("ERR_BAD_KEY");
        expect(await codeOf(() => delete loose[name])).toBe("ERR_BAD_KEY");
      }
      expect(Session.Keys).toEqual(["a"]);
    });
  });

  it("is not to be changed as an object", async () => {
    await Session.Run({}, () => {
      expect(() => Object.defineProperty(Session, "mine", { value: 1 })).toThrow(TypeError);
      expect(() => Object.freeze(Session)).toThrow(TypeError);
      expect(() => Object.setPrototypeOf(Session, {})).toThrow(TypeError);
      expect(Object.getPrototypeOf(Session)).toBe(Object.prototype);
    });
  });

  it("then, toJSON, constructor and __proto__ are keys for get and set only", async () => {
    const names = ["then", "toJSON", "constructor", "__proto__", "toString", "hasOwnProperty"];
    const id = await Session.Run({}, async () => {
      for (const name of names) Session.set(name, name.length);
      expect(await (Session as unknown)).toBe(Session);
      for (const name of names) {
        expect(
          await codeOf(() => {
            Session[name] = 1;
          }),
        ).toBe("ERR_BAD_KEY");
      }
      return idNow();
    });
    await Session.Run({ id }, () => {
      expect(Session.Keys).toEqual(names);
      for (const name of names) expect(Session.get(name)).toBe(name.length);
      expect(Object.getPrototypeOf(Session)).toBe(Object.prototype);
    });
  });
});

describe("keys", () => {
  it("keep their order: replacing keeps the place, new ones come last", async () => {
    const id = await makeSession({ z: 1, a: 2, m: 3 });
    await Session.Run({ id }, () => {
      Session.a = 9;
      Session.k = 4;
      expect(Session.Keys).toEqual(["z", "a", "m", "k"]);
    });
    expect(await Session.Run({ id }, () => Session.Keys)).toEqual(["z", "a", "m", "k"]);
  });

  it("may be any text, and are case-sensitive", async () => {
    const keys = ["a", "A", " ", "ключ", "日本", "👍", "a\0b", "a.b", "0", "x".repeat(5000)];
    const id = await Session.Run({}, () => {
      for (const [index, key] of keys.entries()) Session.set(key, index);
      return idNow();
    });
    await Session.Run({ id }, () => {
      expect(Session.Keys).toEqual(keys);
      for (const [index, key] of keys.entries()) expect(Session.get(key)).toBe(index);
    });
  });

  it("that cannot be stored are refused and change nothing", async () => {
    await Session.Run({}, async () => {
      for (const key of ["", "_", "\ud800", "a\udfffb", 5, null, undefined, {}]) {
        expect(await codeOf(() => Session.set(key as string, 1))).toBe("ERR_BAD_KEY");
      }
      expect([Session.Id, Session.Modified]).toEqual([null, false]);
    });
  });

  it("the internal key is hidden", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      expect(Session.Keys).toEqual(["a"]);
      expect(Object.keys(Session)).toEqual(["a"]);
      expect(await codeOf(() => Session.delete("_"))).toBe("ERR_BAD_KEY");
    });
  });
});

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

describe("Modified", () => {
  it("is false at first, true after a change, false after the save", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      expect([Session.Modified, Session.a, Session.Modified]).toEqual([false, 1, false]);
      Session.a = 2;
      expect(Session.Modified).toBe(true);
      await Session.Save();
      expect(Session.Modified).toBe(false);
      delete Session.a;
      expect(Session.Modified).toBe(true);
      Session.Modified = false;
      expect([Session.Modified, Session.a]).toEqual([false, 2]);
    });
  });

  it("is true after setting the same value again, as in Gambas, and after a new timeout", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      Session.a = 1;
      expect(Session.Modified).toBe(true);
      await Session.Save();
      Session.Timeout = 60;
      expect(Session.Modified).toBe(true);
      Session.Modified = false;
      expect([Session.Modified, Session.Timeout]).toEqual([false, 86_400]);
    });
  });

  it("= false drops changes in place too", async () => {
    const id = await makeSession({ a: { n: 1 } });
    await Session.Run({ id }, () => {
      (Session.a as { n: number }).n = 2;
      Session.Modified = false;
      expect(Session.a).toEqual({ n: 1 });
    });
    expect(await Session.Run({ id }, () => Session.a)).toEqual({ n: 1 });
  });

  it("= true writes with the next save though nothing changed", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const before = house.startupOf(id);
    await Session.Run({ id }, async () => {
      Session.Modified = true;
      expect(Session.Modified).toBe(true);
      await Session.Save();
      expect(Session.Modified).toBe(false);
    });
    expect(house.startupOf(id)).toBeGreaterThan(before + 4000);
  });
});

describe("Load and Save", () => {
  it("Save resolves when another worker can read it from the file", async () => {
    await Session.Run({}, async () => {
      Session.a = 1;
      await Session.Save();
      expect(house.fileOf(idNow()).length).toBe(Session.Size);
      expect((await house.worker().open(idNow()))?.get("a")).toBe(1);
    });
  });

  it("Load discards what is not saved and shows what others saved", async () => {
    const id = await makeSession({ a: 1, b: { n: 1 } });
    const other = await house.worker().open(id);
    await Session.Run({ id }, async () => {
      Session.a = 2;
      Session.c = 3;
      Session.Timeout = 60;
      (Session.b as { n: number }).n = 5;
      other?.set("a", 10);
      await other?.save();
      expect(Session.a).toBe(2);
      await Session.Load();
      expect([Session.a, Session.c, Session.b, Session.Timeout]).toEqual([10, undefined, { n: 1 }, 86_400]);
      expect(Session.Modified).toBe(false);
    });
  });

  it("Load of a session that ended elsewhere leaves none", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      await house.worker().abandon(id);
      await Session.Load();
      expect([Session.Id, Session.a, Session.Keys]).toEqual([null, undefined, []]);
    });
  });

  it("saves that overlap keep what was changed between them", async () => {
    const id = await makeSession({ a: 0 });
    await Session.Run({ id }, async () => {
      const saves: Promise<void>[] = [];
      for (let n = 1; n <= 20; n++) {
        Session.a = n;
        Session.set(`k${n}`, n);
        saves.push(Session.Save());
        if (n % 3 === 0) await Promise.resolve();
      }
      await Promise.all(saves);
      expect(Session.Modified).toBe(false);
    });
    await Session.Run({ id }, () => {
      expect([Session.a, Session.k1, Session.k20, Session.Keys.length]).toEqual([20, 1, 20, 21]);
    });
  });

  it("what is set, deleted and set again while a save is under way is not saved by it, and kept", async () => {
    const id = await makeSession({ a: 0, b: 0, c: 0, list: [0], other: [0] });
    await Session.Run({ id }, async () => {
      for (const key of ["a", "b", "d"]) Session[key] = 1;
      Session.list = [1];
      const saving = Session.Save();
      Session.a = 2;
      delete Session.d;
      delete Session.c;
      (Session.list as number[]).push(2);
      (Session.other as number[]).push(2);
      await saving;
      expect({ ...Session }).toEqual({ a: 2, b: 1, list: [1, 2], other: [0, 2] });
      const saved = { a: 1, b: 1, c: 0, d: 1, list: [1], other: [0] };
      const handle = await house.worker().open(id);
      expect(Object.fromEntries(handle?.keys.map((key) => [key, handle.get(key)]) ?? [])).toEqual(saved);
      expect(Session.Modified).toBe(true);
      await Session.Save();
      expect(Session.Modified).toBe(false);
    });
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ a: 2, b: 1, list: [1, 2], other: [0, 2] });
  });

  it("a save that failed leaves what it would have saved, and what was changed meanwhile", async () => {
    const id = await makeSession({ a: 0, b: 0 });
    await Session.Run({ id }, async () => {
      Session.a = 1;
      Session.b = 1;
      Session.big = "x".repeat(70_000_000);
      const saving = codeOf(() => Session.Save());
      Session.a = 2;
      expect(await saving).toBe("ERR_TOO_LARGE");
      expect([Session.Modified, Session.a, Session.b]).toEqual([true, 2, 1]);
      delete Session.big;
    });
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ a: 2, b: 1 });
  });

  it("workers commit the keys they changed, not the whole session", async () => {
    const id = await makeSession({ a: 1, b: 1, c: 1 });
    const other = await house.worker().open(id);
    await Session.Run({ id }, async () => {
      Session.a = 2;
      other?.set("b", 2);
      other?.delete("c");
      await other?.save();
    });
    await Session.Run({ id }, () => {
      expect([Session.a, Session.b, Session.Keys]).toEqual([2, 2, ["a", "b"]]);
    });
  });
});

describe("Timeout, CookiePath and Path", () => {
  it("Timeout is stored in the session, fractions and all, without another change", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, () => {
      Session.Timeout = 90.5;
      expect(Session.Timeout).toBe(90.5);
    });
    expect((await house.worker().open(id))?.timeout).toBe(90.5);
  });

  it("Timeout takes numbers only", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      for (const bad of ["60", Number.NaN, null, {}]) {
        expect(
          await codeOf(() => {
            Session.Timeout = bad as number;
          }),
        ).toBe("ERR_BAD_OPTION");
      }
      expect([Session.Timeout, Session.Modified]).toEqual([86_400, false]);
    });
  });

  it("Timeout is sliding: each use moves the end, and after it the session is gone", async () => {
    const id = await Session.Run({}, () => {
      Session.a = 1;
      Session.Timeout = 100;
      return idNow();
    });
    house.makeOlder(id, 90_000);
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
    house.makeOlder(id, 90_000);
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
    house.makeOlder(id, 101_000);
    expect(await Session.Run({ id }, () => [Session.Id, Session.a])).toEqual([null, undefined]);
    expect(house.has(id)).toBe(false);
  });

  it("a timeout of 0 ends the session at the next look", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, () => {
      Session.Timeout = 0;
    });
    expect(await Session.Run({ id }, () => Session.Id)).toBeNull();
  });

  it("an infinite timeout never ends", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, () => {
      Session.Timeout = Number.POSITIVE_INFINITY;
    });
    house.makeOlder(id, 1e12);
    expect(await Session.Run({ id }, () => [Session.a, Session.Timeout])).toEqual([1, Number.POSITIVE_INFINITY]);
  });

  it("CookiePath is kept in the session, and refuses what a cookie cannot hold", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      Session.CookiePath = "/deep/er";
      expect([Session.CookiePath, Session.Modified]).toEqual(["/deep/er", true]);
      expect(
        await codeOf(() => {
          Session.CookiePath = "/x;y\r\n";
        }),
      ).toBe("ERR_BAD_OPTION");
    });
    expect(await Session.Run({ id }, () => Session.CookiePath)).toBe("/deep/er");
    expect((await house.worker().open(id))?.cookiePath).toBe("/deep/er");
  });

  it("Path is the session's file, Size its bytes, and neither changes before the save", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      expect([Session.Path, Session.Size]).toEqual([house.pathOf(id), house.fileOf(id).length]);
      Session.b = "x".repeat(1000);
      expect(Session.Size).toBe(house.fileOf(id).length);
      await Session.Save();
      expect(Session.Size).toBe(house.fileOf(id).length);
      expect(Session.Size).toBeGreaterThan(1000);
    });
  });

  it("an empty Prefix is the default: the address of the client", async () => {
    await Session.Run({ remoteAddress: "10.1.2.3" }, () => {
      Session.Prefix = "shop";
      Session.Prefix = "";
      expect(Session.Prefix).toBe("10.1.2.3");
      Session.set("a", 1);
      expect(Session.Id).toMatch(/^10\.1\.2\.3:/);
    });
  });

  it("a key has at most the bytes that Gambas keeps of one, inside values too", async () => {
    await Session.Run({ remoteAddress: "10.1.2.3" }, async () => {
      const [longest, tooLong] = ["k".repeat(65_535), "\u00e4".repeat(32_768)];
      Session.set(longest, 1);
      expect(await codeOf(() => Session.set(tooLong, 1))).toBe("ERR_BAD_KEY");
      expect(await codeOf(() => Session.set("v", { [tooLong]: 1 }))).toBe("ERR_BAD_VALUE");
      expect(Session.Keys).toEqual([longest]);
    });
  });

  it("Prefix is for the next id and changes no session there is", async () => {
    const id = await makeSession({ a: 1 });
    const next = await Session.Run({ id }, async () => {
      Session.Prefix = "next";
      expect([Session.Prefix, Session.Id, Session.Modified]).toEqual(["next", id, false]);
      await Session.Abandon();
      Session.a = 2;
      return idNow();
    });
    expect(next).toMatch(/^next:/);
  });
});

describe("Run", () => {
  it("resolves to the result, after the commit", async () => {
    const id = await Session.Run({}, async () => {
      Session.a = 1;
      await Promise.resolve();
      return idNow();
    });
    expect(house.has(id)).toBe(true);
    expect((await house.worker().open(id))?.get("a")).toBe(1);
  });

  it("an error in fn goes on, and what was not saved is dropped", async () => {
    const id = await makeSession({ a: 1 });
    const failing = Session.Run({ id }, () => {
      Session.a = 2;
      throw new RangeError("mine");
    });
    await expect(failing).rejects.toThrow(new RangeError("mine"));
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
  });

  it("an unknown id gives an empty context, and is not adopted", async () => {
    const unknown = `10.0.0.1:${"0123456789ABCDEF01234567"}`;
    const made = await Session.Run({ id: unknown }, () => {
      expect([Session.Id, Session.Keys]).toEqual([null, []]);
      Session.a = 1;
      return idNow();
    });
    expect(made).not.toBe(unknown);
    expect([house.has(unknown), house.has(`${unknown}.lock`), house.has(made)]).toEqual([false, false, true]);
  });

  it("hostile ids open nothing and leave nothing", async () => {
    const hex = "0123456789ABCDEF01234567";
    const good = await makeSession({ secret: 1 });
    writeFileSync(join(house.root, `outside:${hex}`), house.fileOf(good));
    const names = (): string[] => readdirSync(house.root, { recursive: true, encoding: "utf8" }).sort();
    const before = names();
    const ids = [
      `../outside:${hex}`,
      `../session/${good}`,
      `./${good}`,
      `/${hex}`,
      `/etc/passwd`,
      `a/b:${hex}`,
      `a\0b:${hex}`,
      `${good}\0`,
      `${good}.lock`,
      `${good}\n`,
      ` ${good}`,
      `${good.toLowerCase()}`,
      `${good}0`,
      `${"x".repeat(10_000)}:${hex}`,
      `${"é".repeat(100)}:${hex}`,
      `\ud800:${hex}`,
      `日本:${hex}`,
      "",
      ".",
      "..",
      ":",
      hex,
      "_",
      "__proto__",
      `a;b:${hex}`,
    ];
    for (const id of ids) {
      expect(await Session.Run({ id }, () => [Session.Id, Session.secret])).toEqual([null, undefined]);
    }
    for (const id of [null, undefined]) expect(await Session.Run({ id: id as null }, () => Session.Id)).toBeNull();
    expect(names()).toEqual(before);
  });

  it.each<[unknown, RegExp]>([
    ["abc", /options of Session.Run must be an object, not "abc"/],
    [5, /must be an object, not 5/],
    [[], /must be an object, not an array/],
    [() => 1, /must be an object, not a function/],
    [{ id: 5 }, /option id of Session.Run must be the id of a session, or null, not 5/],
    [{ id: {} }, /option id /],
    [{ id: true }, /option id /],
    [{ Id: "a" }, /no option "Id"; there are id, remoteAddress, request, cookieName/],
    [{ __proto__: null, toString: 1 }, /no option "toString"/],
    [{ remoteAddress: 5 }, /option remoteAddress .* must be an IP address, not 5/],
    [{ remoteAddress: "localhost" }, /must be an IP address, not "localhost"/],
    [{ remoteAddress: "../../etc" }, /must be an IP address/],
    [{ request: "GET /" }, /option request .* must be a request with its headers/],
    [{ request: null }, /option request /],
    [{ request: {} }, /option request /],
    [{ request: new Request("http://x/") }, /option request /],
    [{ request: { headers: { cookie: ["a=1"] } } }, /option request /],
    [{ request: { headers: {} }, id: "a" }, /id of a session or a request, not both/],
    [{ request: { headers: {} }, cookieName: "" }, /option cookieName /],
    [{ cookieName: 1 }, /option cookieName /],
  ])("refuses options that cannot be meant: %j", async (options, message) => {
    const run = Session.Run(options as object, () => "ran");
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "ERR_BAD_OPTION" }));
    await expect(run).rejects.toThrow(message);
  });

  it("refuses what is no function, and takes an address with its port", async () => {
    await expect(Session.Run({}, undefined as never)).rejects.toThrow(/must be a function, not undefined/);
    const id = await Session.Run({ remoteAddress: "[2001:db8::7]:80" }, () => {
      Session.a = 1;
      return Session.Id;
    });
    expect(id).toMatch(/^2001:db8::7:[0-9A-F]{24}$/);
    expect(await Session.Run({ remoteAddress: "" }, () => Session.Prefix)).toBe("");
  });

  it("contexts side by side do not mix", async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => makeSession({ n })));
    const seen = await Promise.all(
      ids.map((id, n) =>
        Session.Run({ id }, async () => {
          for (let step = 0; step < 5; step++) {
            expect([Session.Id, Session.n]).toEqual([id, n]);
            Session.set(`step${step}`, n * 100 + step);
            if (step % 2 === 0) await Session.Save();
            else await new Promise((resolve) => setImmediate(resolve));
          }
          return Session.step4;
        }),
      ),
    );
    expect(seen).toEqual(ids.map((_, n) => n * 100 + 4));
    for (const [n, id] of ids.entries()) expect(await Session.Run({ id }, () => Session.step0)).toBe(n * 100);
  });

  it("a Run inside a Run has its own session and gives the outer one back", async () => {
    const [a, b] = [await makeSession({ n: "a" }), await makeSession({ n: "b" })];
    await Session.Run({ id: a }, async () => {
      expect(await Session.Run({ id: b }, () => Session.n)).toBe("b");
      expect(Session.n).toBe("a");
    });
  });

  it("only reading refreshes the stamp, at most once a second", async () => {
    const id = await makeSession({ a: 1 });
    const bytes = house.fileOf(id);
    await Session.Run({ id }, () => Session.a);
    expect(house.fileOf(id)).toEqual(bytes);
    house.makeOlder(id, 5000);
    const before = house.startupOf(id);
    await Session.Run({ id }, () => Session.a);
    expect(house.startupOf(id)).toBeGreaterThan(before + 4000);
    expect(house.fileOf(id).subarray(8)).toEqual(bytes.subarray(8));
  });

  it("not using the session leaves the stamp alone", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const bytes = house.fileOf(id);
    await Session.Run({ id }, () => 1);
    expect(house.fileOf(id)).toEqual(bytes);
  });

  it("a damaged file is reported, left as it is, and harms nobody else", async () => {
    const [bad, good] = [await makeSession({ a: 1 }), await makeSession({ a: 2 })];
    const torn = house.fileOf(bad).subarray(0, 25);
    writeFileSync(house.pathOf(bad), torn);
    await Session.Run({ id: bad }, async () => {
      expect(await codeOf(() => Session.a)).toBe("ERR_UNREADABLE");
      expect(await codeOf(() => Session.set("a", 1))).toBe("ERR_UNREADABLE");
    });
    expect(house.fileOf(bad)).toEqual(torn);
    expect(await Session.Run({ id: good }, () => Session.a)).toBe(2);
  });

  it("a session whose file is damaged can be abandoned", async () => {
    const id = await makeSession({ a: 1 });
    writeFileSync(house.pathOf(id), "torn");
    await Session.Run({ id }, async () => {
      await Session.Abandon();
      expect(Session.Id).toBeNull();
      Session.a = 2;
    });
    expect(house.has(id)).toBe(false);
  });
});

describe("Unique", () => {
  const make = (prefix: string): Promise<string> =>
    Session.Run({}, () => {
      Session.Prefix = prefix;
      Session.a = 1;
      return idNow();
    });
  const makeUnique = (prefix: string): Promise<string> =>
    Session.Run({}, () => {
      Session.Prefix = prefix;
      Session.Unique = true;
      Session.a = 1;
      return idNow();
    });

  it("ends every other session of exactly this prefix when one is created", async () => {
    const others = await Promise.all(["u*", "u?", "u", "u:u", "xu", "", "u*:"].map(make));
    const mine = [await make("u*"), await make("u*")];
    const [star = "", ...rest] = others;
    const survivor = await makeUnique("u*");
    expect([star, ...mine].map((id) => house.has(id))).toEqual([false, false, false]);
    expect(rest.map((id) => house.has(id))).toEqual(rest.map(() => true));
    expect(house.has(survivor)).toBe(true);
  });

  it("set on a session there is, ends the others with the next save", async () => {
    const [first, second] = [await make("late"), await make("late")];
    await Session.Run({ id: second }, () => {
      Session.Unique = true;
      expect(Session.Unique).toBe(true);
    });
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
    expect(await Session.Run({ id: second }, () => Session.a)).toBe(1);
  });

  it("of several created at once exactly one survives", async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => makeUnique("race")));
    expect(ids.filter((id) => house.has(id)).length).toBe(1);
  });
});

describe("Abandon", () => {
  it("the file is gone, the context is empty, and the next write begins another session", async () => {
    const id = await makeSession({ a: 1 });
    const next = await Session.Run({ id }, async () => {
      Session.a = 2;
      await Session.Abandon();
      expect([Session.Id, Session.a, Session.Keys, Session.Size, Session.Path, Session.Modified]).toEqual([
        null,
        undefined,
        [],
        0,
        null,
        false,
      ]);
      expect([house.has(id), house.has(`${id}.lock`)]).toEqual([false, false]);
      await Session.Abandon();
      Session.b = 1;
      return idNow();
    });
    expect(next).not.toBe(id);
    expect(await Session.Run({ id: next }, () => Session.Keys)).toEqual(["b"]);
    expect(await Session.Run({ id }, () => Session.Id)).toBeNull();
  });

  it("is visible in the context at once, before it is awaited", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, () => {
      void Session.Abandon();
      expect([Session.Id, Session.a]).toEqual([null, undefined]);
    });
    expect(house.has(id)).toBe(false);
  });

  it("is not undone by a Load or a Save that was under way", async () => {
    for (const begin of [() => Session.Load(), () => Session.Save()]) {
      const id = await makeSession({ a: 1 });
      const next = await Session.Run({ id }, async () => {
        Session.a = 2;
        const earlier = begin();
        for (let step = 0; step < 10; step++) await Promise.resolve();
        const ending = Session.Abandon();
        expect([Session.Id, Session.a]).toEqual([null, undefined]);
        Session.b = 3;
        await Promise.all([earlier, ending]);
        expect([Session.a, Session.b]).toEqual([undefined, 3]);
        return idNow();
      });
      expect([house.has(id), next === id]).toEqual([false, false]);
      expect(await Session.Run({ id: next }, () => ({ ...Session }))).toEqual({ b: 3 });
    }
  });

  it("a context that still has it cannot bring it back", async () => {
    const id = await makeSession({ a: { n: 1 } });
    await Session.Run({ id }, async () => {
      expect(Session.a).toEqual({ n: 1 });
      await house.worker().abandon(id);
      Session.b = 2;
      expect(await codeOf(() => Session.Save())).toBe("ERR_SESSION_GONE");
      expect([Session.Id, Session.b]).toEqual([null, undefined]);
    });
    expect(house.has(id)).toBe(false);
  });

  it("neither can one that only renews its stamp, nor a transaction, nor the one that ends last", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const other = house.worker();
    const slow = Session.Run({ id }, async () => {
      expect(Session.a).toBe(1);
      await other.abandon(id);
    });
    expect(await codeOf(() => slow)).toBe("no error");
    expect(await codeOf(() => other.transaction(id, () => 1))).toBe("ERR_SESSION_GONE");
    expect(house.has(id)).toBe(false);
  });

  it("a Gambas program that still had it loaded cannot bring it back either", async () => {
    const id = await makeSession({ a: 1 });
    const image = house.fileOf(id);
    await house.worker().abandon(id);
    writeFileSync(house.pathOf(id), image);
    expect(await Session.Run({ id }, () => [Session.Id, Session.a])).toEqual([null, undefined]);
    expect(house.has(id)).toBe(false);
  });
});

describe("while a Save is under way", () => {
  it("Unique is not forgotten", async () => {
    const [other, id] = [await makeSession({ k: 1 }), await makeSession({ k: 1 })];
    await Session.Run({ id }, async () => {
      Session.k = 2;
      const saving = Session.Save();
      Session.Unique = true;
      await saving;
      expect(Session.Modified).toBe(true);
    });
    expect([house.has(other), house.has(id)]).toEqual([false, true]);
  });

  it("Modified = false does not lose the session that is being made", async () => {
    await Session.Run({ remoteAddress: "10.0.0.1" }, async () => {
      Session.k = 2;
      const saving = Session.Save();
      Session.Modified = false;
      await saving;
      expect([house.has(idNow()), Session.k]).toEqual([true, 2]);
    });
  });
});

describe("transactions that wait for the session at the same time", () => {
  const transact = <T>(id: string, fn: () => T | Promise<T>): Promise<T> =>
    Session.Run({ id }, () => Session.Transaction(fn));

  /** Those that come while another one keeps the session: they share the next lease. */
  async function together(id: string, ...fns: (() => unknown)[]): Promise<PromiseSettledResult<unknown>[]> {
    const [held, letGo] = [deferred(), deferred()];
    const first = transact(id, () => {
      held.resolve();
      return letGo.promise;
    });
    await held.promise;
    const outcomes = Promise.allSettled(fns.map((fn) => transact(id, fn)));
    letGo.resolve();
    await first;
    return outcomes;
  }

  const [before, after] = [() => Session.set("before", 1), () => Session.set("after", 1)];

  it("do not wait for one that comes after them and takes its time", async () => {
    const id = await makeSession({ n: 1 });
    const [held, letGo] = [deferred(), deferred()];
    const first = transact(id, () => held.promise);
    const fast = transact(id, () => Session.set("fast", 1));
    const slow = transact(id, async () => {
      const saw = Session.fast;
      await letGo.promise;
      Session.set("slow", saw);
      return Session.n;
    });
    const last = transact(id, () => Session.set("last", Session.slow));
    held.resolve();
    await Promise.all([first, fast]);
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, fast: 1 }));
    letGo.resolve();
    expect(await slow).toBe(1);
    await last;
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, fast: 1, slow: 1, last: 1 }));
  });

  it("Load does not take back what one before them has done", async () => {
    const id = await makeSession({ n: 0 });
    const count = (): unknown => Session.set("n", (Session.n as number) + 1);
    const reload = async (): Promise<void> => {
      Session.n = 100;
      await Session.Load();
      count();
    };
    const outcomes = await together(id, count, reload, count, reload);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(4).fill("fulfilled"));
    expect(await Session.Run({ id }, () => Session.n)).toBe(4);
  });

  it("run again where what they had seen of those before them could not be written", async () => {
    const id = await makeSession({ n: 1 });
    let runs = 0;
    const outcomes = await together(
      id,
      () => Session.set("big", "x".repeat(4_000_000)),
      async () => {
        runs += 1;
        Session.set("saw", Session.Exist("big"));
        await new Promise((resolve) => setImmediate(resolve));
      },
    );
    expect(outcomes).toMatchObject([
      { status: "rejected", reason: { code: "ERR_TOO_LARGE" } },
      { status: "fulfilled" },
    ]);
    // Once where a slow machine had each of them run under a lease of its own.
    expect([1, 2]).toContain(runs);
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, saw: false }));
  });

  it("do not share the fate of one that is too large", async () => {
    const id = await makeSession({ n: 1 });
    const outcomes = await together(id, before, () => Session.set("big", "x".repeat(4_000_000)), after);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "ERR_TOO_LARGE" } });
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, before: 1, after: 1 }));
  });

  it.each([
    ["", () => Session.Abandon(), "fulfilled"],
    [" and then fails", () => Session.Abandon().then(() => Promise.reject(new Error("on purpose"))), "rejected"],
  ])("came before one that ends the session%s, or find that it is gone", async (_what, end, status) => {
    const id = await makeSession({ n: 1 });
    const outcomes = await together(id, before, end, after);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", status, "rejected"]);
    expect(outcomes[2]).toMatchObject({ reason: { code: "ERR_SESSION_GONE" } });
    expect(house.has(id)).toBe(false);
  });

  it("do not pretend to have saved a part that was not awaited and outlived them", async () => {
    const id = await makeSession({ n: 1 });
    const letGo = deferred();
    let late: Promise<unknown> | undefined;
    await transact(id, () => {
      late = Session.Run({ id }, async () => {
        await letGo.promise;
        Session.set("late", 1);
      });
      Session.set("n", 2);
    });
    letGo.resolve();
    expect(await codeOf(() => late)).toBe("ERR_LEASE_LOST");
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 2 }));
  });

  it("leave no dead session behind where one has ended it and failed", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(async () => {
        await Session.Abandon();
        throw new Error("on purpose");
      });
      await expect(failing).rejects.toThrow("on purpose");
      expect([Session.Id, Session.n]).toEqual([null, undefined]);
    });
  });
});

describe("Transaction", () => {
  it("makes 50 increments at once exact, over several workers", async () => {
    const id = await makeSession({ n: 0 });
    const workers = [house.worker(), house.worker()];
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const worker = workers[index % 3];
        if (worker === undefined) return Session.Run({ id }, () => Session.Transaction(increment));
        return worker.transaction(id, (session) => session.set("n", (session.get("n") as number) + 1));
      }),
    );
    expect(await Session.Run({ id }, () => Session.n)).toBe(50);
  });

  it("makes increments in one context at once exact", async () => {
    const id = await makeSession({ n: 0 });
    await Session.Run({ id }, async () => {
      await Promise.all(Array.from({ length: 10 }, () => Session.Transaction(increment)));
      expect(Session.n).toBe(10);
    });
    expect(await Session.Run({ id }, () => Session.n)).toBe(10);
  });

  it("resolves to the result once it is committed, and the context goes on with it", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, async () => {
      const o = Session.o as { k: number };
      const result = await Session.Transaction(async () => {
        Session.n = 2;
        (Session.o as { k: number }).k = 2;
        await Session.Save();
        Session.Timeout = 60;
        return "done";
      });
      expect([result, Session.n, Session.o, Session.Timeout, Session.Modified]).toEqual([
        "done",
        2,
        { k: 2 },
        60,
        false,
      ]);
      expect(o).toEqual({ k: 1 });
      const other = await house.worker().open(id);
      expect([other?.get("n"), other?.timeout]).toEqual([2, 60]);
    });
  });

  it("sees the newest contents, and what the context changed before", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      expect(Session.n).toBe(1);
      const other = await house.worker().open(id);
      other?.set("n", 5);
      await other?.save();
      Session.m = 7;
      await Session.Transaction(() => {
        expect([Session.n, Session.m]).toEqual([5, 7]);
      });
    });
  });

  it("an error commits nothing and goes on", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(async () => {
        Session.n = 2;
        (Session.o as { k: number }).k = 2;
        await Session.Save();
        throw new RangeError("mine");
      });
      await expect(failing).rejects.toThrow(new RangeError("mine"));
      expect([Session.n, Session.o, Session.Modified]).toEqual([1, { k: 1 }, false]);
    });
    expect(await Session.Run({ id }, () => [Session.n, Session.o])).toEqual([1, { k: 1 }]);
  });

  it("an error thrown at once is a rejection like any other", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(() => {
        throw new RangeError("at once");
      });
      await expect(failing).rejects.toThrow("at once");
    });
  });

  it("without a session it makes one", async () => {
    const id = await Session.Run({ remoteAddress: "10.9.9.9" }, async () => {
      await Session.Transaction(() => {
        Session.n = 1;
      });
      expect(house.has(idNow())).toBe(true);
      return idNow();
    });
    expect(id).toMatch(/^10\.9\.9\.9:/);
    expect(await Session.Run({ id }, () => Session.n)).toBe(1);
  });

  it("without a session and without a write it makes none, nor with an error", async () => {
    await Session.Run({}, async () => {
      expect(await Session.Transaction(() => 5)).toBe(5);
      let made = "";
      const failing = Session.Transaction(async () => {
        Session.n = 1;
        made = idNow();
        await Session.Save();
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect([Session.Id, house.has(made)]).toEqual([null, false]);
    });
  });

  it("without a session keeps what was said of the one to come, unless it fails", async () => {
    await Session.Run({ remoteAddress: "10.9.9.9" }, async () => {
      const say = (seconds: number): void => {
        Session.Timeout = seconds;
        Session.Prefix = "desk";
        Session.CookiePath = "/desk";
        Session.Unique = true;
      };
      const said = (): unknown[] => [Session.Timeout, Session.Prefix, Session.CookiePath, Session.Unique];
      const before = said();
      const failing = Session.Transaction(() => {
        say(50);
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect(said()).toEqual(before);
      await Session.Transaction(() => say(60));
      expect(said()).toEqual([60, "desk", "/desk", true]);
      Session.n = 1;
      await Session.Save();
      expect(idNow()).toMatch(/^desk:/);
      expect([Session.Timeout, Session.CookiePath]).toEqual([60, "/desk"]);
    });
  });

  it("keeps the prefix of the session that comes after the one it runs on", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await Session.Transaction(() => {
        Session.Prefix = "desk";
      });
      await Session.Abandon();
      Session.n = 1;
      expect(idNow()).toMatch(/^desk:/);
    });
  });

  it("joins the transaction it is called in", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        Session.n = 2;
        const inner = await Session.Transaction(async () => {
          expect(Session.n).toBe(2);
          Session.m = 3;
          return Session.Transaction(() => 9);
        });
        expect([inner, Session.m]).toEqual([9, 3]);
        expect((await house.worker().open(id))?.get("n")).toBe(1);
      }),
    );
    expect(await Session.Run({ id }, () => [Session.n, Session.m])).toEqual([2, 3]);
  });

  it("a part that fails takes back its part only", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        Session.n = 2;
        Session.Timeout = 77;
        const o = Session.o as { k: number };
        o.k = 2;
        const failing = Session.Transaction(() => {
          Session.n = 3;
          Session.m = 3;
          Session.Timeout = 78;
          throw new Error("part");
        });
        await expect(failing).rejects.toThrow("part");
        expect([Session.n, Session.m, Session.o, Session.Timeout]).toEqual([2, undefined, { k: 2 }, 77]);
        Session.p = 4;
      }),
    );
    await Session.Run({ id }, () => {
      expect([Session.n, Session.m, Session.o, Session.p, Session.Timeout]).toEqual([2, undefined, { k: 2 }, 4, 77]);
    });
  });

  it("a part that fails takes back what it said of the session to come", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id, remoteAddress: "10.9.9.9" }, () =>
      Session.Transaction(async () => {
        const part = Session.Transaction(() => {
          Session.Prefix = "desk";
          Session.Unique = true;
          throw new Error("no");
        });
        await expect(part).rejects.toThrow("no");
        expect([Session.Prefix, Session.Unique]).toEqual(["10.9.9.9", false]);
      }),
    );
  });

  it("a part that fails leaves the objects live that it did not change", async () => {
    const id = await makeSession({ o: { k: 1 } });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        const o = Session.o as { k: number };
        o.k = 2;
        await expect(Session.Transaction(() => Promise.reject(new Error("part")))).rejects.toThrow("part");
        expect(Session.o).toBe(o);
        o.k = 3;
      }),
    );
    expect(await Session.Run({ id }, () => Session.o)).toEqual({ k: 3 });
  });

  it("a part that fails takes back its part of a session that is only being made", async () => {
    const id = await Session.Run({}, async () => {
      await Session.Transaction(async () => {
        Session.n = 1;
        const failing = Session.Transaction(() => {
          Session.m = 2;
          throw new Error("part");
        });
        await expect(failing).rejects.toThrow("part");
        expect([Session.n, Session.m]).toEqual([1, undefined]);
      });
      return Session.Id;
    });
    expect(id).not.toBeNull();
    expect(await Session.Run({ id }, () => Session.Keys)).toEqual(["n"]);
  });

  it("may abandon the session and begin another one", async () => {
    const id = await makeSession({ n: 1 });
    const next = await Session.Run({ id }, async () => {
      await Session.Transaction(async () => {
        Session.n = 2;
        await Session.Abandon();
        Session.m = 3;
      });
      return idNow();
    });
    expect([house.has(id), next === id]).toEqual([false, false]);
    expect(await Session.Run({ id: next }, () => ({ ...Session }))).toEqual({ m: 3 });
  });

  it("Load inside takes back what it changed so far", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        Session.n = 2;
        Session.m = 2;
        await Session.Load();
        expect([Session.n, Session.m]).toEqual([1, undefined]);
        Session.p = 3;
      }),
    );
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ n: 1, p: 3 });
  });

  it("work that outlives it belongs to the session still, and is saved when it asks for that", async () => {
    const id = await makeSession({ n: 1 });
    const [over, late] = [deferred(), deferred()];
    await Session.Run({ id }, async () => {
      await Session.Transaction(() => {
        void (async () => {
          await over.promise;
          Session.late = 1;
          await Session.Save();
          await Session.Transaction(increment);
          late.resolve();
        })();
      });
      over.resolve();
      await late.promise;
    });
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ n: 2, late: 1 });
  });

  it("what the context changes meanwhile is its own, and is saved after it", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, async () => {
      const gate = deferred();
      const running = Session.Transaction(async () => {
        increment();
        await gate.promise;
      });
      Session.m = 5;
      (Session.o as { k: number }).k = 7;
      gate.resolve();
      await running;
      expect([Session.n, Session.m, Session.o]).toEqual([2, 5, { k: 7 }]);
    });
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ n: 2, m: 5, o: { k: 7 } });
  });

  it("a session the context makes meanwhile, while the transaction has none, is one session", async () => {
    const make = async (write: () => void): Promise<string> =>
      Session.Run({}, async () => {
        const gate = deferred();
        const running = Session.Transaction(async () => {
          await gate.promise;
          write();
        });
        for (let step = 0; step < 10; step++) await Promise.resolve();
        Session.outer = 1;
        gate.resolve();
        await running;
        return idNow();
      });
    const only = await make(() => undefined);
    expect(await Session.Run({ id: only }, () => ({ ...Session }))).toEqual({ outer: 1 });
    const both = await make(() => {
      Session.inner = 2;
    });
    expect(await Session.Run({ id: both }, () => ({ ...Session }))).toEqual({ inner: 2, outer: 1 });
  });

  it("does not bring back what the context abandons meanwhile", async () => {
    const id = await makeSession({ n: 1 });
    const next = await Session.Run({ id }, async () => {
      const gate = deferred();
      const running = Session.Transaction(async () => {
        increment();
        await gate.promise;
      });
      for (let step = 0; step < 10; step++) await Promise.resolve();
      const ending = Session.Abandon();
      gate.resolve();
      await running;
      await ending;
      expect(Session.Id).toBeNull();
      Session.b = 1;
      return idNow();
    });
    expect([house.has(id), house.has(next)]).toEqual([false, true]);
  });

  it("many at once that each do nothing, fail, or write leave exactly what was written", async () => {
    const id = await makeSession({ n: 0, log: [] });
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        codeOf(() =>
          Session.Run({ id }, () =>
            Session.Transaction(async () => {
              if (index % 3 === 0) return;
              increment();
              (Session.log as number[]).push(index);
              if (index % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
              if (index % 3 === 1) throw new SessionError("ERR_CONFLICT", "mine");
            }),
          ),
        ),
      ),
    );
    const written = Array.from({ length: 60 }, (_, index) => index).filter((index) => index % 3 === 2);
    expect(outcomes.map((code) => code === "no error")).toEqual(outcomes.map((_, index) => index % 3 !== 1));
    await Session.Run({ id }, () => {
      expect([Session.n, Session.log]).toEqual([written.length, expect.arrayContaining(written)]);
      expect((Session.log as number[]).length).toBe(written.length);
    });
  });

  it("may abandon the session", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await Session.Transaction(() => Session.Abandon());
      expect(Session.Id).toBeNull();
    });
    expect(house.has(id)).toBe(false);
  });

  it("fails with ERR_SESSION_GONE when the session is gone", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await house.worker().abandon(id);
      let ran = false;
      const code = await codeOf(() =>
        Session.Transaction(() => {
          ran = true;
        }),
      );
      expect([code, ran]).toEqual(["ERR_SESSION_GONE", false]);
    });
  });

  it("a lease longer than allowed is refused, with the limit named", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await expect(Session.Transaction(() => 1, { leaseMs: 600_000 })).rejects.toMatchObject({
        code: "ERR_BAD_OPTION",
        message: expect.stringContaining("60000"),
      });
    });
  });

  it.each([-1, 1.5, Number.NaN, "5"])("a lease of %s ms is refused and nothing runs", async (leaseMs) => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      let ran = false;
      const run = (): void => {
        ran = true;
      };
      expect(await codeOf(() => Session.Transaction(run, { leaseMs: leaseMs as number }))).toBe("ERR_BAD_OPTION");
      expect(ran).toBe(false);
      await Session.Transaction(increment);
      expect(Session.n).toBe(2);
    });
  });

  it("a holder that stalls is fenced off, and the next goes on", async () => {
    const id = await makeSession({ n: 1 });
    const gate = deferred();
    const held = deferred();
    const stalled = codeOf(() =>
      Session.Run({ id }, () =>
        Session.Transaction(
          async () => {
            Session.n = 100;
            held.resolve();
            await gate.promise;
          },
          { leaseMs: 100 },
        ),
      ),
    );
    await held.promise;
    await house.worker().transaction(id, (session) => session.set("n", 2));
    gate.resolve();
    expect(await stalled).toBe("ERR_LEASE_LOST");
    expect(await Session.Run({ id }, () => Session.n)).toBe(2);
  });

  it("of two sessions may be held by one", async () => {
    const [a, b] = [await makeSession({ n: 1 }), await makeSession({ n: 1 })];
    await Session.Run({ id: a }, () =>
      Session.Transaction(async () => {
        increment();
        await Session.Run({ id: b }, () => Session.Transaction(increment));
        expect(Session.Id).toBe(a);
      }),
    );
    expect(await Session.Run({ id: a }, () => Session.n)).toBe(2);
    expect(await Session.Run({ id: b }, () => Session.n)).toBe(2);
  });

  it("a Run of its own session inside a transaction is part of it", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        increment();
        await Session.Run({ id }, () => Session.Transaction(increment));
        expect(Session.n).toBe(3);
      }),
    );
    expect(await Session.Run({ id }, () => Session.n)).toBe(3);
  });

  it("goes first come, first served", async () => {
    const id = await makeSession({ order: [] });
    const gate = deferred();
    const held = deferred();
    const add = (name: string) => () => {
      (Session.order as string[]).push(name);
    };
    const first = Session.Run({ id }, () =>
      Session.Transaction(async () => {
        held.resolve();
        await gate.promise;
        add("first")();
      }),
    );
    await held.promise;
    const worker = house.worker();
    await worker.ready();
    const others: Promise<unknown>[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      others.push(worker.transaction(id, (session) => void (session.get("order") as string[]).push(name)));
      // Its place is taken when the daemon knows of it.
      await worker.status();
      await worker.status();
    }
    gate.resolve();
    await Promise.all([first, ...others]);
    expect(await Session.Run({ id }, () => Session.order)).toEqual(["first", "a", "b", "c", "d"]);
  });
});

function increment(): void {
  Session.n = (Session.n as number) + 1;
}
