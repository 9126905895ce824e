// Sessions of connect-redis whose adoption stopped in the middle, or goes on while Redis is full: whoever comes next completes it.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Site, Visit } from "../../../client/http/exchange.ts";
import type { Client } from "../../../client/link/client.ts";
import type { AdoptOptions } from "../../../client/options.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { signedCookie } from "../../support/redis/signed-cookie.ts";
import { SessionHouse } from "../../support/session-house.ts";

const SECRET = "a secret of before";
const VALUES = { user: "Zoë", visits: 3 };
const COOKIE = `connect.sid=${signedCookie("old", SECRET)}`;

describeWithRedis("an adoption", () => {
  let redis: RedisProcess;
  let house: SessionHouse;

  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());
  beforeEach(async () => {
    redis.cli("CONFIG", "SET", "maxmemory", "0");
    redis.cli("FLUSHALL");
    keepOld(JSON.stringify({ cookie: { originalMaxAge: null }, ...VALUES }));
    house = await SessionHouse.open({ type: "redis", redis: redis.socketUrl });
  });
  afterEach(() => house.close());

  function keepOld(json: string): void {
    redis.cli("SET", "sess:old", json, "EX", "86400");
  }

  /** A worker of the application as it is now. */
  function site(adopt: Partial<AdoptOptions> = {}): Site {
    return house.site({ type: "redis", adopt: { secret: SECRET, ...adopt } });
  }

  /** The visitor comes with the old cookie alone. */
  function visit(to = site()): Promise<Visit> {
    return Promise.resolve(to.find(COOKIE));
  }

  /** A worker that has made our session, and then can do no more. */
  function failing(to = site()): Site {
    to.client.noteAdopted = () => Promise.reject(new SessionError("ERR_STORE", "The worker is killed here."));
    return to;
  }

  /** What every worker sees of the session that a visitor has. */
  async function valuesOf({ id }: Visit): Promise<Record<string, unknown> | undefined> {
    const handle = await house.worker({ type: "redis" }).open(String(id));
    return handle && Object.fromEntries(handle.keys.map((key) => [key, handle.get(key)]));
  }

  /** What is left when a session has ended, and its tombstone is forgotten. */
  async function signOffAndForget(client: Client, id: string | null): Promise<void> {
    await client.abandon(String(id));
    expect(redis.cli("DEL", `gs:${id}`)).toBe("1");
  }

  test("that stopped once our session was made gives no cookie away, and is completed by the next visit", async () => {
    const cut = await visit(failing());
    expect([cut.problem?.message, cut.contents, cut.isNews]).toEqual([
      expect.stringMatching(/killed/),
      undefined,
      false,
    ]);
    const next = await visit();
    expect([next.problem, next.isNews, await valuesOf(next)]).toEqual([undefined, true, VALUES]);
    await signOffAndForget(site().client, next.id);
    expect(await visit()).toMatchObject({ id: null, problem: undefined });
  });

  test("is completed by the one of two at once that goes on, too", async () => {
    const other = site();
    const { client } = other;
    const adoptable = client.adoptable.bind(client);
    client.adoptable = async (id, key) => {
      const found = await adoptable(id, key);
      await visit(failing());
      return found;
    };
    const went = await visit(other);
    expect([went.problem, await valuesOf(went)]).toEqual([undefined, VALUES]);
    await signOffAndForget(client, went.id);
    expect(await visit()).toMatchObject({ id: null, problem: undefined });
  });

  test("whose session was ended in between is completed as well: it stays ended", async () => {
    const { id } = await visit(failing());
    await site().client.abandon(String(id));
    expect(await visit()).toMatchObject({ id: null, problem: undefined });
    redis.cli("DEL", `gs:${id}`);
    expect(await visit()).toMatchObject({ id: null, problem: undefined });
  });

  test("that removes the old session does so at the next visit", async () => {
    await visit(failing(site({ remove: true })));
    expect(await valuesOf(await visit(site({ remove: true })))).toEqual(VALUES);
    expect(redis.cli("EXISTS", "sess:old")).toBe("0");
  });

  test("stays one under another id: the old cookie names nothing after Regenerate", async () => {
    const to = site();
    const exchange = await to.begin({ cookie: COOKIE });
    await exchange.run(() => exchange.handle.regenerate());
    await exchange.finish();
    exchange.end();
    expect(await visit(to)).toMatchObject({ id: null, problem: undefined });
    expect(await valuesOf(await Promise.resolve(to.find(`SESSION=${exchange.handle.id}`)))).toEqual(VALUES);
    redis.cli("DEL", String(redis.cli("KEYS", "gs:adopted:*")));
    expect(await visit(to)).toMatchObject({ id: null, problem: undefined });
  });

  test("waits while Redis is full, and who was adopted before is served", async () => {
    redis.cli("CONFIG", "SET", "maxmemory", "1");
    const refused = await visit();
    expect([refused.contents, refused.problem]).toEqual([undefined, expect.objectContaining({ code: "ERR_STORE" })]);
    redis.cli("CONFIG", "SET", "maxmemory", "0");
    expect(await valuesOf(await visit())).toEqual(VALUES);
    redis.cli("CONFIG", "SET", "maxmemory", "1");
    const again = await visit();
    expect([again.problem, await valuesOf(again)]).toEqual([undefined, VALUES]);
  });

  const nested = (levels: number): string => `${"[".repeat(levels)}1${"]".repeat(levels)}`;

  test.each([
    ["a damaged one", '{"cookie":{},"a":1', /no JSON object with a cookie/],
    ["bytes", "\ufeff\u0001\u007f", /no JSON object with a cookie/],
    ["null", "null", /no JSON object with a cookie/],
    ["a cookie that is an array", '{"cookie":[],"a":1}', /no JSON object with a cookie/],
    ["more levels than a value can have", `{"cookie":{},"a":${nested(20_000)}}`, /levels deep/],
    ["half a character", '{"cookie":{},"a":"\\ud800"}', /lone surrogates/],
    ["a key that is ours", '{"cookie":{},"_":1}', /key/],
    ["a key that is too long", `{"cookie":{},"${"k".repeat(70_000)}":1}`, /key/],
  ])("of %s is refused for ever, and told", async (_what, json, why) => {
    keepOld(json);
    const refused = await visit();
    expect([refused.id, refused.problem, refused.refusal?.message]).toEqual([
      null,
      undefined,
      expect.stringMatching(why),
    ]);
  });

  test.each([
    ["a life time beyond any number of seconds", '{"cookie":{"originalMaxAge":1e308},"a":1}', { a: 1 }],
    ["a life time that is over", '{"cookie":{"originalMaxAge":-5},"a":1}', { a: 1 }],
    ["numbers beyond what JSON should have", '{"cookie":{},"a":1e999}', { a: Number.POSITIVE_INFINITY }],
    ["names of members", '{"cookie":{},"Id":1,"get":2}', { Id: 1, get: 2 }],
  ])("takes %s as it can", async (_what, json, values) => {
    keepOld(json);
    const taken = await visit();
    expect([taken.problem, taken.refusal, await valuesOf(taken)]).toEqual([undefined, undefined, values]);
  });

  test("makes nothing but a key of __proto__", async () => {
    keepOld('{"cookie":{},"__proto__":{"isAdmin":true},"a":{"__proto__":{"isAdmin":true}}}');
    const { id } = await visit();
    const taken = await house.worker({ type: "redis" }).open(String(id));
    const a = taken?.get("a") as object;
    expect([taken?.keys, taken?.get("__proto__"), Object.keys(a), "isAdmin" in a, "isAdmin" in {}]).toEqual([
      ["__proto__", "a"],
      { isAdmin: true },
      ["__proto__"],
      false,
      false,
    ]);
  });
});
