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
}

/** An open database. No call waits for another program. */
export interface Database {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

export interface Library {
  readonly name: string;
  /** Opens a database to be written; a missing file is made with the first write. Throws SQLite's error. */
  open(path: string): Database;
}

/** Results of SQLite that tell what to do. */
export const RESULT = { error: 1, busy: 5, readOnly: 8, corrupt: 11, cannotOpen: 14, notADatabase: 26 } as const;

const PEER = "better-sqlite3";
/** Better-sqlite3 tells names where SQLite has numbers. */
const NAMED: Readonly<Record<string, number>> = {
  SQLITE_ERROR: RESULT.error,
  SQLITE_BUSY: RESULT.busy,
  SQLITE_LOCKED: RESULT.busy,
  SQLITE_PROTOCOL: RESULT.busy,
  SQLITE_READONLY: RESULT.readOnly,
  SQLITE_CORRUPT: RESULT.corrupt,
  SQLITE_CANTOPEN: RESULT.cannotOpen,
  SQLITE_NOTADB: RESULT.notADatabase,
};
/** Any result that nothing depends on: a full disk, say. */
const OTHER = -1;
const LOCKED = 6;
const PROTOCOL = 15;

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => Database;
}

type BetterSqlite = new (path: string, options: { readonly timeout: number }) => Database;

/**
 * The library of this process.
 *
 * @throws SessionError ERR_BAD_OPTION where there is none, with the command that installs one.
 */
export function findLibrary(): Library {
  const sqlite = quietly(() => process.getBuiltinModule?.("node:sqlite") as unknown as NodeSqlite | undefined);
  if (sqlite?.DatabaseSync !== undefined) {
    const { DatabaseSync } = sqlite;
    return { name: "node:sqlite", open: (path) => new DatabaseSync(path) };
  }
  const Better = requirePeer<BetterSqlite>(PEER);
  if (Better instanceof Error) {
    const why = isNotThere(Better) ? "" : ` (it is there, and cannot be loaded: ${firstLine(Better)})`;
    const what = `Sessions of type sqlite need Node 22.13 or later, which has SQLite, or the package ${PEER}${why}: npm install ${PEER}@12`;
    throw new SessionError("ERR_BAD_OPTION", `${what}, for Node ${process.versions.node}.`, { cause: Better });
  }
  return { name: PEER, open: (path) => new Better(path, { timeout: 0 }) };
}

/** An optional package that the application has installed, or the error of loading it. */
export function requirePeer<T>(name: string): T | Error {
  try {
    return createRequire(import.meta.url)(name) as T;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function isNotThere(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
}

function firstLine({ message }: Error): string {
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
