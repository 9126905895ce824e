// The database of a session as Gambas makes it (GAMBAS.md 6), and the statements that a database is used by. The text of the tables is Gambas' own, to the byte.
// And the names of its states: SQLite tells that a database has changed since it was opened, and not which state it is in. Each state that is met gets a number
// that no other one has, in the place of a time. One that a commit of ours makes carries its number's mark in the database, where a daemon that comes after a
// crash finds it, whatever other programs have saved since.

import type { Database, Statement } from "./library.ts";

/**
 * Makes the tables of a new session, with the statements of Gambas in their order: so pages, indexes and the schema's number are those of its databases.
 * The time stamp follows in the same transaction, so nobody ever sees a session that has none.
 */
export const MAKE_TABLES = `
CREATE TABLE GAMBAS (FIELD1 TEXT);
DROP TABLE GAMBAS;
CREATE TABLE "config" ( "fStartup" FLOAT8 NOT NULL DEFAULT 0, "fTimeout" FLOAT8 NOT NULL DEFAULT 1, "sCookiePath" TEXT, PRIMARY KEY ("fStartup") );
INSERT INTO "config" ("sCookiePath") VALUES (NULL);
CREATE TABLE "values" ( "sKey" VARCHAR(255) NOT NULL , "sValue" BLOB , PRIMARY KEY ("sKey") );
`;

/** Of several rows the first counts. */
const FIRST_ROW = `WHERE rowid = (SELECT min(rowid) FROM "config")`;

const SQL = {
  // An INTEGER that is no safe one is an error to node:sqlite, and rounded by better-sqlite3.
  config: `SELECT CASE typeof("fStartup") WHEN 'integer' THEN CAST("fStartup" AS REAL) ELSE "fStartup" END AS startup, CAST("fTimeout" AS REAL) AS timeout, CAST("sCookiePath" AS BLOB) AS path FROM "config" ${FIRST_ROW}`,
  // Not the characters of a text, and not those before a NUL. Of a large value nothing is read for that.
  size: `SELECT total(octet_length("sKey") + ifnull(octet_length("sValue"), 0)) AS bytes FROM "values"`,
  // A key that is no text is found by no program; of a key that has two rows the first is.
  values: `SELECT CAST("sKey" AS BLOB) AS key, CAST("sValue" AS BLOB) AS value FROM "values" WHERE typeof("sKey") = 'text' ORDER BY rowid`,
  stamp: `UPDATE "config" SET "fStartup" = ? ${FIRST_ROW}`,
  timeout: `UPDATE "config" SET "fTimeout" = ? ${FIRST_ROW}`,
  cookiePath: `UPDATE "config" SET "sCookiePath" = ? ${FIRST_ROW}`,
  // A new row for a key that is there would take it to the end.
  update: `UPDATE "values" SET "sValue" = ? WHERE "sKey" = CAST(? AS TEXT)`,
  insert: `INSERT INTO "values" ("sKey", "sValue") VALUES (CAST(? AS TEXT), ?)`,
  delete: `DELETE FROM "values" WHERE "sKey" = CAST(? AS TEXT)`,
  empty: `DELETE FROM "values"`,
  begin: "BEGIN",
  beginToWrite: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  version: "PRAGMA data_version",
  pages: "PRAGMA page_count",
  pageBytes: "PRAGMA page_size",
  tables: "SELECT count(*) FROM sqlite_master",
  triggers: "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'",
  encoding: "PRAGMA encoding",
  mark: "PRAGMA user_version",
  mode: "PRAGMA journal_mode",
  toLog: "PRAGMA journal_mode = WAL",
  bringIn: "PRAGMA wal_checkpoint(PASSIVE)",
  beginAnew: "PRAGMA wal_checkpoint(TRUNCATE)",
} as const;

/** Statements that are asked for rows. */
const TELLING = /^(?:SELECT|PRAGMA)/;

/** The statements of one open database, each compiled when it is first used: what a database lacks is an error of the use. */
export class Statements {
  readonly #database: Database;
  readonly #compiled = new Map<keyof typeof SQL, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  of(name: keyof typeof SQL): Statement {
    let statement = this.#compiled.get(name);
    if (statement === undefined) {
      statement = this.#database.prepare(SQL[name]);
      // What is run tells the number of the row that was added last, too: Node 26 has an error for one that no number holds.
      if (!TELLING.test(SQL[name])) statement.setReadBigInts?.(true);
      this.#compiled.set(name, statement);
    }
    return statement;
  }

  /** The one number that a statement without parameters tells. */
  number(name: keyof typeof SQL): number {
    const row = this.of(name).get();
    return Number(row === undefined ? Number.NaN : Object.values(row)[0]);
  }
}

// -- states

const PER_MS = 1_024;
/** `PRAGMA user_version`: SQLite keeps it for applications, and Gambas neither reads nor changes it. */
const MARKS = 2 ** 31 - 1;

export class Revisions {
  /** A part of a ms by which all numbers differ from those of other daemons, as a rule: the clock may have been set back. */
  readonly #part = Math.floor(Math.random() * PER_MS) / PER_MS;
  /** As the time of a file, in ms. */
  #last = 0;

  /** Greater than all before, and not far from the clock. */
  next(): number {
    this.#last = Math.max(this.#last + 1 / PER_MS, Date.now() + this.#part);
    return this.#last;
  }
}

/** What a database holds that this commit was the last one of ours to change: from 1, and the same again after half an hour at the earliest. */
export function markOf({ mtimeMs }: { readonly mtimeMs: number }): number {
  return 1 + (Math.floor(mtimeMs * PER_MS) % MARKS);
}
