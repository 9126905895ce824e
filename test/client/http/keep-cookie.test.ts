// adopt: { keepCookie: true }, as its user has it: pages of session(), on every way to serve, beside pages of the drop-in that show `req.session.cookie`.

import { once } from "node:events";
import { connect, createServer, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import express from "express";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { session as dropIn } from "../../../client/adapters/express-session.ts";
import { gambasSession as fastify } from "../../../client/adapters/fastify.ts";
import { withSession } from "../../../client/adapters/fetch.ts";
import { gambasSession as hono } from "../../../client/adapters/hono.ts";
import { gambasSession as koa } from "../../../client/adapters/koa.ts";
import { type Middleware, session } from "../../../client/http/node/middleware.ts";
import type { SessionOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { HttpHouse } from "../../support/http/http-house.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { signedCookie } from "../../support/redis/signed-cookie.ts";
import { SessionHouse } from "../../support/session-house.ts";

const SECRET = "a secret of before";
const OLD = `connect.sid=${signedCookie("old", SECRET)}`;
/** As express-session wrote it: somebody wished to be remembered. */
const KNOWN = { originalMaxAge: 90_500, expires: "2020-01-01T00:00:00.000Z", httpOnly: true, path: "/" };

interface Reply {
  readonly text: string;
  readonly setCookies: readonly string[];
}

type Options = Omit<SessionOptions, "type"> & { readonly root: string; readonly type: "redis" };
type Ask = (cookie: string) => Promise<Reply>;

const closing: (() => Promise<unknown>)[] = [];

/** The page: it counts, and shows what there is. */
function page(): string {
  Session.set("visits", Number(Session.get("visits")) + 1);
  const [visits, cookie] = [Session.get("visits"), Session.get("cookie")];
  return JSON.stringify({ visits, cookie, timeout: Session.Timeout });
}

async function onHttp1(listener: Parameters<typeof HttpHouse.open>[0]): Promise<Ask> {
  const server = await HttpHouse.open(listener);
  closing.push(() => server.close());
  return (cookie) => server.ask("/", { cookie });
}

async function onHttp2(enter: Middleware): Promise<Ask> {
  const server = createServer((req, res) => enter(req, res, () => res.end(page()))).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  closing.push(async () => {
    client.close();
    server.close();
    await once(server, "close");
  });
  return async (cookie) => {
    const stream = client.request({ ":path": "/", cookie });
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    let text = "";
    for await (const chunk of stream) text += chunk;
    return { text, setCookies: headers["set-cookie"] ?? [] };
  };
}

async function onFetch(answer: (request: Request) => Promise<Response>): Promise<Ask> {
  return async (cookie) => {
    const response = await answer(new Request("http://shop.example/", { headers: { cookie } }));
    return { text: await response.text(), setCookies: response.headers.getSetCookie() };
  };
}

/** Each adapter on as much of its framework as it asks for; on the whole of them `test/frameworks` has it. */
const WAYS: Readonly<Record<string, (options: Options) => Promise<Ask>>> = {
  "session() on HTTP/1": (options) => {
    const enter = session(options);
    return onHttp1((req, res) => enter(req, res, () => res.end(page())));
  },
  "session() on HTTP/2": (options) => onHttp2(session(options)),
  Express: (options) =>
    onHttp1(
      express()
        .use(session(options))
        .get("/", (_req, res) => res.send(page())),
    ),
  Koa: (options) => {
    const enter = koa(options);
    return onHttp1((req, res) => void enter({ req, res }, async () => res.end(page())));
  },
  Fastify: (options) => {
    const hooks: Parameters<Parameters<typeof fastify>[0]["addHook"]>[1][] = [];
    fastify({ addHook: (_name, hook) => hooks.push(hook) }, options, () => undefined);
    return onHttp1((raw, res) => hooks[0]?.({ raw }, { raw: res }, () => res.end(page())));
  },
  "Hono on node:http": (options) => {
    const enter = hono(options);
    return onHttp1((incoming, outgoing) => {
      const context = { env: { incoming, outgoing }, req: { raw: new Request("http://shop.example/") } };
      void enter({ ...context, res: new Response(null) }, async () => void outgoing.end(page()));
    });
  },
  "Hono elsewhere": (options) => {
    const enter = hono(options);
    return onFetch(async (raw) => {
      const context = { env: {}, req: { raw }, res: new Response() };
      await enter(context, async () => {
        context.res = new Response(page());
      });
      return context.res;
    });
  },
  "fetch()": ({ prefix: _, onError: __, ...options }) => onFetch(withSession(() => new Response(page()), options)),
};

describeWithRedis("a cookie that is kept", () => {
  let redis: RedisProcess;
  let house: SessionHouse;

  beforeAll(async () => {
    redis = await RedisProcess.start();
    house = await SessionHouse.open({ type: "redis", redis: redis.socketUrl });
  });
  afterAll(async () => {
    await house.close();
    await redis.remove();
  });
  beforeEach(() => {
    redis.cli("FLUSHALL");
    redis.cli("SET", "sess:old", JSON.stringify({ cookie: KNOWN, visits: 3 }), "EX", "60");
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  function options(more: Pick<SessionOptions, "adopt" | "maxAge"> = {}): Options {
    return { root: house.root, spawn: false, type: "redis", adopt: { secret: SECRET, keepCookie: true }, ...more };
  }

  /** Pages that were not changed, at the same cookie. */
  function unchanged(): Promise<Ask> {
    const app = express();
    const { root, type } = options();
    const as = { name: "SESSION", secret: SECRET, resave: false, saveUninitialized: false };
    app.use(dropIn({ root, spawn: false, type, ...as }));
    app.get("/", (req, res) => {
      const { cookie, ...values } = req.session;
      res.json({ values, original: cookie.originalMaxAge, left: cookie.maxAge });
    });
    return onHttp1(app);
  }

  test.each(Object.keys(WAYS))("is with %s the key `cookie`, and what the drop-in shows", async (way) => {
    const ask = await WAYS[way]?.(options());
    const first = await ask?.(OLD);
    expect(JSON.parse(first?.text ?? "")).toEqual({ visits: 4, cookie: KNOWN, timeout: 91 });
    // Until the browser ends: for how long is the application's to say.
    expect(first?.setCookies).toEqual([
      expect.stringMatching(/^SESSION=adopted:[0-9A-F]{24};path=\/;httponly;SameSite=Lax$/),
    ]);
    const ours = String(first?.setCookies[0]?.split(";", 1)[0]);
    const beside = JSON.parse((await (await unchanged())(ours)).text);
    expect(beside).toMatchObject({ values: { visits: 4 }, original: 90_500 });
    expect(beside.left).toBeGreaterThan(0);
    expect(beside.left).toBeLessThanOrEqual(90_500);
    expect(JSON.parse((await ask?.(ours))?.text ?? "")).toEqual({ visits: 5, cookie: KNOWN, timeout: 91 });
  });

  test.each(["session() on HTTP/1", "fetch()"])("lives in browsers as long as maxAge of %s says", async (way) => {
    const reply = await (await WAYS[way]?.(options({ maxAge: 600 })))?.(OLD);
    expect(reply?.setCookies).toEqual([expect.stringMatching(/;max-age=600;/)]);
  });

  test("is none where nobody asks for it, and then browsers keep ours as long as theirs", async () => {
    const reply = await (await WAYS["session() on HTTP/1"]?.(options({ adopt: { secret: SECRET } })))?.(OLD);
    expect(JSON.parse(reply?.text ?? "")).toEqual({ visits: 4, timeout: 91 });
    expect(reply?.setCookies).toEqual([expect.stringMatching(/;max-age=91;/)]);
  });

  test("alone is no session: who was only met before begins anew", async () => {
    redis.cli("SET", "sess:old", JSON.stringify({ cookie: KNOWN }), "EX", "60");
    const site = house.site(options());
    expect((await site.find(OLD)).id).toBeNull();
  });
});
