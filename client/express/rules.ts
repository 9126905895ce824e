// The options of the drop-in, by their names in express-session, and what follows from them.

import type { IncomingMessage } from "node:http";
import { types } from "node:util";
import { BOOLEAN, type Check, type Checks, checkOptions, isRecord, isText, LIFE_TIME } from "../checks.ts";
import type { AdoptOptions, SessionOptions } from "../options.ts";
import { CONNECT_CHECKS, type ConnectOptions, SESSION_CHECKS } from "../options.ts";
import type { CookieOptions } from "./store/store.ts";

type Secret = string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[];

export interface ExpressSessionOptions<Request = IncomingMessage> extends ConnectOptions {
  /**
   * Not needed, and without effect but for `adopt`: nothing is signed. An id has 96 random bits and is looked up, so that nobody can make one up. The signed
   * cookie (`s:…`) of an express-session that was there before names no session here.
   */
  readonly secret?: Secret | undefined;
  /** Name of the cookie. Default "connect.sid". */
  readonly name?: string | undefined;
  /** The older word for `name`. */
  readonly key?: string | undefined;
  /** Attributes of the cookie, or a function that tells them for a request. */
  readonly cookie?: CookieOptions | ((req: Request) => CookieOptions) | undefined;
  /** Send the cookie with every response, so that its life is prolonged by each use. Default false. */
  readonly rolling?: boolean | undefined;
  /** Without effect: what was not changed is never written, and each use renews the session. */
  readonly resave?: boolean | undefined;
  /** Begin a session for each visitor, whether it holds something or not. Default true, as in express-session; false is what you want. */
  readonly saveUninitialized?: boolean | undefined;
  /** Makes `req.sessionID` of new sessions. The session's own id has random digits besides. Default: the session's own id. */
  readonly genid?: ((req: Request) => string) | undefined;
  /** What `req.session = null` does: "keep" (default) drops what was changed, "destroy" ends the session. */
  readonly unset?: "keep" | "destroy" | undefined;
  /** Believe X-Forwarded-Proto and X-Forwarded-For. Default: what Express says in `req.secure`. */
  readonly proxy?: boolean | undefined;
  /**
   * With type "redis": take over sessions that connect-redis keeps in the same Redis, each when its visitor comes for the first time. What is not
   * said is that of the drop-in: its `secret`, its `name`. Default: those visitors begin anew.
   */
  readonly adopt?: Partial<AdoptOptions> | undefined;
  /** Prefix of new ids. Default: the client's IP address. */
  readonly prefix?: SessionOptions["prefix"] | undefined;
  /** Told of every failure to read or save a session. */
  readonly onError?: SessionOptions["onError"] | undefined;
  /** Life time of sessions whose cookie has no `maxAge`, in seconds since their last use. Default 86 400. */
  readonly timeout?: number | undefined;
}

export const DEFAULT_NAME = "connect.sid";

type Own = Omit<ExpressSessionOptions, keyof ConnectOptions>;

const FUNCTION: Check = [(value) => typeof value === "function", "a function"];
const NAME: Check = [(value) => isText(value) && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value), "a token of RFC 6265"];

const CHECKS: Checks<Own> = {
  secret: [isSecret, "text or bytes, or some of them"],
  name: NAME,
  key: NAME,
  cookie: [(value) => typeof value === "function" || isRecord(value), "an object or a function"],
  rolling: BOOLEAN,
  resave: BOOLEAN,
  saveUninitialized: BOOLEAN,
  genid: FUNCTION,
  unset: [(value) => value === "keep" || value === "destroy", '"keep" or "destroy"'],
  proxy: BOOLEAN,
  timeout: LIFE_TIME,
  adopt: [isRecord, "an object"],
  prefix: SESSION_CHECKS.prefix,
  onError: SESSION_CHECKS.onError,
};

const COOKIE_CHECKS: Checks<CookieOptions> = {
  maxAge: [(value) => value === null || typeof value === "number", "a number of milliseconds"],
  expires: [isExpiry, "a Date, null or false"],
  path: [isText, "a path"],
  domain: [isText, "the name of a host"],
  httpOnly: BOOLEAN,
  secure: [(value) => value === "auto" || typeof value === "boolean", 'true, false or "auto"'],
  sameSite: [
    (value) => typeof value === "boolean" || isOneOf(value, ["lax", "strict", "none", "auto"]),
    "lax, strict, none or auto",
  ],
  partitioned: BOOLEAN,
  priority: [(value) => isOneOf(value, ["low", "medium", "high"]), "low, medium or high"],
};

const FOREIGN: Readonly<Record<string, string>> = {
  store:
    "sessions are where Gambas keeps them. For express-session itself there is GambasStore in gambas-session/store.",
  cookieName: "here the name of the cookie is name, as in express-session.",
  maxAge: "here it is cookie.maxAge, in milliseconds, as in express-session.",
  trustProxy: "here it is proxy, as in express-session.",
};
const COOKIE_FOREIGN: Readonly<Record<string, string>> = {
  signed: "no cookie is signed here.",
  encode: "an id needs no encoding.",
};

function isSecret(value: unknown): boolean {
  const isOne = (one: unknown): boolean => isText(one) || ArrayBuffer.isView(one);
  return Array.isArray(value) ? value.length > 0 && value.every(isOne) : isOne(value);
}

function isExpiry(value: unknown): boolean {
  return value === null || value === false || (types.isDate(value) && !Number.isNaN(value.getTime()));
}

function isOneOf(value: unknown, words: readonly string[]): boolean {
  return isText(value) && words.includes(value.toLowerCase());
}

/** @throws SessionError ERR_BAD_OPTION, by name. */
export function checkExpressOptions(options: ExpressSessionOptions): void {
  checkOptions(options, { ...CONNECT_CHECKS, ...CHECKS }, { foreign: FOREIGN });
  if (typeof options.cookie === "object") checkCookieOptions(options.cookie);
}

function checkCookieOptions(options: CookieOptions): void {
  checkOptions(options, COOKIE_CHECKS, { owner: "the cookie", foreign: COOKIE_FOREIGN });
}

/** The attributes of the cookie of a request. */
export function cookieOptionsFor(req: IncomingMessage, { cookie = {} }: ExpressSessionOptions): CookieOptions {
  if (typeof cookie !== "function") return cookie;
  const told = cookie(req);
  checkCookieOptions(told);
  return told;
}
