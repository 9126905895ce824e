// better-sqlite3 used directly, as a store of express-session would: one database for all sessions, with a table of JSON texts, in WAL mode. Each process opens it for
// itself; a commit waits for no disk, as ours and as Redis' with its log.

import { join } from "node:path";
import session, { type SessionData } from "express-session";
import { requireOptional } from "../servers/optional-packages.ts";
import type { Entry, Places } from "./contender.ts";
import { StoreSubject, siteOn } from "./express-store.ts";

const DAY_MS = 86_400_000;

interface Statement {
  get(...values: unknown[]): unknown;
  run(...values: unknown[]): unknown;
}

interface Database {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

type Done = (error?: unknown) => void;

class SqliteStore extends session.Store {
  readonly #database: Database;
  readonly #get: Statement;
  readonly #set: Statement;
  readonly #touch: Statement;
  readonly #destroy: Statement;

  constructor({ directory }: Places) {
    super();
    const Better = requireOptional("better-sqlite3") as new (path: string) => Database;
    this.#database = new Better(join(directory, "sessions.db"));
    this.#database.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, expires INTEGER NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
    `);
    this.#get = this.#database.prepare("SELECT data FROM sessions WHERE id = ? AND expires > ?");
    this.#set = this.#database.prepare(
      "INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, data = excluded.data",
    );
    this.#touch = this.#database.prepare("UPDATE sessions SET expires = ? WHERE id = ?");
    this.#destroy = this.#database.prepare("DELETE FROM sessions WHERE id = ?");
  }

  override get(id: string, done: (error: unknown, found?: SessionData | null) => void): void {
    const row = this.#get.get(id, Date.now()) as { readonly data: string } | undefined;
    done(null, row === undefined ? null : JSON.parse(row.data));
  }

  override set(id: string, values: SessionData, done?: Done): void {
    this.#set.run(id, Date.now() + DAY_MS, JSON.stringify(values));
    done?.();
  }

  override touch(id: string, _values: SessionData, done?: () => void): void {
    this.#touch.run(Date.now() + DAY_MS, id);
    done?.();
  }

  override destroy(id: string, done?: Done): void {
    this.#destroy.run(id);
    done?.();
  }

  close(): void {
    this.#database.close();
  }
}

export const betterSqlite: Entry = {
  async open(places) {
    const store = new SqliteStore(places);
    return new StoreSubject(store, () => store.close());
  },
  openSite: async (places) => siteOn(new SqliteStore(places)),
};
