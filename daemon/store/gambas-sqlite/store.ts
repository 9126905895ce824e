// The engine that keeps sessions where Gambas keeps those of its own default type: a database each, used by Gambas programs at the same time (README.md).
// A commit is one transaction that touches the rows of the keys it names, beside the stamp, and that keeps every save of a Gambas program whole.

import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, rmSync, type Stats } from "node:fs";
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { isCode } from "../../../protocol/errors.ts";
import { type Dialect, HEADER_BYTES, writeDays } from "../../../protocol/image/image.ts";
import { idOfDatabase, mappedId } from "../../../protocol/session-id.ts";
import { isMissing } from "../../files/files.ts";
import type { Log } from "../../report/report.ts";
import {
  type Attempt,
  type Loaded,
  type Present,
  type Recovery,
  type Revision,
  type Staged,
  type Store,
  StoreBusy,
} from "../store.ts";
import { type Changes, changesBetween, stampOf } from "./changes.ts";
import { Connection, type Surroundings } from "./connection.ts";
import { Connections } from "./connections.ts";

const DIRECTORY_MODE = 0o755;
/** Behind the name of a database: its log, what readers and writers share, and what a transaction without a log leaves. */
const ENDINGS = ["", "-wal", "-shm", "-journal"] as const;

const DATABASE = ".db";
/** What Gambas locks for `Unique`; no database. */
const LOCK_OF_UNIQUE = "_unique_lock.db";

interface StagedChanges extends Staged {
  revision: Revision;
  readonly existing: Present | undefined;
  readonly changes: Changes;
}

export interface GambasSqliteOptions {
  readonly root: string;
  readonly around: Surroundings;
  /** In words, what is to be told of the guard where there is none. */
  readonly lacks: readonly string[];
  /** Databases that are kept open; each takes up to four descriptors. */
  readonly openSessions: number;
  /** Asked for a value in which an object occurs twice. */
  readonly dialect: () => Dialect;
  readonly log: Pick<Log, "warn">;
}

export class GambasSqliteStore implements Store<StagedChanges>, Recovery {
  readonly nameOf = mappedId;
  readonly keepsShares = false;
  readonly staysGone = true;
  /** A commit finds out in its transaction. */
  readonly checksOnPublish = true;
  readonly tellsRevisions = true;
  /** Whoever holds the lock of a database keeps all others from writing: we do for the length of a transaction, and never for that of a lease. */
  readonly locks = undefined;
  readonly open = undefined;
  /** Each program writes the keys it has changed, and no others: nothing of ours is ever undone by what one had loaded before. */
  readonly programs = undefined;
  readonly flushes = undefined;
  readonly watch = undefined;
  readonly directory: string;
  readonly recovery = this;
  readonly fileSystem: { readonly report: { readonly guard: boolean }; readonly lacks: readonly string[] };
  readonly #sessions: string;
  readonly #around: Surroundings;
  readonly #dialect: () => Dialect;
  readonly #connections: Connections;

  constructor({ root, around, lacks, openSessions, dialect, log }: GambasSqliteOptions) {
    this.directory = join(root, "session");
    this.#sessions = this.directory;
    this.#around = around;
    this.#dialect = dialect;
    this.#connections = new Connections({ around, sessions: this.#sessions, max: Math.max(1, openSessions), log });
    this.fileSystem = { report: { guard: around.guard !== undefined }, lacks };
  }

  stat(id: string): Revision | undefined {
    const stat = this.#lookAt(id);
    if (stat === undefined) return undefined;
    try {
      return this.#connections.get(id, stat.ino)?.revision;
    } catch (error) {
      // It is there, whatever it is: loading it tells why it is none.
      if (!isCode(error, "ERR_UNREADABLE")) throw error;
      return { ino: stat.ino, size: stat.size, mtimeMs: stat.mtimeMs };
    }
  }

  load(id: string, maxBytes: number): Loaded | undefined {
    const stat = this.#lookAt(id);
    const connection = stat && this.#connections.get(id, stat.ino);
    if (connection === undefined) return undefined;
    return { ...connection.load(maxBytes), isFleeting: false, changedMs: Date.now() };
  }

  header(id: string): Buffer | undefined {
    const stat = this.#lookAt(id);
    if (stat === undefined) return undefined;
    try {
      const days = this.#connections.glance(id, stat.ino, (connection) => connection.days());
      if (days === undefined) return undefined;
      const header = Buffer.alloc(HEADER_BYTES);
      writeDays(header, days);
      return header;
    } catch (error) {
      if (isCode(error, "ERR_UNREADABLE")) return undefined;
      throw error;
    }
  }

  /** Of the database and its log. */
  sizeOf(id: string): number | undefined {
    const size = this.#lookAt(id)?.size;
    const { path } = this.#connections.named(id);
    return size && size + (lstatSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  }

  async *ids(): AsyncGenerator<string> {
    for await (const name of this.#names()) {
      const id = idOfDatabase(name);
      if (id !== undefined) yield id;
    }
  }

  async *strangers(): AsyncGenerator<string> {
    for await (const name of this.#names())
      if (name.endsWith(DATABASE) && name !== LOCK_OF_UNIQUE && idOfDatabase(name) === undefined) yield name;
  }

  async *#names(): AsyncGenerator<string> {
    const directory = await opendir(this.#sessions, { bufferSize: 256 }).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (directory === undefined) return;
    for await (const { name } of directory) yield name;
  }

  stage(_id: string, image: Buffer, existing: Present | undefined): StagedChanges {
    const changes = changesBetween(existing?.image, image, this.#dialect);
    const { ino = 0, size = 0 } = existing?.revision ?? {};
    return { revision: { ino, size, mtimeMs: this.#around.revisions.next() }, existing, changes };
  }

  publish(id: string, staged: StagedChanges): boolean {
    const { existing, changes, revision } = staged;
    const stat = this.#lookAt(id);
    if (existing === undefined) return stat === undefined && this.#make(id, staged);
    const connection = this.#connections.find(id, stat?.ino);
    const written = connection?.write(existing.revision, changes, revision.mtimeMs);
    if (written === undefined) return false;
    staged.revision = written;
    return true;
  }

  #make(id: string, staged: StagedChanges): true {
    const { changes, revision } = staged;
    mkdirSync(this.#sessions, { recursive: true, mode: DIRECTORY_MODE });
    let connection: Connection;
    try {
      connection = Connection.create(this.#connections.named(id), this.#around, { changes, mtimeMs: revision.mtimeMs });
    } catch (error) {
      this.#removeNames(id);
      throw error;
    }
    this.#connections.keep(connection);
    this.#flush();
    staged.revision = connection.revision;
    return true;
  }

  stamp(id: string, startup: Buffer, existing: Revision): Revision | undefined {
    const days = stampOf(startup.readDoubleLE());
    const connection = this.#connections.find(id, this.#lookAt(id)?.ino);
    return connection?.stamp(existing, days);
  }

  /**
   * A program that has it loaded finds it empty, and saves into what nobody finds any more.
   *
   * @throws StoreBusy while a program is inside a transaction.
   */
  remove(id: string): void {
    const stat = this.#lookAt(id);
    try {
      if (stat !== undefined) this.#connections.get(id, stat.ino)?.empty(undefined, () => this.#removeNames(id));
    } catch (error) {
      // Whatever else the error: an end needs nothing that can be read or written.
      if (error instanceof StoreBusy) throw error;
    }
    this.#connections.close(id);
    this.#removeNames(id);
  }

  /** @throws StoreBusy while a program is inside a transaction; SQLite's error. */
  removeUnchanged(id: string, existing: Revision): boolean {
    const connection = this.#connections.find(id, this.#lookAt(id)?.ino);
    if (connection?.empty(existing, () => this.#removeNames(id)) !== true) return false;
    this.#connections.close(id);
    return true;
  }

  #removeNames(id: string): void {
    const { path } = this.#connections.named(id);
    for (const ending of ENDINGS) rmSync(`${path}${ending}`, { force: true });
    this.#flush();
  }

  /** For durability "fsync": names are on the disk, too. */
  #flush(): void {
    if (!this.#around.isDurable) return;
    const directory = openSync(this.#sessions, "r");
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }

  close(): void {
    this.#connections.closeAll();
  }

  #lookAt(id: string): Stats | undefined {
    return lstatSync(this.#connections.named(id).path, { throwIfNoEntry: false });
  }

  // -- Recovery

  /** A commit is one step: nothing of it lies anywhere before. */
  discard(): void {}

  /** Of one that was to make a session, what it has left of that goes. */
  wasPublished({ id, revision, replaced }: Attempt): boolean {
    const stat = this.#lookAt(id);
    if (stat === undefined) return false;
    try {
      return this.#connections.glance(id, stat.ino, (connection) => connection.hasMarkOf(revision)) === true;
    } catch (error) {
      if (!isCode(error, "ERR_UNREADABLE")) throw error;
      return false;
    } finally {
      if (replaced === undefined && this.isUnfinished(id)) this.#removeNames(id);
    }
  }

  /** What a kill leaves while a database is made: no byte of it, or no table. */
  isUnfinished(id: string): boolean {
    const stat = this.#lookAt(id);
    if (stat?.isFile() !== true) return false;
    if (stat.size === 0) return true;
    try {
      return this.#connections.glance(id, stat.ino, (connection) => connection.isEmpty) === true;
    } catch (error) {
      if (isCode(error, "ERR_UNREADABLE")) return false;
      throw error;
    }
  }

  removeLeftovers(): void {}

  removeAside(): void {}
}
