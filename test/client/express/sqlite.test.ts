// GambasStore and the drop-in over databases, whose names keep letters and digits alone: every session is known again by the id that express-session has for it.

import { afterEach, beforeEach, expect, it } from "vitest";
import { GambasStore } from "../../../client/adapters/store.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { Place } from "./kinds.ts";

/** Names of databases do not tell these apart by themselves. */
const ALIKE = ["a-b", "a.b", "a_b", "a_2Db", "ü", "Ü"];

let house: SessionHouse;
const close: (() => unknown)[] = [];

/** What a method of a store calls back with. */
function told<T>(call: (done: (error: unknown, value?: T) => void) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}

describeSqlite("sessions of express-session in databases", () => {
  beforeEach(async () => {
    house = await SessionHouse.open({ type: "sqlite" });
  });
  afterEach(async () => {
    for (const one of close.splice(0)) await one();
    await house.close();
  });

  it("are listed, counted and cleared by a store under the ids that they were given, and told apart", async () => {
    const [store, other] = ["my-app", "my_app"].map((prefix) => {
      const one = new GambasStore({ ...house.options, type: "sqlite", prefix });
      close.push(() => one.close());
      return one;
    }) as [GambasStore, GambasStore];
    for (const sid of ALIKE) await told((done) => store.set(sid, { cookie: {}, sid } as object, done));
    await told((done) => other.set("a-b", { cookie: {}, sid: "of the other" } as object, done));
    const all = (await told<{ id: string; sid?: string }[]>((done) => store.all(done as never))) ?? [];
    expect(all.map(({ id, sid }) => [id, sid]).sort()).toEqual(ALIKE.map((sid) => [sid, sid]).sort());
    expect(await told((done) => store.length(done))).toBe(ALIKE.length);
    await told((done) => store.destroy("a-b", done));
    expect(await told((done) => store.get("a.b", done))).toMatchObject({ sid: "a.b" });
    await told((done) => store.clear(done));
    expect(await told((done) => store.length(done))).toBe(0);
    expect(await told((done) => other.get("a-b", done))).toMatchObject({ sid: "of the other" });
  });

  it("are found by the drop-in under ids that the application has made, each the one that was meant", async () => {
    const made = [...ALIKE];
    const options = { type: "sqlite", saveUninitialized: true, genid: () => made.shift() ?? "more" };
    const place = await Place.open("drop-in", house, {
      options,
      respond(req, res) {
        const store = req.sessionStore as unknown as GambasStore;
        if (req.url === "/") res.end(req.sessionID);
        else store.destroy(decodeURIComponent(req.url.slice(1)), (error) => res.end(String(error ?? "ended")));
      },
    });
    close.push(() => place.close());
    const cookies: string[] = [];
    for (const sid of ALIKE) {
      const { text, cookie } = await place.ask();
      expect(text).toBe(sid);
      cookies.push(cookie);
    }
    expect((await place.ask("/a.b", { cookie: cookies[0] ?? "" })).text).toBe("ended");
    const client = house.worker({ type: "sqlite" });
    const isThere = async (cookie: string) => (await client.open(cookie.slice(cookie.indexOf("=") + 1))) !== undefined;
    expect(await Promise.all(cookies.map(isThere))).toEqual(ALIKE.map((sid) => sid !== "a.b"));
  });
});
