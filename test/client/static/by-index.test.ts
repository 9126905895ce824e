// Session[key]: reading, setting and listing by index.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { codeOf, idNow, MEMBERS, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
