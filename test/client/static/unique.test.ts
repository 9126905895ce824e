// Session.Unique.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { house, idNow, openHouse } from "../../support/static-house.ts";

openHouse();

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
