// The static Session: the same names as in Gambas, for the session of the request that runs now. Owns no state of a session.

import { SessionError } from "../../protocol/errors.ts";
import { checkPrefix } from "../../protocol/session-id.ts";
import { sessionTypeNamed } from "../../protocol/types.ts";
import type { CookieMaxAge, Handle as HandleApi, SessionData, Settable, TransactionOptions } from "../api.ts";
import { contextOf, currentContext, requireContext } from "../context.ts";
import { defaultType, processDefaults, setDefaultType } from "../defaults.ts";
import type { Handle } from "../handle/handle.ts";
import { typeIsDecided } from "../link/client.ts";
import { checkCookiePath, checkTimeout } from "../options.ts";
import { run } from "./run.ts";
import type { RunOptions } from "./run-options.ts";
import { transact } from "./transact.ts";

export type { CookieBearer, RunOptions } from "./run-options.ts";

/** Outside a context every member throws ERR_NO_SESSION_CONTEXT, except those that set process defaults there. */
export interface SessionStatic extends SessionData {
  /** Reading and writing by index: every key that is not the name of a member. */
  [key: string]: unknown;
  /** `<PREFIX>:<24 upper-case hex digits>`, or null as long as there is no session. */
  readonly Id: string | null;
  /** The keys in file order. */
  readonly Keys: string[];
  /** Something is not saved yet; `= false` drops it. */
  Modified: boolean;
  /** Path of the session's file, or null: there is no session, or the daemon keeps sessions in no files. */
  readonly Path: string | null;
  /** Prefix of the next id; by default the client's address. */
  Prefix: string;
  /** Bytes of the session's file as last saved; 0 without one. */
  readonly Size: number;
  /** Life time in seconds since the last use. */
  Timeout: number;
  /**
   * Where sessions are kept: "file", "sqlite" or "redis"; "" is "sqlite", as for Gambas. Set outside of a request, in letters of any case, it is the type
   * of the process from the first session on; afterwards, and in a request, it can only be set to what it is.
   *
   * @throws SessionError ERR_BAD_OPTION for a type that is unknown, or that comes too late; nothing is changed then.
   */
  Type: string;
  /** Creating a session ends every other one of the same prefix. */
  Unique: boolean;
  /** Path of the cookie, kept in the session. */
  CookiePath: string;
  /** How long browsers keep the cookie, kept in the session: seconds, "timeout" (as long as the session lives), or null: until they end. */
  CookieMaxAge: CookieMaxAge | null;
  /** Ends the session for good. */
  Abandon(): Promise<void>;
  /**
   * Gives the session a new id, and the browser its cookie: after a sign-in, so that nobody who knew the old id has the session of the user. Keys,
   * exact types, bytes, life time and cookie path stay, and what is not saved yet is saved with it. When it resolves the old id is gone for
   * ever; a request that still comes with it has no session. Without a session nothing happens.
   *
   * @throws SessionError ERR_HEADERS_SENT where the cookie could not be sent any more, ERR_SESSION_GONE when another request was faster, and
   *   what `Save` throws; nothing is changed then. Inside a transaction it takes effect with the transaction.
   */
  Regenerate(): Promise<void>;
  Exist(key: string): boolean;
  /** Re-reads from the store and discards what was not saved. */
  Load(): Promise<void>;
  /** Resolves when the changes are in the file. Inside a transaction they are written at its end. */
  Save(): Promise<void>;
  get<Key extends keyof SessionData>(key: Key): SessionData[Key];
  get(key: string): unknown;
  get<T>(key: string): T;
  /** null and undefined remove the key. */
  set<Key extends string>(key: Key, value: Settable<Key>): void;
  delete(key: string): boolean;
  /** Runs `fn` alone on this session across all workers, on the newest contents; resolves once committed. An error in `fn` commits nothing. */
  Transaction<T>(fn: () => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  /** A session context without HTTP, or of a request without a response. The changes of `fn` are committed before this resolves; if `fn` fails they are dropped. */
  Run<T>(options: RunOptions, fn: () => T | Promise<T>): Promise<T>;
  /** The exact Gambas type of a stored value. */
  TypeOf(key: string): string | undefined;
}

function handle(): Handle {
  return requireContext().handle;
}

const members = {
  get Id(): string | null {
    return handle().id;
  },
  get Keys(): string[] {
    return handle().keys;
  },
  get Modified(): boolean {
    return handle().isModified;
  },
  set Modified(isModified: boolean) {
    handle().isModified = isModified === true;
  },
  get Path(): string | null {
    return handle().path;
  },
  get Prefix(): string {
    return currentContext()?.handle.prefix || processDefaults.prefix || "";
  },
  set Prefix(prefix: string) {
    const context = currentContext();
    if (context === undefined) processDefaults.prefix = prefix === "" ? undefined : checkPrefix(prefix);
    else context.handle.prefix = prefix;
  },
  get Size(): number {
    return handle().size;
  },
  get Timeout(): number {
    return currentContext()?.handle.timeout ?? processDefaults.timeoutSeconds;
  },
  set Timeout(seconds: number) {
    const context = currentContext();
    if (context !== undefined) context.handle.timeout = seconds;
    else processDefaults.timeoutSeconds = checkTimeout(seconds);
  },
  get Type(): string {
    return currentContext()?.handle.type ?? defaultType();
  },
  set Type(type: string) {
    const wanted = sessionTypeNamed(type);
    const context = currentContext();
    if (context === undefined) setDefaultType(wanted);
    else if (context.handle.type !== wanted) throw typeIsDecided(wanted, context.handle.type);
  },
  get Unique(): boolean {
    return currentContext()?.handle.isUnique ?? processDefaults.isUnique ?? false;
  },
  set Unique(isUnique: boolean) {
    const context = currentContext();
    if (context === undefined) processDefaults.isUnique = isUnique === true;
    else context.handle.isUnique = isUnique === true;
  },
  get CookiePath(): string {
    return currentContext()?.handle.cookiePath ?? processDefaults.cookiePath ?? "";
  },
  set CookiePath(path: string) {
    const context = currentContext();
    if (context === undefined) processDefaults.cookiePath = checkCookiePath(path);
    else context.handle.cookiePath = path;
  },
  get CookieMaxAge(): CookieMaxAge | null {
    return handle().cookieMaxAge;
  },
  set CookieMaxAge(maxAge: CookieMaxAge | null) {
    handle().cookieMaxAge = maxAge;
  },

  Abandon(): Promise<void> {
    return handle().abandon();
  },
  async Regenerate(): Promise<void> {
    await handle().regenerate();
  },
  Exist(key: string): boolean {
    return handle().has(key);
  },
  Load(): Promise<void> {
    return handle().load();
  },
  Save(): Promise<void> {
    return handle().save();
  },
  get(key: string): unknown {
    return handle().get(key);
  },
  set(key: string, value: unknown): void {
    handle().set(key, value);
  },
  delete(key: string): boolean {
    return handle().delete(key);
  },
  TypeOf(key: string): string | undefined {
    return handle().typeOf(key);
  },

  Transaction<T>(fn: () => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    return transact(fn, options);
  },

  Run<T>(options: RunOptions, fn: () => T | Promise<T>): Promise<T> {
    return run(options, fn);
  },
} satisfies Record<string, unknown>;

// Listing `Session` lists the keys: members are found by name only.
for (const name of Object.keys(members)) Object.defineProperty(members, name, { enumerable: false });

/** Names the language itself asks every object for: they are neither members nor, by index, keys. */
function isReserved(name: string | symbol): boolean {
  return typeof name === "symbol" || name === "then" || name === "toJSON" || name in Object.prototype;
}

function isMember(name: string | symbol): boolean {
  return Object.hasOwn(members, name);
}

const indexed: ProxyHandler<typeof members> = {
  get(target, name) {
    if (isMember(name) || isReserved(name)) return Reflect.get(target, name);
    return handle().get(name as string);
  },
  set(target, name, value) {
    if (isMember(name)) return setMember(target, name, value);
    if (isReserved(name)) throw reservedName(name);
    handle().set(name as string, value);
    return true;
  },
  deleteProperty(_target, name) {
    if (isMember(name) || isReserved(name)) throw reservedName(name);
    handle().delete(name as string);
    return true;
  },
  has(target, name) {
    if (isMember(name) || isReserved(name)) return Reflect.has(target, name);
    return handle().has(name as string);
  },
  ownKeys(target) {
    const keys = currentContext()?.handle.keys ?? [];
    return [...new Set([...Reflect.ownKeys(target), ...keys])];
  },
  getOwnPropertyDescriptor(target, name) {
    if (isMember(name)) return Reflect.getOwnPropertyDescriptor(target, name);
    const key = String(name);
    const context = currentContext();
    if (isReserved(name) || context?.handle.has(key) !== true) return undefined;
    // Listing keys decodes nothing, and one value that cannot be shown does not hide the others.
    const accessors = { get: () => handle().get(key), set: (value: unknown) => handle().set(key, value) };
    return { ...accessors, enumerable: true, configurable: true };
  },
  // A property of the object itself would be seen by every request of the process.
  defineProperty: () => false,
  preventExtensions: () => false,
  setPrototypeOf: () => false,
};

function setMember(target: typeof members, name: string | symbol, value: unknown): boolean {
  const descriptor = Reflect.getOwnPropertyDescriptor(target, name);
  if (descriptor?.set === undefined) throw reservedName(name);
  return Reflect.set(target, name, value);
}

function reservedName(name: string | symbol): SessionError {
  const text = String(name);
  return new SessionError(
    "ERR_BAD_KEY",
    `Session.${text} cannot be assigned; for a key of that name use Session.set("${text}", …).`,
  );
}

/** The session of the request that runs now. */
export const Session: SessionStatic = new Proxy(members, indexed) as unknown as SessionStatic;

/** The session of a request that `session()` has seen, wherever the code runs; undefined for any other. Saved with its response. */
export function sessionOf(request: object): HandleApi | undefined {
  return contextOf(request)?.handle;
}
