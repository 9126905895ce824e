// The engine that keeps sessions where Gambas keeps those of its own default type: a database each, used by Gambas programs at the same time (README.md).
// A commit is one transaction that touches the rows of the keys it names, beside the stamp, and that keeps every save of a Gambas program whole.

import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, rmSync, type Stats } from "node:fs";
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { isCode } from "../../../protocol/errors.ts";
import {
  type Days,
  type Dialect,
  HEADER_BYTES,
  readDaysOf,
  startupBytes,
  writeDays,
} from "../../../protocol/image/image.ts";
import { idOfDatabase, mappedId } from "../../../protocol/session-id.ts";
import { isMissing, isSystemError } from "../../files/files.ts";
import type { Log } from "../../report/report.ts";
import {
  type Attempt,
  type Loaded,
  type OpenSessions,
  type Present,
  type Recovery,
  type Revision,
  type Staged,
  type Store,
  StoreBusy,
} from "../store.ts";
import { type Changes, changesBetween, stampOf } from "./changes.ts";
import { Connection, isNeverSaved, type Surroundings } from "./connection.ts";
import { Connections } from "./connections.ts";
import { translated } from "./problems.ts";

const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o600;
/** Behind the name of a database: its log, what readers and writers share, and what a transaction without a log leaves. */
const [LOG, SHARED] = ["-wal", "-shm"];
const ENDINGS = ["", LOG, SHARED, "-journal"] as const;

const DATABASE = ".db";
/** What Gambas locks for `Unique`; no database. */
const LOCK_OF_UNIQUE = "_unique_lock.db";

const DAY_MS = 86_400_000;

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
  /** As many in one turn, or the first would be closed again by the last. None is closed because it was only read: an open one tells whether it is current. */
  readonly open: OpenSessions;
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
    this.open = { max: Math.max(1, openSessions), cool: () => undefined };
    this.#connections = new Connections({ around, sessions: this.#sessions, max: this.open.max, log });
    this.fileSystem = { report: { guard: around.guard !== undefined }, lacks };
  }

  stat(id: string): Revision | undefined {
    const stat = this.#lookAt(id);
    if (stat === undefined) return undefined;
    try {
      return this.#connections.withDescriptors(() => this.#connections.get(id, stat.ino)?.revision);
    } catch (error) {
      // It is there, whatever it is: loading it tells why it is none.
      if (!isCode(error, "ERR_UNREADABLE")) throw error;
      return { ino: stat.ino, size: stat.size, mtimeMs: stat.mtimeMs };
    }
  }

  load(id: string, maxBytes: number): Loaded | undefined {
    const stat = this.#lookAt(id);
    if (stat === undefined) return undefined;
    const loaded = this.#connections.withDescriptors(() => this.#connections.get(id, stat.ino)?.load(maxBytes));
    if (loaded === undefined || isBeingMade(readDaysOf(loaded.image), stat)) return undefined;
    return { ...loaded, isFleeting: false, changedMs: Date.now() };
  }

  header(id: string): Buffer | undefined {
    const stat = this.#lookAt(id);
    if (stat === undefined) return undefined;
    try {
      const days = this.#daysOf(id, stat);
      if (days === undefined) return undefined;
      const header = Buffer.alloc(HEADER_BYTES);
      writeDays(header, days);
      if (isBeingMade(days, stat)) startupBytes(stat.mtimeMs).copy(header);
      return header;
    } catch (error) {
      if (isCode(error, "ERR_UNREADABLE")) return undefined;
      throw error;
    }
  }

  #daysOf(id: string, { ino }: Stats): Days | undefined {
    const look = () => this.#connections.glance(id, ino, (connection) => connection.days());
    return this.#connections.withDescriptors(look);
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
    if (existing === undefined) {
      if (this.#connections.withDescriptors(() => this.#make(id, staged))) return true;
      this.#checkIsSaved(id);
      return false;
    }
    const ino = this.#lookAt(id)?.ino;
    const write = () => this.#connections.find(id, ino)?.write(existing.revision, changes, revision.mtimeMs);
    const written = this.#connections.withDescriptors(write);
    if (written === undefined) return false;
    staged.revision = written;
    return true;
  }

  /** @throws StoreBusy where looks find none because its program has not saved it yet: they would find none in the next turn, either, and so on. */
  #checkIsSaved(id: string): void {
    const stat = this.#lookAt(id);
    const days = stat && this.#daysOf(id, stat);
    if (stat === undefined || days === undefined || !isBeingMade(days, stat)) return;
    throw new StoreBusy(`${this.#connections.named(id).path} was made by another program, which has not saved it yet`);
  }

  /** False: another program has made one. */
  #make(id: string, staged: StagedChanges): boolean {
    const { changes, revision } = staged;
    const named = this.#connections.named(id);
    mkdirSync(this.#sessions, { recursive: true, mode: DIRECTORY_MODE });
    if (!translated(named, () => isMadeNow(named.path))) return false;
    let connection: Connection;
    try {
      connection = Connection.create(named, this.#around, { changes, mtimeMs: revision.mtimeMs });
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
    const ino = this.#lookAt(id)?.ino;
    return this.#connections.withDescriptors(() => this.#connections.find(id, ino)?.stamp(existing, days));
  }

  /**
   * A program that has it loaded finds it empty, and saves into what nobody finds any more.
   *
   * @throws StoreBusy while a program is inside a transaction.
   */
  remove(id: string): void {
    const stat = this.#lookAt(id);
    try {
      const empty = () => this.#connections.get(id, stat?.ino)?.empty(undefined, () => this.#removeNames(id));
      if (stat !== undefined) this.#connections.withDescriptors(empty);
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

  /**
   * A kill between two of them leaves either a database that has all there is, or nothing of its values: a log without one would stay for ever, since nobody
   * knows whether somebody means to put its database back.
   */
  #removeNames(id: string): void {
    const { path } = this.#connections.named(id);
    const log = lstatSync(`${path}${LOG}`, { throwIfNoEntry: false });
    const endings = log?.size === 0 ? [LOG, SHARED, ...ENDINGS] : ENDINGS;
    for (const ending of endings) rmSync(`${path}${ending}`, { force: true });
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

  close(): Promise<void> {
    return this.#connections.closeAll();
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
    const isUnfinished = replaced === undefined && this.isUnfinished(id);
    if (isUnfinished) this.#removeNames(id);
    return !isUnfinished && this.#connections.glance(id, stat.ino, (one) => one.hasMarkOf(revision)) === true;
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

/**
 * As Gambas does it, a database is there before the first save of the session. Its cookie is under way, and its program has it open: nobody else
 * ends it, for as long as it could live.
 */
function isBeingMade(days: Days, { mtimeMs }: Stats): boolean {
  return isNeverSaved(days) && Date.now() - mtimeMs < days.timeout * DAY_MS;
}

/**
 * Makes an empty file where nothing is: no session yet, for whoever opens it. SQLite would make one that others may read, if the process lets them, and
 * would as gladly take what another program has made there; its log gets the mode of the database.
 */
function isMadeNow(path: string): boolean {
  try {
    closeSync(openSync(path, "wx", FILE_MODE));
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    throw error;
  }
}
