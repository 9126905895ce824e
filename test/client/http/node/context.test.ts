// The context of a request, wherever its code goes on.
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it, vi } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import type { SessionError } from "../../../../protocol/errors.ts";
import { deferred } from "../../../support/deferred.ts";
import { HttpHouse, readReply } from "../../../support/http/http-house.ts";
import { house, makeSession, openSite, serve, servers, stored } from "../../../support/http/session-site.ts";

openSite();

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
