// The options of connect(), of session() and of handles: one table of defaults, and what each option must be before anything is touched.

import type { IncomingMessage, ServerResponse } from "node:http";
import { resolve } from "node:path";
import { SessionError } from "../protocol/errors.ts";
import { DEFAULT_TIMEOUT_SECONDS, findPlaces, MAX_TIMER_MS, type Places } from "../protocol/places.ts";
import { checkPrefix } from "../protocol/session-id.ts";

export interface ConnectOptions {
  /** Root directory; `GAMBAS_SESSION_ROOT` or `/tmp/gambas.<uid>`. */
  readonly root?: string;
  /** Path of the daemon's socket; `GAMBAS_SESSION_SOCKET` or `<root>/sessiond.sock`. At most 107 bytes. */
  readonly socket?: string;
  /** Start a daemon when none answers. Default true. */
  readonly spawn?: boolean;
  /** How long a spawned daemon stays without any client, in ms. Default 60 000; 0: for ever. */
  readonly idleExitMs?: number;
  /** How long calls wait for a daemon to come back before they fail with ERR_DAEMON_UNAVAILABLE, in ms. Default 10 000. */
  readonly waitMs?: number;
  /** Contents this worker keeps, in bytes. Default 32 MiB; 0: none. */
  readonly cacheBytes?: number;
  /** Durability a spawned daemon is started with: "file" (default) or "fsync". */
  readonly durability?: "file" | "fsync";
}

/** Options of every application that serves HTTP, whatever its framework. */
export interface HttpOptions extends ConnectOptions {
  /** Name of the cookie. Default "SESSION", the documentation's; "GBSESSIONID" is what Gambas 3 really sends. */
  readonly cookieName?: string;
  /** Path of the cookie of new sessions. Default "/". */
  readonly cookiePath?: string;
  /** Default "Lax". */
  readonly sameSite?: "Lax" | "Strict" | "None";
  /** Default "auto": where the request came by HTTPS. */
  readonly secure?: boolean | "auto";
  /** Life time of new sessions, in seconds. Default: `Session.Timeout`, 86 400. */
  readonly timeout?: number;
  /** Creating a session ends all others of its prefix. Default false. */
  readonly unique?: boolean;
  /** Believe X-Forwarded-For and X-Forwarded-Proto. A number: so many proxies. Default false. A header that names no address is said to `onError`. */
  readonly trustProxy?: boolean | number;
}

export interface SessionOptions extends HttpOptions {
  /** Prefix of new ids. Default: the client's IP address. */
  readonly prefix?: string | ((req: IncomingMessage) => string);
  /**
   * Told of every failure to read or save a session, or the address of a new one, and of a handler's where nobody above it can catch it: when its
   * session had to be asked for first, or its promise is rejected. A response whose session could not be saved becomes a 500, whatever this does.
   */
  readonly onError?: (error: Error, req: IncomingMessage, res: ServerResponse) => void;
}

/** @throws SessionError ERR_BAD_OPTION, by name; ERR_SOCKET_PATH, with the length and the limit. */
export function resolvePlaces(options: ConnectOptions, env: NodeJS.ProcessEnv = process.env): Places {
  check(options, CONNECT_CHECKS);
  return findPlaces(options, { env, uid: process.getuid?.(), toAbsolute: resolve });
}

/** What an option must be, and how that is said. */
type Check = readonly [isGood: (value: unknown) => boolean, words: string];
/** Each option has one. */
type Checks<Options> = { readonly [Name in keyof Options]-?: Check };

const isText = (value: unknown): boolean => typeof value === "string";
const isPath = (value: unknown): boolean => isText(value) && value !== "";
const isAmount = (value: unknown): boolean => typeof value === "number" && value >= 0;

const BOOLEAN: Check = [(value) => typeof value === "boolean", "true or false"];
/** The longest text of a value that an error repeats. */
const MAX_SAID_CHARACTERS = 100;
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const CONNECT_CHECKS: Checks<ConnectOptions> = {
  root: [isPath, "a path"],
  socket: [isPath, "a path"],
  spawn: BOOLEAN,
  idleExitMs: [(value) => isAmount(value) && Number(value) <= MAX_TIMER_MS, `a number from 0 to ${MAX_TIMER_MS}`],
  waitMs: [isAmount, "a number of 0 or more"],
  cacheBytes: [isAmount, "a number of 0 or more"],
  durability: [(value) => value === "file" || value === "fsync", '"file" or "fsync"'],
};

const HTTP_CHECKS: Checks<Omit<HttpOptions, keyof ConnectOptions>> = {
  cookieName: [(value) => isText(value) && COOKIE_NAME.test(String(value)), "a token of RFC 6265"],
  sameSite: [(value) => value === "Lax" || value === "Strict" || value === "None", "Lax, Strict or None"],
  secure: [(value) => value === "auto" || typeof value === "boolean", 'true, false or "auto"'],
  timeout: [isAmount, "a number of seconds"],
  trustProxy: [isTrust, "true, false or a count"],
  unique: BOOLEAN,
  cookiePath: [isText, "a path"],
};

const SESSION_CHECKS: Checks<Omit<SessionOptions, keyof HttpOptions>> = {
  prefix: [(value) => isText(value) || typeof value === "function", "text or a function"],
  onError: [(value) => typeof value === "function", "a function"],
};

function isTrust(value: unknown): boolean {
  return typeof value === "boolean" || (Number.isInteger(value) && isAmount(value));
}

function check<Options extends object>(options: Options, checks: Checks<Options>): void {
  for (const name of Object.keys(checks) as (keyof Options & string)[]) {
    const [isGood, words] = checks[name];
    const value: unknown = options[name];
    if (value === undefined || isGood(value)) continue;
    throw new SessionError("ERR_BAD_OPTION", `The option ${name} must be ${words}, not ${said(value)}.`);
  }
}

/** A value as an error names it. */
export function said(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, MAX_SAID_CHARACTERS));
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

/** @throws SessionError ERR_BAD_OPTION, by name. Those of `connect` are checked by `resolvePlaces`. */
export function checkHttpOptions(options: HttpOptions): void {
  check(options, HTTP_CHECKS);
  if (options.cookiePath !== undefined) checkCookiePath(options.cookiePath);
}

/** @throws SessionError ERR_BAD_OPTION, by name. */
export function checkSessionOptions(options: SessionOptions): void {
  check(options, SESSION_CHECKS);
  if (typeof options.prefix === "string") checkPrefix(options.prefix);
}

/** @throws SessionError ERR_BAD_OPTION for a path that would end the attribute of its cookie, or the header line. */
export function checkCookiePath(path: string): string {
  if (typeof path === "string" && /^[\x20-\x3a\x3c-\x7e]*$/.test(path)) return path;
  const what = `The cookiePath ${JSON.stringify(path)} may only hold printable ASCII without ";".`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

/** The lease of a transaction; 0: the daemon's default. The daemon refuses a lease that is too long. */
export function checkedLeaseMs(leaseMs: number | undefined): number {
  if (leaseMs === undefined) return 0;
  if (Number.isSafeInteger(leaseMs) && leaseMs > 0) return leaseMs;
  throw new SessionError(
    "ERR_BAD_OPTION",
    `A lease is a whole number of milliseconds above 0, not ${String(leaseMs)}.`,
  );
}

export const DEFAULTS = {
  spawn: true,
  idleExitMs: 60_000,
  waitMs: 10_000,
  cacheBytes: 32 * 1024 * 1024,
  durability: "file",
  cookieName: "SESSION",
  cookiePath: "/",
  sameSite: "Lax",
  secure: "auto",
  timeout: DEFAULT_TIMEOUT_SECONDS,
} as const;
