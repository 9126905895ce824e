// Session.Modified.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { house, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
