// One open database: what it holds, whether anybody else has changed it, and a change of ours in one transaction. A process has one connection to a
// database at a time, and opens its files in no other way: closing any descriptor of a file drops all locks that the process has on it, SQLite's included.
//
//   OPEN    --write: takes the guard, begins as the writer, looks-->  WRITING  --commit-->   OPEN, of a new revision
//   OPEN    --write: somebody is inside a transaction-------------->  OPEN     nothing was done, StoreBusy
//   WRITING --any error-->                                            OPEN     rolled back
//   any     --close-->                                                CLOSED

import { closeSync, lstatSync, openSync, readSync } from "node:fs";
import { imageOfRows } from "../../../protocol/image/image.ts";
import { HEAD_BYTES, pagesIn } from "../../../protocol/log-head.ts";
import { isMissing, unreadable } from "../../files/files.ts";
import { isSameRevision, type Revision, StoreBusy } from "../store.ts";
import type { Changes } from "./changes.ts";
import type { Guard } from "./guard.ts";
import { type Database, type Library, RESULT, type Row, resultOf } from "./library.ts";
import { markOf, type Revisions } from "./revisions.ts";
import { MAKE_TABLES, Statements } from "./schema.ts";

/** Pages of the log after which it is brought into the database: as long as we have one open, Gambas programs are never the last to close it. */
const LOG_PAGES = 64;
/** Pages of one database in memory: a small session has 5. Others read what the system has in memory, too. */
const CACHED_PAGES = 8;

/** What all connections of an engine have in common. */
export interface Surroundings {
  readonly library: Library;
  /** Undefined: there is none. */
  readonly guard: Guard | undefined;
  /** Why there is none, and what to do, in words. */
  readonly noGuard?: string | undefined;
  /** Asked before each commit without a guard: whether no other program can be inside a transaction. */
  readonly isAlone: () => boolean;
  readonly revisions: Revisions;
  /** Each commit is flushed to the disk. */
  readonly isDurable: boolean;
  /** A load gives no database a log that has none: for those who look at each once, and may leave it as it is. */
  readonly leavesMode: boolean;
}

/** A database by the id of its session. */
export interface Named {
  readonly id: string;
  readonly path: string;
}

export class Connection {
  readonly named: Named;
  /** Number of the file; another one of this name is another session. */
  readonly ino: number;
  readonly #around: Surroundings;
  readonly #database: Database;
  readonly #statements: Statements;
  /** Of SQLite, for the revision. It changes with every commit of others, and with none of ours. */
  #version = Number.NaN;
  #revision: Revision | undefined;
  /** Of the log, as it was read last before that revision was found to be the present one, or right after it was made. */
  #head: Buffer | undefined;
  #isLogged = false;
  #isInside = false;
  #pageBytes = 0;
  /** Its files are not what they were when it was opened: it is of no use any more. */
  isBroken = false;
  /** Open on `-shm` for the guard; is closed after the database. */
  #slots: number | undefined;

  private constructor(named: Named, ino: number, { around, database }: { around: Surroundings; database: Database }) {
    this.named = named;
    this.ino = ino;
    this.#around = around;
    this.#database = database;
    this.#statements = new Statements(database);
  }

  /**
   * Opens a database that is there.
   *
   * @throws SessionError ERR_UNREADABLE for a file that is none; SQLite's error.
   */
  static open(named: Named, around: Surroundings): Connection | undefined {
    const ino = inodeOf(named);
    if (ino === undefined) return undefined;
    const database = translated(named, () => around.library.open(named.path));
    const connection = new Connection(named, ino, { around, database });
    try {
      connection.#begin();
      // Nothing of it is read before: it may have been replaced meanwhile.
      if (inodeOf(named) !== ino) throw new StoreBusy(`${named.path} is being replaced`);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Makes a database, where none is: a log first, and then all of it in one transaction. A kill in between leaves one without tables. */
  static create(
    named: Named,
    around: Surroundings,
    made: { readonly changes: Changes; readonly mtimeMs: number },
  ): Connection {
    const umask = process.umask(0o077);
    const database = around.library.open(named.path);
    let connection: Connection | undefined;
    try {
      database.exec(`PRAGMA synchronous = ${around.isDurable ? "FULL" : "OFF"}; PRAGMA journal_mode = WAL`);
      connection = new Connection(named, lstatSync(named.path).ino, { around, database });
      connection.#begin();
      connection.#make(made.changes, made.mtimeMs);
      return connection;
    } catch (error) {
      if (connection === undefined) database.close();
      else connection.close();
      throw error;
    } finally {
      process.umask(umask);
    }
  }

  #begin(): void {
    const { isDurable } = this.#around;
    // As Gambas' own connections: a kill of any process loses nothing that was committed. A loss of power may, where nobody asked for more.
    const pragmas = `PRAGMA synchronous = ${isDurable ? "FULL" : "OFF"}; PRAGMA wal_autocheckpoint = ${LOG_PAGES}; PRAGMA cache_size = ${CACHED_PAGES}`;
    // With its first page SQLite has taken memory for 20.
    translated(this.named, () => this.#database.exec(`${pragmas}; PRAGMA shrink_memory`));
  }

  #make(changes: Changes, mtimeMs: number): void {
    this.#enter("beginToWrite");
    if (this.#around.guard !== undefined) this.#openSlots();
    this.#database.exec(MAKE_TABLES);
    this.#apply(changes);
    this.#commit(mtimeMs);
    // Nobody else has it yet: its file is whole from the first moment, as one that Gambas has made. The log keeps its frames, and so a head that tells its state.
    this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
  }

  /** The state it is in now. @throws StoreBusy; SessionError ERR_UNREADABLE. */
  get revision(): Revision {
    return translated(this.named, () => this.#glanceAtRevision());
  }

  /** As `#lookAtRevision`, for a tenth of the time where the head tells it. Not to begin a transaction with: that begins with SQLite's look. */
  #glanceAtRevision(): Revision {
    const head = this.#slots === undefined ? undefined : headIn(this.#slots);
    if (this.#revision !== undefined && head !== undefined && this.#head?.equals(head) === true) return this.#revision;
    const revision = this.#lookAtRevision();
    this.#head = head;
    return revision;
  }

  #lookAtRevision(): Revision {
    const version = this.#statements.number("version");
    if (this.#revision === undefined || version !== this.#version) {
      this.#version = version;
      this.#revision = this.#revisionAt(this.#around.revisions.next());
    }
    return this.#revision;
  }

  #revisionAt(mtimeMs: number): Revision {
    this.#pageBytes ||= this.#statements.number("pageBytes");
    return { ino: this.ino, size: this.#statements.number("pages") * this.#pageBytes, mtimeMs };
  }

  /** Of a commit of ours. As long as we have the guard nobody can follow with another one: the head is that of this commit. */
  #revisionMade(mtimeMs: number): Revision {
    const head = this.#slots === undefined ? undefined : headIn(this.#slots);
    if (head === undefined) return this.#revisionAt(mtimeMs);
    this.#head = head;
    this.#pageBytes ||= this.#statements.number("pageBytes");
    return { ino: this.ino, size: pagesIn(head) * this.#pageBytes, mtimeMs, head };
  }

  /** Stamp and life time, in days. @throws as `load`. */
  days(): { readonly startup: number; readonly timeout: number } {
    return translated(this.named, () => this.#config());
  }

  #config(): { readonly startup: number; readonly timeout: number; readonly cookiePath: Buffer } {
    const row = this.#statements.of("config").get();
    if (row === undefined) throw unreadable(this.named.id, `has no row in "config"`);
    const { startup, timeout, path } = row;
    if (typeof startup !== "number" || typeof timeout !== "number")
      throw unreadable(this.named.id, `has a time stamp or life time in "config" that is no number`);
    return { startup, timeout, cookiePath: bytesIn(path) };
  }

  /**
   * All it holds, as of one moment.
   *
   * @throws SessionError ERR_UNREADABLE where it is no session, or has more bytes; StoreBusy; SQLite's error.
   */
  load(maxBytes: number): { readonly image: Buffer; readonly revision: Revision } {
    return translated(this.named, () => {
      this.#toLogIfPossible();
      this.#enter("begin");
      try {
        const revision = this.#lookAtRevision();
        const config = this.#config();
        const bytes = this.#statements.number("size");
        if (bytes > maxBytes)
          throw unreadable(this.named.id, `has ${bytes} bytes; at most ${maxBytes} are read (maxSessionBytes)`);
        return { image: imageOfRows({ ...config, values: this.#values() }), revision };
      } finally {
        this.#rollBack();
      }
    });
  }

  #values(): { readonly key: Buffer; readonly value: Buffer }[] {
    const met = new Set<string>();
    const values: { readonly key: Buffer; readonly value: Buffer }[] = [];
    for (const row of this.#statements.of("values").all()) {
      const key = bytesIn(row.key);
      const name = key.toString("latin1");
      if (!met.has(name)) values.push({ key, value: bytesIn(row.value) });
      met.add(name);
    }
    return values;
  }

  get isEmpty(): boolean {
    return translated(this.named, () => this.#statements.number("tables") === 0);
  }

  /** Whether it was our commit of this revision that changed it last, of all of ours. */
  hasMarkOf(revision: Revision): boolean {
    return translated(this.named, () => this.#statements.number("mark") === markOf(revision));
  }

  /**
   * Makes the changes in one transaction, if it still is in this state. Returns the revision it has then; undefined: nothing was done.
   *
   * @param mtimeMs of the new revision.
   * @throws StoreBusy where nothing was done because another program is at it; SQLite's error.
   */
  write(existing: Revision, changes: Changes, mtimeMs: number): Revision | undefined {
    return this.#write(existing, () => {
      this.#apply(changes);
      return this.#commit(mtimeMs);
    });
  }

  /** The same with the time stamp alone. */
  stamp(existing: Revision, startup: number): Revision | undefined {
    return this.#write(existing, () => {
      this.#statements.of("stamp").run(startup);
      this.#leave();
      this.#revision = this.#revisionMade(this.#around.revisions.next());
      return this.#revision;
    });
  }

  /**
   * Empties it, for programs that have it loaded, and takes its names away while nobody else can write.
   *
   * @param existing the state in which it must still be; undefined: any. False: it is not, and nothing was done.
   */
  empty(existing: Revision | undefined, removeNames: () => void): boolean {
    const isDone = this.#write(existing, () => {
      this.#statements.of("empty").run();
      this.#statements.of("timeout").run(0);
      removeNames();
      this.#leave();
      return true;
    });
    return isDone === true;
  }

  /**
   * The order matters:
   *   1. The guard is taken: no other program is inside a transaction. Refused, nothing was done that any of them could notice: had we begun to write
   *      first, one that is about to write would find us there, and sleep for 200 ms.
   *   2. We begin as the writer, and SQLite takes a reader slot for us, out of those that the guard has.
   *   3. We look whether anybody has changed it since. From now on nobody can.
   *   4. The guard is taken again, whole: somebody may have come in by our slot.
   *   5. The change, which is visible with its commit; SQLite gives back its slot.
   *   6. The guard is given back. Before 5 that would take the slot away that SQLite believes to have.
   */
  #write<T>(existing: Revision | undefined, change: () => T): T | undefined {
    return translated(this.named, () => {
      const { guard, noGuard, isAlone } = this.#around;
      if (guard === undefined && !isAlone()) throw unguarded(noGuard);
      this.#toLog();
      const slots = guard === undefined ? 0 : this.#openSlots();
      if (guard?.take(slots) === false) throw inTransaction();
      try {
        this.#enter("beginToWrite");
        if (existing !== undefined && !isSameRevision(this.#glanceAtRevision(), existing)) return undefined;
        if (guard?.take(slots) === false) throw inTransaction();
        return change();
      } finally {
        this.#rollBack();
        guard?.release(slots);
      }
    });
  }

  /** Once: it stays open for as long as the database does. */
  #openSlots(): number {
    try {
      this.#slots ??= openSync(`${this.named.path}-shm`, "r+");
      return this.#slots;
    } catch (error) {
      // Somebody has removed it: others that come now use another one.
      this.isBroken = isMissing(error);
      throw error;
    }
  }

  /** At its first load, as Gambas does; one that is damaged stays as it is, and so does one that cannot be written now. */
  #toLogIfPossible(): void {
    if (this.#isLogged || this.#around.leavesMode) return;
    this.#config();
    this.#statements.of("values");
    try {
      this.#toLog();
    } catch (error) {
      const result = resultOf(error);
      if (!(error instanceof StoreBusy) && result !== RESULT.busy && result !== RESULT.readOnly) throw error;
    }
  }

  /** As Gambas does at its first load: readers and a writer are no obstacle to each other from then on. */
  #toLog(): void {
    if (this.#isLogged) return;
    const mode = this.#statements.of("mode").get()?.journal_mode;
    const now = mode === "wal" ? mode : this.#statements.of("toLog").get()?.journal_mode;
    if (now !== "wal") throw new StoreBusy("it cannot have a write-ahead log now");
    // SQLite makes the files of the log with the next look.
    this.#lookAtRevision();
    this.#isLogged = true;
  }

  #apply({ startup, timeout, cookiePath, deleted, written }: Changes): void {
    const { of } = { of: (name: Parameters<Statements["of"]>[0]) => this.#statements.of(name) };
    of("stamp").run(startup);
    if (timeout !== undefined) of("timeout").run(timeout);
    if (cookiePath !== undefined) of("cookiePath").run(cookiePath.text);
    for (const key of deleted) of("delete").run(key);
    for (const { key, value } of written) {
      if (Number(of("update").run(value, key).changes) === 0) of("insert").run(key, value);
    }
  }

  #commit(mtimeMs: number): Revision {
    const mark = markOf({ mtimeMs });
    this.#database.exec(`PRAGMA user_version = ${mark}`);
    this.#leave();
    if (Number.isNaN(this.#version)) this.#version = this.#statements.number("version");
    this.#revision = this.#revisionMade(mtimeMs);
    return this.#revision;
  }

  #enter(how: "begin" | "beginToWrite"): void {
    this.#statements.of(how).run();
    this.#isInside = true;
  }

  #leave(): void {
    this.#statements.of("commit").run();
    this.#isInside = false;
  }

  /** Ends a transaction that is open; nothing where none is. */
  #rollBack(): void {
    if (!this.#isInside) return;
    this.#isInside = false;
    try {
      this.#statements.of("rollback").run();
    } catch (error) {
      if (resultOf(error) !== RESULT.error) throw error;
      // SQLite has ended it by itself: on a full disk, say.
    }
  }

  close(): void {
    try {
      this.#database.close();
    } finally {
      if (this.#slots !== undefined) closeSync(this.#slots);
      this.#slots = undefined;
    }
  }
}

/** Of the descriptor that the guard uses: another one could not be closed without harm. */
function headIn(slots: number): Buffer | undefined {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  return readSync(slots, head, 0, HEAD_BYTES, 0) === HEAD_BYTES ? head : undefined;
}

function inTransaction(): StoreBusy {
  return new StoreBusy("another program is inside a transaction of its database");
}

function unguarded(why = "there is none"): StoreBusy {
  return new StoreBusy(`a Gambas program runs, and without the guard nothing is written beside one; ${why}`);
}

/** Number of the file of a database. @throws SessionError ERR_UNREADABLE for what can be none. */
function inodeOf({ id, path }: Named): number | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) throw unreadable(id, "is a symbolic link");
  if (!stat.isFile()) throw unreadable(id, "is not a regular file");
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid) throw unreadable(id, `belongs to uid ${stat.uid}, not to ${uid}`);
  // SQLite would take it for a new database, and drop a log beside it.
  if (stat.size === 0) throw unreadable(id, "is empty");
  return stat.ino;
}

function bytesIn(value: Row[string] | undefined): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Buffer.alloc(0);
}

/** What SQLite says becomes what the seam says. */
function translated<T>({ id }: Named, step: () => T): T {
  try {
    return step();
  } catch (error) {
    const result = resultOf(error);
    const reason = error instanceof Error ? error.message : String(error);
    if (result === RESULT.busy || isMissing(error)) throw new StoreBusy(reason);
    if (result === RESULT.notADatabase || result === RESULT.corrupt) throw unreadable(id, `is damaged (${reason})`);
    if (result === RESULT.cannotOpen) throw unreadable(id, `cannot be opened (${reason})`);
    if (result === RESULT.error) throw unreadable(id, `is no database of a session (${reason})`);
    throw error;
  }
}
