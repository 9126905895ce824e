// Changes made while a Save is under way.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { house, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
