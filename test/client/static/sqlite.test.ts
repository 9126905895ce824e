// `Session` over databases: what is not as in files, and that everything else is.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import { databaseName } from "../../../protocol/session-id.ts";
import { typed } from "../../../protocol/value/value.ts";
import { change, contentsOf } from "../../daemon/store/gambas-sqlite/databases.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { describeSqlite } from "../../support/sqlite.ts";

let house: SessionHouse;

function pathOf(id: string): string {
  return join(house.root, "session", databaseName(id));
}

async function make(values: Record<string, unknown>): Promise<string> {
  return Session.Run({ remoteAddress: "10.0.0.1" }, () => {
    for (const [key, value] of Object.entries(values)) Session.set(key, value);
    return Session.Id ?? "";
  });
}

describeSqlite("a session in a database", () => {
  beforeAll(async () => {
    house = await SessionHouse.open({ type: "sqlite" });
    await connect({ ...house.options, type: "sqlite" });
  });
  afterAll(() => house.close());

  it("has the path and the size of its database", async () => {
    const id = await make({ a: 1 });
    await Session.Run({ id }, () => {
      expect(Session.Path).toBe(pathOf(id));
      expect(Session.Size).toBe(20_480);
      expect(Session.Type).toBe("sqlite");
    });
    expect(existsSync(pathOf(id))).toBe(true);
  });

  it("holds objects of several keys apart, for every worker alike, and shared ones within a key together", async () => {
    const shared = { n: 1 };
    const id = await make({ one: shared, two: shared, both: [shared, shared] });
    for (let look = 0; look < 2; look++) {
      await Session.Run({ id }, () => {
        const [one, two, both] = [Session.one, Session.two, Session.both as { n: number }[]];
        expect([one, two, both]).toEqual([{ n: 1 }, { n: 1 }, [{ n: 1 }, { n: 1 }]]);
        expect([one === two, both[0] === both[1]]).toEqual([false, true]);
      });
    }
    await Session.Run({ id }, () => {
      (Session.one as { n: number }).n = 2;
    });
    const other = house.worker({ type: "sqlite" });
    const handle = await other.open(id);
    expect([handle?.get("one"), handle?.get("two")]).toEqual([{ n: 2 }, { n: 1 }]);
  });

  it("keeps what Gambas would remove: empty texts and null dates", async () => {
    const id = await make({ empty: "", none: typed("Date", null), zero: 0 });
    await Session.Run({ id }, () => {
      expect([Session.empty, Session.none, Session.zero]).toEqual(["", null, 0]);
      expect(Session.Keys).toEqual(["empty", "none", "zero"]);
    });
  });

  it("keeps the order of keys as a map does", async () => {
    const id = await make({ a: 1, b: 2, c: 3 });
    await Session.Run({ id }, () => {
      delete Session.a;
      Session.d = 4;
      Session.a = 5;
      Session.b = 6;
    });
    const other = await house.worker({ type: "sqlite" }).open(id);
    expect(other?.keys).toEqual(await Session.Run({ id }, () => Session.Keys));
    expect(contentsOf(pathOf(id)).values.map(({ key }) => Buffer.from(String(key), "hex").toString())).toEqual(
      expect.arrayContaining(["b", "c", "d", "a"]),
    );
  });

  it("stores life time and cookie path, and touches neither otherwise", async () => {
    const id = await make({ a: 1 });
    expect(contentsOf(pathOf(id)).config[0]).toMatchObject({ fTimeout: 1, sCookiePath: null });
    await Session.Run({ id }, () => {
      Session.Timeout = 43_200;
      Session.CookiePath = "/shop";
    });
    expect(contentsOf(pathOf(id)).config[0]).toMatchObject({ fTimeout: 0.5, sCookiePath: "/shop" });
    await Session.Run({ id }, () => {
      Session.a = 2;
    });
    expect(contentsOf(pathOf(id)).config[0]).toMatchObject({ fTimeout: 0.5, sCookiePath: "/shop" });
    await Session.Run({ id }, () => expect([Session.Timeout, Session.CookiePath]).toEqual([43_200, "/shop"]));
  });

  it("goes on under another id with every row, damaged ones included, and ends whole", async () => {
    const id = await make({ a: 1, bad: 2, c: [1, 2] });
    change(pathOf(id), `UPDATE "values" SET "sValue" = X'7701' WHERE "sKey" = 'bad'`);
    const next = await Session.Run({ id }, async () => {
      expect(() => Session.bad).toThrow(
        expect.objectContaining({
          code: "ERR_UNREADABLE",
          what: expect.stringMatching(/^The key "bad" cannot be shown, only set or deleted: .*damaged/),
        }),
      );
      expect([Session.Exist("bad"), Session.TypeOf("bad"), Session.a]).toEqual([true, "Damaged", 1]);
      await Session.Regenerate();
      return Session.Id ?? "";
    });
    expect(await Session.Run({ id }, () => Session.Id)).toBeNull();
    expect(readdirSync(join(house.root, "session")).filter((name) => name.startsWith(databaseName(id)))).toEqual([]);
    const rows = contentsOf(pathOf(next)).values.map(({ key, value }) => [key, value]);
    expect(rows).toContainEqual(["626164", "7701"]);
    await Session.Run({ id: next }, () => {
      Session.bad = "new";
    });
    expect(await Session.Run({ id: next }, () => [Session.bad, Session.c])).toEqual(["new", [1, 2]]);
    await Session.Run({ id: next }, () => Session.Abandon());
    expect(readdirSync(join(house.root, "session")).filter((name) => name.startsWith(databaseName(next)))).toEqual([]);
    expect(await Session.Run({ id: next }, () => Session.Id)).toBeNull();
  });

  it("that is unique ends all others of its prefix, whatever letters that has", async () => {
    const run = (remoteAddress: string) =>
      Session.Run({ remoteAddress }, () => {
        Session.Unique = true;
        Session.a = 1;
        return Session.Id ?? "";
      });
    const [first, other] = [await run("fe80::1"), await make({ other: 1 })];
    const second = await run("fe80::1");
    expect(await Session.Run({ id: first }, () => Session.Id)).toBeNull();
    expect(await Session.Run({ id: second }, () => Session.a)).toBe(1);
    expect(await Session.Run({ id: other }, () => Session.other)).toBe(1);
  });

  it("whose time is over is gone, with its files", async () => {
    const id = await make({ a: 1 });
    change(pathOf(id), 'UPDATE "config" SET "fStartup" = 2493477.5');
    expect(await Session.Run({ id }, () => Session.Id)).toBeNull();
    expect(existsSync(pathOf(id))).toBe(false);
  });

  it("is listed by an id that opens it", async () => {
    const id = await make({ listed: true });
    const client = house.worker({ type: "sqlite" });
    const listed = [];
    for await (const session of client.list({ prefix: "10.0.0.1" })) listed.push(session);
    const ids = listed.map((session) => session.id);
    expect(ids).toContain(id.replaceAll(".", "_"));
    expect((await client.open(id.replaceAll(".", "_")))?.get("listed")).toBe(true);
  });
});
