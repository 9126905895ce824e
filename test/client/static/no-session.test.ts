// The static Session in a context without a session.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { house, ID, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
