// The options of connect() and session(): one table of defaults, and what must be checked before anything is touched.

import type { IncomingMessage, ServerResponse } from "node:http";
import { resolve } from "node:path";
import { SessionError } from "../protocol/errors.ts";
import { DEFAULT_TIMEOUT_SECONDS, findPlaces, MAX_TIMER_MS, type Places } from "../protocol/places.ts";

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

export interface SessionOptions extends ConnectOptions {
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
  /** Prefix of new ids. Default: the client's IP address. */
  readonly prefix?: string | ((req: IncomingMessage) => string);
  /** Creating a session ends all others of its prefix. Default false. */
  readonly unique?: boolean;
  /** Believe X-Forwarded-For and X-Forwarded-Proto. A number: so many proxies. Default false. What names no address is said to `onError`. */
  readonly trustProxy?: boolean | number;
  /**
   * Told of every failure to read or save a session, or the address of a new one, and of a handler's where nobody above it can catch it: when its
   * session had to be asked for first, or its promise is rejected. A response whose session could not be saved becomes a 500, whatever this does.
   */
  readonly onError?: (error: Error, req: IncomingMessage, res: ServerResponse) => void;
}

/** @throws SessionError ERR_BAD_OPTION, by name; ERR_SOCKET_PATH, with the length and the limit. */
export function resolvePlaces(options: ConnectOptions, env: NodeJS.ProcessEnv = process.env): Places {
  checkOptions(options);
  return findPlaces(options, { env, uid: process.getuid?.(), toAbsolute: resolve });
}

const isPath = (value: unknown): boolean => typeof value === "string" && value !== "";
const isAmount = (value: unknown): boolean => typeof value === "number" && value >= 0;

/** What each option of `connect` must be, and how that is said. */
const CHECKS: Readonly<Record<keyof ConnectOptions, readonly [isGood: (value: unknown) => boolean, words: string]>> = {
  root: [isPath, "a path"],
  socket: [isPath, "a path"],
  spawn: [(value) => typeof value === "boolean", "true or false"],
  idleExitMs: [(value) => isAmount(value) && Number(value) <= MAX_TIMER_MS, `a number from 0 to ${MAX_TIMER_MS}`],
  waitMs: [isAmount, "a number of 0 or more"],
  cacheBytes: [isAmount, "a number of 0 or more"],
  durability: [(value) => value === "file" || value === "fsync", '"file" or "fsync"'],
};

function checkOptions(options: ConnectOptions): void {
  for (const [name, [isGood, words]] of Object.entries(CHECKS)) {
    const value: unknown = options[name as keyof ConnectOptions];
    if (value === undefined || isGood(value)) continue;
    const what = `The option ${name} must be ${words}, not ${typeof value === "string" ? JSON.stringify(value) : String(value)}.`;
    throw new SessionError("ERR_BAD_OPTION", what);
  }
}

/** @throws SessionError ERR_BAD_OPTION for what would end the attribute of a cookie, or its line. */
export function checkCookiePath(path: string): string {
  if (typeof path === "string" && /^[\x20-\x3a\x3c-\x7e]*$/.test(path)) return path;
  const what = `The cookiePath ${JSON.stringify(path)} may only hold printable ASCII without ";".`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

/** Of a transaction. 0: the daemon's default. How long is too long the daemon says. */
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

/** Of a session that begins with a handle, and of the handle. */
export interface HandleOptions {
  /** Prefix of a new id. Default: empty. */
  readonly prefix?: string | undefined;
  /** Life time of a new session in seconds. Default 86 400. */
  readonly timeoutSeconds?: number | undefined;
  /** Path of the cookie of a new session, kept in it. */
  readonly cookiePath?: string | undefined;
  /** Creating the session ends all others of its prefix. */
  readonly isUnique?: boolean | undefined;
  /** The request it belongs to, for who reads it. */
  readonly request?: string | undefined;
  /** Called before a session is created; throws when it may not be. */
  mayCreate?(): void;
}
