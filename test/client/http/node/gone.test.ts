// A visitor who has gone before his request has come to the handler: while its session was asked for, or a middleware before it waited. The handler runs
// all the same, and what it changes is saved, or told, as that of any response that was cut off.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, it, vi } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import { deferred } from "../../../support/deferred.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";
import { house, makeSession, openSite, servers, stored } from "../../../support/http/session-site.ts";

openSite();

type Listener = (req: IncomingMessage, res: ServerResponse) => void;

/** Has `handler` handle a request whose visitor has gone by then. */
type Visit = (cookie: string, handler: (res: ServerResponse) => void) => Promise<void>;

/** Calls the handler of a request when its visitor has gone. */
function whenGone(handler: (res: ServerResponse) => void): { readonly listener: Listener; came: Promise<void> } {
  const use = session(house.options);
  const came = deferred();
  const listener: Listener = (req, res) => {
    res.once("close", () => setImmediate(() => use(req, res, () => handler(res))));
    came.resolve();
  };
  return { listener, came: came.promise };
}

const http1: Visit = async (cookie, handler) => {
  const { listener, came } = whenGone(handler);
  const server = await HttpHouse.open(listener);
  servers.push(server);
  const sent = server.begin("/", { cookie });
  sent.on("error", () => undefined).end();
  await came;
  sent.destroy();
};

const http2: Visit = async (cookie, handler) => {
  const { listener, came } = whenGone(handler);
  const server = createServer(listener as never).listen(0, "127.0.0.1");
  await once(server, "listening");
  const visitor = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  visitor.request({ ":path": "/", cookie }).on("error", () => undefined);
  await came;
  visitor.destroy();
  server.close();
};

const PROTOCOLS = [
  ["HTTP/1", http1],
  ["HTTP/2", http2],
] as const;

it.each(PROTOCOLS)(
  "over %s: what the handler changes at once is saved, whether it answers or not",
  async (_, visit) => {
    for (const answer of [
      () => undefined,
      (res: ServerResponse) => res.write("x"),
      (res: ServerResponse) => res.end("x"),
    ]) {
      const id = await makeSession({ n: 1 });
      await visit(`SESSION=${id}`, (res) => {
        Session.n = 2;
        answer(res);
      });
      await vi.waitFor(async () => expect(await stored(id, "n")).toBe(2));
    }
  },
);

it.each(PROTOCOLS)("over %s: what it changes later is told", async (_, visit) => {
  const id = await makeSession({ n: 1 });
  const warned = once(process, "warning");
  await visit(`SESSION=${id}`, () => {
    setImmediate(() => {
      Session.late = 2;
    });
  });
  const [warning] = await warned;
  expect(warning).toMatchObject({ code: "ERR_NOT_SAVED", message: expect.stringContaining("Session.late") });
});
