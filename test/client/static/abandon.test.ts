// Session.Abandon.
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { codeOf, house, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
