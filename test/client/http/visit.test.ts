// Which of several cookies counts: the last one whose session exists. Real sockets, real files, and a browser that keeps cookies by path.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { session } from "../../../client/http/node/middleware.ts";
import type { Client } from "../../../client/index.ts";
import type { SessionOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { Browser } from "../../gambas/browser.ts";
import { HttpHouse, type Reply } from "../../support/http/http-house.ts";
import { SessionHouse } from "../../support/session-house.ts";

const GONE = "expires=Thu, 01 Jan 1970 00:00:00 GMT";

let house: SessionHouse;
let worker: Client;
let count = 0;
const servers: HttpHouse[] = [];
const errors: Error[] = [];

beforeAll(async () => {
  house = await SessionHouse.open();
  worker = await connect(house.options);
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  errors.length = 0;
});
afterAll(() => house.close());

/** Answers with the id, or the code of what a read throws; /in sets a user, /out ends the session, /new does both, the last one first. */
async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const path = req.url ?? "";
  try {
    if (path.endsWith("/out") || path.endsWith("/new")) await Session.Abandon();
    if (path.endsWith("/in") || path.endsWith("/new")) Session.user = "ann";
    res.end(String(Session.user === undefined ? null : Session.Id));
  } catch (error) {
    res.end((error as { code: string }).code);
  }
}

async function serve(options: SessionOptions = {}): Promise<HttpHouse> {
  const onError = (error: Error): void => void errors.push(error);
  const bind = session({ ...house.options, onError, ...options });
  const server = await HttpHouse.open((req, res) => bind(req, res, () => void answer(req, res)));
  servers.push(server);
  return server;
}

async function make(): Promise<string> {
  const handle = worker.create({ prefix: "10.0.0.1" });
  handle.set("user", "ann");
  await handle.save();
  return handle.id ?? "";
}

/** Well-formed, and nobody's. */
function unknown(): string {
  count += 1;
  return `10.0.0.1:${count.toString(16).toUpperCase().padStart(24, "0")}`;
}

function ended(name: string, path: string): string {
  return `${name}=;${GONE};path=${path};httponly;SameSite=Lax`;
}

async function visit(server: HttpHouse, browser: Browser, path: string): Promise<Reply> {
  const cookie = browser.header(path);
  const reply = await server.ask(path, cookie === undefined ? {} : { cookie });
  browser.accept(reply.setCookies, path);
  return reply;
}

async function opens(): Promise<number> {
  return Number((await worker.status()).opens);
}

describe("of several cookies", () => {
  it("one that names no session hides none that does", async () => {
    const server = await serve();
    const [a, b] = [await make(), await make()];
    const signed = `s:${b}.${"x".repeat(43)}`;
    const cases: [string, string][] = [
      [`SESSION=${a}; SESSION=`, a],
      [`SESSION=${a}; SESSION`, a],
      [`SESSION=${a}; SESSION=rubbish`, a],
      [`SESSION=${a}; SESSION=${unknown()}`, a],
      [`SESSION=${unknown()}; SESSION=${a}; SESSION=${unknown()}`, a],
      [`SESSION=${a}; SESSION="${b}"`, a],
      [`SESSION=${a}; SESSION= ${b}`, a],
      [`SESSION=${a}; SESSION=${b} ; x=1`, a],
      [`SESSION=${a}; SESSION=${encodeURIComponent(b)}`, a],
      [`SESSION=${a}; SESSION=10.0.0.1:0123456789abcdef01234567`, a],
      [`SESSION=${a}; SESSION=${signed}`, a],
      [`SESSION=${a}; SESSION=../session/${b}`, a],
      [`SESSION=${a}; SESSION=${"x".repeat(300)}`, a],
      [`SESSION=${a}; SESSION=${Buffer.from("é").toString("latin1")}:0123456789ABCDEF01234567`, a],
      [`$Version=1; SESSION=${a}; $Path=/; SESSION=x`, a],
      [`SESSION=${a}; session=${b}; SESSIONS=${b}; SESSIO=${b}; XSESSION=${b}`, a],
      [`SESSION=${a}; SESSION=${b}`, b],
      [`SESSION=${b}; SESSION=${a}; SESSION=${unknown()}; SESSION=${unknown()}`, a],
      [`SESSION=rubbish; GBSESSIONID=${a}`, a],
      [`SESSION=${unknown()}; GBSESSIONID=${a}`, a],
      [`GBSESSIONID=${a}; GBSESSIONID=${unknown()}; SESSION=${unknown()}`, a],
      [`GBSESSIONID=${a}; SESSION=${b}`, b],
      [`GBSESSIONID=${a}; SESSION=${b}; SESSION=`, b],
    ];
    for (const [cookie, id] of cases) {
      const reply = await server.ask("/", { cookie });
      expect([cookie, reply.text, reply.setCookies]).toEqual([cookie, id, []]);
    }
    expect(errors).toEqual([]);
  });

  it("of the name GBSESSIONID itself the same holds", async () => {
    const server = await serve({ cookieName: "GBSESSIONID" });
    const a = await make();
    expect((await server.ask("/", { cookie: `GBSESSIONID=${a}; GBSESSIONID=${unknown()}` })).text).toBe(a);
    const reply = await server.ask("/in", { cookie: `GBSESSIONID=${unknown()}; SESSION=${a}` });
    expect(reply.setCookies).toEqual([`GBSESSIONID=${reply.text};path=/;httponly;SameSite=Lax`]);
  });

  it("one whose session has ended or expired makes way", async () => {
    const server = await serve();
    const [a, b, c] = [await make(), await make(), await make()];
    await house.worker().abandon(b);
    house.makeOlder(c, 86_400_000);
    expect((await server.ask("/", { cookie: `SESSION=${a}; SESSION=${b}; SESSION=${c}` })).text).toBe(a);
    // Known to this worker by now.
    await house.worker().abandon(a);
    expect((await server.ask("/", { cookie: `SESSION=${a}; SESSION=${b}` })).text).toBe("null");
  });

  it("a session that cannot be read is one, and makes no way for another", async () => {
    const server = await serve();
    const [a, damaged, blocked] = [await make(), await make(), await make()];
    writeFileSync(house.pathOf(damaged), "nonsense");
    rmSync(house.pathOf(blocked));
    mkdirSync(house.pathOf(blocked));
    for (const id of [damaged, blocked]) {
      expect((await server.ask("/", { cookie: `SESSION=${a}; SESSION=${id}` })).text).toBe("ERR_UNREADABLE");
    }
    rmSync(house.pathOf(blocked), { recursive: true });
  });

  it("nor does one that nobody can look for, while no daemon answers", async () => {
    const alone = await SessionHouse.open();
    const server = await serve({ ...alone.options, waitMs: 50 });
    const client = alone.worker();
    const handle = client.create({ prefix: "10.0.0.1" });
    handle.set("user", "ann");
    await handle.save();
    const cookie = `SESSION=${handle.id}; SESSION=${unknown()}`;
    expect((await server.ask("/", { cookie })).text).toBe(handle.id);
    await alone.stopDaemon();
    expect((await server.ask("/", { cookie })).text).toBe("ERR_DAEMON_UNAVAILABLE");
    await alone.close();
  });

  it("Abandon removes the one that counts, under its name and path, and the next request may have another", async () => {
    const server = await serve();
    const [a, b, gambas] = [await make(), await make(), await make()];
    const cookie = `GBSESSIONID=${gambas}; SESSION=${a}; SESSION=${b}; SESSION=${unknown()}`;
    expect((await server.ask("/out", { cookie })).setCookies).toEqual([ended("SESSION", "/")]);
    expect([house.has(a), house.has(b)]).toEqual([true, false]);
    expect((await server.ask("/out", { cookie })).setCookies).toEqual([ended("SESSION", "/")]);
    expect((await server.ask("/out", { cookie })).setCookies).toEqual([ended("GBSESSIONID", "/")]);
    expect((await server.ask("/out", { cookie })).setCookies).toEqual([]);
  });

  it("what is renewed keeps the name of the one that counted", async () => {
    const server = await serve();
    const gambas = await make();
    const reply = await server.ask("/new", { cookie: `SESSION=${unknown()}; GBSESSIONID=${gambas}` });
    expect(reply.setCookies).toEqual([`GBSESSIONID=${reply.text};path=/;httponly;SameSite=Lax`]);
    const fresh = await server.ask("/in", { cookie: `SESSION=${unknown()}; GBSESSIONID=${unknown()}` });
    expect(fresh.setCookies).toEqual([`SESSION=${fresh.text};path=/;httponly;SameSite=Lax`]);
    const alone = await server.ask("/in", { cookie: `SESSION=; GBSESSIONID=${unknown()}` });
    expect(alone.setCookies).toEqual([`GBSESSIONID=${alone.text};path=/;httponly;SameSite=Lax`]);
  });
});

describe("what is asked of the daemon", () => {
  it("is nothing for one cookie that this worker knows, and one call for one it does not", async () => {
    const server = await serve();
    const a = await make();
    const before = await opens();
    await server.ask("/", { cookie: `SESSION=${a}` });
    expect(await opens()).toBe(before + 1);
    await server.ask("/", { cookie: `SESSION=${a}` });
    await server.ask("/", { cookie: `x=1; SESSION=${a}; SESSION=; SESSION=rubbish` });
    expect(await opens()).toBe(before + 1);
  });

  it("is bounded, however many ids are sent, and each is asked for once", async () => {
    const server = await serve();
    const a = await make();
    const before = await opens();
    const many = Array.from({ length: 200 }, () => `SESSION=${unknown()}`);
    expect((await server.ask("/", { cookie: [`SESSION=${a}`, ...many].join("; ") })).text).toBe("null");
    expect((await opens()) - before).toBe(8);
    const same = `SESSION=${unknown()}; `.repeat(100);
    expect((await server.ask("/", { cookie: `SESSION=${a}; ${same}` })).text).toBe(a);
    expect((await opens()) - before).toBe(10);
  });
});

describe("in a browser with a cookie of an ended session at a wider path", () => {
  it.each(["SESSION", "GBSESSIONID"])("signing in works at once, and out again, with %s", async (cookieName) => {
    const server = await serve({ cookiePath: "/app", cookieName });
    const browser = new Browser();
    browser.set({ name: cookieName, value: unknown(), path: "/" });
    const id = (await visit(server, browser, "/app/in")).text;
    for (const path of ["/app/home", "/app/in", "/app/home"])
      expect((await visit(server, browser, path)).text).toBe(id);
    expect(browser.cookies).toHaveLength(2);
    expect((await visit(server, browser, "/elsewhere")).text).toBe("null");
    expect((await visit(server, browser, "/app/out")).setCookies).toEqual([ended(cookieName, "/app")]);
    expect(house.has(id)).toBe(false);
    expect(browser.cookies).toHaveLength(1);
    const next = (await visit(server, browser, "/app/new")).text;
    expect((await visit(server, browser, "/app/home")).text).toBe(next);
    expect(next).not.toBe(id);
  });

  it("or at a narrower one, or at five", async () => {
    const server = await serve();
    const browser = new Browser();
    for (const path of ["/a", "/a/b", "/a/b/c", "/", "/a/b/c/d"]) {
      browser.set({ name: "SESSION", value: unknown(), path });
    }
    const id = (await visit(server, browser, "/a/b/c/d/in")).text;
    expect((await visit(server, browser, "/a/b/c/d/home")).text).toBe(id);
    expect((await visit(server, browser, "/a")).text).toBe(id);
  });
});
