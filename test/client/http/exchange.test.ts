// An exchange without any HTTP server: what comes in, and what goes out.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Exchange, type Finished, type Incoming, type Outgoing, Site } from "../../../client/http/exchange.ts";
import type { Client } from "../../../client/index.ts";
import type { HttpOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { SessionHouse } from "../../support/session-house.ts";

const TOO_BIG = "x".repeat(2_000_000);

let house: SessionHouse;
let worker: Client;
let told: Error[];

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 1_000_000 });
  worker = house.worker();
});
beforeEach(() => {
  told = [];
});
afterAll(() => house.close());

function open(options?: HttpOptions): Site {
  return house.site(options);
}

function begin(site: Site, incoming: Incoming = {}, outgoing?: Outgoing): Exchange | Promise<Exchange> {
  const tell = (error: Error): void => void told.push(error);
  return site.begin({ address: "10.0.0.1", name: "GET /cart", tell, ...incoming }, outgoing);
}

/** A whole exchange: what the application returned, and what its response was to carry. */
async function pass<T>(
  site: Site,
  incoming: Incoming,
  fn: () => T,
): Promise<Finished & { readonly value: Awaited<T> }> {
  const exchange = await begin(site, incoming);
  const value = await exchange.run(fn);
  const finished = await exchange.finish();
  exchange.end();
  return { ...finished, value };
}

function make(entries: Record<string, unknown>, prefix?: string): Promise<string> {
  return house.make(entries, prefix);
}

function stored(id: string, key: string): Promise<unknown> {
  return house.stored(id, key);
}

function sessionFiles(): readonly string[] {
  return readdirSync(join(house.root, "session")).sort();
}

function idIn(cookies: readonly string[]): string {
  return /^SESSION=([^;]+)/.exec(cookies.at(-1) ?? "")?.[1] ?? "";
}

describe("an exchange", () => {
  it("that uses no session has no cookie, and waits for nothing", async () => {
    const before = sessionFiles();
    const exchange = await begin(open());
    expect(exchange.run(() => "untouched")).toBe("untouched");
    expect(exchange.isReady()).toBe(true);
    expect(await exchange.finish()).toEqual({ cookies: [], failed: undefined });
    exchange.end();
    expect([sessionFiles(), exchange.foundId]).toEqual([before, null]);
  });

  it("begins a session with the first key that is set, and gives its cookie when it is in the file", async () => {
    const exchange = await begin(open({ sameSite: "Strict", cookiePath: "/shop" }));
    exchange.run(() => Session.set("n", 1));
    expect(exchange.isReady()).toBe(false);
    const { cookies } = await exchange.finish();
    const id = exchange.handle.id ?? "";
    expect(id).toMatch(/^10\.0\.0\.1:[0-9A-F]{24}$/);
    expect(cookies).toEqual([`SESSION=${id};path=/shop;httponly;SameSite=Strict`]);
    expect([await stored(id, "n"), exchange.isReady()]).toEqual([1, true]);
    expect((await exchange.finish()).cookies).toEqual([]);
  });

  it("is found without a promise where this worker's copy is current", async () => {
    const site = open();
    const id = await make({ user: "ann" });
    const first = begin(site, { cookie: `SESSION=${id}` });
    expect(first).toBeInstanceOf(Promise);
    await (await first).finish();
    const second = begin(site, { cookie: `a=b; SESSION=${id}` });
    expect(second).toBeInstanceOf(Exchange);
    expect((await second).run(() => [Session.Id, Session.user])).toEqual([id, "ann"]);
  });

  it("reads and changes the session of its cookie, which needs no other one", async () => {
    const id = await make({ n: 1 });
    const { value, cookies } = await pass(open(), { cookie: `SESSION=${id}` }, () => {
      Session.n = Number(Session.n) + 1;
      return Session.n;
    });
    expect([value, cookies, await stored(id, "n")]).toEqual([2, [], 2]);
  });

  it("takes no id that names no session", async () => {
    const before = sessionFiles();
    const cookie = "SESSION=10.0.0.1:0123456789ABCDEF01234567; SESSION=../../etc/passwd";
    expect((await pass(open(), { cookie }, () => Session.Id)).value).toBeNull();
    expect(sessionFiles()).toEqual(before);
  });

  it("removes the cookie of a session that is abandoned, and of one that begins again gives the new one only", async () => {
    const site = open();
    const [one, other] = [await make({ n: 1 }), await make({ n: 2 })];
    const ended = await pass(site, { cookie: `SESSION=${one}` }, () => Session.Abandon());
    expect(ended.cookies).toEqual([expect.stringMatching(/^SESSION=;expires=Thu, 01 Jan 1970/)]);
    const renewed = await pass(site, { cookie: `SESSION=${other}` }, async () => {
      await Session.Abandon();
      Session.n = 3;
    });
    expect(renewed.cookies).toHaveLength(1);
    expect([house.has(one), house.has(other), await stored(idIn(renewed.cookies), "n")]).toEqual([false, false, 3]);
  });

  it("gives a cookie for each path when the session moves to another one", async () => {
    const id = await make({ n: 1 });
    const { cookies } = await pass(open(), { cookie: `SESSION=${id}` }, () => {
      Session.CookiePath = "/shop";
    });
    expect(cookies).toEqual([
      expect.stringMatching(/^SESSION=;expires=.*;path=\/;/),
      `SESSION=${id};path=/shop;httponly;SameSite=Lax`,
    ]);
  });

  it("ends the other sessions of its prefix where the site says unique", async () => {
    const other = await make({ n: 1 }, "10.0.0.9");
    const { cookies } = await pass(open({ unique: true }), { address: "10.0.0.9" }, () => Session.set("n", 2));
    expect(house.has(other)).toBe(false);
    expect(await stored(idIn(cookies), "n")).toBe(2);
  });

  it("believes of a proxy as much as the options say", async () => {
    const incoming = { address: "10.0.0.1", forwardedFor: "203.0.113.7, 192.0.2.1", forwardedProto: "https" };
    const begun = (): unknown => Session.set("n", 1);
    const trusted = await pass(open({ trustProxy: true }), incoming, begun);
    expect(trusted.cookies[0]).toMatch(/^SESSION=203\.0\.113\.7:.*;Secure$/);
    const direct = await pass(open(), incoming, begun);
    expect(direct.cookies[0]).toMatch(/^SESSION=10\.0\.0\.1:.*SameSite=Lax$/);
    const hidden = await pass(open({ trustProxy: true }), { ...incoming, forwardedFor: "nobody" }, begun);
    expect(hidden.cookies[0]).toMatch(/^SESSION=unknown-/);
    expect(told).toEqual([
      expect.objectContaining({ code: "ERR_BAD_ADDRESS", message: expect.stringContaining("GET /cart") }),
    ]);
  });

  it("is Secure where its own connection is encrypted, and takes the prefix of its request before the address", async () => {
    const { cookies } = await pass(open(), { isEncrypted: true, prefix: "ann" }, () => Session.set("n", 1));
    expect(cookies[0]).toMatch(/^SESSION=ann:.*;Secure$/);
  });

  it("whose commit fails says why, tells it once, and gives no cookie", async () => {
    const before = sessionFiles();
    const { cookies, failed } = await pass(open(), {}, () => Session.set("big", TOO_BIG));
    expect([cookies, failed]).toEqual([[], expect.objectContaining({ code: "ERR_TOO_LARGE" })]);
    expect([told, sessionFiles()]).toEqual([[failed], before]);
  });

  it("whose session has ended elsewhere meanwhile tells it, and is no failure", async () => {
    const id = await make({ n: 1 });
    const { cookies, failed } = await pass(open(), { cookie: `SESSION=${id}` }, async () => {
      Session.n = 2;
      await worker.abandon(id);
    });
    expect([cookies, failed]).toEqual([[expect.stringMatching(/^SESSION=;expires/)], undefined]);
    expect(told).toEqual([expect.objectContaining({ code: "ERR_SESSION_GONE" })]);
    expect(house.has(id)).toBe(false);
  });

  it("begins no session once its headers have left or wait for the commit", async () => {
    const id = await make({ n: 1 });
    const exchange = await begin(open(), { cookie: `SESSION=${id}` });
    const ending = exchange.run(() => Session.Abandon());
    const finishing = exchange.finish();
    const begun = (): void => exchange.run(() => Session.set("n", 2));
    expect(begun).toThrow(expect.objectContaining({ code: "ERR_HEADERS_SENT" }));
    await Promise.all([ending, finishing]);
    expect(begun).toThrow(expect.objectContaining({ code: "ERR_HEADERS_SENT" }));
  });

  it("commits what is changed after its headers have left, as the body of a response does", async () => {
    const id = await make({ n: 1 });
    const exchange = await begin(open(), { cookie: `SESSION=${id}` });
    expect(await exchange.finish()).toEqual({ cookies: [], failed: undefined });
    exchange.run(() => Session.set("n", 2));
    expect(exchange.isReady()).toBe(false);
    await exchange.finish();
    expect(await stored(id, "n")).toBe(2);
  });

  it.each([
    ["none", "no cookie can be sent"],
    ["written", "after the response headers"],
    ["left", "after the response headers"],
  ] as const)("begins none where its carrier says that the headers are: %s", async (headers, text) => {
    const exchange = await begin(open(), {}, { headers, isAnswering: false });
    const begun = (): void => exchange.run(() => Session.set("n", 1));
    expect(begun).toThrow(expect.objectContaining({ code: "ERR_HEADERS_SENT" }));
    expect(begun).toThrow(text);
  });

  it("keeps the cookies back that no header can carry any more", async () => {
    const id = await make({ n: 1 });
    const exchange = await begin(open(), { cookie: `SESSION=${id}` }, { headers: "left", isAnswering: true });
    await exchange.run(() => Session.Abandon());
    expect([exchange.isReady(), (await exchange.finish()).cookies, house.has(id)]).toEqual([true, [], false]);
  });

  it("that is cut off saves what was changed all the same", async () => {
    const id = await make({ n: 1 });
    const exchange = await begin(open(), { cookie: `SESSION=${id}` });
    exchange.run(() => Session.set("n", 2));
    await exchange.saveAndEnd();
    expect(await stored(id, "n")).toBe(2);
  });

  it("renews the time stamp of a session that it only reads, at its end", async () => {
    const id = await make({ n: 1 });
    house.makeOlder(id, 5000);
    const before = house.startupOf(id);
    await pass(open(), { cookie: `SESSION=${id}` }, () => Session.n);
    await expect.poll(() => house.startupOf(id)).toBeGreaterThan(before);
  });

  it("of a session that cannot be read tells it, and leaves it alone", async () => {
    const id = await make({ n: 1 });
    await house.stopDaemon();
    try {
      const site = open({ waitMs: 1 });
      const { cookies, failed } = await pass(site, { cookie: `SESSION=${id}` }, () => {
        expect(() => Session.n).toThrow(expect.objectContaining({ code: "ERR_DAEMON_UNAVAILABLE" }));
      });
      expect([cookies, failed, told.length]).toEqual([[], undefined, 1]);
    } finally {
      await house.startDaemon();
    }
    expect(await stored(id, "n")).toBe(1);
  });

  it("is refused by name for options that cannot work", () => {
    expect(() => Site.open({ cookieName: "a;b" })).toThrow(/cookieName must be a token of RFC 6265, not "a;b"/);
    expect(() => Site.open({ trustProxy: -1 })).toThrow("trustProxy");
  });
});

describe("an exchange whose session gets another id", () => {
  it("hands out the cookie of the new one, under its path, and no removal of the old", async () => {
    const id = await make({ n: 1 });
    const { cookies, value } = await pass(open(), { cookie: `SESSION=${id}` }, async () => {
      await Session.Regenerate();
      return Session.Id;
    });
    expect(value).not.toBe(id);
    expect(cookies).toEqual([`SESSION=${value};path=/;httponly;SameSite=Lax`]);
    expect([await stored(id, "n"), await stored(value ?? "", "n")]).toEqual([undefined, 1]);
    const late = await pass(open(), { cookie: `SESSION=${id}` }, () => Session.Id);
    expect(late).toMatchObject({ value: null, cookies: [] });
  });

  it("has it when nobody awaited that, and once", async () => {
    const id = await make({ n: 1 });
    const { cookies } = await pass(open(), { cookie: `SESSION=${id}` }, () => {
      void Session.Regenerate();
      void Session.Regenerate();
    });
    expect(cookies).toHaveLength(1);
    expect(await stored(idIn(cookies), "n")).toBe(1);
  });

  it("keeps the name and path that the session has, and leaves the path that it had", async () => {
    const id = await make({ n: 1 });
    const cookie = `GBSESSIONID=${id}`;
    const { cookies } = await pass(open(), { cookie }, async () => {
      Session.CookiePath = "/deep";
      await Session.Regenerate();
    });
    expect(cookies).toEqual([
      expect.stringMatching(/^GBSESSIONID=;expires=.*;path=\/;/),
      expect.stringMatching(/^GBSESSIONID=10\.0\.0\.1:[0-9A-F]{24};path=\/deep;/),
    ]);
    expect(sessionFiles()).not.toContain(id);
  });

  it("in a transaction has the cookie of the id that came of it", async () => {
    const id = await make({ n: 1 });
    const { cookies, value } = await pass(open(), { cookie: `SESSION=${id}` }, async () => {
      await Session.Transaction(() => Session.Regenerate());
      return Session.Id;
    });
    expect([idIn(cookies), cookies.length]).toEqual([value, 1]);
  });

  it("is refused once the headers have left or where there are none, and nothing changes", async () => {
    const id = await make({ n: 1 });
    for (const headers of ["none", "left"] as const) {
      const outgoing: Outgoing = { headers, isAnswering: false };
      const exchange = await begin(open(), { cookie: `SESSION=${id}` }, outgoing);
      const error = await exchange.run(() => Session.Regenerate().catch((problem: unknown) => problem));
      expect(error).toMatchObject({ code: "ERR_HEADERS_SENT" });
      const inside = exchange.run(() => Session.Transaction(() => Session.Regenerate()));
      await expect(inside).rejects.toMatchObject({ code: "ERR_HEADERS_SENT" });
      expect(exchange.run(() => Session.Id)).toBe(id);
      exchange.end();
    }
    await expect(
      Session.Run({ request: { headers: { cookie: `SESSION=${id}` } } }, () => Session.Regenerate()),
    ).rejects.toMatchObject({ code: "ERR_HEADERS_SENT" });
    expect(await stored(id, "n")).toBe(1);
  });

  it("hands out its cookie even where later changes cannot be saved, as the old id is gone for ever", async () => {
    const id = await make({ n: 1 });
    const { cookies, failed, value } = await pass(open(), { cookie: `SESSION=${id}` }, async () => {
      await Session.Regenerate();
      Session.CookiePath = "/unsaved";
      Session.big = TOO_BIG;
      return Session.Id;
    });
    expect(failed).toMatchObject({ code: "ERR_TOO_LARGE" });
    expect(cookies).toEqual([`SESSION=${value};path=/;httponly;SameSite=Lax`]);
    const again = await pass(open(), { cookie: `SESSION=${value}` }, () => {
      Session.CookiePath = "/unsaved";
      Session.big = TOO_BIG;
    });
    expect([again.failed, again.cookies]).toMatchObject([{ code: "ERR_TOO_LARGE" }, []]);
  });

  it("leaves the browser its new cookie where a slower request of the old id cannot save any more", async () => {
    const id = await make({ n: 1 });
    for (const change of [
      () => Session.set("late", 1),
      () => Session.Transaction(() => Session.set("late", 1)).catch(() => 0),
      () => Session.Load(),
    ]) {
      const current = await make({ n: 1 });
      const slow = await begin(open(), { cookie: `SESSION=${current}` });
      await pass(open(), { cookie: `SESSION=${current}` }, () => Session.Regenerate());
      await slow.run(change);
      expect((await slow.finish()).cookies).toEqual([]);
      expect(slow.run(() => Session.Id)).toBeNull();
      slow.end();
    }
    const abandoned = await begin(open(), { cookie: `SESSION=${id}` });
    await worker.abandon(id);
    abandoned.run(() => Session.set("late", 1));
    expect((await abandoned.finish()).cookies).toHaveLength(1);
    abandoned.end();
  });
});
