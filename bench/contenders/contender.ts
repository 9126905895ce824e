// What every contender is to the harness. "Subject" is a contender opened inside one worker process.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Values } from "../session-values.ts";

/** How old what other hosts wrote may be, for the contender that allows it. */
export const MAX_STALE_MS = 50;

/** A daemon of one type of sessions; those on Redis have the server with its log behind them. */
export type DaemonName =
  | "daemon"
  | "daemon-tmpfs"
  | "daemon-memory"
  | "daemon-sqlite"
  | "daemon-sqlite-tmpfs"
  | "daemon-redis"
  | "daemon-redis-stale";

/** The process a contender needs beside its workers. */
export type ServerName = DaemonName | "redis" | "redis-aof" | "memcached" | "echo" | "floor-daemon";

export interface Places {
  /** Unix socket of the contender's server; "" where it has none. */
  readonly socket: string;
  /** A directory for the contender's own files, or the root of its daemon. */
  readonly directory: string;
}

export interface OpenOptions {
  /** False: no copy may be kept in the worker, so that every read goes to the store. */
  readonly keepsCopies: boolean;
}

export interface Contender {
  readonly name: string;
  readonly server?: ServerName;
  /** Where `directory` is. Default "disk", the temporary directory. */
  readonly fileSystem?: "disk" | "tmpfs";
  /** Packages without which it cannot be measured: optional ones of ours, or such that this repository does not need. */
  readonly packages?: readonly string[];
  /** The physical bound, not something to pick. */
  readonly isFloor?: boolean;
  /** Sessions are visible in one process only. */
  readonly isLocal?: boolean;
  /** Loads the contender's packages: only the processes that use them pay for that. */
  readonly load: () => Promise<Entry>;
}

/** How a contender is opened in a process. */
export interface Entry {
  readonly open?: (places: Places, options: OpenOptions) => Promise<Subject>;
  readonly openSite?: (places: Places) => Promise<Site>;
}

export interface Subject {
  /** Stores a new session; resolves to its id when it is acknowledged. */
  create(values: Values): Promise<string>;
  /** Reads every value of a session, usable by the application; how many there were. */
  get(id: string): number | Promise<number>;
  /** The session as a request has it in hand. */
  hold(id: string): Promise<Held>;
  /** The number in `n`, for counting what was lost. */
  counter?(id: string): Promise<number>;
  close(): Promise<void> | void;
}

export interface Held {
  /** Changes two values, to longer ones if that is asked for; resolves when the store has acknowledged them. */
  change(visit: number, isLong?: boolean): Promise<void> | void;
  touch?(): Promise<void> | void;
  /** Adds one to `n`; resolves when the store has acknowledged it. */
  increment?(): Promise<void>;
}

/** A middleware that brings sessions to HTTP, and the session of a request behind it. */
export interface Site {
  readonly middleware: (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;
  valuesOf(req: IncomingMessage): SiteSession;
}

export interface SiteSession {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
}
