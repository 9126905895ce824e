// session(): cookie in, commit before the headers, cookie out. For node:http and everything built on it.

import type { IncomingMessage, ServerResponse } from "node:http";
import { SessionError } from "../protocol/errors.ts";
import { isSessionId } from "../protocol/session-id.ts";
import { Client, type Opened } from "./client.ts";
import { offerAsDefault, processDefaults, runInContext } from "./context.ts";
import { type CookieAttributes, readCookie, removalCookie, sessionCookie } from "./cookies.ts";
import { Handle } from "./handle.ts";
import { checkCookiePath, DEFAULTS, type SessionOptions } from "./options.ts";
import { clientAddress, isSecure } from "./request.ts";
import { ResponseGate } from "./response-gate.ts";

export type Next = (error?: unknown) => void;
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/** What real Gambas programs send; honoured where ours is absent. */
const GAMBAS_COOKIE = "GBSESSIONID";
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Binds the static `Session` to each request. Reads the cookie, loads the session (from memory if this worker's copy is current), and
 * commits what was changed before the response headers leave.
 *
 * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work.
 */
export function session(options: SessionOptions = {}): Middleware {
  checkOptions(options);
  const client = new Client(options);
  offerAsDefault(client);
  // A daemon is there before the first request, if it can be; if not, requests that use their session say so.
  client.ready().catch(() => undefined);
  return (req, res, next) => {
    const exchange = new Exchange(client, options, { req, res });
    exchange.begin(next);
  };
}

function checkOptions(options: SessionOptions): void {
  const { cookieName = DEFAULTS.cookieName, sameSite = DEFAULTS.sameSite, timeout } = options;
  if (!COOKIE_NAME.test(cookieName)) throw badOption("cookieName", cookieName, "a token of RFC 6265");
  if (!["Lax", "Strict", "None"].includes(sameSite)) throw badOption("sameSite", sameSite, "Lax, Strict or None");
  if (timeout !== undefined && !(typeof timeout === "number" && timeout >= 0)) {
    throw badOption("timeout", timeout, "a number of seconds");
  }
  if (options.cookiePath !== undefined) checkCookiePath(options.cookiePath);
}

function badOption(name: string, value: unknown, allowed: string): SessionError {
  return new SessionError("ERR_BAD_OPTION", `The option ${name} must be ${allowed}, not ${JSON.stringify(value)}.`);
}

interface Messages {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** One request and its response. */
class Exchange {
  readonly #client: Client;
  readonly #options: SessionOptions;
  readonly #messages: Messages;
  /** The cookie's name: the one the request came with, or ours. */
  #cookieName: string;

  constructor(client: Client, options: SessionOptions, messages: Messages) {
    this.#client = client;
    this.#options = options;
    this.#messages = messages;
    this.#cookieName = options.cookieName ?? DEFAULTS.cookieName;
  }

  begin(next: Next): void {
    const id = this.#idOfRequest();
    if (id === undefined) {
      this.#continue({}, null, next);
      return;
    }
    const contents = this.#client.current(id);
    if (contents !== undefined) this.#continue({ contents }, id, next);
    else
      this.#client
        .find(id)
        .then((opened) => this.#continue(opened, id, next))
        .catch(next);
  }

  #idOfRequest(): string | undefined {
    const { cookie } = this.#messages.req.headers;
    const own = readCookie(cookie, this.#cookieName);
    if (own !== undefined) return isSessionId(own) ? own : undefined;
    const gambas = readCookie(cookie, GAMBAS_COOKIE);
    if (!isSessionId(gambas)) return undefined;
    this.#cookieName = GAMBAS_COOKIE;
    return gambas;
  }

  #continue(opened: Opened, id: string | null, next: Next): void {
    const { req, res } = this.#messages;
    const { problem } = opened;
    const handle = new Handle(this.#client, { id, ...opened }, this.#handleOptions());
    if (problem !== undefined) this.#options.onError?.(problem, req, res);
    new ResponseGate(res, {
      isReady: () => this.#finishAtOnce(handle),
      prepare: () => this.#finish(handle),
    });
    runInContext({ handle }, next);
  }

  #handleOptions(): ConstructorParameters<typeof Handle>[2] {
    const { req, res } = this.#messages;
    const { prefix, trustProxy = false, timeout, cookiePath, unique } = this.#options;
    const named = typeof prefix === "function" ? prefix(req) : prefix;
    const path = cookiePath ?? processDefaults.cookiePath;
    return {
      prefix: named ?? processDefaults.prefix ?? clientAddress(req, trustProxy),
      timeoutSeconds: timeout ?? processDefaults.timeoutSeconds,
      ...(path === undefined ? {} : { cookiePath: path }),
      isUnique: unique ?? processDefaults.isUnique ?? false,
      mayCreate: () => {
        if (res.headersSent) throw new SessionError("ERR_HEADERS_SENT");
      },
    };
  }

  /** True when nothing has to be awaited: the session was not used, or only read. */
  #finishAtOnce(handle: Handle): boolean {
    if (!handle.wasUsed) return true;
    if (handle.isBusy || handle.ended.length > 0 || isModified(handle)) return false;
    handle.touch()?.catch((error: unknown) => this.#report(error));
    return true;
  }

  /** Resolves to whether the response may go on; false: it is replaced. */
  async #finish(handle: Handle): Promise<boolean> {
    try {
      await handle.settle();
    } catch (error) {
      this.#report(error);
      if (!isGone(error)) return false;
    }
    if (!this.#messages.res.headersSent) this.#sendCookies(handle);
    return true;
  }

  #sendCookies(handle: Handle): void {
    const { res } = this.#messages;
    for (const { cookiePath } of handle.ended) {
      const isReplaced = handle.needsCookie && handle.effectiveCookiePath === cookiePath;
      if (!isReplaced) res.appendHeader("Set-Cookie", removalCookie(this.#attributes(cookiePath)));
    }
    const id = handle.needsCookie ? handle.id : null;
    if (id !== null) res.appendHeader("Set-Cookie", sessionCookie(id, this.#attributes(handle.effectiveCookiePath)));
  }

  #attributes(path: string): CookieAttributes {
    const { sameSite = DEFAULTS.sameSite, secure = DEFAULTS.secure, trustProxy = false } = this.#options;
    const secureNow = secure === "auto" ? isSecure(this.#messages.req, trustProxy) : secure;
    return { name: this.#cookieName, path, sameSite, isSecure: secureNow };
  }

  #report(error: unknown): void {
    const { req, res } = this.#messages;
    const problem = error instanceof Error ? error : new Error(String(error));
    this.#options.onError?.(problem, req, res);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_SESSION_GONE";
}

/** A session that could not be read has nothing to save: whoever used it was told. */
function isModified(handle: Handle): boolean {
  try {
    return handle.isModified || handle.needsCookie;
  } catch {
    return false;
  }
}
