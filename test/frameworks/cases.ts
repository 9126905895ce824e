// The requests that every framework has to answer alike: what comes back, and what is in the file by then.

import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import type { Client } from "../../client/index.ts";
import type { HttpDoor, Reply } from "../support/http/http-house.ts";
import type { SessionHouse } from "../support/session-house.ts";

export interface Site {
  readonly house: SessionHouse;
  /** Another worker, which sees what is stored. */
  readonly worker: Client;
  readonly door: HttpDoor;
}

/** Where a framework is not like the others. */
export interface Differences {
  /** What a handler throws goes to an error handler of the application that has the session; or the framework answers by itself, outside. */
  readonly errors: "handled" | "answered outside";
  /** What was changed before a client left is saved even if the handler never answers. */
  readonly keepsWhatNobodyWaitsFor: boolean;
}

export const LIKE_NODE: Differences = { errors: "handled", keepsWhatNobodyWaitsFor: true };

const ID = /^SESSION=127\.0\.0\.1:[0-9A-F]{24}$/;
const GONE = "expires=Thu, 01 Jan 1970 00:00:00 GMT";
const AT_ONCE = 20;

function ours({ setCookies }: Reply): string {
  return setCookies.find((line) => line.startsWith("SESSION="))?.split(";", 1)[0] ?? "";
}

export async function stored({ worker }: Site, cookie: string, key: string): Promise<unknown> {
  return (await worker.open(cookie.slice("SESSION=".length)))?.get(key);
}

/** A session that is begun by a page of the application. */
export async function begin(site: Site, path = "/set"): Promise<string> {
  return ours(await site.door.ask(path));
}

/** @param of the site when its tests run. */
export function itAnswersAlike(of: () => Site, differences: Differences = LIKE_NODE): void {
  sessionCases(of);
  bodyCases(of);
  failureCases(of, differences);
  connectionCases(of, differences);
}

function sessionCases(of: () => Site): void {
  it("no session where none is used", async () => {
    const reply = await of().door.ask("/plain");
    expect([reply.status, reply.text, reply.setCookies]).toEqual([200, "plain", []]);
  });

  it("a first write with a redirect, which the next request relies on", async () => {
    const { door } = of();
    const first = await door.ask("/begin");
    expect([first.status, first.headers.location, first.setCookies.length]).toEqual([303, "/n", 1]);
    expect(ours(first)).toMatch(ID);
    const next = await door.ask("/n", { cookie: ours(first) });
    expect([next.text, next.setCookies]).toEqual(["0", []]);
  });

  it("a session that is begun below a nested router", async () => {
    const reply = await of().door.ask("/nested/set");
    expect([reply.status, reply.text, await stored(of(), ours(reply), "n")]).toEqual([200, "set", 7]);
  });

  it("counts exactly, twenty at once", async () => {
    const cookie = await begin(of(), "/begin");
    const replies = await Promise.all(Array.from({ length: AT_ONCE }, () => of().door.ask("/count", { cookie })));
    const counts = replies.map((reply) => Number(reply.text)).sort((a, b) => a - b);
    expect(counts).toEqual(Array.from({ length: AT_ONCE }, (_, index) => index + 1));
    expect(await stored(of(), cookie, "n")).toBe(AT_ONCE);
  });

  it("a session that ends, with its cookie", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/abandon", { cookie });
    expect([reply.status, reply.setCookies]).toEqual([303, [expect.stringContaining(GONE)]]);
    expect([of().house.has(cookie.slice(8)), (await of().door.ask("/n", { cookie })).text]).toEqual([
      false,
      "undefined",
    ]);
  });

  it("a session that ends and begins again, with one cookie", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/again", { cookie });
    expect([reply.setCookies.length, ours(reply)]).toEqual([1, `SESSION=${reply.text}`]);
    expect([ours(reply) === cookie, await stored(of(), ours(reply), "n")]).toEqual([false, 100]);
  });

  it("a session that goes on under another id, with one cookie", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/regenerate", { cookie });
    expect([reply.status, reply.setCookies.length, ours(reply)]).toEqual([303, 1, expect.stringMatching(ID)]);
    expect([ours(reply) === cookie, of().house.has(cookie.slice(8))]).toEqual([false, false]);
    expect((await of().door.ask("/n", { cookie: ours(reply) })).text).toBe("7");
  });

  it("its own cookie beside one of the application", async () => {
    const reply = await of().door.ask("/cookies");
    expect([...reply.setCookies].sort()).toEqual([expect.stringMatching(/^SESSION=/), "theme=dark"]);
  });
}

function bodyCases(of: () => Site): void {
  it("a stream with a write in the middle, which is saved before the end of the body", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/stream", { cookie });
    expect([reply.status, reply.text]).toEqual([200, "one 7 three"]);
    expect([await stored(of(), cookie, "first"), await stored(of(), cookie, "middle")]).toEqual(["yes", "yes"]);
  });

  it("a stream whose chunks are the first to use the session", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/lazy", { cookie });
    expect([reply.status, reply.text, await stored(of(), cookie, "lazy")]).toEqual([200, "one 7 three", "yes"]);
  });

  it("what comes in the body of a request", async () => {
    const headers = { "content-type": "application/json" };
    const reply = await of().door.ask("/body", { method: "POST", headers, body: '{"a":[1,2]}' });
    expect([reply.status, reply.text]).toEqual([200, "kept"]);
    expect(await stored(of(), ours(reply), "body")).toEqual({ a: [1, 2] });
  });

  it.each([
    ["204", "/empty", 204],
    ["304", "/unchanged", 304],
  ])("%s, which has no body, with the cookie", async (_name, path, status) => {
    const reply = await of().door.ask(path);
    expect([reply.status, reply.text, await stored(of(), ours(reply), "n")]).toEqual([status, "", status]);
  });

  it("HEAD, with the cookie and without the body", async () => {
    const reply = await of().door.ask("/set", { method: "HEAD" });
    expect([reply.status, reply.text, await stored(of(), ours(reply), "n")]).toEqual([200, "", 7]);
  });
}

function failureCases(of: () => Site, { errors }: Differences): void {
  it("an error that a handler throws", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/throw", { cookie });
    const seen = [reply.status, await stored(of(), cookie, "thrown"), await stored(of(), cookie, "seen")];
    expect(seen).toEqual(errors === "handled" ? [418, "yes", "mine"] : [500, "yes", undefined]);
  });

  it("500 where the session could not be saved, without a cookie", async () => {
    const reply = await of().door.ask("/big");
    expect([reply.status, reply.setCookies]).toEqual([500, []]);
    expect(reply.text).not.toContain("well");
  });
}

function connectionCases(of: () => Site, { keepsWhatNobodyWaitsFor }: Differences): void {
  it("nothing to a client that leaves before its handler has answered; and goes on", async () => {
    const cookie = await begin(of());
    const sent = of().door.begin("/never", { cookie });
    const closed = new Promise((resolve) => sent.on("error", () => undefined).on("close", resolve));
    sent.end();
    await expect.poll(() => stored(of(), cookie, "begun")).toBe("yes");
    sent.destroy();
    await closed;
    if (keepsWhatNobodyWaitsFor) await expect.poll(() => stored(of(), cookie, "left")).toBe("yes");
    expect((await of().door.ask("/n", { cookie })).text).toBe("7");
  });

  it("requests that come in a row on one connection, in their order", async () => {
    const cookie = await begin(of(), "/begin");
    const socket = connect(of().door.port, "127.0.0.1");
    const head = (path: string, last: string): string =>
      `GET ${of().door.base}${path} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\nConnection: ${last}\r\n\r\n`;
    socket.write(head("/count", "keep-alive") + head("/stream", "keep-alive") + head("/set", "close"));
    const all = await text(socket);
    expect(all.match(/HTTP\/1.1 200/g)).toHaveLength(3);
    expect(all.indexOf("three")).toBeLessThan(all.lastIndexOf("set"));
    expect(await stored(of(), cookie, "n")).toBe(7);
  });
}
