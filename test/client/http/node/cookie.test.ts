// The cookie that session() sends: when, and with which attributes.
import { describe, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import type { SessionOptions } from "../../../../client/options.ts";
import { Session } from "../../../../client/static/session.ts";
import {
  GONE,
  HEX,
  house,
  idOf,
  makeSession,
  openSite,
  serve,
  setAndShow,
  show,
  stored,
} from "../../../support/http/session-site.ts";

openSite();

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
    { sameSite: "laxer" as "Lax" },
    { sameSite: true as unknown as "Lax" },
    { sameSite: "None" },
    { sameSite: "none", secure: "auto", trustProxy: true },
    { sameSite: "None", secure: false },
    { partitioned: true },
    { partitioned: "yes" as unknown as boolean, secure: true },
    { maxAge: 0 },
    { maxAge: -1 },
    { maxAge: 1.5 },
    { maxAge: Number.POSITIVE_INFINITY },
    { maxAge: "session" as "timeout" },
    { domain: "" },
    { domain: "." },
    { domain: "example.com:80" },
    { domain: "https://example.com" },
    { domain: "example.com;path=/" },
    { domain: "exa mple.com" },
    { domain: "example.com\r\nx: y" },
    { domain: "-example.com" },
    { domain: "example..com" },
    { domain: "example.com." },
    { domain: "127.0.0.1" },
    { domain: "[::1]" },
    { domain: `${"a".repeat(64)}.com` },
    { domain: `${"a.".repeat(130)}com` },
    { timeout: Number.NaN },
    { timeout: 0 },
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
