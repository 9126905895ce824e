// Another program that has a database open, led step by step: a process of its own, so that its locks are not those of the daemon under test. And databases as
// other programs may have made them.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Row } from "../../../../daemon/store/gambas-sqlite/library.ts";
import { MAKE_TABLES } from "../../../../daemon/store/gambas-sqlite/schema.ts";
import { repository } from "../../../support/repository.ts";
import { change } from "./databases.ts";

const LIBRARY = join(repository, "dist/daemon/store/gambas-sqlite/library.js");
const CODE = `
  const { findLibrary } = await import(process.argv[1]);
  const database = findLibrary().open(process.argv[2]);
  const answer = (does) => {
    try {
      process.send({ rows: does() });
    } catch (error) {
      process.send({ problem: error.message });
    }
  };
  process.on("message", ({ sql, query }) => {
    answer(() => (sql === undefined ? database.prepare(query).all() : (database.exec(sql), [])));
  });
  process.on("disconnect", () => {
    database.close();
    process.exit();
  });
  process.send({ rows: [] });`;

interface Answer {
  readonly rows?: readonly Row[];
  readonly problem?: string;
}

export class Outsider {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(path: string): Promise<Outsider> {
    const args = ["--input-type=module", "-e", CODE, LIBRARY, path];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const outsider = new Outsider(child);
    await outsider.#answer();
    return outsider;
  }

  /** Runs SQL; what it reads it keeps to itself. */
  async run(sql: string): Promise<void> {
    this.#child.send({ sql });
    await this.#answer();
  }

  /** The rows of one statement. */
  async all(query: string): Promise<readonly Row[]> {
    this.#child.send({ query });
    return this.#answer();
  }

  async #answer(): Promise<readonly Row[]> {
    const [{ rows, problem }] = (await once(this.#child, "message")) as [Answer];
    if (problem !== undefined) throw new Error(problem);
    return rows ?? [];
  }

  /** It closes the database, and goes. */
  async end(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }

  /** It goes as it is. */
  async kill(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** SQL that gives a session a stamp of now and one key, `a`, of 1. */
export function contents(): string {
  const days = Number((Date.now() / 86_400_000 + 2_472_692).toPrecision(15));
  return `UPDATE "config" SET "fStartup" = ${days}; INSERT INTO "values" VALUES ('a', X'0401000000');`;
}

/** Makes a session as another program may have made it: with `pragmas` before its tables, which may be made otherwise, and `more` behind its contents. */
export function make(
  path: string,
  { pragmas = "", tables = MAKE_TABLES, more = "" }: { pragmas?: string; tables?: string; more?: string },
): void {
  change(path, `${pragmas}; ${tables} ${contents()} ${more}`);
}
