// One open database: what it holds, whether anybody else has changed it, and a change of ours in one transaction. A process has one connection to a
// database at a time, and opens its files in no other way: closing any descriptor of a file drops all locks that the process has on it, SQLite's included.
//
//   OPEN    --write: takes the guard, begins as the writer, looks-->  WRITING  --commit-->   OPEN, of a new revision
//   OPEN    --write: somebody is inside a transaction-------------->  OPEN     nothing was done, StoreBusy
//   WRITING --any error-->                                            OPEN     rolled back
//   any     --close-->                                                CLOSED

import { lstatSync, rmSync } from "node:fs";
import { isCode } from "../../../protocol/errors.ts";
import { type Days, imageOfRows, readDaysOf } from "../../../protocol/image/image.ts";
import { isNextHead, pagesIn } from "../../../protocol/log-head.ts";
import { isSameRevision, type Revision, StoreBusy } from "../store.ts";
import type { Changes } from "./changes.ts";
import type { Guard } from "./guard.ts";
import { type Database, type Library, RESULT, type Row, resultOf } from "./library.ts";
import { inodeOf, inTransaction, type Named, translated, unguarded, unreadable } from "./problems.ts";
import { MAKE_TABLES, markOf, type Revisions, Statements } from "./schema.ts";
import { WriteAheadLog } from "./write-ahead-log.ts";

/** Pages of one database in memory: a small session has 5. Others read what the system has in memory, too. */
const CACHED_PAGES = 8;

const ENCODING = "UTF-8";

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
  #hasBegun = false;
  #isInside = false;
  #pageBytes = 0;
  /** What it holds after a commit is not what was committed alone. */
  #hasTriggers = false;
  #isBroken = false;
  readonly #log: WriteAheadLog;

  private constructor(named: Named, ino: number, { around, database }: { around: Surroundings; database: Database }) {
    this.named = named;
    this.ino = ino;
    this.#around = around;
    this.#database = database;
    this.#statements = new Statements(database);
    this.#log = new WriteAheadLog({ path: named.path, statements: this.#statements, guard: around.guard });
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
      // Nothing of it has been read: it may have been replaced meanwhile.
      checkIsStill(named.path, ino);
      connection.#tryToBegin();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Makes a database of an empty file: a log first, and then all of it in one transaction. A kill in between leaves one without tables. */
  static create(
    named: Named,
    around: Surroundings,
    made: { readonly changes: Changes; readonly mtimeMs: number },
  ): Connection {
    return translated(named, () => Connection.#create(named, around, made));
  }

  static #create(
    named: Named,
    around: Surroundings,
    made: { readonly changes: Changes; readonly mtimeMs: number },
  ): Connection {
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
    }
  }

  /** What SQLite says becomes what the seam says. */
  #step<T>(step: () => T): T {
    return translated(this.named, () => {
      if (!this.#hasBegun) this.#begin();
      return step();
    });
  }

  /** Another program may have it for itself: the next step tries again, which takes less with one that is open. */
  #tryToBegin(): void {
    try {
      this.#step(() => undefined);
    } catch (error) {
      if (!(error instanceof StoreBusy)) throw error;
    }
  }

  #begin(): void {
    const { isDurable } = this.#around;
    // As Gambas' own connections: a kill of any process loses nothing that was committed. A loss of power may, where nobody asked for more.
    const pragmas = `PRAGMA synchronous = ${isDurable ? "FULL" : "OFF"}; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = ${CACHED_PAGES}`;
    // With its first page SQLite has taken memory for 20.
    this.#database.exec(`${pragmas}; PRAGMA shrink_memory`);
    this.#hasBegun = true;
  }

  #make(changes: Changes, mtimeMs: number): void {
    this.#enter("beginToWrite");
    this.#log.begin();
    this.#head = this.#log.head;
    this.#database.exec(MAKE_TABLES);
    this.#apply(changes);
    this.#commit(mtimeMs);
    // Nobody else has it yet: its file is whole from the first moment, as one that Gambas has made. The log keeps its frames, and so a head that tells its state.
    this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
  }

  /** False: it is of no use any more, and is to be opened anew. */
  get isWhole(): boolean {
    return !this.#isBroken && this.#log.isWhole;
  }

  /** The state it is in now. @throws StoreBusy; SessionError ERR_UNREADABLE. */
  get revision(): Revision {
    return this.#step(() => this.#glanceAtRevision());
  }

  /** As `#lookAtRevision`, for a tenth of the time where the head tells it. Not to begin a transaction with: that begins with SQLite's look. */
  #glanceAtRevision(): Revision {
    const { head } = this.#log;
    if (this.#revision !== undefined && head !== undefined && this.#head?.equals(head) === true) return this.#revision;
    const revision = this.#lookAtRevision();
    this.#head = head;
    return revision;
  }

  #lookAtRevision(): Revision {
    const version = this.#statements.number("version");
    if (this.#revision === undefined || version !== this.#version) {
      this.#version = version;
      this.#lookAtMake();
      this.#revision = this.#revisionAt(this.#around.revisions.next());
    }
    return this.#revision;
  }

  /** How it is made, where others may have made it or changed that. */
  #lookAtMake(): void {
    this.#hasTriggers = this.#statements.number("triggers") > 0;
    if (this.#pageBytes > 0) return;
    const encoding = this.#statements.of("encoding").get()?.encoding;
    // Keys and texts would have to be turned at every step; and no Gambas makes one.
    if (encoding !== ENCODING)
      throw unreadable(this.named, `is encoded in ${encoding}: Gambas makes those of ${ENCODING}`);
    this.#pageBytes = this.#statements.number("pageBytes");
  }

  #revisionAt(mtimeMs: number): Revision {
    this.#pageBytes ||= this.#statements.number("pageBytes");
    return { ino: this.ino, size: this.#statements.number("pages") * this.#pageBytes, mtimeMs };
  }

  /**
   * Of a commit of ours. SQLite has given its slot back with that, and so a part of the guard: another program may have followed with a commit of its own, and
   * that has made the head. The next look finds out what it holds then.
   */
  #revisionMade(mtimeMs: number): Revision {
    const [before, now] = [this.#head, this.#log.head];
    // What triggers have made of it the next look tells, of everybody.
    if (this.#hasTriggers || now === undefined) {
      this.#revision = this.#hasTriggers ? undefined : this.#revisionAt(mtimeMs);
      return this.#revision ?? this.#revisionAt(mtimeMs);
    }
    const head = before !== undefined && isNextHead(now, before) ? now : undefined;
    this.#head = head;
    this.#pageBytes ||= this.#statements.number("pageBytes");
    this.#revision = { ino: this.ino, size: pagesIn(now) * this.#pageBytes, mtimeMs, head };
    return this.#revision;
  }

  /** Stamp and life time, in days. @throws as `load`. */
  days(): { readonly startup: number; readonly timeout: number } {
    return this.#step(() => this.#config());
  }

  #config(): { readonly startup: number; readonly timeout: number; readonly cookiePath: Buffer } {
    const row = this.#statements.of("config").get();
    if (row === undefined) throw unreadable(this.named, `has no row in "config"`);
    const { startup, timeout, path } = row;
    if (typeof startup !== "number" || typeof timeout !== "number")
      throw unreadable(this.named, `has a time stamp or life time in "config" that is no number`);
    return { startup, timeout, cookiePath: bytesIn(path) };
  }

  /**
   * All it holds, as of one moment.
   *
   * @throws SessionError ERR_UNREADABLE where it is no session, or has more bytes; StoreBusy; SQLite's error.
   */
  load(maxBytes: number): { readonly image: Buffer; readonly revision: Revision } {
    return this.#step(() => {
      const loaded = this.#load(maxBytes);
      return this.#turnsToLog(readDaysOf(loaded.image)) ? this.#load(maxBytes) : loaded;
    });
  }

  #load(maxBytes: number): { readonly image: Buffer; readonly revision: Revision } {
    this.#enter("begin");
    try {
      const revision = this.#lookAtRevision();
      const config = this.#config();
      const bytes = this.#statements.number("size");
      if (bytes > maxBytes)
        throw unreadable(this.named, `has ${bytes} bytes; at most ${maxBytes} are read (maxSessionBytes)`);
      return { image: imageOfRows({ ...config, values: this.#values() }), revision };
    } finally {
      this.#rollBack();
    }
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
    return this.#step(() => this.#statements.number("tables") === 0);
  }

  /** Whether it was our commit of this revision that changed it last, of all of ours. */
  hasMarkOf(revision: Revision): boolean {
    return this.#step(() => this.#statements.number("mark") === markOf(revision));
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
      return this.#revisionMade(this.#around.revisions.next());
    });
  }

  /**
   * Empties it, for programs that have it loaded, and takes its names away while nobody else can write. Its log is brought in before: a kill between two names
   * leaves a whole session or none, and no log with the values of one.
   *
   * @param existing the state in which it must still be; undefined: any. False: it is not, and nothing was done.
   */
  empty(existing: Revision | undefined, removeNames: () => void): boolean {
    const end = (): true => {
      this.#statements.of("empty").run();
      this.#statements.of("timeout").run(0);
      removeNames();
      this.#leave();
      return true;
    };
    return this.#write(existing, end, { isLast: true }) === true;
  }

  /**
   * The order matters:
   *   1. The guard is taken: no other program is inside a transaction. Refused, nothing was done that any of them could notice: had we begun to write
   *      first, one that is about to write would find us there, and sleep for 200 ms.
   *   2. We begin as the writer, and SQLite takes a reader slot for us, out of those that the guard has.
   *   3. We look whether anybody has changed it since. From now on nobody can.
   *   4. The guard is taken again where SQLite may have dropped it: somebody may have come in by our slot.
   *   5. The change, which is visible with its commit; SQLite gives back its slot.
   *   6. The guard is given back. Before 5 that would take the slot away that SQLite believes to have.
   */
  #write<T>(existing: Revision | undefined, change: () => T, { isLast = false } = {}): T | undefined {
    const { guard, noGuard, isAlone } = this.#around;
    if (guard === undefined && !isAlone()) throw unguarded(noGuard);
    return this.#step(() => {
      this.#log.turnTo();
      this.#log.bringInIfDue(this.#head, isLast);
      if (!this.#log.takeGuard()) throw inTransaction(this.named);
      try {
        this.#enter("beginToWrite");
        if (existing !== undefined && !isSameRevision(this.#glanceAtRevision(), existing)) return undefined;
        if (!this.#log.takeGuardAgain()) throw inTransaction(this.named);
        return change();
      } finally {
        this.#endWriting();
      }
    });
  }

  /** Whatever comes: with our locks on the slots nobody else could read. */
  #endWriting(): void {
    try {
      this.#rollBack();
    } finally {
      this.#log.releaseGuard();
    }
  }

  /** At its first load, as Gambas does, and after it: one that is damaged stays as it is. So does one that cannot be written now. */
  #turnsToLog(days: Days): boolean {
    if (this.#log.isOn || this.#around.leavesMode || isNeverSaved(days)) return false;
    try {
      this.#log.turnTo();
      return true;
    } catch (error) {
      const result = resultOf(error);
      const isDamaged = result === RESULT.corrupt || result === RESULT.notADatabase;
      if (isDamaged || (result === undefined && !isCode(error, "ERR_STORE"))) throw error;
      return false;
    }
  }

  #apply({ startup, timeout, cookiePath, deleted, written }: Changes): void {
    const { of } = { of: (name: Parameters<Statements["of"]>[0]) => this.#statements.of(name) };
    of("stamp").run(startup);
    if (timeout !== undefined) of("timeout").run(timeout);
    if (cookiePath !== undefined) of("cookiePath").run(cookiePath.text);
    for (const key of deleted) if (Number(of("delete").run(key).changes) === 0) throw this.#misses(key);
    for (const { key, value, isThere } of written) {
      if (Number(of("update").run(value, key).changes) > 0) continue;
      if (isThere) throw this.#misses(key);
      of("insert").run(key, value);
    }
  }

  /** A second row for the key would be found by some and not by others. */
  #misses(key: Buffer): Error {
    const what = `does not find the row that it has for the key ${JSON.stringify(key.toString())}`;
    return unreadable(this.named, `${what}: its index is damaged, or a trigger keeps it`);
  }

  #commit(mtimeMs: number): Revision {
    const mark = markOf({ mtimeMs });
    this.#database.exec(`PRAGMA user_version = ${mark}`);
    this.#leave();
    if (Number.isNaN(this.#version)) this.#version = this.#statements.number("version");
    return this.#revisionMade(mtimeMs);
  }

  #enter(how: "begin" | "beginToWrite"): void {
    this.#statements.of(how).run();
    this.#isInside = true;
  }

  #leave(): void {
    this.#statements.of("commit").run();
    this.#isInside = false;
    this.#log.noteCommit();
  }

  /** Ends a transaction that is open; nothing where none is. */
  #rollBack(): void {
    if (!this.#isInside) return;
    this.#isInside = false;
    try {
      this.#statements.of("rollback").run();
    } catch (error) {
      // SQLite has ended it by itself: on a full disk, say.
      if (resultOf(error) === RESULT.error) return;
      this.#isBroken = true;
      throw error;
    }
  }

  close(): void {
    try {
      this.#database.close();
    } finally {
      this.#log.close();
    }
  }
}

/** SQLite makes an empty database where there is none, of the same number perhaps: one that was removed in this moment must not be there again. */
function checkIsStill(path: string, ino: number): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.ino === ino && stat.size > 0) return;
  if (stat?.size === 0) rmSync(path, { force: true });
  throw new StoreBusy(`${path} is being replaced`);
}

/** A program has made it, and has not come to its first save. */
export function isNeverSaved({ startup }: { readonly startup: number }): boolean {
  return startup === 0;
}

function bytesIn(value: Row[string] | undefined): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Buffer.alloc(0);
}
