// One request of the drop-in: its `req.session`, `req.sessionID` and `req.session.cookie`, and which cookie its response carries. The exchange
// asks it before the headers leave.

import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isDeepStrictEqual } from "node:util";
import { isCode, SessionError } from "../../protocol/errors.ts";
import { ID_RANDOM_BYTES, makeSessionId } from "../../protocol/session-id.ts";
import type { Handle } from "../handle/handle.ts";
import type { Deputy, Exchange } from "../http/exchange.ts";
import { DEFAULT_NAME, type ExpressSessionOptions } from "./rules.ts";
import { type Conduct, SessionObject } from "./session-object.ts";
import {
  COOKIE_KEY,
  Cookie,
  type CookieOptions,
  type CookieRecord,
  cookieOfRecord,
  idForSid,
  recordOf,
  secondsOf,
  setCookieLine,
  shownSid,
} from "./store/store.ts";

/** A request with what the drop-in puts there. */
export interface SessionRequest extends IncomingMessage {
  session?: unknown;
  sessionID?: string;
  sessionStore?: unknown;
  originalUrl?: string;
  /** Express' own word on HTTPS. */
  secure?: boolean;
}

export class Stay implements Deputy, Conduct {
  readonly req: SessionRequest;
  readonly #options: ExpressSessionOptions;
  /** The attributes of the cookie that the options say for this request. */
  readonly #told: CookieOptions;
  readonly #exchange: Exchange;
  readonly #handle: Handle;
  /** The cookie that the options say, for this request. */
  readonly #standard: CookieRecord;
  #session: SessionObject;
  #nextId: string | undefined;
  /** The cookie as it is kept, or as the options say it. */
  #keptCookie: CookieRecord;
  /** The application has made the session another one: it is to be there, whatever it holds. */
  #mustBegin = false;
  #state: "there" | "destroyed" | "unset" = "there";
  #wasModified = false;
  /** The id whose cookie the response has, and how many of the sessions that ended are seen to. */
  #named: string | undefined;
  #endedSeen = 0;

  constructor(req: SessionRequest, exchange: Exchange, options: ExpressSessionOptions, told: CookieOptions) {
    this.req = req;
    this.#options = options;
    this.#told = told;
    this.#exchange = exchange;
    this.#handle = exchange.handle;
    const cookie = this.#newCookie();
    this.#standard = recordOf(cookie);
    this.#keptCookie = this.#standard;
    this.#session = new SessionObject(this.#handle, this, this.#storedCookie() ?? cookie);
  }

  /** Puts everything where the application looks for it. */
  begin(): void {
    const { req } = this;
    this.#exchange.appoint(this);
    req.session = this.#session.proxy;
    Object.defineProperty(req, "sessionID", { get: () => this.sid, enumerable: true, configurable: true });
  }

  get sid(): string {
    return shownSid(this.#handle.id ?? this.nextId);
  }

  get nextId(): string {
    const { genid } = this.#options;
    this.#nextId ??=
      genid === undefined
        ? makeSessionId(this.#handle.prefix, randomBytes(ID_RANDOM_BYTES))
        : idForSid(genid(this.req));
    return this.#nextId;
  }

  // -- the cookie of the session

  #newCookie(): Cookie {
    const told = this.#told;
    const cookie = new Cookie(told);
    if (told.secure === "auto") cookie.secure = this.#isSecure();
    if (told.sameSite === "auto") cookie.sameSite = this.#isSecure() ? "none" : "lax";
    return cookie;
  }

  /** The cookie that is kept in the session, because it is not what the options say. */
  #storedCookie(): Cookie | undefined {
    const stored = this.#handle.has(COOKIE_KEY) ? this.#handle.get(COOKIE_KEY) : undefined;
    if (typeof stored !== "object" || stored === null) return undefined;
    this.#keptCookie = recordOf(stored);
    return new Cookie(cookieOfRecord(this.#keptCookie, this.#handle.lastUsed));
  }

  #isSecure(): boolean {
    const { proxy } = this.#options;
    const { socket, headers, secure } = this.req;
    if (socket && "encrypted" in socket && socket.encrypted === true) return true;
    if (proxy !== true) return proxy === undefined && secure === true;
    const [forwarded = ""] = String(headers["x-forwarded-proto"] ?? "").split(",", 1);
    return forwarded.trim().toLowerCase() === "https";
  }

  // -- what the methods of the session do

  async save(): Promise<void> {
    this.#mustBegin = true;
    this.#settle();
    await this.#handle.save();
  }

  async reload(): Promise<void> {
    await this.#handle.load();
    this.#session.forget();
    if (this.#handle.id === null) {
      throw new SessionError("ERR_SESSION_GONE", "failed to load session: it has ended, or was never saved.");
    }
    this.#session.cookie = this.#storedCookie() ?? this.#newCookie();
  }

  async destroy(): Promise<void> {
    this.#state = "destroyed";
    this.#session.leave();
    delete this.req.session;
    await this.#end();
  }

  async regenerate(): Promise<void> {
    this.#session.leave();
    try {
      await this.#end();
    } finally {
      this.#state = "there";
      this.#mustBegin = true;
      this.#keptCookie = this.#standard;
      this.#session = new SessionObject(this.#handle, this, this.#newCookie());
      this.req.session = this.#session.proxy;
    }
  }

  async #end(): Promise<void> {
    const ended = this.#handle.abandon();
    this.#nextId = undefined;
    await ended;
  }

  // -- before the headers leave

  conclude(): void {
    if (this.#state !== "there") return;
    if (this.req.session === this.#session.proxy) {
      this.#settle();
      return;
    }
    // Set to nothing, or to what is no session.
    this.#state = "unset";
    if (this.#options.unset === "destroy") this.#end().catch((error: unknown) => this.#exchange.report(error));
    else this.#handle.isModified = false;
  }

  /** Brings everything into the handle that is not there yet. */
  #settle(): void {
    const { cookie } = this.#session;
    this.#wasModified ||= this.#session.isModified();
    if (this.#options.saveUninitialized !== false || this.#mustBegin) this.#begin();
    if (this.#handle.id === null) return;
    const record = recordOf(cookie);
    const seconds = secondsOf(record);
    const isChanged = !isDeepStrictEqual(record, this.#keptCookie);
    if (seconds !== undefined && (isChanged || this.#handle.lastUsed === null)) this.#handle.timeout = seconds;
    if (!isChanged) return;
    if (isDeepStrictEqual(record, this.#standard)) this.#handle.delete(COOKIE_KEY);
    else this.#handle.set(COOKIE_KEY, record);
    this.#keptCookie = record;
  }

  /** Where the headers have left, there is nothing to begin. */
  #begin(): void {
    try {
      this.#handle.create();
    } catch (error) {
      if (!isCode(error, "ERR_HEADERS_SENT")) throw error;
    }
  }

  hasCookies(): boolean {
    return this.#isCookieDue() || this.#hasEnded();
  }

  takeCookies(): readonly string[] {
    const { cookie } = this.#session;
    const { name, key } = this.#options;
    const lines: string[] = [];
    const { id } = this.#handle;
    if (this.#isCookieDue() && id !== null) {
      if (cookie.originalMaxAge !== null) cookie.maxAge = cookie.originalMaxAge;
      lines.push(setCookieLine(name ?? key ?? DEFAULT_NAME, id, cookie));
      this.#named = id;
    } else if (this.#hasEnded()) {
      lines.push(setCookieLine(name ?? key ?? DEFAULT_NAME, "", { ...cookie.data, expires: new Date(0) }));
    }
    this.#endedSeen = this.#handle.ended.length;
    return lines;
  }

  #isCookieDue(): boolean {
    const { id } = this.#handle;
    const { cookie } = this.#session;
    if (id === null || id === this.#named || this.#state === "unset") return false;
    if (cookie.secure && !this.#isSecure()) return false;
    if (id !== this.#exchange.foundId) return true;
    return this.#options.rolling === true || (cookie.expires !== null && this.#wasModified);
  }

  /** The browser has the cookie of a session that has ended, and gets no other. */
  #hasEnded(): boolean {
    return this.#handle.id === null && this.#handle.ended.length > this.#endedSeen;
  }
}
