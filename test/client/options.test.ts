// Options of every function that takes some: what nobody knows is refused by name, and so is what cannot work.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connect } from "../../client/connect.ts";
import { Site } from "../../client/http/exchange.ts";
import { session } from "../../client/http/node/middleware.ts";
import type { Client } from "../../client/index.ts";
import {
  type ConnectOptions,
  daemonSettings,
  type HttpOptions,
  SESSION_CHECKS,
  type SessionOptions,
} from "../../client/options.ts";
import { type RunOptions, Session } from "../../client/static/session.ts";
import { resolveConfig } from "../../daemon/config.ts";
import { startDaemon } from "../../daemon/start.ts";
import { SessionHouse } from "../support/session-house.ts";

let house: SessionHouse;
let client: Client;

beforeAll(async () => {
  house = await SessionHouse.open();
  client = await connect(house.options);
});
afterAll(async () => {
  client.close();
  await house.close();
});

async function refusalOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_BAD_OPTION" });
    return error instanceof Error ? error.message : "";
  }
  return "nothing was refused";
}

/** Whatever takes options, called with these and otherwise rightly. */
const TAKERS: Readonly<Record<string, (options: object) => unknown>> = {
  "session()": (options) => session({ ...house.options, ...options }),
  "connect()": (options) => connect({ ...house.options, ...options }),
  "an adapter": (options) => Site.open({ ...house.options, ...options }),
  "startDaemon()": (options) => startDaemon({ root: house.root, ...options }),
  "the option daemon": (options) => connect({ ...house.options, daemon: options }),
  "Session.Run": (options) => Session.Run(options, () => undefined),
  "client.open": (options) => client.open("x", options),
  "client.create": (options) => client.create(options),
  "client.transaction": (options) => client.transaction(client.create(), () => undefined, options),
  "Session.Transaction": (options) => Session.Run({}, () => Session.Transaction(() => undefined, options)),
  "a transaction in another one": (options) =>
    Session.Run({}, () => Session.Transaction(() => Session.Transaction(() => undefined, options))),
};

describe("an option that nobody knows is refused", () => {
  it.each(Object.entries(TAKERS))("by %s", async (_name, take) => {
    expect(await refusalOf(() => take({ colour: "red" }))).toMatch(
      /^There is no (option|setting) "colour"; there are /,
    );
  });

  it.each([
    ["session()", { coookieName: "sid" }, "cookieName"],
    ["session()", { idleExitMS: 5 }, "idleExitMs"],
    ["session()", { onerror: () => undefined }, "onError"],
    ["connect()", { idleExitMS: 5 }, "idleExitMs"],
    ["startDaemon()", { cachebytse: 5 }, "cacheBytes"],
    ["the option daemon", { cacheBytess: 5 }, "cacheBytes"],
    ["Session.Run", { remoteAdress: "10.0.0.1" }, "remoteAddress"],
    ["client.create", { timeout: 5 }, "timeoutSeconds"],
    ["client.transaction", { lease: 5 }, "leaseMs"],
  ])("by %s with the one that was meant: %o", async (name, options, meant) => {
    expect(await refusalOf(() => TAKERS[name]?.(options))).toContain(`"; ${meant} was probably meant.`);
  });

  it.each([
    ["secret", /signed/],
    ["cookie", /cookieName, cookiePath/],
    ["resave", /never written/],
    ["saveUninitialized", /first value/],
    ["store", /\broot\b/],
    ["name", /cookieName/],
    ["httpOnly", /always/],
    ["rolling", /maxAge/],
    ["expires", /maxAge/],
  ])("by session() with what to do instead of express-session's %s", async (name, advice) => {
    expect(await refusalOf(() => TAKERS["session()"]?.({ [name]: true }))).toMatch(advice);
  });

  it.each([null, "text", 5, []])("and so is %o in the place of all options", async (options) => {
    for (const take of [session, connect] as readonly ((options: object) => unknown)[])
      expect(await refusalOf(() => take(options as unknown as object))).toMatch(/must be an object, not /);
  });
});

describe("the options of an adapter", () => {
  interface Own extends HttpOptions {
    readonly hook?: string;
  }
  const own = { hook: [(value: unknown) => value === "onRequest", '"onRequest"'] } as const;

  it("are those of all and its own", async () => {
    const options: Own = { ...house.options, hook: "onRequest" };
    Site.open(options, own).client.close();
    expect(await refusalOf(() => Site.open({ ...house.options, hook: "later" } as Own, own))).toContain(
      'The option hook must be "onRequest", not "later".',
    );
    expect(await refusalOf(() => Site.open({ ...house.options, hok: "onRequest" } as Own, own))).toContain("hook was");
  });
});

describe("an option that is undefined is one that is not given", () => {
  it("of a session and its client", async () => {
    const nothing: SessionOptions = {
      ...{ root: undefined, socket: undefined, type: undefined, spawn: undefined, waitMs: undefined, redis: undefined },
      ...{
        cacheBytes: undefined,
        idleExitMs: undefined,
        durability: undefined,
        coherence: undefined,
        daemon: undefined,
      },
      ...{
        acceptEviction: undefined,
        acceptLoss: undefined,
        daemonPath: undefined,
        adopt: undefined,
        unique: undefined,
      },
      ...{ cookieName: undefined, cookiePath: undefined, domain: undefined, sameSite: undefined, secure: undefined },
      ...{ partitioned: undefined, maxAge: undefined, timeout: undefined, trustProxy: undefined, prefix: undefined },
      ...{ onError: undefined },
    };
    const places = { root: house.root, spawn: false };
    const exchange = await Site.open({ ...nothing, ...places }, SESSION_CHECKS).begin({ address: "10.0.0.1" });
    const { cookies } = await exchange.run(async () => {
      Session.n = 1;
      await Session.Transaction(() => Session.n, { leaseMs: undefined });
      return exchange.finish();
    });
    expect(cookies).toEqual([`SESSION=${exchange.handle.id};path=/;httponly;SameSite=Lax`]);
    expect(exchange.handle.id).toMatch(/^10\.0\.0\.1:/);
    const run: RunOptions = { id: undefined, remoteAddress: undefined, request: undefined, cookieName: undefined };
    expect(await Session.Run(run, () => Session.Id)).toBeNull();
  });

  it("of a daemon that is started", () => {
    const daemon = { idleExitMs: undefined, durability: undefined, sweepMs: undefined };
    expect(daemonSettings({ daemon }, "file")).toEqual({ idleExitMs: 60_000, durability: "file" });
    const { sweepMs, type } = resolveConfig({ sweepMs: undefined, type: undefined, root: house.root });
    expect([sweepMs, type]).toEqual([60_000, "file"]);
  });
});

describe("settings for a daemon that is started", () => {
  it("are those that are given, with the client's own defaults", () => {
    expect(daemonSettings({}, "file")).toEqual({ idleExitMs: 60_000, durability: "file" });
    expect(daemonSettings({ daemon: { idleExitMs: 5, sweepMs: 0 }, durability: "fsync" }, "file")).toEqual({
      idleExitMs: 5,
      sweepMs: 0,
      durability: "fsync",
    });
  });

  it.each<ConnectOptions>([
    { daemon: { sweepMs: -1 } },
    { daemon: { durability: "disk" as "file" } },
    { daemon: { leaseMs: 70_000 } },
    { daemon: { root: "/x" } as ConnectOptions["daemon"] & object },
    { daemon: [] as ConnectOptions["daemon"] & object },
    { daemon: { durability: "fsync" }, durability: "file" },
  ])("are refused at start, by name: %o", async (options) => {
    const [name = ""] = Object.keys(options.daemon ?? {});
    expect(await refusalOf(() => connect({ ...house.options, ...options }))).toContain(name || "daemon");
  });
});

describe("settings of a daemon in this process", () => {
  it.each<[unknown, string]>([
    [null, "The settings must be an object, not null."],
    ["/srv/app", 'The settings must be an object, not "/srv/app".'],
    [{ sweepMs: "5" }, 'The setting sweepMs must be a number from 0 to 2147483647, not "5".'],
    [{ logLevel: "loud" }, 'The setting logLevel must be one of debug, info, warn, error, silent, not "loud".'],
    [{ engine: "file" }, '"file", "sqlite", "redis"'],
  ])("are refused with what they were: %j", async (settings, words) => {
    expect(await refusalOf(() => startDaemon(settings as object))).toContain(words);
  });
});

describe("options of Redis", () => {
  const SECRET = "kept-from-everybody";
  const url = `redis://app:${SECRET}@127.0.0.1:1/2`;
  const at = { root: "/nowhere/at/all", spawn: false } as const;

  it.each<[ConnectOptions, string]>([
    [{ redis: url }, "The option redis is for sessions of type redis; the type is file."],
    [{ type: "FILE", coherence: "strict" }, "The option coherence is for sessions of type redis; the type is file."],
    [{ acceptLoss: false }, "The option acceptLoss is for sessions of type redis; the type is file."],
    [
      { daemon: { acceptEviction: true } },
      "The setting acceptEviction is for sessions of type redis; the type is file.",
    ],
    [
      { durability: "replica" },
      'The option durability must be one of file, fsync for sessions of type file, not "replica".',
    ],
    [
      { type: "redis", durability: "fsync" },
      "The option durability must be one of file, replica for sessions of type redis",
    ],
    [
      { type: "redis", daemon: { gambas: "3.18" } },
      "The setting gambas is for sessions of type file, sqlite; the type is redis.",
    ],
    [{ type: "redis", spawn: true }, "Sessions of type redis need the option redis"],
    [{ type: "redis", redis: url, daemon: { redis: `${url}0` } }, "The option redis and daemon.redis are not the same"],
    [
      { type: "redis", coherence: { maxStaleMs: 5 }, daemon: { maxStaleMs: 6 } },
      "option coherence and daemon.maxStaleMs are 5 and 6",
    ],
    [{ type: "redis", coherence: { maxStaleMs: -1 } }, 'The option coherence must be "strict" or { maxStaleMs }'],
    [{ type: "redis", redis: [] }, "The option redis must be a URL, or an array of URLs."],
    [{ type: "redis", redis: `http://app:${SECRET}@db` }, "The option redis begins with no scheme that is known"],
    [{ type: "redis", redis: [url, `redis://:${SECRET}@db`] }, "The option redis names"],
    [
      { type: "sqlite", daemon: { repairSeconds: 5 } },
      "The setting repairSeconds is for sessions of type file; the type is sqlite.",
    ],
    [{ type: "" as "file" }, "The option type must be a type of sessions"],
  ])("that cannot work are refused, and nothing secret is said: %o", async (options, what) => {
    const said = await refusalOf(() => connect({ ...at, ...options }));
    expect(said).toContain(what);
    expect(said).not.toContain(SECRET);
  });

  it("become settings of a daemon that is started", () => {
    const { idleExitMs, durability, ...settings } = daemonSettings(
      { redis: ["redis://a:1", "redis://b:2"], coherence: { maxStaleMs: 50 }, acceptLoss: true },
      "redis",
    );
    expect(settings).toEqual({ redis: "redis://a:1,redis://b:2", maxStaleMs: 50, acceptLoss: true });
    expect([idleExitMs, durability]).toEqual([60_000, "file"]);
  });

  it("may come from the environment, which means nothing to other types", () => {
    vi.stubEnv("GAMBAS_SESSION_REDIS", url);
    expect([daemonSettings({}, "redis").redis, daemonSettings({}, "file").redis]).toEqual([url, undefined]);
    expect(daemonSettings({ redis: "redis://other" }, "redis").redis).toBe("redis://other");
    vi.unstubAllEnvs();
  });
});
