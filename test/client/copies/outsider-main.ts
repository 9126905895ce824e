// A program beside ours that uses databases by SQLite, as one of Gambas does, one at a time.

import { type Database, findLibrary } from "../../../daemon/store/gambas-sqlite/library.ts";
import { serveCalls } from "../../support/processes.ts";

let database: Database | undefined;

serveCalls({
  /** Looks into it, too: SQLite opens nothing before. */
  open(path: string) {
    database = findLibrary().open(path);
    database.exec('PRAGMA synchronous = OFF; SELECT * FROM "config"');
  },
  run(sql: string) {
    database?.exec(sql);
  },
  /** The first value of the first row. */
  get(sql: string) {
    return Object.values(database?.prepare(sql).get() ?? {})[0];
  },
  close() {
    database?.close();
    database = undefined;
  },
});
