// Session.Timeout, Session.CookiePath and Session.Path.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { codeOf, house, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
