// Visitors of an application with express-session and connect-redis, both the real ones, who go on in one with our session() on the same Redis.

import type { IncomingMessage, ServerResponse } from "node:http";
import { RedisStore } from "connect-redis";
import express, { type Request, type Response } from "express";
import expressSession, { type SessionData } from "express-session";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { session as dropInSession, type ExpressSessionOptions } from "../../../client/adapters/express-session.ts";
import { session } from "../../../client/http/node/middleware.ts";
import type { AdoptOptions, SessionOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { HttpHouse, type Reply } from "../../support/http/http-house.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { signedCookie } from "../../support/redis/signed-cookie.ts";
import { SessionHouse } from "../../support/session-house.ts";

const SECRET = "a secret of before";
const VALUES = {
  user: { id: 7, name: "Zoë", roles: ["admin", "editor"], nothing: null },
  visits: 3,
  price: 1.5,
  at: "2026-01-02T03:04:05.678Z",
  list: [1, "two", null, { three: 3 }],
};

type Handler = (req: Request, res: Response) => unknown;

describeWithRedis("sessions of connect-redis", () => {
  let redis: RedisProcess;
  let client: ReturnType<typeof createClient>;
  const houses: SessionHouse[] = [];
  const servers: HttpHouse[] = [];
  const told: Error[] = [];

  beforeAll(async () => {
    redis = await RedisProcess.start();
    client = createClient({ url: redis.url });
    await client.connect();
  });
  afterAll(async () => {
    client.destroy();
    await redis.remove();
  });
  beforeEach(async () => {
    redis.cli("FLUSHALL");
    await host();
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    for (const house of houses.splice(0)) await house.close();
    told.length = 0;
  });

  /** A daemon of a host of its own. */
  async function host(options: Parameters<typeof SessionHouse.open>[0] = {}): Promise<SessionHouse> {
    const house = await SessionHouse.open({ type: "redis", redis: redis.socketUrl, ...options });
    houses.push(house);
    return house;
  }

  async function serve(listener: (req: IncomingMessage, res: ServerResponse) => void): Promise<HttpHouse> {
    const server = await HttpHouse.open(listener);
    servers.push(server);
    return server;
  }

  /** The application as it was. */
  function before(handler: Handler, options: Partial<expressSession.SessionOptions> = {}): Promise<HttpHouse> {
    const app = express();
    const store = new RedisStore({ client });
    app.use(expressSession({ secret: SECRET, resave: false, saveUninitialized: false, store, ...options }));
    app.get("/", handler);
    return serve(app);
  }

  /** The same visitor signed in there: the cookie of his browser. */
  async function signIn(
    options: Partial<expressSession.SessionOptions> = {},
    values: object = VALUES,
  ): Promise<string> {
    const old = await before((req, res) => {
      Object.assign(req.session as Partial<SessionData>, values);
      res.end("in");
    }, options);
    return (await old.ask("/")).cookie;
  }

  /** The application as it is now, on a host. */
  function after(
    adopt: Partial<AdoptOptions> = {},
    { house = houses[0], ...own }: { house?: SessionHouse } & SessionOptions = {},
  ) {
    const options = { ...house?.options, type: "redis", adopt: { secret: SECRET, ...adopt }, ...own } as const;
    const enter = session({ onError: (error) => told.push(error), ...options });
    return serve((req, res) =>
      enter(req, res, async (problem?: unknown) => {
        if (problem !== undefined) {
          res.destroy();
          return;
        }
        if (req.url === "/out") await Session.Abandon();
        if (req.url === "/count") Session.set("visits", Number(Session.get("visits")) + 1);
        if (req.url === "/begin") Session.set("new", true);
        const values = Object.fromEntries(Session.Keys.map((key) => [key, Session.get(key)]));
        const types = Object.fromEntries(Session.Keys.map((key) => [key, Session.TypeOf(key)]));
        res.end(JSON.stringify({ id: Session.Id, timeout: Session.Timeout, values, types }));
      }),
    );
  }

  function read({ text }: Reply): {
    id: string | null;
    timeout: number;
    values: Record<string, unknown>;
    types: Record<string, string>;
  } {
    return JSON.parse(text);
  }

  function keys(pattern: string): string[] {
    return redis.cli("KEYS", pattern).split("\n").filter(Boolean).sort();
  }

  test("go on with their values, and with a cookie of ours from then on", async () => {
    const cookie = await signIn();
    const now = await after();
    const first = await now.ask("/count", { cookie });
    const { id, values, types, timeout } = read(first);
    expect(id).toMatch(/^adopted:[0-9A-F]{24}$/);
    expect(values).toEqual({
      ...VALUES,
      visits: 4,
      user: { id: 7, name: "Zoë", roles: ["admin", "editor"], nothing: null },
    });
    expect(types).toMatchObject({ visits: "Integer", price: "Float", at: "String", user: "Collection" });
    expect(timeout).toBe(86_400);
    expect(first.setCookies).toEqual([`SESSION=${id};path=/;httponly;SameSite=Lax`]);
    // Both cookies, ours alone, or the old one once more: it is the same session.
    for (const both of [`${cookie}; ${first.cookie}`, first.cookie, cookie])
      expect(read(await now.ask("/", { cookie: both }))).toMatchObject({ id, values: { visits: 4 } });
    expect([keys("sess:*").length, keys("gs:*")]).toEqual([1, [`gs:${id}`]]);
    expect(told).toEqual([]);
  });

  test("stay as they were for the application of before, the way back, or are removed", async () => {
    const [stays, goes] = [await signIn(), await signIn()];
    await (await after()).ask("/count", { cookie: stays });
    await (await after({ remove: true })).ask("/count", { cookie: goes });
    const old = await before((req, res) => res.end(JSON.stringify(req.session)));
    expect(JSON.parse((await old.ask("/", { cookie: stays })).text)).toMatchObject(VALUES);
    expect(JSON.parse((await old.ask("/", { cookie: goes })).text)).not.toHaveProperty("user");
  });

  test("live as long as their cookie was to live after each use, and browsers keep ours so long", async () => {
    const cookie = await signIn({ cookie: { maxAge: 90_500 } });
    const reply = await (await after()).ask("/", { cookie });
    expect(read(reply).timeout).toBe(91);
    expect(reply.setCookies[0]).toMatch(/;max-age=91;/);
  });

  test("that a visitor has signed off from stay ended, with the old cookie, on every host, and without the tombstone", async () => {
    const cookie = await signIn();
    const now = await after();
    const other = await after({}, { house: await host() });
    const ours = (await now.ask("/", { cookie })).cookie;
    const out = await now.ask("/out", { cookie: `${cookie}; ${ours}` });
    expect(out.setCookies[0]).toMatch(/^SESSION=;expires=Thu, 01 Jan 1970/);
    for (const site of [now, other]) {
      for (const left of [cookie, `${cookie}; ${ours}`]) {
        const reply = await site.ask("/", { cookie: left });
        expect([read(reply).id, reply.setCookies]).toEqual([null, []]);
      }
    }
    // A day later.
    redis.cli("DEL", ...keys("gs:*"));
    expect(read(await other.ask("/", { cookie })).id).toBeNull();
    expect(read(await other.ask("/begin", { cookie })).values).toEqual({ new: true });
    const [note] = keys("gs!,*");
    // It is known as long as the old one is there.
    const [noted, old] = [note, keys("sess:*")[0]].map((key) => Number(redis.cli("PEXPIRETIME", String(key))));
    expect(noted).toBeGreaterThanOrEqual(Number(old));
  });

  test("become one, however many requests come at once, on two hosts", async () => {
    const cookie = await signIn();
    const sites = [await after(), await after({}, { house: await host() })];
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, n) => sites[n % 2]?.ask("/", { cookie }) as Promise<Reply>),
    );
    const ids = new Set(replies.map((reply) => read(reply).id));
    expect([ids.size, ids.has(null)]).toEqual([1, false]);
    for (const reply of replies) expect(read(reply).values).toMatchObject({ visits: 3 });
    expect(keys("gs:*")).toHaveLength(1);
  });

  test("are found under one of several secrets, and keep their id when another one comes first", async () => {
    const cookie = await signIn();
    const { id } = read(await (await after({ secret: [SECRET] })).ask("/", { cookie }));
    expect(read(await (await after({ secret: ["newer", SECRET] })).ask("/", { cookie })).id).toBe(id);
  });

  test("are found under another prefix and name", async () => {
    const cookie = await signIn({ store: new RedisStore({ client, prefix: "old/" }), name: "sid" });
    const now = await after({ prefix: "old/", cookieName: "sid" });
    expect(read(await now.ask("/", { cookie })).values).toMatchObject({ visits: 3 });
  });

  describe("in the drop-in", () => {
    /** The same application, with the other package: answers with what it has, or does what the path says. */
    function dropIn(options: ExpressSessionOptions = {}): Promise<HttpHouse> {
      const app = express();
      const common = { secret: SECRET, resave: false, saveUninitialized: false, adopt: {} };
      const enter = dropInSession({
        onError: (error) => told.push(error),
        ...{ ...houses[0]?.options, type: "redis" },
        ...common,
        ...options,
      });
      app.use(enter);
      app.get("/out", (req, res) => req.session.destroy(() => res.end()));
      app.get("/", (req, res) => {
        const { cookie, ...values } = req.session;
        const left = cookie.maxAge ?? null;
        res.end(JSON.stringify({ values, age: cookie.originalMaxAge, isLess: left !== null && left <= 90_500 }));
      });
      return serve(app);
    }

    test("go on by its own secret and name, and the old cookie gives way to ours", async () => {
      const cookie = await signIn();
      const now = await dropIn();
      const first = await now.ask("/", { cookie });
      expect(JSON.parse(first.text)).toEqual({ values: { ...VALUES }, age: null, isLess: false });
      expect(first.setCookies).toEqual([
        expect.stringMatching(/^connect\.sid=adopted:[0-9A-F]{24}; Path=\/; HttpOnly$/),
      ]);
      const second = await now.ask("/", { cookie: first.cookie });
      expect([JSON.parse(second.text).values.visits, second.setCookies]).toEqual([3, []]);
      await now.ask("/out", { cookie: first.cookie });
      for (const left of [cookie, first.cookie]) {
        const reply = await now.ask("/", { cookie: left });
        expect([JSON.parse(reply.text).values, reply.setCookies]).toEqual([{}, []]);
      }
      expect(told).toEqual([]);
    });

    test("keep what is said of their own cookie", async () => {
      const cookie = await signIn({ cookie: { maxAge: 90_500 } });
      const now = await dropIn();
      const first = await now.ask("/", { cookie });
      expect(JSON.parse(first.text)).toEqual({ values: { ...VALUES }, age: 90_500, isLess: true });
      expect(first.setCookies[0]).toMatch(/; Expires=/);
      const second = await now.ask("/", { cookie: first.cookie });
      expect(JSON.parse(second.text)).toMatchObject({ age: 90_500, isLess: true });
    });

    test("are found by what is said of them otherwise", async () => {
      const cookie = await signIn({ store: new RedisStore({ client, prefix: "old/" }), name: "sid" });
      const now = await dropIn({ secret: "another", adopt: { secret: SECRET, prefix: "old/", cookieName: "sid" } });
      expect(JSON.parse((await now.ask("/", { cookie })).text).values).toMatchObject({ visits: 3 });
    });

    test("need a secret, and type redis", () => {
      expect(() => dropInSession({ spawn: false, type: "redis", adopt: {} })).toThrow(
        /The option secret of adopt must be/,
      );
      expect(() => dropInSession({ spawn: false, secret: "hidden", adopt: {} })).toThrow(/for sessions of type redis/);
    });
  });

  test("are no one's who has not their signature, and then Redis is not even asked", async () => {
    const cookie = await signIn();
    const value = decodeURIComponent(cookie.slice("connect.sid=".length));
    const [, sid = ""] = /^s:(.*)\./.exec(value) ?? [];
    const now = await after();
    const forged = [
      `s:${sid}.`,
      `s:${sid}.AAAA`,
      `s:${sid}`,
      sid,
      value.slice(0, -1),
      `${value}A`,
      `x:${value.slice(2)}`,
      decodeURIComponent(signedCookie(sid, "another secret")),
      "s:.",
      "s:",
      "%",
      "%E0%A4%A",
      "\u0000",
    ];
    const asked = (await houses[0]?.worker({ type: "redis" }).status()) as unknown as {
      redis: { scriptCalls: number };
    };
    for (const one of forged) {
      for (const sent of [one, encodeURIComponent(one)]) {
        if (sent.includes("\u0000")) continue;
        expect(read(await now.ask("/", { cookie: `connect.sid=${sent}` })).id, sent).toBeNull();
      }
    }
    const later = (await houses[0]?.worker({ type: "redis" }).status()) as unknown as {
      redis: { scriptCalls: number };
    };
    expect(later.redis.scriptCalls).toBe(asked.redis.scriptCalls);
    // Among them the right one counts.
    const many = [...forged.slice(0, 6).map((one) => `connect.sid=${encodeURIComponent(one)}`), cookie].join("; ");
    expect(read(await now.ask("/", { cookie: many })).values).toMatchObject({ visits: 3 });
    expect(told).toEqual([]);
  });

  test.each([
    ["no JSON", "{", /no JSON object with a cookie/],
    ["another value", "[1,2]", /no JSON object with a cookie/],
    ["no cookie", '{"user":1}', /no JSON object with a cookie/],
    ["a key that no session can have", '{"cookie":{},"":1}', /key/],
    ["too much", JSON.stringify({ cookie: {}, x: "x".repeat(60_000) }), /has more than 50000 bytes/],
  ])("that are none, %s, are told of and left, and the visitor begins anew", async (_what, json, why) => {
    const now = await after({}, { house: await host({ maxSessionBytes: 50_000 }) });
    redis.cli("SET", "sess:foreign", json, "EX", "100");
    const cookie = `connect.sid=${signedCookie("foreign", SECRET)}`;
    expect(read(await now.ask("/begin", { cookie })).values).toEqual({ new: true });
    expect([told.length, told[0]?.message]).toEqual([1, expect.stringMatching(why)]);
    expect(redis.cli("GET", "sess:foreign")).toBe(json);
    // No value of a session is in an error.
    expect(told[0]?.message).not.toContain('"user"');
  });

  test("of another type in Redis are told of as well", async () => {
    redis.cli("RPUSH", "sess:list", "1");
    const now = await after();
    expect(read(await now.ask("/", { cookie: `connect.sid=${signedCookie("list", SECRET)}` })).id).toBeNull();
    expect(told[0]?.message).toMatch(/holds something that is no string/);
  });

  test("that were used for longer than their cookie was to live, and not changed, live as Redis says", async () => {
    const used = JSON.stringify({ cookie: { originalMaxAge: 60_000, expires: "2020-01-01T00:00:00.000Z" }, user: 1 });
    redis.cli("SET", "sess:used", used, "EX", "30");
    const reply = await (await after()).ask("/", { cookie: `connect.sid=${signedCookie("used", SECRET)}` });
    expect(read(reply)).toMatchObject({ timeout: 60, values: { user: 1 } });
  });

  test("that have expired, or hold nothing, are none", async () => {
    redis.cli("SET", "sess:past", JSON.stringify({ cookie: { originalMaxAge: 1 }, user: 1 }), "PXAT", "1");
    redis.cli("SET", "sess:empty", JSON.stringify({ cookie: { originalMaxAge: null, expires: null } }));
    const now = await after();
    for (const sid of ["past", "empty", "gone"])
      expect(read(await now.ask("/", { cookie: `connect.sid=${signedCookie(sid, SECRET)}` })).id).toBeNull();
    expect([told, keys("gs:*")]).toEqual([[], []]);
  });

  test("cannot name a key of ours", async () => {
    const ours = read(await (await after()).ask("/begin")).id;
    const now = await after({ prefix: "gs:" });
    const reply = await now.ask("/", { cookie: `connect.sid=${signedCookie(String(ours), SECRET)}` });
    expect(reply.status).toBe(500);
    expect(told[0]?.message).toContain("is none of ours");
  });

  test("are there all the same while they cannot be read: the visitor is told of an error, and begins no other session", async () => {
    const cookie = await signIn();
    const now = await after();
    redis.cli("ACL", "SETUSER", "default", "resetkeys", "~gs:*", "~gs!*");
    const reply = await now.ask("/begin", { cookie });
    redis.cli("ACL", "SETUSER", "default", "allkeys");
    expect([reply.status, reply.setCookies]).toEqual([500, []]);
    expect(told[0]?.message).toMatch(/could not be taken over, for want of a right.*NOPERM.*~sess:\*/);
    expect(read(await now.ask("/", { cookie })).values).toMatchObject({ visits: 3 });
  });
});

test.each([
  [{ adopt: { secret: "x" } }, "The option adopt is for sessions of type redis; the type is file."],
  [{ type: "redis", adopt: {} }, "The option secret of adopt must be text, or an array of texts."],
  [{ type: "redis", adopt: { secret: [] } }, "The option secret of adopt must be"],
  [{ type: "redis", adopt: { secret: ["hidden", 7] } }, "The option secret of adopt must be"],
  [{ type: "redis", adopt: { secret: "hidden", prefx: "a" } }, "prefix"],
  [{ type: "redis", adopt: "hidden" }, "The options of adopt must be an object"],
  [{ type: "redis", adopt: { secret: "hidden", cookieName: "a b" } }, "The option cookieName of adopt must be"],
])("the option adopt is refused: %j", (options, why) => {
  let problem = "";
  try {
    session({ spawn: false, ...options } as SessionOptions);
  } catch (error) {
    problem = String(error);
  }
  expect(problem).toContain(why);
  if (why !== "The options of adopt must be an object") expect(problem).not.toContain("hidden");
});
