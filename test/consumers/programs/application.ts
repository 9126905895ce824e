// An application as its author writes it: every public name once, and some of the inside, which must not be there. It is only compiled.

import { createServer } from "node:http";
import {
  type Client,
  type ConnectOptions,
  type CookieBearer,
  connect,
  type ErrorCode,
  type Handle,
  type HandleOptions,
  type HttpOptions,
  type Middleware,
  type Next,
  type RunOptions,
  Session,
  SessionError,
  type SessionOptions,
  type SessionStatic,
  session,
  sessionOf,
  type TransactionOptions,
  type TypedValue,
  typed,
} from "gambas-session";
import { type Daemon, type DaemonOptions, startDaemon } from "gambas-session/daemon";
import expressSession, { type ExpressSession, type ExpressSessionOptions } from "gambas-session/express-session";
import { type FastifySessionOptions, gambasSession as fastifySession } from "gambas-session/fastify";
import { type FetchOptions, type RequestBearer, withSession } from "gambas-session/fetch";
import { gambasSession as honoSession } from "gambas-session/hono";
import { gambasSession as koaSession } from "gambas-session/koa";
import { GambasStore, type GambasStoreOptions } from "gambas-session/store";

const places: ConnectOptions = { root: "/tmp/somewhere", spawn: false, waitMs: 1_000 };
const http: HttpOptions = { ...places, cookieName: "SESSION", trustProxy: 1 };
const options: SessionOptions = { ...http, prefix: (req) => req.url ?? "" };
const middleware: Middleware = session(options);

/** Under `exactOptionalPropertyTypes` what may be undefined has to say so; and what is not given is undefined. */
const root: string | undefined = process.argv[2];
session({ root, sameSite: "LAX", daemon: { sweepMs: undefined } });
createServer().on("upgrade", (req, socket) => middleware(req, {}, () => socket.end()));

createServer((req, res) => {
  const next: Next = () => {
    const shown: SessionStatic = Session;
    shown.cart = [{ price: typed("Float", 3) }];
    const own: Handle | undefined = sessionOf(req);
    res.end(`${Session.Id} ${String(Session.get("cart"))} ${own?.typeOf("cart") ?? ""}`);
  };
  middleware(req, res, next);
});

export async function count(id: string): Promise<number> {
  const client: Client = await connect(places);
  const handle = await client.open(id);
  const begun: HandleOptions = { prefix: "web", timeoutSeconds: 60 };
  const other = handle ?? client.create(begun);
  const patience: TransactionOptions = { leaseMs: 500 };
  try {
    return await client.transaction(
      other,
      async (own) => {
        const price: TypedValue = typed("Integer", Number(own.get("n")) + 1);
        own.set("n", price);
        return Number(price.value);
      },
      patience,
    );
  } catch (error) {
    const code: ErrorCode | undefined = error instanceof SessionError ? error.code : undefined;
    return code === "ERR_SESSION_GONE" ? 0 : -1;
  }
}

export async function run(request: CookieBearer): Promise<string[]> {
  const of: RunOptions = { request };
  return Session.Run(of, () => Session.Keys);
}

export async function serve(): Promise<Daemon> {
  const settings: DaemonOptions = { root: "/tmp/somewhere", durability: "fsync", leaseMs: 1_000 };
  return startDaemon(settings);
}

/** Without any framework: an application has one of them at most. */
export function adapt(app: Parameters<typeof fastifySession>[0]): unknown[] {
  const ofFastify: FastifySessionOptions = options;
  fastifySession(app, ofFastify, () => undefined);
  const ofFetch: FetchOptions = { ...http, address: (request) => request.headers.get("x-real-ip") ?? undefined };
  const handler = withSession(async (request: Request, { params }: { params: Promise<{ id: string }> }) => {
    const bearer: RequestBearer = { request };
    return new Response(`${(await params).id} ${bearer.request.url}`);
  }, ofFetch);
  const answer: Promise<Response> = handler(new Request("http://shop.example/"), {
    params: Promise.resolve({ id: "x" }),
  });
  return [answer, koaSession(options), honoSession(options)];
}

export function inside(client: Client, handle: Handle): unknown[] {
  return [
    // @ts-expect-error: the client's call, not the application's
    client.apply,
    // @ts-expect-error: a lease is taken by a transaction
    client.lease,
    // @ts-expect-error: transactions tell a handle
    handle.noteSaved,
    // @ts-expect-error: the middleware waits for a handle
    handle.settle,
  ];
}

const dropInOptions: ExpressSessionOptions = { ...places, secret: "x", cookie: { maxAge: 1_000, sameSite: "auto" } };
const dropIn: Middleware = expressSession(dropInOptions);
createServer((req, res) => dropIn(req, res, () => res.end()));
export function leave(own: ExpressSession): void {
  own.cookie.maxAge = 5_000;
  own.save((error) => own.destroy(() => error));
}
const storeOptions: GambasStoreOptions = { ...places, ttl: 60 };
new GambasStore(storeOptions).get("sid", (_error, values) => values?.cookie.originalMaxAge);
