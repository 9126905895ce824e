// Session.Load and Session.Save.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { codeOf, house, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

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
