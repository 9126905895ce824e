// Responses of every kind are what they would be without session().
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect as connectSocket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, it, vi } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import { deferred } from "../../../support/deferred.ts";
import { type Reply, readReply } from "../../../support/http/http-house.ts";
import {
  holdTurn,
  idOf,
  makeSession,
  openSite,
  serve,
  setAndShow,
  show,
  stored,
  untilHeld,
} from "../../../support/http/session-site.ts";

openSite();

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
