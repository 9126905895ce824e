// session(): cookie in, commit before the headers, cookie out. For node:http and everything built on it.

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { SessionError } from "../protocol/errors.ts";
import { checkPrefix } from "../protocol/session-id.ts";
import { Client } from "./client.ts";
import {
  bindEvents,
  currentContext,
  offerAsDefault,
  processDefaults,
  type RequestContext,
  runInContext,
} from "./context.ts";
import { type CookieAttributes, removalCookie, sessionCookie } from "./cookies.ts";
import { Handle, type HandleOptions } from "./handle.ts";
import { checkCookiePath, DEFAULTS, type SessionOptions } from "./options.ts";
import { clientAddress, isSecure, unreadableAddress } from "./request.ts";
import { type GateEvents, ResponseGate } from "./response-gate.ts";
import { Visit } from "./visit.ts";

export type Next = (error?: unknown) => void;
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

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
  const site: Site = { client, options };
  return (req, res, next) => {
    // Mounted once more: the request has its session already.
    const current = currentContext();
    if (current instanceof Exchange && current.isOf(site, res)) {
      next();
      return;
    }
    const visit = new Visit(req.headers.cookie, options.cookieName ?? DEFAULTS.cookieName);
    visit.address = req.socket.remoteAddress;
    const finding = visit.find(client);
    if (finding === undefined) new Exchange(site, res, visit).begin(next);
    else void finding.then(() => new Exchange(site, res, visit).begin(next));
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
  else if (prefix !== undefined && typeof prefix !== "function")
    throw badOption("prefix", prefix, "text or a function");
  const { unique, onError } = options;
  if (unique !== undefined && typeof unique !== "boolean") throw badOption("unique", unique, "true or false");
  if (onError !== undefined && typeof onError !== "function") throw badOption("onError", onError, "a function");
  if (cookiePath !== undefined) checkCookiePath(cookiePath);
}

function badOption(name: string, value: unknown, allowed: string): SessionError {
  return new SessionError("ERR_BAD_OPTION", `The option ${name} must be ${allowed}, not ${String(value)}.`);
}

interface Site {
  readonly client: Client;
  readonly options: SessionOptions;
}

/**
 * One request and its response: the context its code runs in, what a new session of it is like, and what its response waits for. One
 * object is all of these, since there is one for every request, whether it uses its session or not.
 */
class Exchange implements RequestContext, HandleOptions, GateEvents {
  readonly handle: Handle;
  readonly #site: Site;
  readonly #options: SessionOptions;
  readonly #res: ServerResponse;
  readonly #visit: Visit;
  #prefix: string | undefined;
  #addressPrefix: string | undefined;
  #wasTouched = false;
  /** How many of the ended sessions, and the cookie of which session, the response names already. */
  #endedNamed = 0;
  #cookieNamed = "";

  constructor(site: Site, res: ServerResponse, visit: Visit) {
    this.#site = site;
    this.#options = site.options;
    this.#res = res;
    this.#visit = visit;
    this.handle = new Handle(site.client, visit, this);
  }

  isOf(site: Site, res: ServerResponse): boolean {
    return this.#site === site && this.#res === res;
  }

  begin(next: Next): void {
    const { prefix } = this.#options;
    try {
      this.#prefix = typeof prefix === "function" ? checkPrefix(prefix(this.#res.req)) : prefix;
    } catch (error) {
      next(error);
      return;
    }
    if (this.#visit.problem !== undefined) this.onError(this.#visit.problem);
    new ResponseGate(this.#res, this);
    bindEvents(this.#res.req, this);
    bindEvents(this.#res, this);
    runInContext(this, next);
  }

  // -- what it is for code that has only the request

  get client(): Client {
    return this.#site.client;
  }

  get sessionId(): string | null {
    // Whoever ends one that cannot be read may have begun another.
    const isUnread = this.#visit.problem !== undefined && this.handle.ended.length === 0;
    return isUnread ? this.#visit.id : this.handle.id;
  }

  /** An upgrade has no response, whatever stands in for one. */
  get isAnswering(): boolean {
    const { writableEnded, destroyed, socket } = this.#res;
    if (writableEnded !== false || destroyed || socket === undefined) return false;
    return !("upgrade" in this.#res.req && this.#res.req.upgrade === true);
  }

  // -- what a session that begins here is like

  get prefix(): string {
    return this.#prefix || processDefaults.prefix || this.#address;
  }

  get #address(): string {
    this.#addressPrefix ??= this.#findAddress();
    return this.#addressPrefix;
  }

  /** Of nobody else where it cannot be told: sessions that are unique by their address must not end each other. */
  #findAddress(): string {
    const { req } = this.#res;
    const address = clientAddress(req, this.#options.trustProxy, this.#visit.address);
    if (address !== undefined) return address;
    this.onError(unreadableAddress(req));
    return `unknown-${randomBytes(8).toString("hex")}`;
  }

  get timeoutSeconds(): number {
    return this.#options.timeout ?? processDefaults.timeoutSeconds;
  }

  get cookiePath(): string | undefined {
    return this.#options.cookiePath ?? processDefaults.cookiePath;
  }

  get isUnique(): boolean {
    return this.#options.unique ?? processDefaults.isUnique ?? false;
  }

  mayCreate(): void {
    if (this.#res.headersSent) throw new SessionError("ERR_HEADERS_SENT");
  }

  // -- what the response waits for

  /** True when nothing has to be awaited: the session was not used, or only read, or all of it is done. */
  isReady(): boolean {
    const { handle } = this;
    if (!handle.wasUsed) return true;
    if (handle.isBusy || this.#isModified()) return false;
    if (this.#owesCookies() && !this.#res.headersSent) return false;
    if (!this.#wasTouched) handle.touch()?.catch((error: unknown) => this.onError(error));
    this.#wasTouched = true;
    return true;
  }

  /** A session that could not be read has nothing to save: whoever used it was told. */
  #isModified(): boolean {
    try {
      return this.handle.isModified;
    } catch (error) {
      return error !== this.#visit.problem;
    }
  }

  /** Resolves to whether the response may go on; false: it is replaced. */
  async prepare(gate: ResponseGate): Promise<boolean> {
    try {
      await this.handle.settle();
    } catch (error) {
      this.onError(error);
      if (!isGone(error)) return false;
    }
    if (this.#owesCookies() && !gate.haveHeadersLeft) this.#addCookies(gate);
    return true;
  }

  #owesCookies(): boolean {
    const { handle } = this;
    return handle.ended.length > this.#endedNamed || (handle.needsCookie && this.#cookieNamed !== handle.id);
  }

  #addCookies(gate: ResponseGate): void {
    const { handle } = this;
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
    const secureNow = secure === "auto" ? isSecure(this.#res.req, trustProxy) : secure;
    return { name: this.#visit.cookieName, path, sameSite, isSecure: secureNow };
  }

  /** Without onError a failure is a warning, unless whoever used the session was told. What onError throws is a warning, too. */
  onError(error: unknown): void {
    const problem = error instanceof Error ? error : new Error(String(error));
    try {
      const told: unknown = this.#options.onError?.(problem, this.#res.req, this.#res);
      if (told instanceof Promise) told.catch(warn);
      if (this.#options.onError !== undefined) return;
      if (problem !== this.#visit.problem) process.emitWarning(problem);
    } catch (failure) {
      warn(failure);
    }
  }
}

function warn(failure: unknown): void {
  process.emitWarning(failure instanceof Error ? failure : String(failure));
}

function isGone(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_SESSION_GONE";
}
