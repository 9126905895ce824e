// An exchange whose request is a Request and whose response is a Response, as fetch() has them. The session is committed before the Response
// is handed on; a body that is made meanwhile or later has the session's context, and its changes are saved before its end.

import { SessionError } from "../../../protocol/errors.ts";
import { checkPrefix } from "../../../protocol/session-id.ts";
import { type Checks, isText } from "../../checks.ts";
import { sharedClient } from "../../defaults.ts";
import type { HttpOptions } from "../../options.ts";
import { type Exchange, Site } from "../exchange.ts";
import { bodyWithin } from "./body.ts";
import { withPlainIds } from "./plain-ids.ts";
import { isResponse, redirectOf } from "./thrown.ts";

export { bodyWithin } from "./body.ts";

export interface FetchOptions extends HttpOptions {
  /** Prefix of new ids. Default: the client's address. */
  readonly prefix?: string | ((request: Request) => string) | undefined;
  /** The client's address, which a Request does not tell. Default: that of X-Forwarded-For, if `trustProxy` believes it. */
  readonly address?: ((request: Request) => string | undefined) | undefined;
  /** Told of every failure to read or save a session. A response whose session could not be saved becomes a 500, whatever this does. */
  readonly onError?: ((error: Error, request: Request) => void) | undefined;
}

const UNSAVED = "The session could not be saved.\n";
const A_BODY = "the body of the response";

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

const CHECKS: Checks<Omit<FetchOptions, keyof HttpOptions>> = {
  prefix: [(value) => isText(value) || isFunction(value), "text or a function"],
  address: [isFunction, "a function"],
  onError: [isFunction, "a function"],
};

export class FetchSite {
  readonly #site: Site<FetchOptions>;

  /**
   * Connects with the first request: frameworks load their handlers when they build, too, and a build needs no daemon.
   *
   * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work.
   */
  constructor(options: FetchOptions) {
    this.#site = Site.open(options, CHECKS, sharedClient);
    if (typeof options.prefix === "string") checkPrefix(options.prefix);
    checkUnique(options);
  }

  /** What the handler answers, with the cookies of its session. Rejects with what the handler threw, unless it threw a redirect. */
  async answer(request: Request, handler: () => Response | Promise<Response>): Promise<Response> {
    const exchange = await this.#begin(request);
    try {
      return await complete(exchange, await exchange.run(handler));
    } catch (thrown) {
      if (isResponse(thrown)) throw await complete(exchange, thrown);
      const redirect = redirectOf(thrown);
      if (redirect !== undefined) return complete(exchange, redirect);
      await exchange.saveAndEnd();
      throw thrown;
    }
  }

  #begin(request: Request): Exchange | Promise<Exchange> {
    const { prefix, address, onError } = this.#site.options;
    const { headers, method, url } = request;
    const { protocol, pathname } = new URL(url);
    const cookie = headers.get("cookie");
    return this.#site.begin({
      cookie: cookie === null ? undefined : withPlainIds(cookie),
      address: address?.(request),
      get prefix() {
        return typeof prefix === "function" ? checkPrefix(prefix(request)) : prefix;
      },
      forwardedFor: headers.get("x-forwarded-for") ?? undefined,
      forwardedProto: headers.get("x-forwarded-proto") ?? undefined,
      isEncrypted: protocol === "https:",
      name: `${method} ${pathname}`,
      tell: onError && ((error) => onError(error, request)),
    });
  }
}

/** Where nothing tells one visitor from another all new sessions have one prefix, and each would end all others. */
function checkUnique({ unique, prefix, address, trustProxy = false }: FetchOptions): void {
  if (unique !== true || prefix !== undefined || address !== undefined || trustProxy) return;
  const what = "The option unique needs address, prefix or trustProxy here: a Request does not tell who has sent it.";
  throw new SessionError("ERR_BAD_OPTION", what);
}

/** Commits, and makes the response one that has the cookies. */
async function complete(exchange: Exchange, response: Response): Promise<Response> {
  if (!isResponse(response)) throw new TypeError("The handler of withSession() has returned no Response.");
  const { body } = response;
  const { cookies, failed } = await exchange.finish();
  if (failed !== undefined) {
    exchange.end();
    await body?.cancel().catch(() => undefined);
    return withCookies(new Response(UNSAVED, { status: 500 }), cookies);
  }
  // A body that nobody reads, as in the answer to HEAD, has no end.
  exchange.isReady();
  if (body === null) exchange.end();
  // The headers of a redirect, or of what fetch() has brought, cannot be changed.
  const isOwn = body === null && cookies.length === 0;
  return withCookies(isOwn ? response : new Response(body && bodyOf(exchange, body), response), cookies);
}

function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const line of cookies) response.headers.append("Set-Cookie", line);
  return response;
}

/** Who has read the end of the body may rely on what was changed before: it is saved by then. */
function bodyOf(exchange: Exchange, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const end = async (): Promise<void> => {
    const { failed } = await exchange.finish();
    exchange.end();
    if (failed !== undefined) throw failed;
  };
  return bodyWithin({ run: (fn) => exchange.run(fn), end, cut: () => exchange.saveAndEnd(A_BODY) }, body);
}
