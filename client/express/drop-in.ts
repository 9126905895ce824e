// gambas-session/express-session: session(), with the options and the `req.session` of express-session.

import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { currentContext } from "../context.ts";
import { Exchange } from "../http/exchange.ts";
import { session as enterSession, type Middleware, type Next } from "../http/node/middleware.ts";
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
  const enter = enterSession(siteOptions(options));
  let store: SessionStore | undefined;
  return (req, res, next) => {
    if (req.session) return next();
    const cookie = cookieOptionsFor(req, options);
    if (!pathOf(req).startsWith(cookie.path ?? "/")) return next();
    return enter(req, res, (error) => {
      const exchange = currentContext();
      if (error || !(exchange instanceof Exchange)) return next(error);
      const { client } = exchange;
      store ??= new SessionStore({ client, sids: new ShownSids(client), seconds: options.timeout });
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

/** The options of the middleware that the drop-in stands on. */
function siteOptions(options: ExpressSessionOptions): SessionOptions {
  const { name, key, proxy, timeout, prefix, onError, cookie, secret, adopt } = options;
  const connect: Record<string, unknown> = {};
  for (const option of Object.keys(CONNECT_CHECKS) as (keyof ConnectOptions)[]) connect[option] = options[option];
  const { path, secure = false, domain = "", sameSite, partitioned } = typeof cookie === "object" ? cookie : {};
  const cookieName = name ?? key ?? DEFAULT_NAME;
  // With "auto" it works over HTTPS, as it did with express-session.
  const isEverInsecure = secure !== "auto";
  return {
    ...connect,
    cookieName,
    trustProxy: proxy === true,
    // Rules of browsers are checked by these.
    ...(path !== undefined && { cookiePath: path }),
    secure,
    ...(isEverInsecure && String(sameSite).toLowerCase() === "none" && { sameSite: "none" }),
    ...(isEverInsecure && partitioned === true && { partitioned }),
    // Browsers take an address where it is that of the host itself.
    ...(domain !== "" && isIP(domain) === 0 && { domain }),
    ...(timeout !== undefined && { timeout }),
    ...(prefix !== undefined && { prefix }),
    ...(onError !== undefined && { onError }),
    // Of what type a secret is, adopt says.
    ...(adopt !== undefined && { adopt: { secret: secret as string, cookieName, ...adopt, keepCookie: true } }),
  };
}

/** Of a request in a router it is the path from the top. */
function pathOf({ originalUrl, url }: SessionRequest): string {
  const [path = ""] = (originalUrl ?? url ?? "").split("?", 1);
  return path === "" ? "/" : path;
}
