// GambasStore as a store: what it keeps under which id, and when it tells.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { GambasStore, type GambasStoreOptions } from "../../../client/adapters/store.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;
const stores: GambasStore[] = [];
beforeEach(async () => {
  house = await SessionHouse.open();
});
afterEach(async () => {
  for (const store of stores.splice(0)) store.close();
  await house.close();
});

function open(options: GambasStoreOptions = {}): GambasStore {
  const store = new GambasStore({ ...house.options, ...options });
  stores.push(store);
  return store;
}

/** What a method of a store calls back with. */
function told<T>(call: (done: (error: unknown, value?: T) => void) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}

const set = (store: GambasStore, sid: string, session: object): Promise<unknown> =>
  told((done) => store.set(sid, session, done));
const get = (store: GambasStore, sid: string): Promise<object | null | undefined> =>
  told((done) => store.get(sid, done));

it("keeps sessions, with their types, for other processes", async () => {
  const values = { cookie: { maxAge: 2_000 }, name: "tj", at: new Date(0), cart: [{ price: 1.5 }] };
  await set(open(), "123", values);
  expect(await get(open(), "123")).toEqual(values);
});

it("knows no session that was not set, or was destroyed", async () => {
  const store = open();
  expect(await get(store, "none")).toBeNull();
  await set(store, "123", { cookie: {} });
  await told((done) => store.destroy("123", done));
  expect(await get(store, "123")).toBeNull();
});

it("lists, counts and clears its own sessions only", async () => {
  const [store, other] = [open(), open({ prefix: "other" })];
  for (const sid of ["a", "b", "c"]) await set(store, sid, { cookie: {}, sid });
  await set(other, "a", { cookie: {}, sid: "of the other" });
  expect(await told((done) => store.all(done))).toEqual(["a", "b", "c"].map((sid) => ({ cookie: {}, sid, id: sid })));
  expect(await told((done) => store.length(done))).toBe(3);
  await told((done) => store.clear(done));
  expect(await told((done) => store.length(done))).toBe(0);
  expect(await get(other, "a")).toMatchObject({ sid: "of the other" });
});

it.each([
  "../../etc/passwd",
  "a/b",
  "\0",
  "a b;c=d",
  "ä€😀",
  "127.0.0.1:0123456789ABCDEF01234567",
  "%2e%2e",
  "x".repeat(140),
])("keeps a session under the id %j, in a file of its own", async (sid) => {
  const store = open();
  await set(store, sid, { cookie: {}, n: 1 });
  expect(await get(store, sid)).toMatchObject({ n: 1 });
  expect(await told((done) => store.all(done))).toMatchObject([{ id: sid }]);
  expect(readdirSync(join(house.root, "session")).every((name) => name.startsWith("sess__"))).toBe(true);
});

it.each(["", "x".repeat(400), "\ud800"])(
  "finds no session of an id that none can have, and says so to who sets it",
  async (sid) => {
    const store = open();
    expect(await get(store, sid)).toBeNull();
    await expect(set(store, sid, { cookie: {} })).rejects.toMatchObject({ code: "ERR_BAD_ID" });
  },
);

it("writes only what differs from what was loaded", async () => {
  const store = open();
  await set(store, "123", { cookie: {}, a: 1, cart: ["tea"], gone: 1 });
  const [one, other] = (await Promise.all([get(store, "123"), get(store, "123")])) as Record<string, unknown>[];
  if (one === undefined || other === undefined) throw new Error("no session");
  one.b = 2;
  delete one.gone;
  (other.cart as string[]).push("milk");
  await set(store, "123", one);
  await set(store, "123", other);
  expect(await get(store, "123")).toMatchObject({ a: 1, b: 2, cart: ["tea", "milk"] });
  expect(await get(store, "123")).not.toHaveProperty("gone");
});

it("replaces everything by an object of the application's own", async () => {
  const store = open();
  await set(store, "123", { cookie: {}, a: 1 });
  await set(store, "123", { cookie: {}, b: 2 });
  expect(await get(store, "123")).toEqual({ cookie: {}, b: 2 });
});

it("never writes a session again that has ended, and says nothing of it", async () => {
  const store = open();
  await set(store, "123", { cookie: {}, a: 1 });
  const loaded = (await get(store, "123")) as object;
  await told((done) => store.destroy("123", done));
  await set(store, "123", Object.assign(loaded, { b: 2 }));
  expect(await get(store, "123")).toBeNull();
});

it("gives a session the life time of its cookie, or its own", async () => {
  const store = open({ ttl: 100 });
  const cookie = { originalMaxAge: 30_000 };
  await set(store, "timed", { cookie });
  await set(store, "plain", { cookie: {} });
  const client = house.worker();
  const seconds: Record<string, number> = {};
  for await (const { id, lastUsed, expires } of client.list()) {
    seconds[id.slice(0, 11)] = (Number(expires) - Number(lastUsed)) / 1000;
  }
  expect(seconds).toEqual({ sess__timed: 30, sess__plain: 100 });
  await told((done) => store.touch("plain", { cookie }, done));
  expect(await get(store, "plain")).toMatchObject({ cookie: { originalMaxAge: 30_000, expires: expect.any(Date) } });
});

it("calls back later, and keeps what a callback throws away from the work", async () => {
  const store = open();
  let isLater = false;
  const done = told((callback) => store.set("123", { cookie: {} }, (error) => callback(error, isLater)));
  isLater = true;
  expect(await done).toBe(true);
});

it("converts as JSON does what no session can hold", async () => {
  const store = open();
  class User {
    name = "bob";
    greet = (): string => this.name;
  }
  await set(store, "123", { cookie: {}, user: new User(), none: undefined, call: () => 1, list: [() => 1, undefined] });
  expect(await get(store, "123")).toEqual({ cookie: {}, user: { name: "bob" }, list: [null, null] });
});

it("tells that it is connected, that it is not, and that it is again", async () => {
  const store = open({ waitMs: 100 });
  const heard = (name: string): Promise<unknown> => new Promise((resolve) => store.once(name, resolve));
  await heard("connect");
  const disconnected = heard("disconnect");
  await house.stopDaemon();
  await expect(set(store, "123", { cookie: {} })).rejects.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" });
  await disconnected;
  const connected = heard("connect");
  await house.startDaemon();
  await connected;
  await set(store, "123", { cookie: {} });
});

it.each([
  [{ prefixx: "a" }, /prefix was probably meant/],
  [{ ttl: "1" }, /ttl/],
  [{ ttl: 0 }, /option ttl of a store must be a number of seconds above 0, not 0/],
  [{ url: "redis://x" }, /below root/],
  [{ client: { get: () => undefined } }, /option client of a store must be what connect\(\) resolves to/],
  [{ client: { open: () => undefined }, root: "/srv/app" }, /option root of a store means nothing beside client/],
])("refuses the options %j", (options, words) => {
  expect(() => new GambasStore(options as GambasStoreOptions)).toThrow(words);
});
