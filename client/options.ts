// The options of connect(), of session() and of handles: one table of defaults, and what each option must be before anything is touched.

import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { domainToASCII } from "node:url";
import { SessionError } from "../protocol/errors.ts";
import { DEFAULT_TIMEOUT_SECONDS, findPlaces, MAX_TIMER_MS, type Places } from "../protocol/places.ts";
import { parseRedisUrl } from "../protocol/redis-url.ts";
import { checkPrefix } from "../protocol/session-id.ts";
import { type GivenSettings, resolveSettings } from "../protocol/settings.ts";
import { checkForType, checkNeeds, TYPES, type TypeName, typeNamed } from "../protocol/types.ts";
import type { CookieMaxAge, CreateOptions, HandleOptions, ListOptions, TransactionOptions } from "./api.ts";
import {
  BOOLEAN,
  type Checks,
  checkOptions,
  isAmount,
  isPath,
  isRecord,
  isText,
  isWhole,
  LIFE_TIME,
  said,
} from "./checks.ts";

export interface ConnectOptions {
  /** Root directory; `GAMBAS_SESSION_ROOT` or `/tmp/gambas.<uid>`. */
  readonly root?: string | undefined;
  /** Path of the daemon's socket; `GAMBAS_SESSION_SOCKET` or `<root>/sessiond.sock`, of other types than "file" `sessiond-<type>.sock`. At most 107 bytes. */
  readonly socket?: string | undefined;
  /**
   * Where sessions are kept, in letters of any case: "file" or "sqlite", as Gambas programs of that type have them, or "redis", for many hosts.
   * `Session.Type`, `GAMBAS_SESSION_TYPE`, or "file". "memory" is for tests: those end with their daemon.
   */
  readonly type?: TypeName | Uppercase<TypeName> | Capitalize<TypeName> | undefined;
  /**
   * With type "redis": the URL of the server, `GAMBAS_SESSION_REDIS`; several of them for a cluster. Needed unless `spawn: false`. Secrets in it go
   * to the daemon by its environment, and are shown nowhere.
   */
  readonly redis?: string | readonly string[] | undefined;
  /**
   * With type "redis": "strict" (default): a request sees every write that was acknowledged before it began, on any host. `maxStaleMs`: on its own
   * host; and those of others so much later at most.
   */
  readonly coherence?: "strict" | { readonly maxStaleMs: number } | undefined;
  /** With type "redis": use a server that may drop sessions when its memory is full. Default false: it is refused. */
  readonly acceptEviction?: boolean | undefined;
  /** With type "redis": use a server that keeps no log of its writes (appendonly no), only snapshots or nothing. Default false: it is refused. */
  readonly acceptLoss?: boolean | undefined;
  /** Start a daemon when none answers. Default true. */
  readonly spawn?: boolean | undefined;
  /** How long a spawned daemon stays without any client, in ms. Default 60 000; 0: for ever. */
  readonly idleExitMs?: number | undefined;
  /** How long calls wait for a daemon to come back before they fail with ERR_DAEMON_UNAVAILABLE, in ms. Default 10 000. */
  readonly waitMs?: number | undefined;
  /** Contents this worker keeps, in bytes. Default 32 MiB; 0: none. */
  readonly cacheBytes?: number | undefined;
  /** Durability a spawned daemon is started with: "file" (default); "fsync" with types "file" and "sqlite", "replica" with type "redis". */
  readonly durability?: "file" | "fsync" | "replica" | undefined;
  /** Settings of a daemon that is started; one that runs already keeps its own. */
  readonly daemon?: DaemonSettings | undefined;
  /** The daemon's program, for applications that are bundled into one file; `GAMBAS_SESSIOND`, or found beside this package. */
  readonly daemonPath?: string | undefined;
}

export type SameSite = "Lax" | "Strict" | "None";

/** The settings of `gambas-sessiond`, by name. */
export type DaemonSettings = GivenSettings;

/** Options of every application that serves HTTP, whatever its framework. */
export interface HttpOptions extends ConnectOptions {
  /** Name of the cookie. Default "SESSION", the documentation's; "GBSESSIONID" is what Gambas 3 really sends. */
  readonly cookieName?: string | undefined;
  /** Path of the cookie of new sessions. Default "/". */
  readonly cookiePath?: string | undefined;
  /** The cookie is for all hosts below this one, too. Default: for the host that sets it alone. */
  readonly domain?: string | undefined;
  /** Default "Lax". Browsers take "None" with `secure: true` only. */
  readonly sameSite?: SameSite | Lowercase<SameSite> | Uppercase<SameSite> | undefined;
  /** Embedded in pages of other sites, the cookie is another one in each. Needs `secure: true`. Default false. */
  readonly partitioned?: boolean | undefined;
  /**
   * How long browsers keep the cookie, in seconds; "timeout": as long as the session lives. Browsers shorten what is more than 400 days.
   * Default: until they end. `Session.CookieMaxAge` says it of one session.
   */
  readonly maxAge?: CookieMaxAge | undefined;
  /** Default "auto": where the request came by HTTPS. */
  readonly secure?: boolean | "auto" | undefined;
  /** Life time of new sessions, in seconds. Default: `Session.Timeout`, 86 400. */
  readonly timeout?: number | undefined;
  /** Creating a session ends all others of its prefix. Default false. */
  readonly unique?: boolean | undefined;
  /**
   * With type "redis": take over sessions that connect-redis keeps in the same Redis, each when its visitor comes for the first time. Default:
   * those visitors begin anew.
   */
  readonly adopt?: AdoptOptions | undefined;
  /** Believe X-Forwarded-For and X-Forwarded-Proto. A number: so many proxies. Default false. A header that names no address is said to `onError`. */
  readonly trustProxy?: boolean | number | undefined;
}

/** An application of express-session and connect-redis that was there before. */
export interface AdoptOptions {
  /** Its `secret`: the cookie is signed with it. All of them, where it has several. */
  readonly secret: string | readonly string[];
  /** Its store's `prefix`. Default "sess:". */
  readonly prefix?: string | undefined;
  /** Its `name`. Default "connect.sid". */
  readonly cookieName?: string | undefined;
  /** Remove each old session once it was taken over. Default false: it stays until it expires, as the way back. */
  readonly remove?: boolean | undefined;
  /** Keep what express-session knew of each cookie, as the key `cookie`: the drop-in shows it in `req.session.cookie`. Default false; the drop-in always does. */
  readonly keepCookie?: boolean | undefined;
}

/** @typeParam Request what the framework makes of a request, `express.Request` say. */
export interface SessionOptions<Request = IncomingMessage> extends HttpOptions {
  /**
   * Prefix of new ids. Default: the client's IP address. A function is called when a session begins; where it fails `onError` is told, and the
   * session gets a prefix of its own.
   */
  readonly prefix?: string | ((req: Request) => string) | undefined;
  /**
   * Told of every failure to read or save a session, or to tell the prefix of a new one, and of a handler's where nobody above it can catch it: when its
   * session had to be asked for first, or its promise is rejected. A response whose session could not be saved becomes a 500, whatever this does.
   */
  readonly onError?: ((error: Error, req: Request, res: ServerResponse) => void) | undefined;
}

/** @throws SessionError ERR_SOCKET_PATH, with the length and the limit; ERR_BAD_OPTION for a type that there is not. */
export function resolvePlaces(options: ConnectOptions, env: NodeJS.ProcessEnv = process.env): Places {
  return findPlaces(options, { env, uid: process.getuid?.(), toAbsolute: resolve });
}

const SAME_SITES: readonly SameSite[] = ["Lax", "Strict", "None"];
const MAX_DOMAIN_LENGTH = 253;
const DOMAIN = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const MAX_AGE_WORDS = 'a whole number of seconds above 0, or "timeout"';
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Options of other packages for sessions, by their names there. */
const FOREIGN: Readonly<Record<string, string>> = {
  secret: "ids are drawn from a cryptographic generator and looked up, so that nothing needs to be signed.",
  keys: "ids are drawn from a cryptographic generator and looked up, so that nothing needs to be signed.",
  cookie:
    "its parts are options of their own: cookieName, cookiePath, domain, maxAge (in seconds), partitioned, sameSite, secure.",
  name: "the name of the cookie is cookieName.",
  path: "the path of the cookie is cookiePath.",
  httpOnly: "the cookie always is: no script of a page ever sees it.",
  expires: "how long the browser keeps the cookie is maxAge, in seconds.",
  rolling: "each use prolongs the life of a session, and with maxAge that of its cookie.",
  resave: "what was not changed is never written.",
  saveUninitialized: "a session begins with the first value that is set, and never without one.",
  store: "sessions are where Gambas keeps them, below root; another daemon is named by root or socket.",
  genid: "ids are made here; only their prefix can be chosen, by prefix.",
  proxy: "which proxies are believed is trustProxy.",
  unset: "a session is ended by Session.Abandon().",
  ttl: "the life time of new sessions is timeout, in seconds.",
};

export const CONNECT_CHECKS: Checks<ConnectOptions> = {
  root: [isPath, "a path"],
  socket: [isPath, "a path"],
  spawn: BOOLEAN,
  idleExitMs: [(value) => isAmount(value) && Number(value) <= MAX_TIMER_MS, `a number from 0 to ${MAX_TIMER_MS}`],
  waitMs: [isAmount, "a number of 0 or more"],
  cacheBytes: [isAmount, "a number of 0 or more"],
  durability: [isDurability, '"file", "fsync" or "replica"'],
  type: [(value) => isText(value) && value !== "" && typeNamed(value) !== undefined, "a type of sessions"],
  redis: [isRedis, "a URL, or an array of URLs"],
  coherence: [isCoherence, '"strict" or { maxStaleMs }'],
  acceptEviction: BOOLEAN,
  acceptLoss: BOOLEAN,
  daemon: [(value) => isRecord(value) && resolveSettings(value) !== undefined, "an object with settings of the daemon"],
  daemonPath: [isPath, "a path"],
};

function isDurability(value: unknown): boolean {
  return value === "file" || value === "fsync" || value === "replica";
}

/** What was given instead is shown by nobody: it may hold a password. */
function isRedis(value: unknown): boolean {
  const urls: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (urls.length > 0 && urls.every((url) => isText(url) && url !== ""))
    return parseRedisUrl(urls.join(",")) !== undefined;
  throw new SessionError("ERR_BAD_OPTION", "The option redis must be a URL, or an array of URLs.");
}

function isCoherence(value: unknown): boolean {
  if (value === "strict") return true;
  if (!isRecord(value) || Object.keys(value).join() !== "maxStaleMs") return false;
  return "maxStaleMs" in value && isAmount(value.maxStaleMs) && Number(value.maxStaleMs) <= MAX_TIMER_MS;
}

const ADOPT_CHECKS: Checks<AdoptOptions> = {
  secret: [isSecret, "text, or an array of texts"],
  prefix: [isText, "text"],
  cookieName: [(value) => isText(value) && COOKIE_NAME.test(value), "a token of RFC 6265"],
  remove: BOOLEAN,
  keepCookie: BOOLEAN,
};

function isSecret(value: unknown): boolean {
  const secrets: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (secrets.length > 0 && secrets.every((secret) => isText(secret) && secret !== "")) return true;
  // Whatever was given may be a secret all the same.
  throw new SessionError("ERR_BAD_OPTION", "The option secret of adopt must be text, or an array of texts.");
}

function isAdopt(value: unknown): boolean {
  checkOptions(value as AdoptOptions, ADOPT_CHECKS, { owner: "adopt" });
  return isSecret((value as AdoptOptions).secret);
}

/** @throws SessionError ERR_BAD_OPTION for a type in whose place no other package keeps sessions. */
export function checkAdopts(type: TypeName): void {
  if (TYPES[type].adopts) return;
  throw new SessionError("ERR_BAD_OPTION", `The option adopt is for sessions of type redis; the type is ${type}.`);
}

const HTTP_CHECKS: Checks<Omit<HttpOptions, keyof ConnectOptions>> = {
  adopt: [isAdopt, "an object"],
  cookieName: [(value) => isText(value) && COOKIE_NAME.test(value), "a token of RFC 6265"],
  domain: [(value) => isText(value) && isDomain(value), "the name of a host, without scheme and port"],
  sameSite: [(value) => isText(value) && sameSiteOf(value) !== undefined, "Lax, Strict or None"],
  partitioned: BOOLEAN,
  maxAge: [isMaxAge, MAX_AGE_WORDS],
  secure: [(value) => value === "auto" || typeof value === "boolean", 'true, false or "auto"'],
  timeout: LIFE_TIME,
  trustProxy: [(value) => typeof value === "boolean" || isWhole(value), "true, false or a count"],
  unique: BOOLEAN,
  cookiePath: [(value) => isText(value) && checkCookiePath(value) === value, "a path"],
};

/** The options that `session()` has beyond those of every application that serves HTTP. */
export const SESSION_CHECKS: Checks<Omit<SessionOptions, keyof HttpOptions>> = {
  prefix: [
    (value) => typeof value === "function" || (isText(value) && checkPrefix(value) === value),
    "text or a function",
  ],
  onError: [(value) => typeof value === "function", "a function"],
};

const HANDLE_CHECKS: Checks<HandleOptions> = {
  prefix: [(value) => isText(value) && checkPrefix(value) === value, "text"],
  timeoutSeconds: [(value) => typeof value === "number" && !Number.isNaN(value), "a number of seconds"],
  cookiePath: [(value) => isText(value) && checkCookiePath(value) === value, "a path"],
  isUnique: BOOLEAN,
};

const CREATE_CHECKS: Checks<CreateOptions> = {
  ...HANDLE_CHECKS,
  id: [isText, "the id of a session"],
};

const LIST_CHECKS: Checks<ListOptions> = {
  prefix: [isText, "text"],
};

const TRANSACTION_CHECKS: Checks<TransactionOptions> = {
  leaseMs: [(value) => Number.isSafeInteger(value) && Number(value) > 0, "a whole number of milliseconds above 0"],
};

/** @throws SessionError ERR_BAD_OPTION, by name. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkOptions(options, CONNECT_CHECKS, { foreign: FOREIGN });
  checkNamedOnce(options);
}

/** Those of a client, among others; each as it was given. */
export function connectOptionsOf(options: ConnectOptions): ConnectOptions {
  const names = new Set(Object.keys(CONNECT_CHECKS));
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.has(name)));
}

/**
 * @param own what the options must be that this way to serve HTTP has beyond those of all.
 * @throws SessionError ERR_BAD_OPTION, by name.
 */
export function checkHttpOptions(options: HttpOptions, own: Checks<object>): void {
  checkOptions(options, { ...CONNECT_CHECKS, ...HTTP_CHECKS, ...own }, { foreign: FOREIGN });
  checkNamedOnce(options);
  checkBrowserRules(options);
}

/** Browsers drop a cookie that breaks their rules, and say nothing. */
function checkBrowserRules(options: HttpOptions): void {
  const { cookieName = DEFAULTS.cookieName, cookiePath = DEFAULTS.cookiePath, domain } = options;
  const [prefix = ""] = /^__(?:Host|Secure|Http)-/i.exec(cookieName) ?? [];
  const why =
    sameSiteOf(options.sameSite ?? DEFAULTS.sameSite) === "None"
      ? "sameSite None"
      : options.partitioned === true
        ? "partitioned"
        : prefix !== ""
          ? `a cookieName that begins with ${prefix}`
          : undefined;
  if (why !== undefined && options.secure !== true) {
    const what = `Browsers drop a cookie with ${why} that is not Secure: the option secure must be true, not ${said(options.secure ?? DEFAULTS.secure)}. They take such a cookie over HTTPS, and from localhost.`;
    throw new SessionError("ERR_BAD_OPTION", what);
  }
  if (!isHostCookie(cookieName) || (cookiePath === "/" && domain === undefined)) return;
  const [name, words] = domain === undefined ? ["cookiePath", '"/"'] : ["domain", "left out"];
  const what = `Browsers drop a cookie whose name begins with ${prefix} unless its path is "/" and it has no domain: the option ${name} must be ${words}.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

/** A cookie of one host and all of its paths, whatever its session says. */
export function isHostCookie(name: string): boolean {
  return /^__Host-/i.test(name);
}

/** @throws SessionError ERR_BAD_OPTION, by name. */
export function checkHandleOptions(options: HandleOptions): void {
  checkOptions(options, HANDLE_CHECKS, { owner: "a session" });
}

/** @throws SessionError ERR_BAD_OPTION, by name. */
export function checkCreateOptions(options: CreateOptions): void {
  checkOptions(options, CREATE_CHECKS, { owner: "a session" });
}

/** @throws SessionError ERR_BAD_OPTION, by name. */
export function checkListOptions(options: ListOptions): void {
  checkOptions(options, LIST_CHECKS, { owner: "a list" });
}

/** Some settings of the daemon have options of their own. */
function checkNamedOnce(options: ConnectOptions): void {
  const own = settingsOf(options);
  for (const name of Object.keys(own) as (keyof typeof own)[]) {
    const [option, setting] = [own[name], options.daemon?.[name]];
    if (option === undefined || setting === undefined || option === setting) continue;
    const both = name === "redis" ? "are not the same" : `are ${said(option)} and ${said(setting)}`;
    const what = `The option ${OPTION_OF[name] ?? name} and daemon.${name} ${both}; one of them is enough.`;
    throw new SessionError("ERR_BAD_OPTION", what);
  }
}

/** Where the option has another name than the setting. */
const OPTION_OF: Readonly<Record<string, string>> = { maxStaleMs: "coherence" };

/** The settings that have options of their own, as far as these are given. */
function settingsOf({ idleExitMs, durability, redis, coherence, acceptEviction, acceptLoss }: ConnectOptions) {
  return {
    idleExitMs,
    durability,
    redis: redis === undefined || isText(redis) ? redis : redis.join(","),
    maxStaleMs: coherence === "strict" ? 0 : coherence?.maxStaleMs,
    acceptEviction,
    acceptLoss,
  } satisfies { readonly [N in keyof DaemonSettings]: DaemonSettings[N] | undefined };
}

/**
 * Whether the options go with the type.
 *
 * @throws SessionError ERR_BAD_OPTION, naming the option and the type.
 */
export function checkOptionsFor(options: ConnectOptions, type: TypeName): void {
  const { durability, redis, coherence, acceptEviction, acceptLoss } = options;
  const given = { durability, redis, maxStaleMs: coherence, acceptEviction, acceptLoss };
  checkForType(given, type, "option", OPTION_OF);
  checkForType(options.daemon ?? {}, type, "setting");
  if (options.spawn !== false) checkNeeds(daemonSettings(options, type), type);
}

/** The settings of a daemon that is started. */
export function daemonSettings(options: ConnectOptions, type: TypeName): DaemonSettings {
  const redis = type === "redis" && process.env.GAMBAS_SESSION_REDIS ? { redis: process.env.GAMBAS_SESSION_REDIS } : {};
  const { idleExitMs, durability } = DEFAULTS;
  return { idleExitMs, durability, ...redis, ...given(options.daemon ?? {}), ...given(settingsOf(options)) };
}

/** Without what is undefined: over a default that would count. */
function given<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<Options>;
}

/** @throws SessionError ERR_BAD_OPTION for a path that would end the attribute of its cookie, or the header line. */
export function checkCookiePath(path: string): string {
  if (typeof path === "string" && /^[\x20-\x3a\x3c-\x7e]*$/.test(path)) return path;
  const what = `The cookiePath ${JSON.stringify(path)} may only hold printable ASCII without ";".`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

function isMaxAge(value: unknown): boolean {
  return value === "timeout" || (Number.isSafeInteger(value) && Number(value) > 0);
}

/** @throws SessionError ERR_BAD_OPTION. */
export function checkMaxAge(maxAge: unknown): void {
  if (isMaxAge(maxAge)) return;
  throw new SessionError(
    "ERR_BAD_OPTION",
    `The life time of a cookie is ${MAX_AGE_WORDS}, or null, not ${said(maxAge)}.`,
  );
}

/** @throws SessionError ERR_BAD_OPTION. */
export function checkTimeout(seconds: number): number {
  if (typeof seconds === "number" && !Number.isNaN(seconds)) return seconds;
  throw new SessionError("ERR_BAD_OPTION", `Session.Timeout is a number of seconds, not ${String(seconds)}.`);
}

/** As it is written in a header. */
export function sameSiteOf(text: string): SameSite | undefined {
  return SAME_SITES.find((name) => name.toLowerCase() === text.toLowerCase());
}

/** An address has no hosts below it: browsers refuse it as they refuse what is no name at all. */
function isDomain(text: string): boolean {
  const name = domainOf(text);
  return name.length <= MAX_DOMAIN_LENGTH && DOMAIN.test(name) && isIP(name) === 0;
}

/** As it is written in a header: without the dot that once stood before it, and in letters that headers have. */
export function domainOf(text: string): string {
  const name = text.replace(/^\./, "");
  return /^[\x20-\x7e]*$/.test(name) ? name.toLowerCase() : domainToASCII(name);
}

/** The lease of a transaction of `fn`; 0: the daemon's default. The daemon refuses a lease that is too long. @throws SessionError ERR_BAD_OPTION. */
export function leaseMsOf(fn: unknown, options: TransactionOptions | undefined): number {
  if (typeof fn !== "function")
    throw new SessionError("ERR_BAD_OPTION", `A transaction takes the function that it runs, not ${said(fn)}.`);
  if (options === undefined) return 0;
  checkOptions(options, TRANSACTION_CHECKS, { owner: "a transaction" });
  return options.leaseMs ?? 0;
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
