// session() under Express 5: its ways of answering, its body parsers, its error handlers.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../../client/connect.ts";
import { session } from "../../../../client/http/node/middleware.ts";
import type { Client } from "../../../../client/index.ts";
import type { SessionOptions } from "../../../../client/options.ts";
import { Session } from "../../../../client/static/session.ts";
import type { SessionError } from "../../../../protocol/errors.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";
import { SessionHouse } from "../../../support/session-house.ts";

let house: SessionHouse;
let worker: Client;
const servers: HttpHouse[] = [];

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 1_000_000 });
  worker = await connect(house.options);
});
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));
afterAll(() => house.close());

async function serve(build: (app: Express) => void, options: SessionOptions = {}): Promise<HttpHouse> {
  const app = express();
  app.use(session({ ...house.options, ...options }));
  build(app);
  const server = await HttpHouse.open(app);
  servers.push(server);
  return server;
}

async function stored(cookie: string, key: string): Promise<unknown> {
  return (await worker.open(cookie.slice("SESSION=".length)))?.get(key);
}

describe("ways of answering", () => {
  it.each<[string, (res: Response) => void, number, string]>([
    ["send text", (res) => void res.send("text"), 200, "text"],
    ["send bytes", (res) => void res.send(Buffer.from("bytes")), 200, "bytes"],
    ["json", (res) => void res.json({ a: 1 }), 200, '{"a":1}'],
    ["redirect", (res) => res.redirect("/next"), 302, "Found. Redirecting to /next"],
    ["sendStatus", (res) => void res.sendStatus(404), 404, "Not Found"],
    ["status and end", (res) => void res.status(204).end(), 204, ""],
    ["sendFile", (res) => res.sendFile(join(house.root, "page.txt")), 200, "page"],
    ["download", (res) => res.download(join(house.root, "page.txt")), 200, "page"],
    ["cookie and send", (res) => void res.cookie("mine", "1").send("both"), 200, "both"],
  ])("%s: the session is saved and its cookie sent", async (_name, answer, status, text) => {
    writeFileSync(join(house.root, "page.txt"), "page");
    const server = await serve((app) => {
      app.get("/", (_req, res) => {
        Session.n = 1;
        answer(res);
      });
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.text]).toEqual([status, text]);
    const own = reply.setCookies.find((line) => line.startsWith("SESSION=")) ?? "";
    expect(own).toMatch(/^SESSION=127\.0\.0\.1:[0-9A-F]{24};path=\/;httponly;SameSite=Lax$/);
    expect(await stored(own.split(";", 1)[0] ?? "", "n")).toBe(1);
  });

  it("HEAD and a fresh ETag have no body and keep the session", async () => {
    const server = await serve((app) => {
      app.get("/", (_req, res) => {
        Session.n = ((Session.n as number | undefined) ?? 0) + 1;
        res.send("the same");
      });
    });
    const first = await server.ask("/");
    const etag = String(first.headers.etag);
    const fresh = await server.ask("/", { cookie: first.cookie, headers: { "if-none-match": etag } });
    expect([fresh.status, fresh.text]).toEqual([304, ""]);
    const head = await server.ask("/", { method: "HEAD", cookie: first.cookie });
    expect([head.status, head.text, head.headers["content-length"]]).toEqual([200, "", "8"]);
    expect(await stored(first.cookie, "n")).toBe(3);
  });

  it("a second answer is the mistake it is without us, and does not spoil the first", async () => {
    const server = await serve((app) => {
      app.get("/", (_req, res) => {
        Session.n = 1;
        res.json({ answer: "first" });
        res.json({ answer: "second, and longer" });
      });
      app.use((error: Error, _req: Request, res: Response, next: NextFunction) => {
        Session.problem = (error as NodeJS.ErrnoException).code;
        if (res.headersSent) return;
        next(error);
      });
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.text]).toEqual([200, '{"answer":"first"}']);
    expect(await stored(reply.cookie, "problem")).toBe("ERR_HTTP_HEADERS_SENT");
  });

  it("a mounted router and an async handler have the session too", async () => {
    const server = await serve((app) => {
      const router = express.Router();
      router.get("/deep", async (_req, res) => {
        await Promise.resolve();
        Session.n = "deep";
        res.json(Session.Keys);
      });
      app.use("/router", router);
    });
    const reply = await server.ask("/router/deep");
    expect(reply.text).toBe('["n"]');
    expect(await stored(reply.cookie, "n")).toBe("deep");
  });
});

describe("around it", () => {
  it.each(["before", "after"])("body parsers %s session() leave the context alone", async (place) => {
    const app = express();
    const parsers = [express.json(), express.urlencoded({ extended: false }), express.text(), express.raw()];
    if (place === "before") app.use(parsers);
    app.use(session(house.options));
    if (place === "after") app.use(parsers);
    app.post("/", (req, res) => {
      Session.body = req.body;
      res.send("ok");
    });
    const server = await HttpHouse.open(app);
    servers.push(server);
    const headers = { "content-type": "application/json" };
    const reply = await server.ask("/", { method: "POST", body: '{"a":[1,2]}', headers });
    expect(reply.text).toBe("ok");
    expect(await stored(reply.cookie, "body")).toEqual({ a: [1, 2] });
  });

  it("middleware that sets headers when they are written still does", async () => {
    const server = await serve((app) => {
      app.use((_req, res, next) => {
        const { writeHead } = res;
        res.writeHead = ((...args: unknown[]) => {
          res.setHeader("X-Late", "1");
          res.appendHeader("Set-Cookie", "late=1");
          return Reflect.apply(writeHead, res, args);
        }) as typeof writeHead;
        next();
      });
      app.get("/", (_req, res) => {
        Session.n = 1;
        res.send("x");
      });
    });
    const reply = await server.ask("/");
    expect([reply.headers["x-late"], reply.setCookies.length]).toEqual(["1", 2]);
  });

  it("middleware that makes the headers itself before each write does it once, as compression 1.7 expects", async () => {
    const server = await serve((app) => {
      app.use((_req, res, next) => {
        const { write } = res;
        res.write = ((...args: unknown[]) => {
          const inside = res as unknown as { _header: unknown; _implicitHeader(): void };
          if (!inside._header) inside._implicitHeader();
          return Reflect.apply(write, res, args);
        }) as typeof write;
        next();
      });
      app.get("/", (_req, res) => {
        Session.n = 1;
        res.write("one ");
        res.write("two ");
        res.end("three");
      });
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.text, await stored(reply.cookie, "n")]).toEqual([200, "one two three", 1]);
  });

  it("a log that is written at the end shows the cookie that was sent", async () => {
    const logged: unknown[] = [];
    const server = await serve((app) => {
      app.use((_req, res, next) => {
        res.on("finish", () => logged.push(res.getHeader("set-cookie"), res.statusCode));
        next();
      });
      app.get("/", (_req, res) => {
        Session.n = 1;
        res.cookie("mine", "1").send("x");
      });
    });
    const reply = await server.ask("/");
    await expect.poll(() => logged).toEqual([reply.setCookies, 200]);
  });

  it("middleware that rewrites the body still does", async () => {
    const server = await serve((app) => {
      app.use((_req, res, next) => {
        const { write, end } = res;
        const louder = (chunk: unknown): unknown => (chunk === undefined ? chunk : String(chunk).toUpperCase());
        res.write = ((chunk: unknown) => Reflect.apply(write, res, [louder(chunk)])) as typeof write;
        res.end = ((chunk: unknown) => Reflect.apply(end, res, [louder(chunk)])) as typeof end;
        next();
      });
      app.get("/", (_req, res) => {
        Session.n = 1;
        res.write("one ");
        res.end("two");
      });
    });
    expect((await server.ask("/")).text).toBe("ONE TWO");
  });

  it("two of them, of two roots and two names, do not get into each other's way", async () => {
    const second = await SessionHouse.open();
    const server = await serve((app) => {
      app.get("/first", (_req, res) => {
        Session.n = "first";
        res.send(String(Session.Id));
      });
      app.use(session({ ...second.options, cookieName: "OTHER" }));
      app.get("/second", (_req, res) => {
        Session.n = "second";
        res.send(String(Session.Id));
      });
    });
    const [first, other] = [await server.ask("/first"), await server.ask("/second")];
    expect(first.cookie).toBe(`SESSION=${first.text}`);
    expect(other.cookie).toBe(`OTHER=${other.text}`);
    expect([house.has(first.text), second.has(other.text)]).toEqual([true, true]);
    await second.close();
  });
});

describe("when something fails", () => {
  it("a commit that fails turns the answer into a 500, whatever Express had made of it", async () => {
    const seen: string[] = [];
    const server = await serve(
      (app) => {
        app.get("/", (_req, res) => {
          Session.big = "x".repeat(2_000_000);
          res.json({ all: "well" });
        });
      },
      { onError: (error) => void seen.push((error as SessionError).code) },
    );
    const reply = await server.ask("/");
    expect([reply.status, reply.setCookies, seen]).toEqual([500, [], ["ERR_TOO_LARGE"]]);
    expect(reply.text).not.toContain("well");
  });

  it("an error in a handler goes to the error handler, which has the session still", async () => {
    const server = await serve((app) => {
      app.get("/", () => {
        Session.n = 1;
        throw new Error("mine");
      });
      app.use((error: Error, _req: Request, res: Response, _next: NextFunction) => {
        Session.seen = error.message;
        res.status(418).send(String(Session.n));
      });
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.text]).toEqual([418, "1"]);
    expect(await stored(reply.cookie, "seen")).toBe("mine");
  });

  it.each<[string, (res: Response) => void, string]>([
    ["a header that is none", (res) => void res.writeHead(200, { x: "a\nb" }), "ERR_INVALID_CHAR"],
    ["a status that is none", (res) => void res.writeHead(9999), "ERR_HTTP_INVALID_STATUS_CODE"],
    ["a chunk that is none", (res) => void res.write(123), "ERR_INVALID_ARG_TYPE"],
    ["nothing as a chunk", (res) => void res.write(null), "ERR_STREAM_NULL_VALUES"],
  ])("%s reaches the error handler as it does without us, and says nothing of saving", async (_what, act, code) => {
    const server = await serve((app) => {
      app.get("/", (_req, res) => {
        Session.n = 1;
        act(res);
        res.end();
      });
      app.use((error: NodeJS.ErrnoException, _req: Request, res: Response, _next: NextFunction) => {
        res.status(500).send(error.code);
      });
    });
    const reply = await server.ask("/");
    expect([reply.status, reply.text, await stored(reply.cookie, "n")]).toEqual([500, code, 1]);
  });

  it("a damaged file reaches the error handler from where the session is used", async () => {
    const made = worker.create();
    made.set("a", 1);
    await made.save();
    writeFileSync(house.pathOf(made.id ?? ""), "torn");
    const server = await serve((app) => {
      app.get("/plain", (_req, res) => void res.send("plain"));
      app.get("/use", (_req, res) => void res.send(String(Session.a)));
      app.use((error: SessionError, _req: Request, res: Response, _next: NextFunction) => {
        res.status(500).send(error.code);
      });
    });
    const cookie = `SESSION=${made.id}`;
    expect((await server.ask("/plain", { cookie })).text).toBe("plain");
    expect((await server.ask("/use", { cookie })).text).toBe("ERR_UNREADABLE");
  });
});
