// Which names can be keys.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { codeOf, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
