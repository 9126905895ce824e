// session(): cookie in, commit before the headers, cookie out. For node:http and everything built on it.

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { SessionError } from "../../protocol/errors.ts";
import { checkPrefix } from "../../protocol/session-id.ts";
import { Handle, type HandleOptions } from "../handle/handle.ts";
import { Client } from "../link/client.ts";
import { checkCookiePath, DEFAULTS, type SessionOptions } from "../options.ts";
import {
  bindEvents,
  boundTo,
  currentContext,
  type Ending,
  offerAsDefault,
  processDefaults,
  type RequestContext,
  runInContext,
} from "../static/context.ts";
import { type CookieAttributes, removalCookie, sessionCookie } from "./cookies.ts";
import { clientAddress, isSecure, unreadableAddress } from "./request.ts";
import { type GateEvents, isResponse, ResponseGate } from "./response-gate.ts";
import { Visit } from "./visit.ts";

export type Next = (error?: unknown) => unknown;
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

const A_RESPONSE = "the response";
/** Of a request without a response. */
const A_CALL = "the call of next";
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Binds the static `Session` to each request. Reads the cookie, loads the session (from memory if this worker's copy is current), and
 * commits what was changed before the response headers leave. Of a request that comes without a response, as with `upgrade`, anything may
 * stand in its place: what `next` changed is committed when it has returned.
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
    if (typeof next !== "function") throw new TypeError("session() was called without next, a function to go on with.");
    // Mounted once more: the request has its session already, and its context, unless that was lost on the way.
    const known = exchangeOf(site, req, res);
    if (known !== undefined) {
      if (currentContext() === known) next();
      else runInContext(known, next);
      return;
    }
    let visit: Visit;
    let finding: Promise<void> | undefined;
    try {
      visit = new Visit(cookiesOf(req), options.cookieName ?? DEFAULTS.cookieName);
      visit.address = req.socket?.remoteAddress;
      finding = visit.find(client);
    } catch (error) {
      next(error);
      return;
    }
    if (finding === undefined) new Exchange(site, req, res, visit).begin(next);
    else void finding.then(() => beginLater(new Exchange(site, req, res, visit), next));
  };
}

/** Nobody waits above `next` any more: what it throws has to be caught here, as a cookie decides whether it is called at once or later. */
function beginLater(exchange: Exchange, next: Next): void {
  try {
    exchange.begin(next);
  } catch (error) {
    exchange.handlerFailed(error);
  }
}

/** What this middleware has made of the request and its response before. */
function exchangeOf(site: Site, req: IncomingMessage, res: ServerResponse): Exchange | undefined {
  const current = currentContext();
  if (current instanceof Exchange && current.isOf(site, req, res)) return current;
  const bound = typeof req === "object" && req !== null ? boundTo(req) : undefined;
  return bound instanceof Exchange ? bound.within(site, res) : undefined;
}

/** A stand-in for a request may have no headers. */
function cookiesOf(req: IncomingMessage): string | undefined {
  const header: unknown = req.headers?.cookie;
  return typeof header === "string" ? header : undefined;
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

const WITHOUT_RESPONSE =
  "A session cannot be created for a request that came without a response, as an upgrade does: no cookie can be sent.";

interface Site {
  readonly client: Client;
  readonly options: SessionOptions;
}

/**
 * One request and its response: the context its code runs in, what a new session of it is like, and what its response waits for. One
 * object is all of these, since there is one for every request, whether it uses its session or not.
 */
class Exchange implements RequestContext, Ending, HandleOptions, GateEvents {
  readonly handle: Handle;
  readonly #site: Site;
  readonly #options: SessionOptions;
  readonly #req: IncomingMessage;
  /** Or whatever came in its place: then there is no gate. */
  readonly #res: ServerResponse;
  readonly #visit: Visit;
  #gate: ResponseGate | undefined;
  /** That of a middleware outside of this one, with a session of its own. */
  #outside: Exchange | undefined;
  #prefix: string | undefined;
  #addressPrefix: string | undefined;
  #wasTouched = false;
  /** Finished: all of it was sent. Failed: what was not saved was told. */
  #fate: "open" | "finished" | "failed" = "open";
  /** How many of the ended sessions, and the cookie of which session, the response names already. */
  #endedNamed = 0;
  #cookieNamed = "";

  constructor(site: Site, req: IncomingMessage, res: ServerResponse, visit: Visit) {
    this.#site = site;
    this.#options = site.options;
    this.#req = req;
    this.#res = res;
    this.#visit = visit;
    this.handle = new Handle(site.client, visit, this);
  }

  isOf(site: Site, req: IncomingMessage, res: ServerResponse): boolean {
    return this.#site === site && (this.#gate === undefined ? this.#req === req : this.#res === res);
  }

  /** This one or one outside of it, for who comes with the response alone. Without one each call is saved by itself. */
  within(site: Site, res: ServerResponse): Exchange | undefined {
    if (this.#gate !== undefined && this.#site === site && this.#res === res) return this;
    return this.#outside === undefined ? undefined : this.#outside.within(site, res);
  }

  begin(next: Next): void {
    const { prefix } = this.#options;
    try {
      this.#prefix = typeof prefix === "function" ? checkPrefix(prefix(this.#req)) : prefix;
      if (isResponse(this.#res)) this.#gate = this.#enter(this.#res);
      this.#bind(this.#req);
      if (this.#gate !== undefined) this.#bind(this.#res);
    } catch (error) {
      next(error);
      return;
    }
    if (this.#visit.problem !== undefined) this.onError(this.#visit.problem);
    const answer: unknown = runInContext(this, next);
    if (isThenable(answer))
      answer.then(
        () => this.#returned(),
        (error: unknown) => this.handlerFailed(error),
      );
    else this.#returned();
  }

  #enter(res: ServerResponse): ResponseGate {
    const bound = boundTo(res);
    if (!(bound instanceof Exchange)) return new ResponseGate(res, this);
    this.#outside = bound;
    return bound.#gate === undefined ? new ResponseGate(res, this) : bound.#gate.join(this);
  }

  #bind(emitter: IncomingMessage | ServerResponse): void {
    if (typeof emitter.emit === "function" && Object.isExtensible(emitter)) bindEvents(emitter, this);
  }

  /** Where no response ends that something could be committed before, `next` does. */
  #returned(): void {
    if (this.#gate === undefined) void this.#saveAtEnd(A_CALL);
  }

  /** Where nobody above `next` can catch what it throws, it must not end the process, nor leave the request without an answer. */
  handlerFailed(error: unknown): void {
    if (this.#options.onError !== undefined) this.onError(error);
    else warnOfHandler(error);
    const res = this.#res;
    try {
      if (this.#gate === undefined || res.writableEnded) return;
      if (res.headersSent) res.destroy();
      else {
        for (const name of res.getHeaderNames()) res.removeHeader(name);
        res.statusCode = 500;
        res.end("Internal Server Error\n");
      }
    } catch (failure) {
      warn(failure);
    }
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

  /** Until all of it is saved; the end of the response may be under way. An upgrade has no response, whatever stands in for one. */
  get isAnswering(): boolean {
    if (this.#gate === undefined) return false;
    if (this.handle.isBusy) return true;
    const { writableEnded, destroyed, socket } = this.#res;
    if (writableEnded !== false || destroyed || socket === undefined) return false;
    return !("upgrade" in this.#req && this.#req.upgrade === true);
  }

  // -- what a session that begins here is like

  /** As its log would name it. What is behind the path may be a secret. */
  get request(): string {
    const req: { readonly method?: unknown; readonly url?: unknown; readonly originalUrl?: unknown } = this.#req;
    const [path] = textOf(req.originalUrl ?? req.url).split("?", 1);
    return `${textOf(req.method) || "a request"} ${path}`;
  }

  get prefix(): string {
    return this.#prefix || processDefaults.prefix || this.#address;
  }

  get #address(): string {
    this.#addressPrefix ??= this.#findAddress();
    return this.#addressPrefix;
  }

  /** Of nobody else where it cannot be told: sessions that are unique by their address must not end each other. */
  #findAddress(): string {
    const req = wholeOf(this.#req);
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
    if (this.#gate === undefined) throw new SessionError("ERR_HEADERS_SENT", WITHOUT_RESPONSE);
    if (this.#res.headersSent) throw new SessionError("ERR_HEADERS_SENT");
  }

  // -- when it is over

  /** A response that was cut off has no end that would save; what was changed is saved all the same. */
  noteEvent(name: "finish" | "close", emitter: unknown): void {
    if (emitter !== this.#res) return;
    this.#outside?.noteEvent(name, emitter);
    if (name === "finish" && this.#fate === "open") this.#fate = "finished";
    if (name === "finish") return;
    if (this.#fate === "finished") this.handle.end(A_RESPONSE);
    else if (this.#fate === "failed") this.handle.endInVain(A_RESPONSE);
    else void this.#saveAtEnd(A_RESPONSE);
  }

  /** Of what has no end that waits for it. */
  async #saveAtEnd(what: string): Promise<void> {
    const { handle } = this;
    try {
      if (handle.wasUsed && (handle.isBusy || this.#isModified())) await handle.settle();
      handle.end(what);
      if (!this.#wasTouched) await handle.touch();
      this.#wasTouched = true;
    } catch (error) {
      handle.endInVain(what);
      if (!isGone(error)) this.onError(error);
    }
  }

  // -- what the response waits for

  /** True when nothing has to be awaited: the session was not used, or only read, or all of it is done. */
  isReady(): boolean {
    const { handle } = this;
    if (!handle.wasUsed) return true;
    if (handle.isBusy || this.#isModified()) return false;
    if (this.#gate?.haveHeadersLeft === false && this.#owesCookies()) return false;
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
  async prepare(): Promise<boolean> {
    try {
      await this.handle.settle();
    } catch (error) {
      this.onError(error);
      if (!isGone(error)) {
        this.#fate = "failed";
        return false;
      }
    }
    const gate = this.#gate;
    try {
      if (gate !== undefined && !gate.haveHeadersLeft && this.#owesCookies()) this.#addCookies(gate);
      return true;
    } catch (error) {
      this.onError(error);
      return false;
    }
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
    const secureNow = secure === "auto" ? isSecure(wholeOf(this.#req), trustProxy) : secure;
    return { name: this.#visit.cookieName, path, sameSite, isSecure: secureNow };
  }

  /** Without onError a failure is a warning, unless whoever used the session was told. What onError throws is a warning, too. */
  onError(error: unknown): void {
    const problem = asError(error);
    try {
      const told: unknown = this.#options.onError?.(problem, this.#req, this.#res);
      if (told instanceof Promise) told.catch(warn);
      if (this.#options.onError !== undefined) return;
      if (problem !== this.#visit.problem) process.emitWarning(problem);
    } catch (failure) {
      warn(failure);
    }
  }
}

function warn(failure: unknown): void {
  process.emitWarning(asError(failure));
}

/** With the stack: it is the application's own mistake. */
function warnOfHandler(error: unknown): void {
  try {
    const { name, message, stack: detail } = asError(error);
    const text = `A request handler failed: ${message}`;
    process.emitWarning(text, { type: String(name), ...(error instanceof Error && detail ? { detail } : {}) });
  } catch {
    process.emitWarning("A request handler failed with an error that cannot be shown.");
  }
}

/** Anything can be thrown, also what has no text. */
function asError(thrown: unknown): Error {
  try {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  } catch {
    return new Error("Something was thrown that cannot be shown.");
  }
}

/** Stand-ins for a request may lack what every request has. */
function wholeOf(req: IncomingMessage): IncomingMessage {
  const { headers, socket } = req;
  if (headers && socket) return req;
  return { headers: headers ?? {}, socket: socket ?? {} } as IncomingMessage;
}

/** Stand-ins may have anything there. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function isGone(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_SESSION_GONE";
}
