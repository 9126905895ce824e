// Several session() over each other.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import type { Handle } from "../../../../client/index.ts";
import type { SessionOptions } from "../../../../client/options.ts";
import { Session, sessionOf } from "../../../../client/static/session.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";
import { holdTurn, house, idOf, makeSession, openSite, servers, stored } from "../../../support/http/session-site.ts";

openSite();

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
