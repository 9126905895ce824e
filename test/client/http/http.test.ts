// session() under node:http: cookie in, commit before the headers, cookie out. Real sockets, real files.
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { connect } from "../../../client/connect.ts";
import { session } from "../../../client/http/middleware.ts";
import type { Client, Handle } from "../../../client/index.ts";
import type { SessionOptions } from "../../../client/options.ts";
import { Session, sessionOf } from "../../../client/static/session.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { deferred } from "../../support/deferred.ts";
import { HttpHouse, type Reply, readReply } from "../../support/http/http-house.ts";
import { SessionHouse } from "../../support/session-house.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => unknown;

const HEX = "0123456789ABCDEF01234567";
const GONE = "expires=Thu, 01 Jan 1970 00:00:00 GMT";

let house: SessionHouse;
let worker: Client;
const servers: HttpHouse[] = [];
const errors: unknown[] = [];
const handled = new WeakMap<HttpHouse, number>();

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 4_000_000 });
  worker = await connect(house.options);
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  errors.length = 0;
});
afterAll(async () => {
  worker.close();
  await house.close();
});

/** A server of which every request goes through session(); what a handler throws becomes a 500 with the code in it. */
async function serve(handler: Handler, options: SessionOptions = {}): Promise<HttpHouse> {
  const onError = (error: Error): void => void errors.push(error);
  const bind = session({ ...house.options, onError, ...options });
  const server: HttpHouse = await HttpHouse.open((req, res) => {
    bind(req, res, (error) => {
      if (req.url === "/pass") {
        Session.passed = true;
        res.end();
        return;
      }
      const answer = new Promise((resolve) => resolve(error === undefined ? handler(req, res) : Promise.reject(error)));
      handled.set(server, (handled.get(server) ?? 0) + 1);
      answer.catch((problem: unknown) => {
        if (res.headersSent) return;
        res.statusCode = 500;
        res.end(problem instanceof SessionError ? problem.code : String(problem));
      });
    });
  });
  servers.push(server);
  handled.set(server, 0);
  return server;
}

/** Sets what the query says, and answers with all there is. */
const setAndShow: Handler = (req, res) => {
  const { searchParams } = new URL(req.url ?? "/", "http://x");
  for (const [key, value] of searchParams) Session.set(key, value);
  show(req, res);
};

const show: Handler = (_req, res) => {
  res.setHeader("Content-Type", "application/json");
  res.end(JSON.stringify({ id: Session.Id, entries: { ...Session } }));
};

function idOf(reply: Reply, name = "SESSION"): string {
  const pair = reply.setCookies.map((line) => line.split(";", 1)[0] ?? "").find((text) => text.startsWith(`${name}=`));
  if (pair === undefined) throw new Error(`no ${name} cookie in ${JSON.stringify(reply.setCookies)}`);
  return pair.slice(name.length + 1);
}

async function makeSession(entries: Record<string, unknown>): Promise<string> {
  const handle = worker.create({ prefix: "127.0.0.1" });
  for (const [key, value] of Object.entries(entries)) handle.set(key, value);
  await handle.save();
  const { id } = handle;
  if (id === null) throw new Error("no session was made");
  return id;
}

async function stored(id: string, key: string): Promise<unknown> {
  return (await house.worker().open(id))?.get(key);
}

function filesNow(): string[] {
  return readdirSync(house.root, { recursive: true, encoding: "utf8" }).sort();
}

/** Keeps a session's turn, so that commits of others wait, until it is let go. */
async function holdTurn(id: string): Promise<() => Promise<void>> {
  const [held, letGo] = [deferred(), deferred()];
  const turn = house.worker().transaction(id, () => {
    held.resolve();
    return letGo.promise;
  });
  await held.promise;
  return async () => {
    letGo.resolve();
    await turn;
  };
}

/** Resolves when so many requests have been handled and whatever they sent to the daemon has reached it: one more has gone all the way. */
async function untilHeld(server: HttpHouse, count = 1): Promise<void> {
  await vi.waitFor(() => expect(handled.get(server)).toBeGreaterThanOrEqual(count));
  await server.ask("/pass");
}

describe("the cookie", () => {
  it("is sent when a session is created, with exactly these attributes, and never again", async () => {
    const server = await serve(setAndShow);
    const first = await server.ask("/?a=1");
    const id = idOf(first);
    expect(first.setCookies).toEqual([`SESSION=${id};path=/;httponly;SameSite=Lax`]);
    expect(id).toMatch(/^127\.0\.0\.1:[0-9A-F]{24}$/);
    const second = await server.ask("/?b=2", { cookie: first.cookie });
    expect([second.setCookies, second.text]).toEqual([[], JSON.stringify({ id, entries: { a: "1", b: "2" } })]);
    expect(await stored(id, "b")).toBe("2");
  });

  it("is not sent by a request that makes no session", async () => {
    const server = await serve(show);
    const reply = await server.ask("/");
    expect([reply.setCookies, reply.text]).toEqual([[], '{"id":null,"entries":{}}']);
  });

  it("GBSESSIONID is honoured where SESSION is absent, and kept under that name", async () => {
    const id = await makeSession({ a: "1" });
    const server = await serve(async (req, res) => {
      if (req.url === "/abandon") await Session.Abandon();
      if (req.url === "/renew") {
        await Session.Abandon();
        Session.set("b", "new");
      }
      show(req, res);
    });
    const read = await server.ask("/", { cookie: `GBSESSIONID=${id}` });
    expect([read.setCookies, JSON.parse(read.text).id]).toEqual([[], id]);
    const renewed = await server.ask("/renew", { cookie: `GBSESSIONID=${id}` });
    const next = idOf(renewed, "GBSESSIONID");
    expect(renewed.setCookies).toEqual([`GBSESSIONID=${next};path=/;httponly;SameSite=Lax`]);
    const ended = await server.ask("/abandon", { cookie: `other=1; GBSESSIONID=${next}` });
    expect(ended.setCookies).toEqual([`GBSESSIONID=;${GONE};path=/;httponly;SameSite=Lax`]);
  });

  it("SESSION goes before GBSESSIONID, one that names nothing is none", async () => {
    const [a, b] = [await makeSession({ n: "a" }), await makeSession({ n: "b" })];
    const server = await serve(show);
    const both = await server.ask("/", { cookie: `GBSESSIONID=${b}; SESSION=${a}` });
    expect(JSON.parse(both.text).id).toBe(a);
    const empty = await server.ask("/", { cookie: `SESSION=; GBSESSIONID=${b}` });
    expect(JSON.parse(empty.text).id).toBe(b);
    const unknown = await server.ask("/", { cookie: `SESSION=127.0.0.1:${HEX}; GBSESSIONID=${b}` });
    expect(JSON.parse(unknown.text).id).toBe(b);
  });

  it('cookieName "GBSESSIONID" shares both ways', async () => {
    const server = await serve(setAndShow, { cookieName: "GBSESSIONID" });
    const first = await server.ask("/?a=1");
    const id = idOf(first, "GBSESSIONID");
    expect(first.setCookies).toEqual([`GBSESSIONID=${id};path=/;httponly;SameSite=Lax`]);
    expect(JSON.parse((await server.ask("/", { cookie: first.cookie })).text).id).toBe(id);
    expect(JSON.parse((await server.ask("/", { cookie: `SESSION=${id}` })).text).id).toBeNull();
  });

  it("has the name, path and SameSite of the options", async () => {
    const server = await serve(setAndShow, { cookieName: "sid", cookiePath: "/app", sameSite: "Strict" });
    const reply = await server.ask("/?a=1");
    const id = idOf(reply, "sid");
    expect(reply.setCookies).toEqual([`sid=${id};path=/app;httponly;SameSite=Strict`]);
    expect((await house.worker().open(id))?.cookiePath).toBe("/app");
  });

  it("is Secure on HTTPS, where it is asked for, and where a trusted proxy says so", async () => {
    const attributes = async (options: SessionOptions, headers: Record<string, string> = {}): Promise<string> => {
      const server = await serve(setAndShow, options);
      const [cookie = ""] = (await server.ask("/?a=1", { headers })).setCookies;
      return cookie.slice(cookie.indexOf(";"));
    };
    const [plain, secure] = [";path=/;httponly;SameSite=Lax", ";path=/;httponly;SameSite=Lax;Secure"];
    expect(await attributes({ secure: true })).toBe(secure);
    expect(await attributes({}, { "x-forwarded-proto": "https" })).toBe(plain);
    expect(await attributes({ trustProxy: true }, { "x-forwarded-proto": "https" })).toBe(secure);
    expect(await attributes({ trustProxy: 1 }, { "x-forwarded-proto": "HTTPS, http" })).toBe(secure);
    expect(await attributes({ trustProxy: true }, { "x-forwarded-proto": "http" })).toBe(plain);
    expect(await attributes({ trustProxy: true, secure: false }, { "x-forwarded-proto": "https" })).toBe(plain);
  });

  it("has the path the request chose, and moves when that changes: the old one is removed", async () => {
    const server = await serve((req, res) => {
      const { searchParams } = new URL(req.url ?? "/", "http://x");
      Session.CookiePath = searchParams.get("path") ?? "";
      Session.set("a", "1");
      res.end();
    });
    const first = await server.ask("/?path=/one");
    const id = idOf(first);
    expect(first.setCookies).toEqual([`SESSION=${id};path=/one;httponly;SameSite=Lax`]);
    const same = await server.ask("/?path=/one", { cookie: first.cookie });
    expect(same.setCookies).toEqual([]);
    const moved = await server.ask("/?path=/two", { cookie: first.cookie });
    expect(moved.setCookies).toEqual([
      `SESSION=;${GONE};path=/one;httponly;SameSite=Lax`,
      `SESSION=${id};path=/two;httponly;SameSite=Lax`,
    ]);
  });

  it.each<SessionOptions>([
    { cookieName: "a b" },
    { cookieName: "" },
    { cookieName: "a;b" },
    { sameSite: "lax" as "Lax" },
    { timeout: Number.NaN },
    { timeout: "60" as unknown as number },
    { timeout: -1 },
    { cookiePath: "/a;b" },
    { cookiePath: "/\r\n" },
    { prefix: "a/b" },
    { secure: "yes" as unknown as boolean },
    { trustProxy: -1 },
    { trustProxy: "yes" as unknown as boolean },
  ])("an option that cannot work is refused at once: %j", (options) => {
    expect(() => session({ ...house.options, ...options })).toThrow(
      expect.objectContaining({
        code: "ERR_BAD_OPTION",
        message: expect.stringContaining(Object.keys(options)[0] ?? ""),
      }),
    );
  });

  it("a socket path that is too long is refused with its length and the limit", () => {
    expect(() => session({ root: `/tmp/${"x".repeat(120)}`, spawn: false })).toThrow(/139 bytes.*107/);
  });
});

describe("the prefix of new ids", () => {
  const prefixOf = async (options: SessionOptions, headers: Record<string, string> = {}): Promise<string> => {
    const server = await serve(setAndShow, options);
    return idOf(await server.ask("/?a=1", { headers })).slice(0, -25);
  };

  it("is the address of the connection, whatever the headers say", async () => {
    expect(await prefixOf({}, { "x-forwarded-for": "9.9.9.9" })).toBe("127.0.0.1");
  });

  it("is the address a trusted proxy names, if it is one", async () => {
    const header = { "x-forwarded-for": "1.1.1.1, 2.2.2.2, ::ffff:3.3.3.3" };
    expect(await prefixOf({ trustProxy: true }, header)).toBe("1.1.1.1");
    expect(await prefixOf({ trustProxy: 1 }, header)).toBe("3.3.3.3");
    expect(await prefixOf({ trustProxy: 2 }, header)).toBe("2.2.2.2");
    expect(await prefixOf({ trustProxy: 9 }, header)).toBe("1.1.1.1");
    expect(await prefixOf({ trustProxy: true })).toBe("127.0.0.1");
    expect(await prefixOf({ trustProxy: true }, { "x-forwarded-for": "2001:db8::7" })).toBe("2001:db8::7");
  });

  it.each([
    ["203.0.113.1:4000", "203.0.113.1"],
    ["203.0.113.1:", "203.0.113.1"],
    ['"203.0.113.1:4000"', "203.0.113.1"],
    ["[2001:db8::7]:80", "2001:db8::7"],
    ["[2001:db8::7]", "2001:db8::7"],
    ['"[2001:db8::7]:80"', "2001:db8::7"],
    ["2001:db8:1:2:3:4:5:6:443", "2001:db8:1:2:3:4:5:6"],
    ["2001:DB8:0:0::7", "2001:db8::7"],
    ["::ffff:203.0.113.1", "203.0.113.1"],
    ["::FFFF:203.0.113.1:4000", "203.0.113.1"],
    ["[::ffff:203.0.113.1]:4000", "203.0.113.1"],
    ["0:0:0:0:0:ffff:cb00:7101", "203.0.113.1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["[FE80::1%eth0]:80", "fe80::1%eth0"],
    [", ,\t203.0.113.1:1 ,, 10.0.0.1", "203.0.113.1"],
  ])("understands what proxies write: %s", async (header, prefix) => {
    expect(await prefixOf({ trustProxy: true }, { "x-forwarded-for": header })).toBe(prefix);
    expect(errors).toEqual([]);
  });

  it("counts proxies over several lines and empty parts", async () => {
    const lines = ["203.0.113.1:1, ", "10.0.0.1:2,,10.0.0.2:3"];
    const server = await serve(setAndShow, { trustProxy: 3 });
    expect(idOf(await server.ask("/?a=1", { headers: { "x-forwarded-for": lines } }))).toMatch(/^203\.0\.113\.1:/);
  });

  it.each([
    "unknown",
    "_hidden",
    "",
    " , ,",
    "../../etc",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4 5",
    "[203.0.113.1",
    "[]:80",
    "localhost:80",
    "for=203.0.113.1",
    "\xff\x80",
    `fe80::1%${"z".repeat(300)}`,
    `${"9".repeat(5000)}, 10.0.0.1`,
  ])("is one of its own, and said, where a trusted proxy names no address: %j", async (header) => {
    const server = await serve(setAndShow, { trustProxy: true, unique: true });
    const make = async (): Promise<string> =>
      idOf(await server.ask("/?a=1&secret=x", { headers: { "x-forwarded-for": header } }));
    const ids = [await make(), await make()];
    for (const id of ids) expect(id).toMatch(/^unknown-[0-9a-f]{16}:[0-9A-F]{24}$/);
    expect(ids.map((id) => house.has(id))).toEqual([true, true]);
    const said = errors.map((error) => [(error as SessionError).code, (error as Error).message]);
    expect(said).toEqual([
      [
        "ERR_BAD_ADDRESS",
        expect.stringContaining(
          `GET / names no address that can be read: ${JSON.stringify(header.trim().slice(0, 100)).slice(0, -1)}`,
        ),
      ],
      ["ERR_BAD_ADDRESS", expect.not.stringContaining("secret")],
    ]);
    expect(said[0]?.[1]?.length).toBeLessThan(500);
  });

  it("is said by a warning without onError, once for a session, and not for what makes none", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    const server = await serve(setAndShow, { trustProxy: 1, onError: undefined } as object);
    const headers = { "x-forwarded-for": "unknown" };
    await server.ask("/", { headers });
    const { cookie } = await server.ask("/?a=1&b=2", { headers });
    await server.ask("/?c=3", { headers, cookie });
    await vi.waitFor(() =>
      expect(warnings.map((warning) => (warning as SessionError).code)).toEqual(["ERR_BAD_ADDRESS"]),
    );
    process.off("warning", onWarning);
  });

  it("unique visitors behind a proxy that writes ports do not end each other", async () => {
    const server = await serve(setAndShow, { trustProxy: true, unique: true });
    const visit = async (hop: string): Promise<string> =>
      idOf(await server.ask("/?a=1", { headers: { "x-forwarded-for": hop } }));
    const [ann, bob] = [await visit("203.0.113.1:4000"), await visit("203.0.113.2:4001")];
    expect([house.has(ann), house.has(bob)]).toEqual([true, true]);
    const again = await visit("203.0.113.1:5000");
    expect([house.has(ann), house.has(bob), house.has(again)]).toEqual([false, true, true]);
  });

  it("is what the option says, or makes of the request", async () => {
    expect(await prefixOf({ prefix: "shop" })).toBe("shop");
    expect(await prefixOf({ prefix: (req) => String(req.headers.host).split(":")[0] ?? "" })).toBe("127.0.0.1");
  });

  it("a prefix function that fails is told to next, once", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(show, {
      prefix: () => {
        throw new Error("no prefix");
      },
    });
    expect((await server.ask("/")).text).toBe("Error: no prefix");
    expect((await server.ask("/", { cookie: `SESSION=${id}` })).text).toBe("Error: no prefix");
  });

  it("unique ends the other sessions of it", async () => {
    const server = await serve(setAndShow, { prefix: "only", unique: true });
    const first = idOf(await server.ask("/?a=1"));
    const second = idOf(await server.ask("/?a=1"));
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
  });

  it("timeout is that of new sessions", async () => {
    const server = await serve(setAndShow, { timeout: 77 });
    expect((await house.worker().open(idOf(await server.ask("/?a=1"))))?.timeout).toBe(77);
  });
});

describe("cookie headers of every kind", () => {
  it("find the session, or none, as Gambas would; nothing is opened or left", async () => {
    const id = await makeSession({ a: "1" });
    const server = await serve(show);
    const before = filesNow();
    const cases: [string, boolean][] = [
      [`SESSION=${id}`, true],
      [`a=b; SESSION=${id}; c=d`, true],
      [`a=b;SESSION=${id};c=d`, true],
      [`SESSION=x; SESSION=${id}`, true],
      [`SESSION=${id}=x`, true],
      [`;;; SESSION=${id};;`, true],
      [`SESSION=${id}; SESSION=x`, true],
      [`SESSION=${id}; SESSION=`, true],
      [`session=${id}`, false],
      [`SESSION =${id}`, false],
      [`SESSION= ${id}`, false],
      [`SESSION="${id}"`, false],
      [`SESSION=${encodeURIComponent(id)}`, false],
      [`SESSION=${id.toLowerCase()}`, false],
      [`XSESSION=${id}`, false],
      [`SESSION=${id}.lock`, false],
      [`SESSION=../session/${id}`, false],
      [`SESSION=./${id}`, false],
      [`SESSION=/etc/passwd`, false],
      [`SESSION=..`, false],
      [`SESSION=%00${id}`, false],
      [`SESSION=127.0.0.1:${HEX}`, false],
      [`SESSION=${"x".repeat(8000)}:${HEX}`, false],
      [`SESSION=${Buffer.from("日本").toString("latin1")}:${HEX}`, false],
      [`SESSION=\xff\xfe:${HEX}`, false],
      ["SESSION", false],
      ["=", false],
      [";", false],
      [`a=b, SESSION=${id}`, false],
    ];
    for (const [cookie, isFound] of cases) {
      const reply = await server.ask("/", { cookie });
      expect([cookie, reply.status, reply.setCookies, JSON.parse(reply.text).id]).toEqual([
        cookie,
        200,
        [],
        isFound ? id : null,
      ]);
    }
    expect(filesNow()).toEqual(before);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ["end with text", (res) => void res.end("é")],
    ["end with encoded text", (res) => void res.end("c3a9", "hex")],
    ["end with bytes", (res) => void res.end(Buffer.from("é"))],
    [
      "write",
      (res) => {
        res.write("é");
        res.end();
      },
    ],
    [
      "write with a length",
      (res) => {
        res.setHeader("Content-Length", 2);
        res.write("é", "utf8");
        res.end();
      },
    ],
    [
      "flushHeaders",
      (res) => {
        res.flushHeaders();
        res.end("é");
      },
    ],
    ["writeHead", (res) => void res.writeHead(200).end("é")],
  ])("an id that is not ASCII goes out and comes back: %s", async (_name, finish) => {
    const server = await serve(
      (req, res) => {
        if (req.url === "/show") show(req, res);
        else {
          Session.a = 1;
          finish(res);
        }
      },
      { prefix: "日本é" },
    );
    const first = await server.ask("/");
    expect(first.text).toBe("é");
    const read = await server.ask("/show", { cookie: first.cookie });
    expect(JSON.parse(read.text).entries).toEqual({ a: 1 });
    expect(JSON.parse(read.text).id).toMatch(/^日本é:/);
  });

  it("an unknown id is never adopted: the session made instead has another", async () => {
    const server = await serve(setAndShow);
    const unknown = `127.0.0.1:${HEX}`;
    const reply = await server.ask("/?a=1", { cookie: `SESSION=${unknown}` });
    expect(idOf(reply)).not.toBe(unknown);
    expect([house.has(unknown), house.has(`${unknown}.lock`)]).toEqual([false, false]);
  });

  it("neither is an expired one, whose file goes", async () => {
    const server = await serve(setAndShow);
    const id = await makeSession({ a: "old" });
    house.makeOlder(id, 86_400_000);
    const reply = await server.ask("/?b=1", { cookie: `SESSION=${id}` });
    expect(JSON.parse(reply.text).entries).toEqual({ b: "1" });
    expect(idOf(reply)).not.toBe(id);
    expect(house.has(id)).toBe(false);
  });
});

describe("the commit comes before the headers", () => {
  it("a redirect never outruns its session, in any worker", async () => {
    const [one, two] = [await serve(setAndShow), await serve(show)];
    for (let n = 0; n < 30; n++) {
      const first = await one.ask(`/?n=${n}`);
      const second = await two.ask("/", { cookie: first.cookie });
      expect(JSON.parse(second.text).entries).toEqual({ n: String(n) });
    }
  });

  it.each<[string, Handler]>([
    ["end", (_req, res) => res.end("done")],
    [
      "writeHead and end",
      (_req, res) => {
        res.writeHead(302, { Location: "/next" });
        res.end("done");
      },
    ],
    ["writeHead alone first", (_req, res) => void res.writeHead(200).end("done")],
    [
      "write",
      (_req, res) => {
        res.write("do");
        res.end("ne");
      },
    ],
    [
      "flushHeaders",
      (_req, res) => {
        res.flushHeaders();
        res.end("done");
      },
    ],
    ["pipe", (_req, res) => void Readable.from(["do", "ne"]).pipe(res)],
  ])("nothing leaves before a slow commit is done: %s", async (_name, finish) => {
    const id = await makeSession({ a: 1 });
    const server = await serve((req, res) => {
      Session.set("a", 2);
      finish(req, res);
    });
    const letGo = await holdTurn(id);
    const sent = server.begin("/", { cookie: `SESSION=${id}` });
    let hasAnswer = false;
    sent.once("response", () => {
      hasAnswer = true;
    });
    sent.end();
    const reply = readReply(sent);
    await untilHeld(server);
    expect([hasAnswer, await stored(id, "a")]).toEqual([false, 1]);
    await letGo();
    expect((await reply).text).toBe("done");
    expect(await stored(id, "a")).toBe(2);
  });

  it("what is changed between the first write and the end is committed before the end", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      Session.set("a", 2);
      await new Promise<void>((written) => res.write("one", () => written()));
      Session.set("b", 3);
      res.end("two");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, await stored(id, "a"), await stored(id, "b")]).toEqual(["onetwo", 2, 3]);
  });

  it("also when the end comes while the first commit is still under way", async () => {
    const [isHeld, hasEnded] = [deferred(), deferred()];
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      Session.set("a", 2);
      res.write("one");
      await isHeld.promise;
      Session.set("b", 3);
      res.end("two");
      hasEnded.resolve();
    });
    const letGo = await holdTurn(id);
    const reply = server.ask("/", { cookie: `SESSION=${id}` });
    await untilHeld(server);
    isHeld.resolve();
    await hasEnded.promise;
    await letGo();
    expect((await reply).text).toBe("onetwo");
    expect([await stored(id, "a"), await stored(id, "b")]).toEqual([2, 3]);
  });

  it("changes after the headers of a request that had only read are committed before its end", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      res.write(String(Session.a));
      Session.a = 2;
      await new Promise((resolve) => setImmediate(resolve));
      res.end("!");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, await stored(id, "a")]).toEqual(["1!", 2]);
  });

  it("a save or an end that was begun and not awaited is waited for", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve((_req, res) => {
      void Session.Abandon();
      res.end("bye");
    });
    const letGo = await holdTurn(id);
    const reply = server.ask("/", { cookie: `SESSION=${id}` });
    await untilHeld(server);
    expect(house.has(id)).toBe(true);
    await letGo();
    expect((await reply).setCookies).toEqual([`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]);
    expect(house.has(id)).toBe(false);
  });

  it("Save inside the handler is in the file when it resolves", async () => {
    const server = await serve(async (_req, res) => {
      Session.a = 1;
      await Session.Save();
      res.end(String(house.fileOf(Session.Id ?? "").length === Session.Size));
    });
    const reply = await server.ask("/");
    expect([reply.text, reply.setCookies.length]).toEqual(["true", 1]);
  });

  it("Path is right in the very first request of a worker", async () => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      res.end(Session.Path);
    });
    const reply = await server.ask("/");
    expect(reply.text).toBe(house.pathOf(idOf(reply)));
  });
});

describe("responses of every kind", () => {
  it.each<[string, (res: ServerResponse) => void, string[]]>([
    ["an object", (res) => void res.writeHead(200, { "Set-Cookie": "x=1", "X-A": "1" }), ["x=1"]],
    [
      "an object with a list",
      (res) => void res.writeHead(200, { "set-cookie": ["x=1", "y=2"], "X-A": "1" }),
      ["x=1", "y=2"],
    ],
    ["a message and an object", (res) => void res.writeHead(200, "Fine", { "Set-Cookie": "x=1", "X-A": "1" }), ["x=1"]],
    [
      "a flat list",
      (res) => void res.writeHead(200, ["Set-Cookie", "x=1", "Set-Cookie", "y=2", "X-A", "1"]),
      ["x=1", "y=2"],
    ],
    [
      "setHeader before",
      (res) => {
        res.setHeader("Set-Cookie", ["x=1"]);
        res.setHeader("X-A", "1");
      },
      ["x=1"],
    ],
    [
      "setHeader and writeHead",
      (res) => {
        res.setHeader("Set-Cookie", "x=1");
        res.writeHead(200, { "Set-Cookie": "y=2", "X-A": "1" });
      },
      ["y=2"],
    ],
  ])("cookies of the application and ours leave together: %s", async (_name, head, cookies) => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      head(res);
      res.end("ok");
    });
    const reply = await server.ask("/");
    expect(reply.setCookies).toEqual(
      expect.arrayContaining([...cookies, `SESSION=${idOf(reply)};path=/;httponly;SameSite=Lax`]),
    );
    expect([reply.headers["x-a"], reply.text]).toEqual(["1", "ok"]);
  });

  it("a large stream arrives whole, with its source held back", async () => {
    const chunk = Buffer.alloc(64 * 1024, "x");
    let made = 0;
    const makeSource = (): Readable =>
      new Readable({
        read() {
          this.push(made++ < 200 ? chunk : null);
        },
      });
    const server = await serve(async (_req, res) => {
      Session.a = made;
      await pipeline(makeSource(), res);
    });
    const reply = await server.ask("/");
    expect(reply.bytes.length).toBe(200 * chunk.length);
    expect(await stored(idOf(reply), "a")).toBe(0);
  });

  it("a source that is piped waits while the commit does", async () => {
    const id = await makeSession({ a: 1 });
    const chunk = Buffer.alloc(64 * 1024, "x");
    let made = 0;
    const server = await serve((_req, res) => {
      Session.a = 2;
      new Readable({
        read() {
          this.push(made++ < 200 ? chunk : null);
        },
      }).pipe(res);
    });
    const letGo = await holdTurn(id);
    const reply = server.ask("/", { cookie: `SESSION=${id}` });
    await untilHeld(server);
    expect(made).toBeLessThan(10);
    await letGo();
    expect((await reply).bytes.length).toBe(200 * chunk.length);
  });

  it("write callbacks, end callbacks, finish and close come once each and in order", async () => {
    const seen: string[] = [];
    const closed = deferred();
    const server = await serve((_req, res) => {
      Session.a = 1;
      res.on("finish", () => seen.push("finish"));
      res.on("close", () => {
        seen.push("close");
        closed.resolve();
      });
      expect(res.write("a", () => seen.push("written"))).toBe(true);
      res.end("b", () => seen.push("ended"));
    });
    expect((await server.ask("/")).text).toBe("ab");
    await closed.promise;
    expect(seen.filter((what) => what !== "ended")).toEqual(["written", "finish", "close"]);
    expect(seen.filter((what) => what === "ended").length).toBe(1);
  });

  it("encodings and buffers pass unchanged", async () => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      res.write("6869", "hex");
      res.write(new Uint8Array([32]));
      res.end("é", "latin1");
    });
    expect((await server.ask("/")).bytes).toEqual(Buffer.from([0x68, 0x69, 0x20, 0xe9]));
  });

  it("HEAD and 304 have their headers and no body", async () => {
    const server = await serve((req, res) => {
      Session.a = 1;
      if (req.method === "HEAD") {
        res.setHeader("Content-Length", 5);
        res.end();
      } else {
        res.writeHead(304, { ETag: '"x"' });
        res.end();
      }
    });
    const head = await server.ask("/", { method: "HEAD" });
    expect([head.status, head.headers["content-length"], head.text, head.setCookies.length]).toEqual([200, "5", "", 1]);
    const unchanged = await server.ask("/");
    expect([unchanged.status, unchanged.text, unchanged.setCookies.length]).toEqual([304, "", 1]);
    expect(await stored(idOf(unchanged), "a")).toBe(1);
  });

  it("Content-Length is found out as without us", async () => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      res.end("12345");
    });
    expect((await server.ask("/")).headers["content-length"]).toBe("5");
  });

  it("what is answered is said to be on its way: headersSent, writableEnded, and no more headers", async () => {
    const id = await makeSession({ a: 1 });
    const seen: unknown[] = [];
    const server = await serve((_req, res) => {
      Session.a = 2;
      res.setHeader("X-A", "1");
      seen.push(res.headersSent, res.writableEnded);
      res.end("first");
      seen.push(res.headersSent, res.writableEnded);
      for (const late of [
        () => res.setHeader("Content-Length", 99),
        () => res.appendHeader("X-A", "2"),
        () => res.removeHeader("X-A"),
        () => res.writeHead(500),
      ]) {
        try {
          late();
          seen.push("no error");
        } catch (error) {
          seen.push((error as NodeJS.ErrnoException).code);
        }
      }
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    const code = "ERR_HTTP_HEADERS_SENT";
    expect(seen).toEqual([false, false, true, true, code, code, code, code]);
    expect([reply.status, reply.text, reply.headers["x-a"]]).toEqual([200, "first", "1"]);
    expect(await stored(id, "a")).toBe(2);
  });

  it("keep-alive: one connection, many requests, each with its own session", async () => {
    const { Agent, request } = await import("node:http");
    const server = await serve(setAndShow);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (path: string, cookie = ""): Promise<Reply> => {
      const sent = request({ host: "127.0.0.1", port: server.port, path, agent, headers: cookie ? { cookie } : {} });
      sent.end();
      return readReply(sent);
    };
    const [a, b] = [await ask("/?n=a"), await ask("/?n=b")];
    expect(idOf(a)).not.toBe(idOf(b));
    expect(JSON.parse((await ask("/", a.cookie)).text).entries).toEqual({ n: "a" });
    expect(JSON.parse((await ask("/")).text).id).toBeNull();
    expect(JSON.parse((await ask("/", b.cookie)).text).entries).toEqual({ n: "b" });
    agent.destroy();
  });

  it("pipelined requests are answered in order", async () => {
    const id = await makeSession({ list: [] });
    const server = await serve(async (req, res) => {
      await Session.Transaction(() => {
        (Session.list as string[]).push(req.url ?? "");
      });
      res.write(`${req.url} `);
      Session.set("last", req.url);
      res.end("end\n");
    });
    const socket = connectSocket(server.port, "127.0.0.1");
    const paths = ["/1", "/2", "/3", "/4"];
    const last = "Connection: close\r\n";
    for (const path of paths) {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nCookie: SESSION=${id}\r\n${path === "/4" ? last : ""}\r\n`);
    }
    let text = "";
    for await (const chunk of socket) text += chunk;
    expect(text.match(/\/\d (?=[^e]*end)/gs)?.length ?? 0).toBeGreaterThan(0);
    expect(text.match(/\/\d(?= )/g)).toEqual(paths);
    expect((await stored(id, "list")) as string[]).toHaveLength(4);
  });

  it("a client that hangs up loses nothing of its session and harms nobody", async () => {
    const id = await makeSession({ a: 1 });
    const [begun, over] = [deferred(), deferred()];
    const server = await serve(async (req, res) => {
      if (req.url === "/") {
        show(req, res);
        return;
      }
      begun.resolve();
      await once(req.socket, "close");
      Session.a = 2;
      res.write("nobody listens");
      res.end("nobody");
      over.resolve();
    });
    const sent = server.begin("/slow", { cookie: `SESSION=${id}` });
    sent.on("error", () => undefined);
    sent.end();
    await begun.promise;
    sent.destroy();
    await over.promise;
    await vi.waitFor(async () => expect(await stored(id, "a")).toBe(2));
    expect(JSON.parse((await server.ask("/", { cookie: `SESSION=${id}` })).text).entries).toEqual({ a: 2 });
  });

  it("a client that hangs up while the commit is under way", async () => {
    const id = await makeSession({ a: 1 });
    const closed = deferred();
    const server = await serve((_req, res) => {
      Session.a = 2;
      res.on("close", closed.resolve);
      res.end("x".repeat(100_000));
    });
    const letGo = await holdTurn(id);
    const sent = server.begin("/", { cookie: `SESSION=${id}` });
    sent.on("error", () => undefined);
    sent.end();
    await untilHeld(server);
    sent.destroy();
    await closed.promise;
    await letGo();
    await vi.waitFor(async () => expect(await stored(id, "a")).toBe(2));
  });

  it("100-continue: the body is asked for before anything is committed", async () => {
    const server = await serve(async (req, res) => {
      let body = "";
      for await (const chunk of req) body += chunk;
      Session.body = body;
      show(req, res);
    });
    const sent = server.begin("/", { method: "POST", headers: { Expect: "100-continue", "Content-Length": "5" } });
    sent.flushHeaders();
    await once(sent, "continue");
    sent.end("hello");
    expect(JSON.parse((await readReply(sent)).text).entries).toEqual({ body: "hello" });
  });
});

describe("the context", () => {
  it("is there in listeners of the request and the response", async () => {
    const id = await makeSession({ n: 0 });
    const finished = deferred();
    const seen: unknown[] = [];
    const server = await serve((req, res) => {
      let body = "";
      req.on("data", (chunk) => {
        body += chunk;
        seen.push(Session.Id);
      });
      req.on("end", () => {
        Session.body = body;
        res.end("ok");
      });
      res.on("finish", () => seen.push(Session.Id));
      res.on("close", () => {
        seen.push(Session.Id);
        finished.resolve();
      });
    });
    const sent = server.begin("/", { method: "POST", cookie: `SESSION=${id}` });
    sent.write("one");
    await vi.waitFor(() => expect(seen.length).toBe(1));
    sent.end("two");
    expect((await readReply(sent)).text).toBe("ok");
    await finished.promise;
    expect([new Set(seen), await stored(id, "body")]).toEqual([new Set([id]), "onetwo"]);
  });

  it("is there, and the application's own too, in whatever runs when a response that was held goes on", async () => {
    const own = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const note = (what: string): void => void seen.push([what, own.getStore(), Session.Id]);
    const big = "x".repeat(5_000_000);
    const onError = (): void => note("onError");
    const bind = session({ ...house.options, onError });
    const server = await HttpHouse.open((req, res) => {
      const { writeHead } = res;
      res.writeHead = ((...args: unknown[]) => {
        note("writeHead");
        return Reflect.apply(writeHead, res, args);
      }) as typeof writeHead;
      bind(req, res, () => {
        own.run(String(req.url), () => {
          Session.n = req.url === "/big" ? big : req.url;
          expect(res.write("x".repeat(100_000))).toBe(false);
          res.once("drain", () => {
            note("drain");
            res.end();
          });
        });
      });
    });
    servers.push(server);
    const ids = await Promise.all([makeSession({ n: 0 }), makeSession({ n: 1 }), makeSession({ n: 2 })]);
    const urls = ["/one", "/two", "/big"];
    await Promise.all(urls.map((url, index) => server.ask(url, { cookie: `SESSION=${ids[index]}` })));
    const expected = [
      ...["/one", "/two"].flatMap((url, index) => [
        ["writeHead", url, ids[index]],
        ["drain", url, ids[index]],
      ]),
      ["onError", "/big", ids[2]],
      ["writeHead", "/big", ids[2]],
      ["drain", "/big", ids[2]],
    ];
    expect(seen).toHaveLength(expected.length);
    expect(seen).toEqual(expect.arrayContaining(expected));
  });

  it("is not there for a request that does not pass the middleware, on the same connection", async () => {
    const { Agent, request } = await import("node:http");
    const id = await makeSession({ n: 0 });
    const bind = session(house.options);
    const server = await HttpHouse.open((req, res) => {
      const answer = (): void => {
        req.resume().on("end", () => {
          try {
            res.end(Session.Id);
          } catch (error) {
            res.end((error as SessionError).code);
          }
        });
      };
      if (req.url === "/with") bind(req, res, answer);
      else answer();
    });
    servers.push(server);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (path: string): Promise<string> => {
      const headers = { cookie: `SESSION=${id}` };
      const sent = request({ host: "127.0.0.1", port: server.port, path, agent, method: "POST", headers });
      sent.end("body");
      return (await readReply(sent)).text;
    };
    const code = "ERR_NO_SESSION_CONTEXT";
    expect([await ask("/with"), await ask("/without"), await ask("/with"), await ask("/without")]).toEqual([
      id,
      code,
      id,
      code,
    ]);
    agent.destroy();
  });

  it("next is called once, whatever it throws", async () => {
    const id = await makeSession({ n: 0 });
    const bind = session(house.options);
    let calls = 0;
    const warned = once(process, "warning");
    const server = await HttpHouse.open((req, res) => {
      bind(req, res, () => {
        calls += 1;
        throw new Error("mine");
      });
    });
    servers.push(server);
    // Its contents are asked for, so that nobody is left above who could catch it.
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([calls, reply.status]).toEqual([1, 500]);
    expect(String((await warned)[0])).toContain("A request handler failed: mine");
  });

  it("works where the handler is called from a hook with done, as in other frameworks", async () => {
    const id = await makeSession({ n: "0" });
    const bind = session(house.options);
    const server = await HttpHouse.open((req, res) => {
      const reply = { raw: res, headers: {} as Record<string, string>, isSent: false };
      const onRequest = (raw: IncomingMessage, replyRaw: ServerResponse, done: (error?: unknown) => void): void =>
        bind(raw, replyRaw, done);
      onRequest(req, reply.raw, () => {
        const chunks: Buffer[] = [];
        req.on("data", (chunk: Buffer) => chunks.push(chunk));
        req.on("end", () => {
          Session.n = Buffer.concat(chunks).toString();
          const payload = JSON.stringify(Session.n);
          reply.raw.writeHead(200, { "content-type": "application/json", "content-length": `${payload.length}` });
          reply.raw.end(payload, null as unknown as BufferEncoding);
        });
      });
    });
    servers.push(server);
    const reply = await server.ask("/", { method: "POST", body: "five", cookie: `SESSION=${id}` });
    expect([reply.text, await stored(id, "n")]).toEqual(['"five"', "five"]);
  });
});

describe("HTTP/2", () => {
  it("works through the compatibility API", async () => {
    const bind = session(house.options);
    const server = createHttp2Server((req, res) => {
      bind(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => {
        Session.n = ((Session.n as number | undefined) ?? 0) + 1;
        res.setHeader("x-a", "1");
        res.end(String(Session.n));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const ask = async (cookie?: string): Promise<{ headers: Record<string, unknown>; text: string }> => {
      const stream = client.request({ ":path": "/", ...(cookie === undefined ? {} : { cookie }) });
      const [headers] = await once(stream, "response");
      let text = "";
      for await (const chunk of stream) text += chunk;
      return { headers, text };
    };
    const first = await ask();
    const [line = ""] = first.headers["set-cookie"] as string[];
    expect([first.text, first.headers["x-a"]]).toEqual(["1", "1"]);
    expect(line).toMatch(/^SESSION=127\.0\.0\.1:[0-9A-F]{24};path=\/;httponly;SameSite=Lax$/);
    expect((await ask(line.split(";", 1)[0])).text).toBe("2");
    client.close();
    server.close();
  });
});

describe("a commit that fails after the headers have left", () => {
  it("is no end like any other under HTTP/2 either", async () => {
    const bind = session({ ...house.options, onError: () => undefined });
    const server = createHttp2Server((req, res) => {
      bind(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => {
        const live: Record<string, unknown> = {};
        Session.live = live;
        res.write("first half,", () => {
          live.bad = () => 1;
          res.end("second half");
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = client.request({ ":path": "/" });
    stream.resume();
    await expect(once(stream, "end").then(() => once(stream, "close"))).rejects.toThrow("NGHTTP2_INTERNAL_ERROR");
    client.close();
    server.close();
  });
});

describe("middlewares over each other", () => {
  it("one that is mounted twice gives a request one session", async () => {
    const bind = session(house.options);
    const server = await HttpHouse.open((req, res) => {
      bind(req, res, () =>
        bind(req, res, () => {
          Session.a = 1;
          req.resume().on("end", () => {
            const saw = Session.a;
            Session.b = 2;
            res.end(`saw ${saw}`);
          });
        }),
      );
    });
    servers.push(server);
    const reply = await server.ask("/", { method: "POST", body: "x" });
    expect([reply.text, reply.setCookies.length]).toEqual(["saw 1", 1]);
    expect([await stored(idOf(reply), "a"), await stored(idOf(reply), "b")]).toEqual([1, 2]);
  });

  it.each(["alone", "with another in between"])("so does one that is reached without its context, %s", async (how) => {
    const [bind, between] = [session(house.options), session({ ...house.options, cookieName: "BETWEEN" })];
    const waiting: (() => void)[] = [];
    const server = await HttpHouse.open((req, res) => {
      const again = (): void =>
        bind(req, res, () => {
          Session.b = 2;
          res.end(`saw ${Session.a}`);
        });
      const later = (): unknown => waiting.push(how === "alone" ? again : () => between(req, res, again));
      bind(req, res, () => {
        Session.a = 1;
        later();
      });
    });
    servers.push(server);
    const answer = server.ask("/");
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    waiting[0]?.();
    const reply = await answer;
    expect([reply.text, reply.setCookies.length]).toEqual(["saw 1", 1]);
    expect([await stored(idOf(reply), "a"), await stored(idOf(reply), "b")]).toEqual([1, 2]);
  });

  it("of two the inner one has the listeners, as it has the handler", async () => {
    const [outer, inner] = [session({ ...house.options, cookieName: "OUTER" }), session(house.options)];
    const server = await HttpHouse.open((req, res) => {
      outer(req, res, () => {
        Session.who = "outer";
        inner(req, res, () => {
          Session.who = "inner";
          req.resume().on("end", () => res.end(String(Session.who)));
        });
      });
    });
    servers.push(server);
    expect((await server.ask("/", { method: "POST", body: "x" })).text).toBe("inner");
  });
});

describe("of two middlewares with sessions of their own", () => {
  const outer = (options: SessionOptions = {}): SessionOptions => ({
    ...house.options,
    cookieName: "OUTER",
    ...options,
  });
  type Use = (req: IncomingMessage, res: ServerResponse, handler: () => unknown) => void;

  /** The outer session is used on the way in, the inner one by the handler. */
  function both(onWay: (req: IncomingMessage) => unknown, options: SessionOptions = {}): Use {
    const [first, second] = [session(outer(options)), session({ ...house.options, onError: () => undefined })];
    return (req, res, handler) =>
      first(req, res, () => {
        onWay(req);
        second(req, res, handler);
      });
  }

  const ends: [string, (res: ServerResponse) => unknown][] = [
    ["at its end", (res) => res.end("ok")],
    ["at its first bytes", (res) => res.write("o", () => res.end("k"))],
    [
      "by headers that were given at once",
      (res) => {
        res.writeHead(200, { "content-type": "text/plain" });
        res.end("ok");
      },
    ],
  ];

  it.each(ends)("a response has both cookies, and both are saved, %s", async (_how, end) => {
    const use = both(() => Session.set("who", "outer"));
    const server = await HttpHouse.open((req, res) =>
      use(req, res, () => {
        Session.who = "inner";
        end(res);
      }),
    );
    servers.push(server);
    const reply = await server.ask("/");
    expect([reply.text, reply.setCookies.length]).toEqual(["ok", 2]);
    expect(await stored(idOf(reply, "OUTER"), "who")).toBe("outer");
    expect(await stored(idOf(reply), "who")).toBe("inner");
  });

  it("so has one of HTTP/2", async () => {
    const use = both(() => Session.set("who", "outer"));
    const server = createHttp2Server((req, res) => {
      use(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => {
        Session.who = "inner";
        res.end("ok");
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = client.request({ ":path": "/" });
    const [headers] = await once(stream, "response");
    stream.resume();
    expect(headers["set-cookie"]).toHaveLength(2);
    client.close();
    server.close();
  });

  it("what either has changed waits for its turn before the response leaves", async () => {
    const [mine, theirs] = [await makeSession({ n: 0 }), await makeSession({ n: 0 })];
    const use = both(() => Session.set("n", 1));
    const server = await HttpHouse.open((req, res) =>
      use(req, res, () => {
        Session.n = 2;
        res.end("ok");
      }),
    );
    servers.push(server);
    for (const busy of [mine, theirs]) {
      const letGo = await holdTurn(busy);
      let isAnswered = false;
      const reply = server.ask("/", { cookie: `OUTER=${theirs}; SESSION=${mine}` }).then(() => {
        isAnswered = true;
      });
      const free = busy === mine ? theirs : mine;
      await vi.waitFor(async () => expect(await stored(free, "n")).toBe(free === mine ? 2 : 1));
      await server.ask("/");
      expect(isAnswered).toBe(false);
      await letGo();
      await reply;
      expect([await stored(mine, "n"), await stored(theirs, "n")]).toEqual([2, 1]);
    }
  });

  it("one that cannot be saved makes it a 500, and its onError is told", async () => {
    const told: unknown[] = [];
    const spoil = (): unknown => (Session.bad as unknown[]).push(() => 1);
    const use = both(spoil, { onError: (error) => void told.push(error) });
    const server = await HttpHouse.open((req, res) => use(req, res, () => res.end("ok")));
    servers.push(server);
    const id = await makeSession({ bad: [] });
    expect((await server.ask("/", { cookie: `OUTER=${id}` })).status).toBe(500);
    expect(told).toMatchObject([{ code: "ERR_BAD_VALUE" }]);
  });

  it("a response that is cut off saves what both had changed", async () => {
    const [mine, theirs] = [await makeSession({ n: 0 }), await makeSession({ n: 0 })];
    let outside: Handle | undefined;
    const use = both((req) => {
      outside = sessionOf(req);
    });
    const server = await HttpHouse.open((req, res) =>
      use(req, res, () => {
        res.write("begun");
        Session.n = 2;
        outside?.set("n", 1);
      }),
    );
    servers.push(server);
    const sent = server.begin("/", { cookie: `OUTER=${theirs}; SESSION=${mine}` });
    sent.end();
    const [response] = await once(sent, "response");
    response.on("error", () => undefined);
    await once(response, "data");
    sent.destroy();
    await vi.waitFor(async () => expect([await stored(mine, "n"), await stored(theirs, "n")]).toEqual([2, 1]));
  });
});

describe("headers given to writeHead", () => {
  it.each<[string, readonly unknown[], Record<string, string | string[]>]>([
    ["and nothing after them", [201, { "Set-Cookie": "a=b" }, undefined], { cookies: ["a=b"] }],
    ["with a reason", [201, "Fine", { "Set-Cookie": ["a=b", "c=d"] }], { cookies: ["a=b", "c=d"] }],
    [
      "as a list that names one twice",
      [201, ["X-A", "1", "X-A", "2", "Set-Cookie", "a=b"]],
      { cookies: ["a=b"], "x-a": "1, 2" },
    ],
  ])("%s go out beside our cookie", async (_what, args, expected) => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      Reflect.apply(res.writeHead, res, args);
      res.end();
    });
    const reply = await server.ask("/");
    expect(reply.status).toBe(201);
    expect(idOf(reply)).toMatch(/^127/);
    const { cookies, ...others } = expected;
    expect(reply.setCookies.filter((line) => !line.startsWith("SESSION="))).toEqual(cookies);
    expect(reply.headers).toMatchObject(others);
  });

  it("replace cookies that were set before, as without a session", async () => {
    const server = await serve((req, res) => {
      if (req.url === "/used") Session.a = 1;
      res.setHeader("Set-Cookie", ["sid=old"]);
      res.writeHead(200, { "Set-Cookie": "sid=new" });
      res.end();
    });
    expect((await server.ask("/")).setCookies).toEqual(["sid=new"]);
    const { setCookies } = await server.ask("/used");
    expect(setCookies).toEqual(["sid=new", expect.stringMatching(/^SESSION=/)]);
  });
});

describe("session() refuses by name", () => {
  it.each<SessionOptions>([
    { prefix: 5 as unknown as string },
    { unique: "x" as unknown as boolean },
    { onError: 5 as unknown as () => void },
    { waitMs: -1 },
    { cacheBytes: Number.NaN },
  ])("the option %o", (options) => {
    const [name = ""] = Object.keys(options);
    expect(() => session({ ...house.options, ...options })).toThrow(name);
  });
});

describe("a session that cannot be created any more", () => {
  it("ERR_HEADERS_SENT after the headers have left, and nothing is made", async () => {
    const server = await serve(async (_req, res) => {
      res.write("begun ");
      try {
        Session.a = 1;
      } catch (error) {
        res.end(`${(error as SessionError).code} ${Session.Id}`);
      }
    });
    const before = filesNow();
    expect((await server.ask("/")).text).toBe("begun ERR_HEADERS_SENT null");
    expect(filesNow()).toEqual(before);
  });

  it("also while the headers wait for another session's end", async () => {
    const id = await makeSession({ a: 1 });
    let code = "no error";
    const server = await serve(async (_req, res) => {
      void Session.Abandon();
      res.end("ended");
      try {
        Session.b = 1;
      } catch (error) {
        code = (error as SessionError).code;
      }
    });
    await server.ask("/", { cookie: `SESSION=${id}` });
    expect(code).toBe("ERR_HEADERS_SENT");
  });

  it("changing a session there is works still", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      res.flushHeaders();
      Session.a = 2;
      res.end("ok");
    });
    expect((await server.ask("/", { cookie: `SESSION=${id}` })).text).toBe("ok");
    expect(await stored(id, "a")).toBe(2);
  });
});

describe("Abandon", () => {
  it("removes the cookie with the path it was set with", async () => {
    const server = await serve(
      async (req, res) => {
        if (req.url === "/make") Session.a = 1;
        else await Session.Abandon();
        res.end();
      },
      { cookiePath: "/deep" },
    );
    const other = await serve(async (_req, res) => {
      await Session.Abandon();
      res.end();
    });
    const made = await server.ask("/make");
    const ended = await other.ask("/", { cookie: made.cookie });
    expect(ended.setCookies).toEqual([`SESSION=;${GONE};path=/deep;httponly;SameSite=Lax`]);
    expect(house.has(idOf(made))).toBe(false);
  });

  it("removes it with its right path though the request chose another before", async () => {
    const server = await serve(async (req, res) => {
      if (req.url === "/make") Session.a = 1;
      else {
        Session.CookiePath = "/elsewhere";
        await Session.Abandon();
      }
      res.end();
    });
    const made = await server.ask("/make");
    const ended = await server.ask("/", { cookie: made.cookie });
    expect(ended.setCookies).toEqual([`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]);
  });

  it("and a new session in one response: the new cookie takes the place of the old", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      await Session.Abandon();
      Session.b = 2;
      res.end(Session.Id);
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect(reply.setCookies).toEqual([`SESSION=${reply.text};path=/;httponly;SameSite=Lax`]);
    expect([house.has(id), house.has(reply.text)]).toEqual([false, true]);
  });

  it("without a session sends nothing", async () => {
    const server = await serve(async (_req, res) => {
      await Session.Abandon();
      res.end();
    });
    expect((await server.ask("/")).setCookies).toEqual([]);
  });

  it("of a session made in the same request sends nothing and leaves nothing", async () => {
    const before = filesNow().length;
    const server = await serve(async (_req, res) => {
      Session.a = 1;
      await Session.Abandon();
      res.end();
    });
    expect((await server.ask("/")).setCookies).toEqual([]);
    expect(filesNow().length).toBe(before);
  });

  it("a path that a Gambas program left, and no header can hold, does not break the response", async () => {
    const handle = worker.create();
    handle.set("a", 1);
    await handle.save();
    const id = handle.id ?? "";
    // "/\r\n;" and beyond in place of the cookie path at the end of the file.
    const image = house.fileOf(id);
    const path = Buffer.from("/é\r\nX-Evil: 1;q");
    writeFileSync(house.pathOf(id), Buffer.concat([image.subarray(0, -1), Buffer.of(path.length), path]));
    const server = await serve(async (_req, res) => {
      await Session.Abandon();
      res.end("bye");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.status, reply.text, reply.headers["x-evil"]]).toEqual([200, "bye", undefined]);
    expect(reply.setCookies.length).toBe(1);
    expect(house.has(id)).toBe(false);
  });

  it("a session that ended elsewhere while this request changed it: the cookie goes, nothing comes back", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      Session.a = 2;
      await house.worker().abandon(id);
      res.end("done");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect(reply.setCookies).toEqual([`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]);
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_SESSION_GONE" })]);
    expect(house.has(id)).toBe(false);
  });

  it("Load finds out too, and the cookie goes", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      await house.worker().abandon(id);
      await Session.Load();
      res.end(String(Session.Id));
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, reply.setCookies]).toEqual(["null", [`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]]);
  });
});

describe("what is written, and when", () => {
  const shape = (id: string): unknown => {
    const { mtimeNs, ino, size } = statSync(house.pathOf(id), { bigint: true });
    return [mtimeNs, ino, size, house.fileOf(id)];
  };

  it("a request that does not use its session writes nothing at all", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const server = await serve((_req, res) => res.end("plain"));
    const before = shape(id);
    const { touches, writes } = await worker.status();
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, reply.setCookies]).toEqual(["plain", []]);
    const after = await worker.status();
    expect([shape(id), after.touches, after.writes]).toEqual([before, touches, writes]);
  });

  it("a request that only reads writes nothing within a second of the stamp", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(show);
    const before = shape(id);
    for (let n = 0; n < 5; n++) await server.ask("/", { cookie: `SESSION=${id}` });
    expect(shape(id)).toEqual(before);
  });

  it("one that only reads renews an older stamp, in place, once", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const bytes = house.fileOf(id);
    const { ino } = statSync(house.pathOf(id));
    const older = house.startupOf(id);
    const server = await serve(async (_req, res) => {
      res.write(String(Session.a));
      await new Promise((resolve) => setImmediate(resolve));
      res.end(String(Session.a));
    });
    const { touches } = await worker.status();
    const cookie = `SESSION=${id}`;
    await Promise.all(Array.from({ length: 5 }, () => server.ask("/", { cookie })));
    await vi.waitFor(() => expect(house.startupOf(id)).toBeGreaterThan(older + 4000));
    await server.ask("/", { cookie });
    const after = await worker.status();
    expect([statSync(house.pathOf(id)).ino, after.touches]).toEqual([ino, Number(touches) + 1]);
    expect(house.fileOf(id).subarray(8)).toEqual(bytes.subarray(8));
  });

  it("a change is one write", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(setAndShow);
    const { writes } = await worker.status();
    await server.ask("/?a=2&b=3&c=4", { cookie: `SESSION=${id}` });
    expect((await worker.status()).writes).toBe(Number(writes) + 1);
  });

  it("Unique set on a session there is takes effect though nothing else is used", async () => {
    const make = async (): Promise<string> => {
      const handle = worker.create({ prefix: "late" });
      handle.set("a", 1);
      await handle.save();
      return handle.id ?? "";
    };
    const [first, second] = [await make(), await make()];
    const server = await serve(
      (_req, res) => {
        Session.Unique = true;
        res.end();
      },
      { prefix: "late" },
    );
    await server.ask("/", { cookie: `SESSION=${second}` });
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
  });
});

describe("when something fails", () => {
  const big = "x".repeat(5_000_000);

  it("a commit that fails makes the response a 500, tells onError, and sets no cookie", async () => {
    const server = await serve((_req, res) => {
      Session.big = big;
      res.setHeader("Content-Type", "text/html");
      res.setHeader("X-A", "1");
      res.setHeader("Content-Length", 11);
      res.end("all is well");
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.setCookies, reply.headers["x-a"]]).toEqual([500, [], undefined]);
    expect(reply.text).not.toContain("well");
    expect(reply.headers["content-type"]).toMatch(/^text\/plain/);
    expect(reply.headers["content-length"]).toBe(String(reply.bytes.length));
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_TOO_LARGE" })]);
  });

  it("an object that was made unstorable in place is such a failure", async () => {
    const id = await makeSession({ cart: { n: 1 } });
    const server = await serve((_req, res) => {
      (Session.cart as Record<string, unknown>).f = () => 1;
      res.end("all is well");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.status, errors]).toEqual([500, [expect.objectContaining({ code: "ERR_BAD_VALUE" })]]);
    expect(await stored(id, "cart")).toEqual({ n: 1 });
  });

  it("an onError that throws changes nothing of that", async () => {
    const warned = once(process, "warning");
    const server = await serve(
      (_req, res) => {
        Session.big = big;
        res.end("all is well");
      },
      {
        onError: () => {
          throw new Error("onError itself");
        },
      },
    );
    expect((await server.ask("/")).status).toBe(500);
    expect(String((await warned)[0])).toContain("onError itself");
  });

  it("nor does one whose promise is rejected", async () => {
    const warned = once(process, "warning");
    const server = await serve(
      (_req, res) => {
        Session.big = big;
        res.end("all is well");
      },
      { onError: () => Promise.reject(new Error("onError, later")) },
    );
    expect((await server.ask("/")).status).toBe(500);
    expect(String((await warned)[0])).toContain("onError, later");
  });

  it("without onError a failure to save is a warning of the process", async () => {
    const warned = once(process, "warning");
    const bind = session(house.options);
    const server = await HttpHouse.open((req, res) => {
      bind(req, res, () => {
        Session.big = big;
        res.end("all is well");
      });
    });
    servers.push(server);
    expect((await server.ask("/")).status).toBe(500);
    expect(((await warned)[0] as SessionError).code).toBe("ERR_TOO_LARGE");
  });

  it("a handler that streams on after the failure does not end the process, and its source is drained", async () => {
    let written = 0;
    const done = deferred();
    const server = await serve(async (_req, res) => {
      Session.big = big;
      const chunk = Buffer.alloc(16 * 1024);
      for (let n = 0; n < 100; n++) {
        if (!res.write(chunk, () => written++)) await once(res, "drain");
      }
      res.end("end", () => done.resolve());
    });
    const reply = await server.ask("/");
    expect(reply.status).toBe(500);
    await done.promise;
    expect(written).toBe(100);
  });

  it("neither is a pipeline left hanging, nor its source open", async () => {
    const settled = deferred();
    const source = Readable.from(Array.from({ length: 50 }, () => Buffer.alloc(64 * 1024)));
    const server = await serve(async (_req, res) => {
      Session.big = big;
      await pipeline(source, res).catch(() => undefined);
      settled.resolve();
    });
    expect((await server.ask("/")).status).toBe(500);
    await settled.promise;
    expect(source.destroyed).toBe(true);
  });

  it("after the headers have left the connection is cut, so that nobody takes the response for whole", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      await new Promise<void>((written) => res.write("begun", () => written()));
      Session.big = big;
      res.end("all is well");
    });
    await expect(server.ask("/", { cookie: `SESSION=${id}` })).rejects.toThrow();
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_TOO_LARGE" })]);
    expect(await stored(id, "a")).toBe(1);
  });

  it("what cannot be sent is an error of the handler, thrown where it would be without us, and none of ours", async () => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      res.writeHead(99_999);
      res.end("never");
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.text]).toEqual([
      500,
      "RangeError [ERR_HTTP_INVALID_STATUS_CODE]: Invalid status code: 99999",
    ]);
    expect(errors).toEqual([]);
  });

  it("a damaged file: those who use the session are told, the others are served, the file stays", async () => {
    const id = await makeSession({ a: 1 });
    writeFileSync(house.pathOf(id), "torn");
    const server = await serve(async (req, res) => {
      if (req.url === "/plain") res.end("plain");
      else if (req.url === "/abandon") {
        await Session.Abandon();
        res.end("bye");
      } else show(req, res);
    });
    const cookie = `SESSION=${id}`;
    expect((await server.ask("/plain", { cookie })).text).toBe("plain");
    expect((await server.ask("/", { cookie })).text).toBe("ERR_UNREADABLE");
    expect(errors).toEqual([1, 2].map(() => expect.objectContaining({ code: "ERR_UNREADABLE" })));
    expect(house.fileOf(id).toString()).toBe("torn");
    expect((await server.ask("/abandon", { cookie })).setCookies).toEqual([
      `SESSION=;${GONE};path=/;httponly;SameSite=Lax`,
    ]);
    expect(house.has(id)).toBe(false);
  });

  it("no daemon: requests that do not use a session are served, the others are told why", async () => {
    const empty = await SessionHouse.open();
    await empty.stopDaemon();
    const server = await serve(
      (req, res) => {
        if (req.url === "/plain") res.end("plain");
        else if (req.url === "/read") res.end(String(Session.Id));
        else setAndShow(req, res);
      },
      { ...empty.options },
    );
    const cookie = `SESSION=127.0.0.1:${HEX}`;
    expect((await server.ask("/plain")).text).toBe("plain");
    expect((await server.ask("/plain", { cookie })).text).toBe("plain");
    expect((await server.ask("/read")).text).toBe("null");
    expect((await server.ask("/read", { cookie })).text).toBe("ERR_DAEMON_UNAVAILABLE");
    errors.length = 0;
    const made = await server.ask("/?a=1");
    expect([made.status, made.setCookies]).toEqual([500, []]);
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_DAEMON_UNAVAILABLE" })]);
    await empty.startDaemon();
    expect((await server.ask("/?a=1")).setCookies.length).toBe(1);
    await empty.close();
  });

  it("a daemon that is replaced in between costs time, no errors", async () => {
    const own = await SessionHouse.open();
    const server = await serve(setAndShow, own.options);
    const first = await server.ask("/?a=1");
    await own.stopDaemon();
    const pending = server.ask("/?b=2", { cookie: first.cookie });
    await own.startDaemon();
    expect(JSON.parse((await pending).text).entries).toEqual({ a: "1", b: "2" });
    await own.close();
  });

  it("an error of the handler is its own affair: what it changed is committed with whatever it answers", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(() => {
      Session.a = 2;
      throw new Error("mine");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.status, reply.text, await stored(id, "a")]).toEqual([500, "Error: mine", 2]);
  });
});

describe("several workers at once", () => {
  it("requests of one session that change different keys lose nothing", async () => {
    const id = await makeSession({ a: 1 });
    const workers = [await serve(setAndShow), await serve(setAndShow)];
    const cookie = `SESSION=${id}`;
    await Promise.all(Array.from({ length: 40 }, (_, n) => workers[n % 2]?.ask(`/?k${n}=${n}`, { cookie })));
    const all = JSON.parse((await workers[0]?.ask("/", { cookie }))?.text ?? "{}").entries;
    expect(Object.keys(all).length).toBe(41);
  });

  it("transactions of one session are exact", async () => {
    const id = await makeSession({ n: 0 });
    const count: Handler = async (_req, res) => {
      const mine = await Session.Transaction(() => {
        const next = (Session.n as number) + 1;
        Session.n = next;
        return next;
      });
      res.end(String(mine));
    };
    const workers = [await serve(count), await serve(count)];
    const cookie = `SESSION=${id}`;
    const replies = await Promise.all(Array.from({ length: 40 }, (_, n) => workers[n % 2]?.ask("/", { cookie })));
    expect(new Set(replies.map((reply) => reply?.text)).size).toBe(40);
    expect(await stored(id, "n")).toBe(40);
  });

  it("two requests of one worker never share an object", async () => {
    const id = await makeSession({ cart: { n: 0 } });
    const both = [deferred(), deferred()];
    let turn = 0;
    const server = await serve(async (_req, res) => {
      const mine = turn++;
      const cart = Session.cart as { n: number };
      cart.n += 1;
      both[mine]?.resolve();
      await Promise.all(both.map(({ promise }) => promise));
      const seen = cart.n;
      Session.Modified = false;
      res.end(String(seen));
    });
    const cookie = `SESSION=${id}`;
    const replies = await Promise.all([server.ask("/", { cookie }), server.ask("/", { cookie })]);
    expect(replies.map((reply) => reply.text)).toEqual(["1", "1"]);
  });
});
