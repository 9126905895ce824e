// session(): cookie in, commit before the headers, cookie out. For node:http and everything built on it.

import type { IncomingMessage, ServerResponse } from "node:http";
import { SessionError } from "../protocol/errors.ts";
import { checkPrefix, isSessionId } from "../protocol/session-id.ts";
import { Client, type Opened } from "./client.ts";
import { bindEvents, offerAsDefault, processDefaults, runInContext } from "./context.ts";
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
  const { cookieName = DEFAULTS.cookieName, sameSite = DEFAULTS.sameSite, secure = DEFAULTS.secure, timeout } = options;
  if (!COOKIE_NAME.test(cookieName)) throw badOption("cookieName", cookieName, "a token of RFC 6265");
  if (!["Lax", "Strict", "None"].includes(sameSite)) throw badOption("sameSite", sameSite, "Lax, Strict or None");
  if (secure !== "auto" && typeof secure !== "boolean") throw badOption("secure", secure, 'true, false or "auto"');
  if (timeout !== undefined && !(typeof timeout === "number" && timeout >= 0)) {
    throw badOption("timeout", timeout, "a number of seconds");
  }
  const { trustProxy = false, prefix, cookiePath } = options;
  const isHops = typeof trustProxy === "number" && Number.isInteger(trustProxy) && trustProxy >= 0;
  if (typeof trustProxy !== "boolean" && !isHops) throw badOption("trustProxy", trustProxy, "true, false or a count");
  if (typeof prefix === "string") checkPrefix(prefix);
  if (cookiePath !== undefined) checkCookiePath(cookiePath);
}

function badOption(name: string, value: unknown, allowed: string): SessionError {
  return new SessionError("ERR_BAD_OPTION", `The option ${name} must be ${allowed}, not ${String(value)}.`);
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
  /** Why the session of the request could not be read. */
  #problem: Error | undefined;
  #wasTouched = false;
  /** How many of the ended sessions, and the cookie of which session, the response names already. */
  #endedNamed = 0;
  #cookieNamed = "";

  constructor(client: Client, options: SessionOptions, messages: Messages) {
    this.#client = client;
    this.#options = options;
    this.#messages = messages;
    this.#cookieName = options.cookieName ?? DEFAULTS.cookieName;
  }

  begin(next: Next): void {
    const id = this.#idOfRequest();
    const contents = id === undefined ? undefined : this.#client.current(id);
    if (id === undefined) this.#continue({}, null, next);
    else if (contents !== undefined) this.#continue({ contents }, id, next);
    else void this.#client.find(id).then((opened) => this.#continue(opened, id, next));
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
    let handle: Handle;
    try {
      handle = new Handle(this.#client, { id, ...opened }, this.#handleOptions());
    } catch (error) {
      next(error);
      return;
    }
    this.#problem = opened.problem;
    if (opened.problem !== undefined) this.#report(opened.problem);
    const gate: ResponseGate = new ResponseGate(res, {
      isReady: () => this.#isFinished(handle),
      prepare: () => this.#finish(handle, gate),
      onError: (error) => this.#report(error),
    });
    const context = { handle };
    bindEvents(req, context);
    bindEvents(res, context);
    runInContext(context, next);
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

  /** True when nothing has to be awaited: the session was not used, or only read, or all of it is done. */
  #isFinished(handle: Handle): boolean {
    if (!handle.wasUsed) return true;
    if (handle.isBusy || this.#isModified(handle)) return false;
    if (!this.#messages.res.headersSent && this.#owesCookies(handle)) return false;
    if (!this.#wasTouched) handle.touch()?.catch((error: unknown) => this.#report(error));
    this.#wasTouched = true;
    return true;
  }

  /** A session that could not be read has nothing to save: whoever used it was told. */
  #isModified(handle: Handle): boolean {
    try {
      return handle.isModified;
    } catch (error) {
      return error !== this.#problem;
    }
  }

  /** Resolves to whether the response may go on; false: it is replaced. */
  async #finish(handle: Handle, gate: ResponseGate): Promise<boolean> {
    try {
      await this.#settle(handle);
      if (!gate.haveHeadersLeft && this.#owesCookies(handle)) this.#addCookies(handle, gate);
      return true;
    } catch (error) {
      this.#report(error);
      return false;
    }
  }

  async #settle(handle: Handle): Promise<void> {
    try {
      await handle.settle();
    } catch (error) {
      if (!isGone(error)) throw error;
      this.#report(error);
    }
  }

  #owesCookies(handle: Handle): boolean {
    return handle.ended.length > this.#endedNamed || (handle.needsCookie && this.#cookieNamed !== handle.id);
  }

  #addCookies(handle: Handle, gate: ResponseGate): void {
    const id = handle.needsCookie ? handle.id : null;
    const path = handle.effectiveCookiePath;
    const left = handle.ended.slice(this.#endedNamed).map(({ cookiePath }) => cookiePath);
    if (handle.cookieMovedFrom !== undefined && id !== this.#cookieNamed) left.push(handle.cookieMovedFrom);
    for (const old of left) {
      // A new cookie of the same path takes the place of the old one by itself.
      if (id === null || old !== path) gate.addCookie(removalCookie(this.#attributes(old)));
    }
    this.#endedNamed = handle.ended.length;
    if (id === null || id === this.#cookieNamed) return;
    gate.addCookie(sessionCookie(id, this.#attributes(path)));
    this.#cookieNamed = id;
  }

  #attributes(path: string): CookieAttributes {
    const { sameSite = DEFAULTS.sameSite, secure = DEFAULTS.secure, trustProxy = false } = this.#options;
    const secureNow = secure === "auto" ? isSecure(this.#messages.req, trustProxy) : secure;
    return { name: this.#cookieName, path, sameSite, isSecure: secureNow };
  }

  /** Without onError a failure is a warning, unless whoever used the session was told. What onError throws is a warning, too. */
  #report(error: unknown): void {
    const { req, res } = this.#messages;
    const problem = error instanceof Error ? error : new Error(String(error));
    try {
      if (this.#options.onError !== undefined) this.#options.onError(problem, req, res);
      else if (problem !== this.#problem) process.emitWarning(problem);
    } catch (failure) {
      process.emitWarning(failure instanceof Error ? failure : String(failure));
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_SESSION_GONE";
}
