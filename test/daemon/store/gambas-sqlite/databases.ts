// Databases for tests of the engine: an engine in a root of its own, fixtures put there, and what is in a file by SQLite itself.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { findLibrary, type Row } from "../../../../daemon/store/gambas-sqlite/library.ts";
import { openGambasSqlite } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import type { GambasSqliteStore } from "../../../../daemon/store/gambas-sqlite/store.ts";
import type { Dialect } from "../../../../protocol/image/image.ts";
import { databaseName } from "../../../../protocol/session-id.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";

export const MAX_BYTES = 10_000_000;
export const folder: string = join(repository, "test/fixtures/sqlite");
const log = { info: () => undefined, warn: () => undefined };

interface Described {
  /** That it was made with. */
  readonly id: string;
  readonly files: readonly string[];
  readonly keys: readonly (string | { readonly hex: string })[];
  readonly startup: number;
  readonly timeoutDays: number;
  readonly cookiePath: string | null;
}

/** By name, as their makers describe them. */
export const fixtures: Readonly<Record<string, Described>> = JSON.parse(
  readFileSync(join(folder, "MANIFEST.json"), "utf8"),
);

/** Paths of all databases that Gambas has written, by name. */
export const written: readonly (readonly [string, string])[] = [
  ...Object.keys(fixtures).map((name) => [name, join(folder, `${name}.db`)] as const),
  ...[
    "realistic_cart.db",
    "realistic_cart_wal.db",
    "realistic_login.db",
    "newer/sqlite_3.20.db",
    "newer/sqlite_3.22_gbdb2.db",
  ].map((name) => [name, join(repository, "test/fixtures", name)] as const),
];

export class Databases {
  readonly root: string = freshRoot();
  readonly store: GambasSqliteStore;

  constructor({ dialect = "3.18", openSessions = 10 }: { dialect?: Dialect; openSessions?: number } = {}) {
    mkdirSync(join(this.root, "session"));
    this.store = openGambasSqlite({ root: this.root, gambas: dialect, openSessions, durability: "file", log });
  }

  path(id: string): string {
    return join(this.root, "session", databaseName(id));
  }

  /** Puts a database there, with what lies beside it: one of long ago, which no program is still making. */
  put(id: string, path: string): void {
    for (const ending of ["", "-wal", "-shm"]) {
      try {
        copyFileSync(path + ending, this.path(id) + ending);
        utimesSync(this.path(id) + ending, 0, 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
  }

  /** Names of all files of sessions. */
  names(): string[] {
    return readdirSync(join(this.root, "session")).sort();
  }

  async close(): Promise<void> {
    this.store.close();
    await removeRoot(this.root);
  }
}

/** What SQLite says is in a database. */
export function contentsOf(path: string): { schema: Row[]; config: Row[]; values: Row[] } {
  const database = findLibrary().open(path);
  try {
    return {
      schema: database.prepare("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY rowid").all(),
      config: database.prepare('SELECT rowid, "fStartup", "fTimeout", "sCookiePath" FROM "config"').all(),
      values: database
        .prepare(
          'SELECT rowid, hex("sKey") AS key, typeof("sKey") AS keyType, hex("sValue") AS value, typeof("sValue") AS type FROM "values" ORDER BY rowid',
        )
        .all(),
    };
  } finally {
    database.close();
  }
}

/** The rows of one statement. */
export function rowsOf(path: string, query: string): Row[] {
  const database = findLibrary().open(path);
  try {
    return database.prepare(query).all();
  } finally {
    database.close();
  }
}

/** Runs SQL on a database, as an outsider. */
export function change(path: string, sql: string): void {
  const database = findLibrary().open(path);
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}
