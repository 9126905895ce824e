// Floor of sessions in databases: the statements of a save of Gambas, one database for each session, in the process that wants it. No daemon, no guard,
// nobody beside, and nothing that would tell a commit that was applied from one that was not.

import { join } from "node:path";
import { requireOptional } from "../servers/optional-packages.ts";
import { changedValues, type Values } from "../session-values.ts";
import type { Entry, Held, Subject } from "./contender.ts";

const MS_A_DAY = 86_400_000;
/** Commits after which the log is brought into the database, as the daemon does it. */
const COMMITS = 32;
const MAKE = `
  PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;
  CREATE TABLE "config" ("fStartup" FLOAT8 NOT NULL DEFAULT 0, "fTimeout" FLOAT8 NOT NULL DEFAULT 1, "sCookiePath" TEXT, PRIMARY KEY ("fStartup"));
  INSERT INTO "config" ("sCookiePath") VALUES (NULL);
  CREATE TABLE "values" ("sKey" VARCHAR(255) NOT NULL, "sValue" BLOB, PRIMARY KEY ("sKey"));
`;

interface Statement {
  run(...values: unknown[]): unknown;
  all(...values: unknown[]): readonly unknown[];
}

interface Database {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

type Library = new (path: string) => Database;

/** As the daemon chooses it. */
function library(): Library {
  const ofNode = process.getBuiltinModule?.("node:sqlite") as unknown as { readonly DatabaseSync: Library } | undefined;
  return ofNode?.DatabaseSync ?? (requireOptional("better-sqlite3") as Library);
}

class SqliteSubject implements Subject {
  readonly #directory: string;
  readonly #Library = library();
  readonly #open = new Map<string, Database>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async create(values: Values): Promise<string> {
    const id = `floor-${process.pid}-${this.#open.size}`;
    const database = this.#opened(id);
    database.exec(MAKE);
    const insert = database.prepare(`INSERT INTO "values" VALUES (?, ?)`);
    for (const [key, value] of Object.entries(values)) insert.run(key, Buffer.from(JSON.stringify(value)));
    return id;
  }

  get(id: string): number {
    return this.#opened(id).prepare(`SELECT "sKey", "sValue" FROM "values"`).all().length;
  }

  async hold(id: string): Promise<Held> {
    const database = this.#opened(id);
    database.exec("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0");
    const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
    const stamp = database.prepare(`UPDATE "config" SET "fStartup" = ?`);
    const update = database.prepare(`UPDATE "values" SET "sValue" = ? WHERE "sKey" = ?`);
    const bringIn = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)");
    let count = 0;
    return {
      change(visit) {
        begin.run();
        stamp.run(Date.now() / MS_A_DAY);
        for (const [key, value] of Object.entries(changedValues(visit)))
          update.run(Buffer.from(JSON.stringify(value)), key);
        commit.run();
        count += 1;
        if (count % COMMITS === 0) bringIn.all();
      },
    };
  }

  close(): void {
    for (const database of this.#open.values()) database.close();
  }

  #opened(id: string): Database {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const database = new this.#Library(join(this.#directory, `${id}.db`));
    this.#open.set(id, database);
    return database;
  }
}

export const floorSqlite: Entry = { open: async (places) => new SqliteSubject(places.directory) };
