// What an application sees of a client and of a session. Whatever is not declared here, nor exported by `index.ts` otherwise, may change.

/**
 * The keys of your sessions and what they hold: `declare module "gambas-session" { interface SessionData { cart?: Line[] } }`. What stands there
 * is what `Session.cart`, `Session.get("cart")` and `handle.get("cart")` are; other keys are `unknown`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: applications fill it
export interface SessionData {}

/** What may be set for a key: what it holds, with a type or without, or nothing. */
export type Settable<Key extends string> = Key extends keyof SessionData
  ? SessionData[Key] | TypedValue | null | undefined
  : unknown;

/** Where a session is begun from, and what it is like when it begins. */
export interface HandleOptions {
  /** Prefix of a new id, at most 175 bytes, no blanks, control characters, or any of `" / , ; = \\`. Default: empty. */
  readonly prefix?: string | undefined;
  /** Life time of a new session in seconds since its last use. Default 86 400. */
  readonly timeoutSeconds?: number | undefined;
  /** Path of the cookie of a new session, kept in the session; printable ASCII without ";". Default: none is kept. */
  readonly cookiePath?: string | undefined;
  /** Creating the session ends all others of its prefix. Default false. */
  readonly isUnique?: boolean | undefined;
}

/** How long a browser keeps a cookie: whole seconds above 0, or "timeout": as long as the session lives after its last use. */
export type CookieMaxAge = number | "timeout";

export interface TransactionOptions {
  /** How long the turn may be kept, in whole ms above 0. Default 5 000, at most the daemon's `maxLeaseMs` (60 000). */
  readonly leaseMs?: number;
}

/**
 * One session, in the hands of one request or program. What is read is what the session held when the handle was made, with the handle's
 * own changes on top; nothing is written before `save`, the end of a transaction, or the response it belongs to.
 *
 * Of a session that cannot be read every member but `abandon`, `prefix` and reading `isUnique` throws ERR_UNREADABLE, or what else hinders.
 */
export interface Handle {
  /** `<PREFIX>:<24 upper-case hex digits>`; null as long as there is no session. */
  readonly id: string | null;
  /** The keys in file order. */
  readonly keys: string[];
  /** Path of the session's file, whether it is there yet or not; null as long as there is no session, and where sessions are in no files. */
  readonly path: string | null;
  /** Bytes of the session's file as last saved; 0 without one. */
  readonly size: number;
  /** Life time in seconds since the last use; 0 or less ends the session. Setting anything but a number throws ERR_BAD_OPTION. */
  timeout: number;
  /** Path of the cookie, kept in the session; "": none is. Setting a path that no cookie can have throws ERR_BAD_OPTION. */
  cookiePath: string;
  /** How long browsers keep the cookie, kept in the session; null: until they end. Setting anything else throws ERR_BAD_OPTION. */
  cookieMaxAge: CookieMaxAge | null;
  /** Prefix of the id of a session that is begun through this handle. Setting one that no id can have throws ERR_BAD_OPTION. */
  prefix: string;
  /** Creating the session ends every other one of the same prefix. Set on an existing session, the next save ends them. */
  isUnique: boolean;
  /** Something is not saved yet. `= false` drops it; `= true` makes the next save write, changed or not. */
  isModified: boolean;

  has(key: string): boolean;
  /**
   * A value, or undefined for a key that is not there. Arrays and objects are live: what is changed in them in place is saved.
   *
   * @throws SessionError ERR_UNREADABLE for a value that cannot be shown.
   */
  get<Key extends keyof SessionData>(key: Key): SessionData[Key];
  get(key: string): unknown;
  get<T>(key: string): T;
  /**
   * Begins a session where there is none. null and undefined remove the key.
   *
   * @param key not empty, at most 65 535 bytes of UTF-8.
   * @throws SessionError ERR_BAD_VALUE, naming the place in the value; ERR_BAD_KEY; ERR_HEADERS_SENT where no cookie of a new session can
   *   be sent any more. Nothing is changed then.
   */
  set<Key extends string>(key: Key, value: Settable<Key>): void;
  /** @returns whether the key was there. */
  delete(key: string): boolean;
  /** The exact Gambas type of a value: "Integer", "String[]", "Collection" …; undefined for a key that is not there. */
  typeOf(key: string): string | undefined;

  /**
   * Resolves when everything changed so far is in the file; inside a transaction at once, as its end commits.
   *
   * @throws SessionError ERR_SESSION_GONE when the session has ended, ERR_TOO_LARGE, ERR_STORE, ERR_SESSION_BUSY, ERR_DAEMON_UNAVAILABLE,
   *   ERR_LEASE_LOST in a transaction that has outlived its lease. What was not saved can be saved again, unless the session is gone.
   */
  save(): Promise<void>;
  /** Reads the newest contents, and drops what was not saved. */
  load(): Promise<void>;
  /** Ends the session, readable or not: its file is gone, and nothing brings it back. The next `set` begins another one. */
  abandon(): Promise<void>;
  /** Renews the time of the last use, at most once a second; undefined where there is nothing to renew. */
  touch(): Promise<void> | undefined;
  /**
   * Runs `fn` alone on this session across all workers, on its newest contents and with a handle of its own, and resolves to its result
   * once what it changed is committed. An error in `fn` commits nothing. `fn` runs again when a Gambas program has saved meanwhile, or the
   * daemon was replaced: it should do nothing that must not be done twice. Inside of a transaction `fn` is a part of that.
   *
   * @throws SessionError ERR_LEASE_LOST when `fn` took longer than its lease, ERR_CONFLICT when other programs kept saving, ERR_SESSION_GONE,
   *   ERR_DEADLOCK, ERR_BAD_OPTION.
   */
  transaction<T>(fn: (session: Handle) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
}

/** A connection of this process to the daemon of a root, with copies of the sessions that were used lately. */
export interface Client {
  /** Absolute paths of the root directory and of the daemon's socket. */
  readonly places: { readonly root: string; readonly socket: string };
  /** Directory of the session files; "" where sessions are in no files. */
  readonly directory: string;
  readonly isClosed: boolean;

  /** @throws SessionError ERR_DAEMON_UNAVAILABLE when no daemon answers in time, ERR_PROTOCOL_VERSION, ERR_CLOSED. */
  ready(): Promise<void>;
  /**
   * A session as it is at this moment, to be read and changed without any static API.
   *
   * @returns undefined when there is no such session; nothing is touched for a malformed id.
   * @throws SessionError ERR_UNREADABLE, ERR_DAEMON_UNAVAILABLE, ERR_STORE, ERR_SESSION_BUSY.
   */
  open(id: string, options?: HandleOptions): Promise<Handle | undefined>;
  /** A session that begins with its first `set`, and is there with its first save. */
  create(options?: HandleOptions): Handle;
  /** The same as `handle.save()`. */
  commit(handle: Handle): Promise<void>;
  /** Ends a session: its file is gone, and nothing brings it back. Of one that is not there nothing happens. @throws SessionError ERR_BAD_ID. */
  abandon(session: Handle | string): Promise<void>;
  /** The same as `handle.transaction(fn, options)`; for an id that is no session's it rejects with ERR_SESSION_GONE. */
  transaction<T>(
    session: Handle | string,
    fn: (session: Handle) => T | Promise<T>,
    options?: TransactionOptions,
  ): Promise<T>;
  /** What the daemon tells about itself: version, uptime, counters. */
  status(): Promise<Record<string, unknown>>;
  /** Closes the connection. Calls that wait fail with ERR_CLOSED; the daemon goes on. */
  close(): void;
}

/** A value with the Gambas type that was asked for. It may stand alone or anywhere inside arrays and objects. */
export interface TypedValue {
  /** The name as Gambas writes it. */
  readonly type: string;
  readonly value: unknown;
}
