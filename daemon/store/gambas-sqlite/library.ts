// The two SQLite libraries as one: node:sqlite where this Node has it, else better-sqlite3, which is installed beside the package. One of them
// serves the whole process: two libraries would not know of each other's locks on one file. Knows no sessions.

import { createRequire } from "node:module";
import { SessionError } from "../../../protocol/errors.ts";

export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, Value>>;

/** A statement that is compiled once. */
export interface Statement {
  get(...values: Value[]): Row | undefined;
  all(...values: Value[]): Row[];
  run(...values: Value[]): { readonly changes: number | bigint };
  /** Of node:sqlite alone: numbers are told as bigint, which each fits. */
  setReadBigInts?(isSo: boolean): void;
}

/** An open database. No call waits for another program. */
export interface Database {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

/** What is not there, why, and the command that mends that. */
export class Missing {
  readonly why: string;
  /** Undefined: none does. */
  readonly command: string | undefined;

  constructor(why: string, command?: string) {
    this.why = why;
    this.command = command;
  }

  /** For a message. */
  get words(): string {
    return this.command === undefined ? this.why : `${this.why}: ${this.command}`;
  }
}

export interface Library {
  readonly name: string;
  /** Of what it comes with: "Node 22.23.5", "version 12.11.1". */
  readonly release: string;
  /** Opens a database to be written; a missing file is made with the first write. Throws SQLite's error. */
  open(path: string): Database;
}

/** Results of SQLite that tell what to do. */
export const RESULT = {
  error: 1,
  busy: 5,
  readOnly: 8,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

const PEER = "better-sqlite3";
/** Better-sqlite3 tells names where SQLite has numbers. */
const NAMED: Readonly<Record<string, number>> = {
  SQLITE_ERROR: RESULT.error,
  SQLITE_BUSY: RESULT.busy,
  SQLITE_LOCKED: RESULT.busy,
  SQLITE_PROTOCOL: RESULT.busy,
  SQLITE_READONLY: RESULT.readOnly,
  SQLITE_CORRUPT: RESULT.corrupt,
  SQLITE_FULL: RESULT.full,
  SQLITE_CANTOPEN: RESULT.cannotOpen,
  SQLITE_NOTADB: RESULT.notADatabase,
};
/** Any result that nothing depends on. */
const OTHER = -1;
const LOCKED = 6;
const PROTOCOL = 15;

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => Database;
}

type BetterSqlite = new (path: string, options: { readonly timeout: number }) => Database;

/** The library of this process, or why there is none. */
export function lookForLibrary(): Library | Missing {
  const { node } = process.versions;
  const sqlite = quietly(() => process.getBuiltinModule?.("node:sqlite") as unknown as NodeSqlite | undefined);
  if (sqlite?.DatabaseSync !== undefined) {
    const { DatabaseSync } = sqlite;
    return { name: "node:sqlite", release: `Node ${node}`, open: (path) => new DatabaseSync(path) };
  }
  const without = `Sessions of type sqlite need Node 22.13 or later, which has SQLite, or on this Node ${node} the package ${PEER}`;
  const Better = requirePeer<BetterSqlite>(PEER);
  if (Better instanceof Error)
    return isNotThere(Better) ? new Missing(without, `npm install ${PEER}@12`) : unloadable(without, Better);
  const problem = problemOf(Better);
  if (problem !== undefined) return unloadable(without, problem);
  const described = requirePeer<{ readonly version: string }>(`${PEER}/package.json`);
  const release = described instanceof Error ? "of unknown version" : `version ${described.version}`;
  return { name: PEER, release, open: (path) => new Better(path, { timeout: 0 }) };
}

/**
 * The library of this process.
 *
 * @throws SessionError ERR_BAD_OPTION where there is none, with the command that installs one.
 */
export function findLibrary(): Library {
  const library = lookForLibrary();
  if (library instanceof Missing) throw new SessionError("ERR_BAD_OPTION", `${library.words}.`);
  return library;
}

/** Installed without its script, say, or by another Node. */
function unloadable(without: string, problem: Error): Missing {
  return new Missing(`${without}, which is there and cannot be loaded (${firstLine(problem)})`, `npm rebuild ${PEER}`);
}

/** Its binary is loaded with the first database. */
function problemOf(Better: BetterSqlite): Error | undefined {
  try {
    new Better(":memory:", { timeout: 0 }).close();
    return undefined;
  } catch (error) {
    return asError(error);
  }
}

/** An optional package that the application has installed, or the error of loading it. */
export function requirePeer<T>(name: string): T | Error {
  try {
    return createRequire(import.meta.url)(name) as T;
  } catch (error) {
    return asError(error);
  }
}

/** Whether that is the error of a package that is not installed. */
export function isNotThere(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

export function firstLine({ message }: Error): string {
  return message.split("\n", 1)[0] ?? "";
}

/** Node says once that its SQLite is experimental: that is said in our own words, where it matters. */
function quietly<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** SQLite's result behind an error of either library, without its details; undefined for any other error. */
export function resultOf(error: unknown): number | undefined {
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  if (typeof errcode === "number") return mainResult(errcode & 0xff);
  if (typeof code !== "string" || !code.startsWith("SQLITE_")) return undefined;
  const [, main = ""] = /^(SQLITE_[A-Z]+)/.exec(code) ?? [];
  return NAMED[main] ?? OTHER;
}

/** Whatever says that another program is in the way. */
function mainResult(result: number): number {
  return result === LOCKED || result === PROTOCOL ? RESULT.busy : result;
}
