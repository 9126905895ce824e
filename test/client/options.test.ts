// Options of every function that takes some: what nobody knows is refused by name, and so is what cannot work.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../client/connect.ts";
import { Site } from "../../client/http/exchange.ts";
import { session } from "../../client/http/node/middleware.ts";
import type { Client } from "../../client/index.ts";
import { type ConnectOptions, daemonSettings, type HttpOptions } from "../../client/options.ts";
import { Session } from "../../client/static/session.ts";
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
