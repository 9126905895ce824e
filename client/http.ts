// session(): cookie in, commit before the headers, cookie out. For node:http and everything built on it.

import type { IncomingMessage, ServerResponse } from "node:http";
import { SessionError } from "../protocol/errors.ts";
import { checkPrefix, isSessionId } from "../protocol/session-id.ts";
import { Client, type Opened } from "./client.ts";
import {
  bindEvents,
  type Context,
  currentContext,
  type Ending,
  offerAsDefault,
  processDefaults,
  runInContext,
} from "./context.ts";
import { type CookieAttributes, readCookie, removalCookie, sessionCookie } from "./cookies.ts";
import { Handle, type HandleOptions } from "./handle.ts";
import { checkCookiePath, DEFAULTS, type SessionOptions } from "./options.ts";
import { clientAddress, isSecure } from "./request.ts";
import { type GateEvents, ResponseGate } from "./response-gate.ts";

export type Next = (error?: unknown) => void;
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

const A_RESPONSE = "the response";
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
  const site: Site = { client, options };
  return (req, res, next) => {
    // Mounted once more: the request has its session already.
    const current = currentContext();
    if (current instanceof Exchange && current.isOf(site, res)) {
      next();
      return;
    }
    const visit = visitOf(req.headers.cookie, options.cookieName ?? DEFAULTS.cookieName);
    visit.address = req.socket.remoteAddress;
    const contents = visit.id === null ? undefined : client.current(visit.id);
    visit.contents = contents;
    if (visit.id === null || contents !== undefined) new Exchange(site, res, visit).begin(next);
    else void client.ask(visit.id).then((opened) => new Exchange(site, res, Object.assign(visit, opened)).begin(next));
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

/** Which session a request came with, and how it was found. */
class Visit {
  readonly id: string | null;
  /** The name of its cookie, or else ours. */
  readonly cookieName: string;
  /** Asked for at once: a connection that has ended tells it no more. */
  address: string | undefined;
  contents: Opened["contents"] | undefined;
  problem: Error | undefined;

  constructor(id: string | null, cookieName: string) {
    this.id = id;
    this.cookieName = cookieName;
    this.address = undefined;
    this.contents = undefined;
    this.problem = undefined;
  }
}

function visitOf(header: string | undefined, cookieName: string): Visit {
  const own = readCookie(header, cookieName);
  if (own !== undefined) return new Visit(isSessionId(own) ? own : null, cookieName);
  const gambas = readCookie(header, GAMBAS_COOKIE);
  return isSessionId(gambas) ? new Visit(gambas, GAMBAS_COOKIE) : new Visit(null, cookieName);
}

/**
 * One request and its response: the context its code runs in, what a new session of it is like, and what its response waits for. One
 * object is all of these, since there is one for every request, whether it uses its session or not.
 */
class Exchange implements Context, Ending, HandleOptions, GateEvents {
  readonly handle: Handle;
  readonly #site: Site;
  readonly #options: SessionOptions;
  readonly #res: ServerResponse;
  readonly #visit: Visit;
  #prefix: string | undefined;
  #wasTouched = false;
  /** Finished: all of it was sent. Failed: what was not saved was told. */
  #fate: "open" | "finished" | "failed" = "open";
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

  // -- what a session that begins here is like

  /** As its log would name it. What is behind the path may be a secret. */
  get request(): string {
    const { req } = this.#res;
    const url = "originalUrl" in req ? String(req.originalUrl) : req.url;
    return `${req.method} ${url?.split("?", 1)[0]}`;
  }

  get prefix(): string {
    return (
      this.#prefix ||
      processDefaults.prefix ||
      clientAddress(this.#res.req, this.#options.trustProxy, this.#visit.address)
    );
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

  // -- when it is over

  /** A response that was cut off has no end that would save; what was changed is saved all the same. */
  noteEvent(name: "finish" | "close", emitter: unknown): void {
    if (emitter !== this.#res || !this.handle.wasUsed) return;
    if (name === "finish" && this.#fate === "open") this.#fate = "finished";
    if (name === "finish") return;
    if (this.#fate === "finished") this.handle.end(A_RESPONSE);
    else if (this.#fate === "failed") this.handle.endInVain(A_RESPONSE);
    else void this.#saveCutOff();
  }

  async #saveCutOff(): Promise<void> {
    const { handle } = this;
    try {
      if (handle.isBusy || this.#isModified()) await handle.settle();
      handle.end(A_RESPONSE);
    } catch (error) {
      handle.endInVain(A_RESPONSE);
      if (!isGone(error)) this.onError(error);
    }
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
      if (!isGone(error)) {
        this.#fate = "failed";
        return false;
      }
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
