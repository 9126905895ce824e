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

export interface CreateOptions extends HandleOptions {
  /** Id of the session. Default: a new one with the prefix. */
  readonly id?: string | undefined;
}

export interface ListOptions {
  /** Only the sessions of exactly this prefix: there are no patterns. Default: all. */
  readonly prefix?: string | undefined;
}

/** A session as a list names it: by its header, which is all that is read of it. */
export interface ListedSession {
  readonly id: string;
  /** Bytes of its file. */
  readonly bytes: number;
  readonly lastUsed: Date;
  /** When it expires unless it is used; null: never. */
  readonly expires: Date | null;
}

export interface TransactionOptions {
  /** How long the turn may be kept, in whole ms above 0. Default 5 000, at most the daemon's `maxLeaseMs` (60 000). */
  readonly leaseMs?: number | undefined;
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
  /** When the session was last saved or touched, as of the contents of this handle; null as long as nothing of it is saved. */
  readonly lastUsed: Date | null;
  /** When the session expires unless it is used; null where it never does, and as long as nothing of it is saved. */
  readonly expires: Date | null;
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
  /**
   * Sets these keys and deletes all others, as one change. A value that is stored already keeps its bytes; null and undefined are as in `set`.
   *
   * @throws SessionError what `set` throws. Nothing is changed then.
   */
  replace(values: Readonly<Record<string, unknown>>): void;
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
  /**
   * Gives the session a new id of the same prefix: keys, exact types, bytes, life time and cookie path stay, and what is not saved yet is
   * saved with it, in one step. When it resolves the old id is gone for ever. Without a session nothing happens; inside a transaction it takes
   * effect with the commit of that.
   *
   * @throws SessionError ERR_HEADERS_SENT where no cookie of the new id could be sent; ERR_SESSION_GONE when the session has ended, or has
   *   got another id, elsewhere; what `save` throws. Nothing is changed then.
   */
  regenerate(): Promise<void>;
  /** Ends the session, readable or not: its file is gone, and nothing brings it back. The next `set` begins another one. */
  abandon(): Promise<void>;
  /** Renews the time of the last use, at most once a second; undefined where there is nothing to renew. */
  touch(): Promise<void> | undefined;
  /**
   * Runs `fn` alone on this session across all workers, on its newest contents and with a handle of its own, and resolves to its result
   * once what it changed is committed. An error in `fn` commits nothing. `fn` runs again when a Gambas program, or with
   * type "redis" another machine, has saved meanwhile, or the daemon was replaced: it should do nothing that must not be done twice. Inside of a transaction `fn` is a part of that.
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
  /**
   * A session that begins with its first `set`, and is there with its first save, which rejects with ERR_ID_TAKEN where the given id is or was
   * in use.
   *
   * @throws SessionError ERR_BAD_ID for a given id that is none.
   */
  create(options?: CreateOptions): Handle;
  /**
   * The sessions that there are and that have not expired, in the order of their ids; those that begin or end meanwhile may be among them. Wakes
   * and touches none, and holds no more than a page of them, however many there are.
   *
   * @throws SessionError ERR_BAD_OPTION for a prefix that no id can have.
   */
  list(options?: ListOptions): AsyncIterableIterator<ListedSession>;
  /**
   * Renews the time of the last use, unless that is less than a second ago. @returns whether there is such a session.
   *
   * @throws SessionError ERR_BAD_ID; ERR_DEADLOCK inside a transaction on it, whose end renews it.
   */
  touch(id: string): Promise<boolean>;
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
  status(): Promise<DaemonStatus>;
  /** Closes the connection. Calls that wait fail with ERR_CLOSED; the daemon goes on. */
  close(): void;
}

/** Time that calls have taken, in µs. */
export interface Latencies {
  readonly count: number;
  /** None where nothing was counted yet, as the others. */
  readonly p50?: number;
  readonly p90?: number;
  readonly p99?: number;
  readonly "p99.9"?: number;
  readonly max?: number;
}

/** Counters begin with the daemon. daemon/OPERATING.md says of each what it means. */
export interface DaemonStatus {
  readonly version: string;
  /** Version of the protocol. */
  readonly protocol: number;
  readonly pid: number;
  readonly root: string;
  /** Where it keeps sessions: "file", "sqlite", "redis", "memory". */
  readonly type: string;
  readonly durability: string;
  readonly uptimeSeconds: number;
  readonly connections: number;
  readonly waitingCalls: number;
  readonly waitingBytes: number;
  readonly waitingTurns: number;
  /** These four only of type "file"; of type "sqlite" `fileSystem` alone. */
  readonly hasRecordLocks?: boolean;
  readonly fileSystem?: Readonly<Record<string, boolean>>;
  readonly gambas?: string;
  readonly isWatching?: boolean;
  /** Only of type "redis": which server, or servers, and how they are. */
  readonly redis?: Readonly<Record<string, unknown>>;
  readonly sessionsCached: number;
  readonly sessionsAwake: number;
  readonly bytesCached: number;
  /** The setting: what `bytesCached` may become. */
  readonly cacheBytes: number;
  /** As of the last sweep; null before the first. */
  readonly sessionsOnDisk: number | null;
  readonly tombstones: number;
  /** Null where that cannot be found out. */
  readonly memoryBytes: number | null;
  readonly opens: number;
  readonly hits: number;
  /** Null before the first open. */
  readonly hitRate: number | null;
  readonly commits: number;
  readonly writes: number;
  readonly touches: number;
  readonly abandons: number;
  readonly successions: number;
  readonly leases: number;
  readonly leasesLost: number;
  readonly conflicts: number;
  readonly repairs: number;
  readonly resurrectionsUndone: number;
  readonly foreignSaves: number;
  readonly expired: number;
  readonly duplicates: number;
  /** Failures of calls, by code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly openMicros: Latencies;
  readonly commitMicros: Latencies;
  readonly leaseMicros: Latencies;
  readonly loopDelayMicros: Latencies;
}

/** A value with the Gambas type that was asked for. It may stand alone or anywhere inside arrays and objects. */
export interface TypedValue {
  /** The name as Gambas writes it. */
  readonly type: string;
  readonly value: unknown;
}
