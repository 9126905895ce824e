// The databases that are open, bounded in number: the one that was not used for longest is closed, and so is one that lies idle. An open one tells at once whether
// anybody has changed it, which one that is opened anew does not. Knows no contents.

import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { SessionError } from "../../../protocol/errors.ts";
import { databaseName } from "../../../protocol/session-id.ts";
import { isOutOfDescriptors } from "../../files/files.ts";
import type { Log } from "../../report/report.ts";
import { StoreBusy } from "../store.ts";
import { Connection, type Surroundings } from "./connection.ts";
import type { Named } from "./problems.ts";

/** Descriptors that a database takes. */
const PER_DATABASE = 4;
/**
 * One that nobody has used for so long to twice as long is closed. Open for hours, it would keep its memory, and what its log holds from Gambas programs
 * if somebody takes the files of that away meanwhile.
 */
const IDLE_MS = 120_000;
/** Databases that are closed at one time: each brings its log in, with a flush or two where that is asked for. */
const CLOSED_AT_ONCE = 16;

export interface ConnectionsParts {
  readonly around: Surroundings;
  /** The directory of the databases. */
  readonly sessions: string;
  readonly max: number;
  readonly log: Pick<Log, "warn">;
}

export class Connections {
  readonly #parts: ConnectionsParts;
  /** By id, the one used last at the end. */
  readonly #open = new Map<string, Connection>();
  /** Ids of those that were not used since it was looked last. */
  #idle = new Set<string>();
  readonly #lookout: NodeJS.Timeout;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
    this.#lookout = setInterval(() => void this.#closeIdle(), IDLE_MS).unref();
  }

  get count(): number {
    return this.#open.size;
  }

  named(id: string): Named {
    return this.#open.get(id)?.named ?? { id, path: join(this.#parts.sessions, databaseName(id)) };
  }

  /** One that is open; `ino` is that of the file which has its name now. */
  find(id: string, ino: number | undefined): Connection | undefined {
    const connection = this.#open.get(id);
    if (connection === undefined) return undefined;
    this.#idle.delete(id);
    if (connection.ino === ino && connection.isWhole) return connection;
    this.close(id);
    return undefined;
  }

  /** Opens it where it is not. Undefined: there is no such file. @throws as `Connection.open`. */
  get(id: string, ino: number | undefined): Connection | undefined {
    const connection = this.find(id, ino) ?? Connection.open(this.named(id), this.#parts.around);
    if (connection !== undefined) this.keep(connection);
    return connection;
  }

  keep(connection: Connection): void {
    const { id } = connection.named;
    this.#open.delete(id);
    this.#open.set(id, connection);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= this.#parts.max) return;
      this.close(oldest);
    }
  }

  /** Takes the step; where descriptors have run out, once more with half of those databases open that are. */
  withDescriptors<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      if (error instanceof SessionError || error instanceof StoreBusy || hasDescriptors()) throw error;
      const oldest = [...this.#open.keys()].slice(0, Math.ceil(this.#open.size / 2));
      if (oldest.length === 0) throw error;
      for (const id of oldest) this.close(id);
      return step();
    }
  }

  /** Uses it, and leaves those that are kept open as they are. */
  glance<T>(id: string, ino: number, look: (connection: Connection) => T): T | undefined {
    const known = this.find(id, ino);
    if (known !== undefined) return look(known);
    const connection = Connection.open(this.named(id), this.#parts.around);
    if (connection === undefined) return undefined;
    try {
      return look(connection);
    } finally {
      this.#shut(connection);
    }
  }

  close(id: string): void {
    const connection = this.#open.get(id);
    this.#open.delete(id);
    if (connection !== undefined) this.#shut(connection);
  }

  /** Other work of this process goes on in between. The first ones are closed when this returns. */
  async closeAll(): Promise<void> {
    clearInterval(this.#lookout);
    await this.#closeInSlices([...this.#open.keys()], () => true);
  }

  async #closeIdle(): Promise<void> {
    const idle = this.#idle;
    await this.#closeInSlices([...idle], (id) => idle.has(id));
    this.#idle = new Set(this.#open.keys());
  }

  async #closeInSlices(ids: readonly string[], isDue: (id: string) => boolean): Promise<void> {
    for (const [place, id] of ids.entries()) {
      if (place > 0 && place % CLOSED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
      if (isDue(id)) this.close(id);
    }
  }

  /** Whatever the system error: what was committed is in the log, and whoever opens it next finds it there. */
  #shut(connection: Connection): void {
    try {
      connection.close();
    } catch (error) {
      this.#parts.log.warn("close-failed", { session: connection.named.id, error: String(error) });
    }
  }
}

/** Whether there are enough for another database: SQLite does not tell why it cannot open one. */
function hasDescriptors(): boolean {
  const opened: number[] = [];
  try {
    while (opened.length < PER_DATABASE) opened.push(openSync("/", "r"));
    return true;
  } catch (error) {
    if (isOutOfDescriptors(error)) return false;
    throw error;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
