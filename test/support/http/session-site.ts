// Servers whose requests all go through session(), and the house that has their sessions. What the tests of session() share.
import { readdirSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, expect, vi } from "vitest";
import { connect } from "../../../client/connect.ts";
import { session } from "../../../client/http/node/middleware.ts";
import type { Client } from "../../../client/index.ts";
import type { SessionOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { deferred } from "../deferred.ts";
import { SessionHouse } from "../session-house.ts";
import { HttpHouse, type Reply } from "./http-house.ts";

export type Handler = (req: IncomingMessage, res: ServerResponse) => unknown;

export const HEX = "0123456789ABCDEF01234567";
export const GONE = "expires=Thu, 01 Jan 1970 00:00:00 GMT";

export let house: SessionHouse;
export let worker: Client;
export const servers: HttpHouse[] = [];
export const errors: unknown[] = [];
const handled = new WeakMap<HttpHouse, number>();

/** Opens the house before the tests of a file, and closes it and all servers afterwards. */
export function openSite(): void {
  beforeAll(async () => {
    house = await SessionHouse.open({ maxSessionBytes: 4_000_000 });
    worker = await connect(house.options);
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    errors.length = 0;
  });
  afterAll(async () => {
    worker.close();
    await house.close();
  });
}

/** A server of which every request goes through session(); what a handler throws becomes a 500 with the code in it. */
export async function serve(handler: Handler, options: SessionOptions = {}): Promise<HttpHouse> {
  const onError = (error: Error): void => void errors.push(error);
  const bind = session({ ...house.options, onError, ...options });
  const server: HttpHouse = await HttpHouse.open((req, res) => {
    bind(req, res, (error) => {
      if (req.url === "/pass") {
        Session.passed = true;
        res.end();
        return;
      }
      const answer = new Promise((resolve) => resolve(error === undefined ? handler(req, res) : Promise.reject(error)));
      handled.set(server, (handled.get(server) ?? 0) + 1);
      answer.catch((problem: unknown) => {
        if (res.headersSent) return;
        res.statusCode = 500;
        res.end(problem instanceof SessionError ? problem.code : String(problem));
      });
    });
  });
  servers.push(server);
  handled.set(server, 0);
  return server;
}

/** Sets what the query says, and answers with all there is. */
export const setAndShow: Handler = (req, res) => {
  const { searchParams } = new URL(req.url ?? "/", "http://x");
  for (const [key, value] of searchParams) Session.set(key, value);
  show(req, res);
};

export const show: Handler = (_req, res) => {
  res.setHeader("Content-Type", "application/json");
  res.end(JSON.stringify({ id: Session.Id, entries: { ...Session } }));
};

export function idOf(reply: Reply, name = "SESSION"): string {
  const pair = reply.setCookies.map((line) => line.split(";", 1)[0] ?? "").find((text) => text.startsWith(`${name}=`));
  if (pair === undefined) throw new Error(`no ${name} cookie in ${JSON.stringify(reply.setCookies)}`);
  return pair.slice(name.length + 1);
}

export async function makeSession(entries: Record<string, unknown>): Promise<string> {
  const handle = worker.create({ prefix: "127.0.0.1" });
  for (const [key, value] of Object.entries(entries)) handle.set(key, value);
  await handle.save();
  const { id } = handle;
  if (id === null) throw new Error("no session was made");
  return id;
}

export async function stored(id: string, key: string): Promise<unknown> {
  return (await house.worker().open(id))?.get(key);
}

export function filesNow(): string[] {
  return readdirSync(house.root, { recursive: true, encoding: "utf8" }).sort();
}

/** Keeps a session's turn, so that commits of others wait, until it is let go. */
export async function holdTurn(id: string): Promise<() => Promise<void>> {
  const [held, letGo] = [deferred(), deferred()];
  const turn = house.worker().transaction(id, () => {
    held.resolve();
    return letGo.promise;
  });
  await held.promise;
  return async () => {
    letGo.resolve();
    await turn;
  };
}

/** Resolves when so many requests have been handled and whatever they sent to the daemon has reached it: one more has gone all the way. */
export async function untilHeld(server: HttpHouse, count = 1): Promise<void> {
  await vi.waitFor(() => expect(handled.get(server)).toBeGreaterThanOrEqual(count));
  await server.ask("/pass");
}
