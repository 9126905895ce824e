// An exchange is one request and its response as its session sees them, whatever carries them: cookies come in, the application has a
// handle, cookies go out. It knows of no server and no framework; the middleware for node:http and each adapter stand on it:
//
//   const site = Site.open(options);                          once
//   const exchange = await site.begin({ cookie, … });         the session is found
//   await exchange.run(() => handler());                      `Session` is that of this request
//   const { cookies, failed } = await exchange.finish();      before the headers leave
//   exchange.end();                                           the response was sent
//
// Its states:
//
//   open        a session may begin, with the first `set`                --finish-->     committing
//   committing  `finish` waits for the daemon; no session begins         --committed-->  committed
//                                                                        --refused-->    failed
//   committed   the cookies are handed out; `finish` may be called again, to commit later changes
//   failed      the changes are lost, and `tell` was told; cookies are of what was saved before

import { isCode, SessionError } from "../../protocol/errors.ts";
import type { CookieMaxAge } from "../api.ts";
import type { Checks } from "../checks.ts";
import { type RequestContext, runInContext } from "../context.ts";
import { offerAsDefault, processDefaults } from "../defaults.ts";
import { type Birthplace, type CookieState, type Handle, isTouchDue } from "../handle/handle.ts";
import { Client } from "../link/client.ts";
import { checkHttpOptions, DEFAULTS, domainOf, type HttpOptions, isHostCookie, sameSiteOf } from "../options.ts";
import { Adoption } from "./adoption.ts";
import { type CookieAttributes, removalCookie, sessionCookie } from "./cookies.ts";
import { asError, warn } from "./failures.ts";
import { addressOrOwn, isSecure, type Sender, saidPrefix, type TrustProxy } from "./sender.ts";
import { Visit } from "./visit.ts";

export { asError, warn } from "./failures.ts";
export { addressPrefix } from "./sender.ts";
export { Visit } from "./visit.ts";

/** A request, as far as its session asks for it. */
export interface Incoming extends Sender {
  /** The Cookie header; several of them are joined by semicolons. */
  readonly cookie?: string | undefined;
  /** Prefix of a new id, if the application says one for this request. Asked for when a session begins; what it throws is told. */
  readonly prefix?: string | undefined;
  /** Told of every failure to read or save. Without it failures are warnings of the process. */
  readonly tell?: ((error: Error) => unknown) | undefined;
}

/** How far a response is, where others than `finish` decide that. */
export interface Outgoing {
  /**
   * none: no response will carry a cookie. open: headers can be added. written: the application has written them, and they wait for
   * `finish`. left: they are gone.
   */
  readonly headers: "none" | "open" | "written" | "left";
  /** The response is still to be finished, so that it waits for changes made now. */
  readonly isAnswering: boolean;
  /** Why no session can begin where there are no headers. */
  readonly refusal?: string;
}

/** Who stands in for another package in an exchange, and does what that one promises. */
export interface Deputy {
  /** Id of the session that begins next. */
  readonly nextId: string;
  /** The headers or the end are about to leave: whatever is still to be changed in the session. May throw. */
  conclude(): void;
  /** The cookies are its own affair: whether headers must carry any, and their lines. */
  hasCookies(): boolean;
  takeCookies(): readonly string[];
}

/** The end of an exchange. */
export interface Finished {
  /** Lines for Set-Cookie headers, those of an error's, too. */
  readonly cookies: readonly string[];
  /** Why the changes were not saved: the response must not pretend they were. It was told already. */
  readonly failed: Error | undefined;
}

const WITHOUT_RESPONSE =
  "A session cannot be created for a request that came without a response, as an upgrade does: no cookie can be sent.";
const A_RESPONSE = "the response";
const NO_COOKIES: readonly string[] = [];
const NOTHING: Finished = { cookies: NO_COOKIES, failed: undefined };

/** What all exchanges of an application have in common: its client and its options. */
export class Site<Options extends HttpOptions = HttpOptions> {
  readonly client: Client;
  readonly options: Options;
  readonly cookieName: string;
  readonly trustProxy: TrustProxy;
  /** The path that all cookies have; undefined: each session says its own. */
  readonly cookiePath: string | undefined;
  readonly #adoption: Adoption | undefined;

  constructor(client: Client, options: Options) {
    this.#adoption = options.adopt && Adoption.of(options.adopt, client.type);
    this.client = client;
    this.options = options;
    this.cookieName = options.cookieName ?? DEFAULTS.cookieName;
    this.trustProxy = options.trustProxy ?? false;
    this.cookiePath = isHostCookie(this.cookieName) ? DEFAULTS.cookiePath : undefined;
  }

  /**
   * A site with a client of its own, or with the one that `clientOf` gives.
   *
   * @param own what the options must be that this way to serve HTTP has beyond `HttpOptions`. An option without a check is refused.
   * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work.
   */
  static open(options: HttpOptions): Site;
  static open<Options extends HttpOptions>(
    options: Options,
    own: Checks<Omit<Options, keyof HttpOptions>>,
    clientOf?: (options: HttpOptions) => Client,
  ): Site<Options>;
  static open<Options extends HttpOptions>(
    options: Options,
    own: Checks<object> = {},
    clientOf = (wanted: HttpOptions): Client => new Client(wanted),
  ): Site<Options> {
    checkHttpOptions(options, own);
    const client = clientOf(options);
    offerAsDefault(client);
    return new Site(client, options);
  }

  /** For who is about to serve: a daemon is there before the first request, if it can be; if not, requests that use their session say so. */
  warmUp(): void {
    this.client.ready().catch(() => undefined);
  }

  /** Finds the session of a request. A promise only where the copies of this worker do not tell; it never rejects. */
  begin(incoming: Incoming, outgoing?: Outgoing): Exchange | Promise<Exchange> {
    const found = this.find(incoming.cookie);
    if (found instanceof Visit) return new Exchange(this, found, incoming, outgoing);
    return found.then((visit) => new Exchange(this, visit, incoming, outgoing));
  }

  /** The first half of `begin`, for a carrier that makes its exchange itself. */
  find(cookie: string | undefined): Visit | Promise<Visit> {
    const visit = new Visit(cookie, this.cookieName, this.#adoption);
    return visit.find(this.client)?.then(() => visit) ?? visit;
  }
}

/**
 * The exchange is the context of the application's code and the options of its handle, too. Every request has one, whether it uses its session
 * or not, and each object more would cost every request 30 ns of the 1 to 8 µs that the middleware takes.
 */
export class Exchange implements RequestContext, Birthplace {
  readonly handle: Handle;
  readonly site: Site;
  readonly incoming: Incoming;
  readonly #outgoing: Outgoing | undefined;
  readonly #visit: Visit;
  #state: "open" | "committing" | "committed" | "failed" = "open";
  #untold: Error | undefined;
  #saidPrefix: string | undefined;
  #addressPrefix: string | undefined;
  #deputy: Deputy | undefined;
  /** The deputy decides: what it begins now, the headers that are about to leave still tell. */
  #isConcluding = false;
  #wasTouched = false;
  /** How many of the ended sessions, and the cookie of which session, the response names already. */
  #endedNamed = 0;
  #cookieNamed = "";

  constructor(site: Site, visit: Visit, incoming: Incoming, outgoing?: Outgoing) {
    this.site = site;
    this.incoming = incoming;
    this.#outgoing = outgoing;
    this.#visit = visit;
    this.#untold = visit.problem ?? visit.refusal;
    this.handle = site.client.handle(visit, this);
  }

  /** Runs code of the application: `Session` is that of this request. A session that could not be read, or adopted, is told first, once. */
  run<T>(fn: () => T): T {
    const untold = this.#untold;
    this.#untold = undefined;
    if (untold !== undefined) this.report(untold);
    return runInContext(this, fn);
  }

  /** From now on the deputy is asked what the session of this exchange begins with, and what it sends. */
  appoint(deputy: Deputy): void {
    this.#deputy = deputy;
  }

  // -- for code that has only the request

  get client(): Client {
    return this.site.client;
  }

  /** The id that the request came with, if it names a session. Of one that was taken over the browser does not know it yet. */
  get foundId(): string | null {
    return this.#visit.isNews ? null : this.#visit.id;
  }

  get sessionId(): string | null {
    // The application may have ended a session that cannot be read, and begun another one.
    const isUnread = this.#visit.problem !== undefined && this.handle.cookie.ended.length === 0;
    return isUnread ? this.#visit.id : this.handle.id;
  }

  get isAnswering(): boolean {
    return this.#outgoing?.isAnswering ?? (this.#state === "open" || this.handle.isBusy);
  }

  // -- for the handle: what a session that begins here is like

  get request(): string | undefined {
    return this.incoming.name;
  }

  get id(): string | undefined {
    return this.#deputy?.nextId;
  }

  get prefix(): string {
    this.#saidPrefix ??= saidPrefix(this.incoming, (problem) => this.report(problem));
    return this.#saidPrefix || processDefaults.prefix || this.#address;
  }

  get #address(): string {
    this.#addressPrefix ??= addressOrOwn(this.incoming, this.site.trustProxy, (problem) => this.report(problem));
    return this.#addressPrefix;
  }

  get timeoutSeconds(): number {
    return this.site.options.timeout ?? processDefaults.timeoutSeconds;
  }

  get cookiePath(): string | undefined {
    return this.site.options.cookiePath ?? processDefaults.cookiePath;
  }

  get cookieMaxAge(): CookieMaxAge | undefined {
    return this.site.options.maxAge;
  }

  get isUnique(): boolean {
    return this.site.options.unique ?? processDefaults.isUnique ?? false;
  }

  /** @throws SessionError ERR_HEADERS_SENT where the cookie of a new session would not reach the browser. */
  mayCreate(): void {
    const headers = this.#headers;
    if (headers === "open" || (headers === "written" && this.#isConcluding)) return;
    if (headers !== "none") throw new SessionError("ERR_HEADERS_SENT");
    throw new SessionError("ERR_HEADERS_SENT", this.#outgoing?.refusal ?? WITHOUT_RESPONSE);
  }

  /** Without an `Outgoing`, the headers leave with the first `finish`. */
  get #headers(): Outgoing["headers"] {
    if (this.#outgoing !== undefined) return this.#outgoing.headers;
    return this.#state === "open" ? "open" : this.#state === "committing" ? "written" : "left";
  }

  // -- before the headers leave, and at the end

  /** True when a response need not wait for `finish`: its session was not used, or only read, or everything is done. */
  isReady(): boolean {
    const { handle } = this;
    this.#conclude();
    if (!handle.wasUsed) return true;
    if (handle.isBusy || this.#isModified() || this.#hasCookiesToSend()) return false;
    this.#touchOnce();
    return true;
  }

  /** Commits what is changed, and says which cookies the headers must carry. Never rejects. */
  finish(): Promise<Finished> {
    if (this.#state === "open") this.#state = "committing";
    const fail = (error: unknown): Finished => {
      const failed = this.report(error);
      // The session has ended elsewhere: it has no changes any more that the response could lose.
      return isCode(error, "ERR_SESSION_GONE") ? this.#finished() : this.#fail(failed);
    };
    return this.handle.settle().then(() => this.#finished(), fail);
  }

  #finished(): Finished {
    try {
      return this.#hasCookiesToSend() ? { cookies: this.#takeCookies(), failed: undefined } : NOTHING;
    } catch (error) {
      return { cookies: NO_COOKIES, failed: this.report(error) };
    } finally {
      this.#state = "committed";
    }
  }

  /** What was saved before stays, and the browser must be told of it: the id that it has may be gone for ever. */
  #fail(failed: Error): Finished {
    this.handle.isModified = false;
    const cookies = this.#hasCookiesToSend() ? this.#takeCookies() : NO_COOKIES;
    this.#state = "failed";
    return { cookies, failed };
  }

  /** The response was sent: from now on a change that is not saved by hand is told. */
  end(): void {
    if (this.#state === "failed") {
      this.handle.endInVain(A_RESPONSE);
      return;
    }
    this.handle.end(A_RESPONSE);
    if (this.handle.wasUsed) this.#touchOnce();
  }

  /** Ends an exchange that no `finish` waits for, as one whose response was cut off. Its changes are saved all the same. Never rejects. */
  async saveAndEnd(what = A_RESPONSE): Promise<void> {
    const { handle } = this;
    if (this.#state === "failed") {
      handle.endInVain(what);
      return;
    }
    this.#conclude();
    try {
      if (handle.wasUsed && (handle.isBusy || this.#isModified())) await handle.settle();
      handle.end(what);
      if (!this.#wasTouched) await handle.touch();
      this.#wasTouched = true;
    } catch (error) {
      handle.endInVain(what);
      if (!isCode(error, "ERR_SESSION_GONE")) this.report(error);
    }
  }

  /** What a deputy cannot do is told here; what it has left undone may fail the commit. */
  #conclude(): void {
    if (this.#deputy === undefined) return;
    this.#isConcluding = true;
    try {
      this.#deputy.conclude();
    } catch (error) {
      this.report(error);
    } finally {
      this.#isConcluding = false;
    }
  }

  #touchOnce(): void {
    if (!this.#wasTouched) this.handle.touch()?.catch((error: unknown) => this.report(error));
    this.#wasTouched = true;
  }

  /** A session that could not be read has nothing to save: the code that used it was told. */
  #isModified(): boolean {
    try {
      return this.handle.isModified;
    } catch (error) {
      return error !== this.#visit.problem;
    }
  }

  // -- cookies

  #hasCookiesToSend(): boolean {
    if (!this.#owesCookies()) return false;
    const headers = this.#headers;
    return headers === "open" || headers === "written";
  }

  #owesCookies(): boolean {
    if (this.#deputy !== undefined) return this.#deputy.hasCookies();
    const { cookie } = this.handle;
    return cookie.ended.length > this.#endedNamed || (this.#isCookieDue(cookie) && this.#cookieNamed !== cookie.id);
  }

  #isCookieDue(cookie: CookieState): boolean {
    // Of a session that was taken over the browser has another cookie.
    const isNews = this.#visit.isNews && cookie.id === this.#visit.id;
    return isNews || cookie.needsCookie || (cookie.hasMaxAge && this.#prolongs(cookie));
  }

  /** A cookie that lives for a time is sent again whenever the life of its session is prolonged: by a commit, or by a touch once a second. */
  #prolongs({ contents }: CookieState): boolean {
    if (contents === undefined || !this.handle.wasUsed) return false;
    return contents !== this.#visit.contents || isTouchDue(contents);
  }

  #takeCookies(): readonly string[] {
    if (this.#deputy !== undefined) return this.#deputy.takeCookies();
    const { cookie } = this.handle;
    const { cookiePath } = this.site;
    const id = this.#isCookieDue(cookie) ? cookie.id : null;
    const path = cookiePath ?? cookie.effectiveCookiePath;
    const left = cookie.ended.slice(this.#endedNamed).map((one) => cookiePath ?? one.cookiePath);
    const { cookieMovedFrom } = cookie;
    if (cookieMovedFrom !== undefined && id !== this.#cookieNamed) left.push(cookiePath ?? cookieMovedFrom);
    // A new cookie of the same path takes the place of the old one by itself.
    const stale = id === null ? left : left.filter((old) => old !== path);
    // Two sessions may have had it there.
    const lines = [...new Set(stale)].map((old) => removalCookie(this.#attributes(old)));
    if (id !== null && id !== this.#cookieNamed) {
      lines.push(sessionCookie(id, { ...this.#attributes(path), maxAgeSeconds: cookie.maxAgeSeconds }, Date.now()));
      this.#cookieNamed = id;
    }
    this.#endedNamed = cookie.ended.length;
    return lines;
  }

  #attributes(path: string): CookieAttributes {
    const { sameSite = DEFAULTS.sameSite, secure = DEFAULTS.secure, domain, partitioned } = this.site.options;
    return {
      name: this.#visit.cookieName,
      path,
      domain: domain === undefined ? undefined : domainOf(domain),
      sameSite: sameSiteOf(sameSite) ?? DEFAULTS.sameSite,
      isSecure: secure === "auto" ? isSecure(this.incoming, this.site.trustProxy) : secure,
      isPartitioned: partitioned === true,
    };
  }

  // -- failures

  /**
   * Tells of a failure. Where nobody listens it is a warning, unless the code that used the session was told already; what a listener throws is
   * a warning, too.
   */
  report(error: unknown): Error {
    const failure = asError(error);
    const { tell } = this.incoming;
    try {
      const told: unknown = tell?.(failure);
      if (told instanceof Promise) told.catch(warn);
      if (tell === undefined && failure !== this.#visit.problem) process.emitWarning(failure);
    } catch (thrown) {
      warn(thrown);
    }
    return failure;
  }
}
