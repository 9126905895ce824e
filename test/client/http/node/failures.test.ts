// What a request gets when its session, its handler or the daemon fails.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import type { SessionError } from "../../../../protocol/errors.ts";
import { deferred } from "../../../support/deferred.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";
import {
  errors,
  GONE,
  HEX,
  house,
  makeSession,
  openSite,
  serve,
  servers,
  setAndShow,
  show,
  stored,
} from "../../../support/http/session-site.ts";
import { SessionHouse } from "../../../support/session-house.ts";

openSite();

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

  it("the cookie of a session that has got another id before goes out with the 500, once", async () => {
    const id = await makeSession({ n: 1 });
    let next: string | null = null;
    const server = await serve(async (req, res) => {
      await Session.Regenerate();
      next = Session.Id;
      Session.big = big;
      res.setHeader("Set-Cookie", "theirs=1");
      if (req.url === "/head") res.writeHead(200, { "X-A": "1" });
      res.end("all is well");
    });
    for (const path of ["/", "/head"]) {
      const reply = await server.ask(path, { cookie: `SESSION=${next ?? id}` });
      expect([reply.status, reply.setCookies]).toEqual([500, [`SESSION=${next};path=/;httponly;SameSite=Lax`]]);
    }
    expect(await stored(next ?? "", "n")).toBe(1);
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

it("a 500 under HTTP/2 has the cookie of a session that has got another id before", async () => {
  const id = await makeSession({ n: 1 });
  const bind = session({ ...house.options, onError: () => undefined });
  const server = createHttp2Server((req, res) => {
    bind(req as unknown as IncomingMessage, res as unknown as ServerResponse, async () => {
      await Session.Regenerate();
      Session.cart = { bad: 1 };
      (Session.cart as Record<string, unknown>).bad = () => 1;
      res.end("all is well");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = client.request({ ":path": "/", cookie: `SESSION=${id}` });
  const [headers] = await once(stream, "response");
  expect([headers[":status"], headers["set-cookie"]]).toEqual([500, [expect.stringMatching(/^SESSION=[^;]+;path/)]]);
  expect(headers["set-cookie"]).not.toContain(id);
  stream.close();
  client.close();
  server.close();
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
