// gambas-session/fetch: `withSession((request) => response, options)`, for everything that speaks Request and Response.

import { type FetchOptions, FetchSite } from "../http/fetch/fetch-site.ts";

export type { FetchOptions } from "../http/fetch/fetch-site.ts";

/** A Request, or what frameworks give in its place: an object that has it as `request` (SvelteKit, Astro, React Router) or `req` (h3). */
export type RequestBearer = Request | { readonly request: Request } | { readonly req: Request };

/**
 * The handler with a session: `Session` is that of its request, what it changed is saved before the Response is returned, and the Response
 * has the cookie. Further arguments are passed on.
 *
 * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work.
 */
export function withSession<Bearer extends RequestBearer, More extends unknown[]>(
  handler: (bearer: Bearer, ...more: More) => Response | Promise<Response>,
  options: FetchOptions = {},
): (bearer: Bearer, ...more: More) => Promise<Response> {
  const site = new FetchSite(options);
  return async (bearer, ...more) => site.answer(requestOf(bearer), () => handler(bearer, ...more));
}

/** Not by `instanceof`: frameworks have Requests of their own. Some call a handler without any. */
function requestOf(bearer: RequestBearer | undefined): Request {
  for (const name of ["request", "req"]) {
    const inside: unknown = Reflect.get(Object(bearer), name);
    if (isRequest(inside)) return inside;
  }
  if (isRequest(bearer)) return bearer;
  throw new TypeError("The function of withSession() was called without a Request.");
}

function isRequest(value: unknown): value is Request {
  if (typeof value !== "object" || value === null || !("url" in value) || !("headers" in value)) return false;
  const { headers } = value;
  return typeof headers === "object" && headers !== null && "get" in headers;
}
