// gambas-session/express-session: session(), with the options and the `req.session` of express-session.

import type { IncomingMessage, ServerResponse } from "node:http";
import { currentContext } from "../context.ts";
import { offerAsDefault } from "../defaults.ts";
import { Exchange, Site } from "../http/exchange.ts";
import { type Middleware, middlewareOf, type Next } from "../http/node/middleware.ts";
import { Client } from "../link/client.ts";
import { CONNECT_CHECKS, type ConnectOptions, type SessionOptions } from "../options.ts";
import { checkExpressOptions, cookieOptionsFor, DEFAULT_NAME, type ExpressSessionOptions } from "./rules.ts";
import { type SessionRequest, Stay } from "./stay.ts";
import { SessionStore, ShownSids } from "./store/store.ts";

export type { ExpressSessionOptions } from "./rules.ts";
export type { ExpressSession } from "./session-object.ts";
export { Cookie, type CookieOptions } from "./store/store.ts";

/**
 * Sessions for applications that were written for express-session. The static `Session` shows the same keys. Each key is saved by itself, so
 * that requests that change different keys do not undo each other's.
 *
 * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work.
 */
export function session<Request extends IncomingMessage = IncomingMessage>(
  options?: ExpressSessionOptions<Request>,
): Middleware;
export function session(
  options: ExpressSessionOptions = {},
): (req: SessionRequest, res: ServerResponse, next: Next) => void {
  checkExpressOptions(options);
  const site = siteOf(options);
  const enter = middlewareOf(site);
  const store = new SessionStore({ client: site.client, sids: new ShownSids(site.client), seconds: options.timeout });
  return (req, res, next) => {
    if (req.session) return next();
    const cookie = cookieOptionsFor(req, options);
    if (!pathOf(req).startsWith(cookie.path ?? "/")) return next();
    return enter(req, res, (error) => {
      const exchange = currentContext();
      if (error || !(exchange instanceof Exchange)) return next(error);
      req.sessionStore = store;
      try {
        new Stay(req, exchange, options, cookie).begin();
      } catch (problem) {
        return next(problem);
      }
      return next();
    });
  };
}

function siteOf(options: ExpressSessionOptions): Site<SessionOptions> {
  const { name, key, proxy, timeout, prefix, onError } = options;
  const connect: Record<string, unknown> = {};
  for (const option of Object.keys(CONNECT_CHECKS) as (keyof ConnectOptions)[]) connect[option] = options[option];
  const client = new Client(connect);
  offerAsDefault(client);
  // A daemon is there before the first request, if it can be.
  client.ready().catch(() => undefined);
  return new Site<SessionOptions>(client, {
    cookieName: name ?? key ?? DEFAULT_NAME,
    trustProxy: proxy === true,
    ...(timeout !== undefined && { timeout }),
    ...(prefix !== undefined && { prefix }),
    ...(onError !== undefined && { onError }),
  });
}

/** Of a request in a router it is the path from the top. */
function pathOf({ originalUrl, url }: SessionRequest): string {
  const [path = ""] = (originalUrl ?? url ?? "").split("?", 1);
  return path === "" ? "/" : path;
}
