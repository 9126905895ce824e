// The cookie of a session as applications of express-session know it: `req.session.cookie`, in milliseconds. Knows no session.

import { types } from "node:util";
import { SessionError } from "../../../protocol/errors.ts";
import { cookiePair } from "../../http/cookies.ts";

export type CookieSameSite = boolean | "lax" | "strict" | "none";

export interface CookieOptions {
  /** How long the browser keeps it, in ms; null: until it ends. */
  readonly maxAge?: number | undefined;
  /** null, or false: until the browser ends, too. */
  readonly expires?: Date | false | null | undefined;
  readonly path?: string | undefined;
  readonly domain?: string | undefined;
  readonly httpOnly?: boolean | undefined;
  readonly secure?: boolean | "auto" | undefined;
  /** "auto": "none" over HTTPS, "lax" otherwise. */
  readonly sameSite?: CookieSameSite | "auto" | undefined;
  readonly partitioned?: boolean | undefined;
  readonly priority?: "low" | "medium" | "high" | undefined;
}

/** A cookie as JSON has it. */
export interface CookieData extends CookieOptions {
  readonly expires?: Date | null | undefined;
  readonly sameSite?: CookieSameSite | undefined;
  readonly originalMaxAge: number | null;
}

export class Cookie {
  path: string;
  domain: string | undefined;
  httpOnly: boolean;
  secure: boolean | "auto" | undefined;
  sameSite: CookieSameSite | undefined;
  partitioned: boolean | undefined;
  priority: "low" | "medium" | "high" | undefined;
  /** The last `maxAge` that was set: from each use on, the cookie lives so long. */
  originalMaxAge: number | null = null;
  /** false, which is sent once more with each change, tells a browser to forget a date that it had. */
  #expires: Date | false | null = null;

  constructor(options: CookieOptions & { readonly originalMaxAge?: number | null | undefined } = {}) {
    this.path = options.path ?? "/";
    this.domain = options.domain;
    this.httpOnly = options.httpOnly ?? true;
    this.secure = options.secure;
    this.sameSite = options.sameSite === "auto" ? undefined : options.sameSite;
    this.partitioned = options.partitioned;
    this.priority = options.priority;
    if (typeof options.maxAge === "number") this.maxAge = options.maxAge;
    // JSON makes text of a date.
    else if (options.expires) this.expires = new Date(options.expires);
    else if (options.expires === false) this.expires = false;
    if (options.originalMaxAge !== undefined) this.originalMaxAge = options.originalMaxAge;
  }

  get expires(): Date | null {
    return this.#expires as Date | null;
  }

  /** Applications say false, too, for "until the browser ends". */
  set expires(expires: Date | false | null | undefined) {
    if (expires && !types.isDate(expires)) throw new TypeError("The expires of a cookie is a Date, null or false.");
    this.#expires = expires ?? null;
    this.originalMaxAge = this.maxAge ?? null;
  }

  /** What is left of the life time, in ms. */
  get maxAge(): number | undefined {
    // As in express-session it is null, which the types of that call undefined.
    return (this.#expires ? this.#expires.getTime() - Date.now() : this.#expires) as number | undefined;
  }

  set maxAge(ms: number | false | null | undefined) {
    if (ms && typeof ms !== "number") {
      throw new TypeError(`The maxAge of a cookie is a number of milliseconds, not ${typeof ms}.`);
    }
    this.expires = typeof ms === "number" ? new Date(Date.now() + ms) : ms;
    this.originalMaxAge = (ms ?? null) as number | null;
  }

  get data(): CookieData {
    const { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite } = this;
    return { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite };
  }

  serialize(name: string, value: string): string {
    return setCookieLine(name, encodeURIComponent(value), this);
  }

  toJSON(): CookieData {
    return this.data;
  }
}

/** @throws SessionError ERR_BAD_OPTION for what no Set-Cookie line can hold. */
export function setCookieLine(name: string, value: string, cookie: CookieOptions): string {
  const { domain, path, expires, httpOnly, secure, partitioned, priority, sameSite } = cookie;
  let line = cookiePair(name, value);
  if (domain) line += `; Domain=${attribute("domain", domain)}`;
  if (path) line += `; Path=${attribute("path", path)}`;
  if (expires) line += `; Expires=${dateText(expires)}`;
  if (httpOnly) line += "; HttpOnly";
  if (secure) line += "; Secure";
  if (partitioned) line += "; Partitioned";
  if (priority) line += `; Priority=${attribute("priority", capital(priority))}`;
  if (sameSite) line += `; SameSite=${sameSite === true ? "Strict" : attribute("sameSite", capital(sameSite))}`;
  return line;
}

function attribute(name: string, value: string): string {
  if (typeof value === "string" && /^[\x20-\x3a\x3c-\x7e]*$/.test(value)) return value;
  const what = `The ${name} of a cookie may only hold printable ASCII without ";", not ${JSON.stringify(value)}.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

function dateText(date: Date): string {
  if (!Number.isNaN(date.getTime())) return date.toUTCString();
  throw new SessionError("ERR_BAD_OPTION", "The expires of a cookie is no date.");
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase();
}

/** A cookie as it is kept: when it expires follows from the last use, where it lives for a time. */
export type CookieRecord = Readonly<Record<string, unknown>>;

export function recordOf(cookie: unknown): CookieRecord {
  const record: Record<string, unknown> = {};
  const data = cookie instanceof Cookie || hasJson(cookie) ? cookie.toJSON() : cookie;
  if (typeof data === "object" && data !== null) {
    for (const [name, value] of Object.entries(data)) if (value !== undefined) record[name] = value;
  }
  if (typeof record.originalMaxAge === "number") delete record.expires;
  return record;
}

function hasJson(value: unknown): value is { toJSON(): unknown } {
  return typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function";
}

/** The same with the time it expires, as it was at the last use. Whatever was kept as a cookie is one. */
export function cookieOfRecord(record: CookieRecord, lastUsed: Date | null): CookieData {
  const cookie = { ...record } as unknown as CookieData;
  const { originalMaxAge } = cookie;
  if (typeof originalMaxAge !== "number" || lastUsed === null) return cookie;
  return { ...cookie, expires: new Date(lastUsed.getTime() + originalMaxAge) };
}

/** How long a session lives after a use, in whole seconds; undefined: its cookie does not say. */
export function secondsOf({ originalMaxAge, maxAge, expires }: CookieRecord): number | undefined {
  const until = typeof expires === "string" || expires instanceof Date ? new Date(expires).getTime() : Number.NaN;
  const ms = [originalMaxAge, maxAge, until - Date.now()].find((one) => typeof one === "number" && !Number.isNaN(one));
  return typeof ms === "number" ? Math.max(1, Math.ceil(ms / 1000)) : undefined;
}
