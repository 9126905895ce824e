// Whether a worker's copy of a session of type "sqlite" is current: what the files of its database tell of the state that it is in, without SQLite.
//
// Each commit of anybody changes the head of the log before it is acknowledged (`protocol/log-head.ts`), so a look that begins afterwards sees it. A copy is kept
// with a state that it belongs to, and is current as long as a look finds that very state. Which one that is:
// * Of its own commit the daemon tells the head, where nobody has followed with another one before it was read.
// * Before it asks for anything else the worker looks. What is answered is at least as new as that look; where a later one finds the same state, nobody
//   has committed since the first, so the answer is of that state. (To look when the answer has come would prove nothing.)
//
// Closing any descriptor of a file drops all locks that the process has on it: nothing in a worker, which has none, and the ruin of SQLite where that has
// the database open. So nothing is looked at while the daemon is in this process, nor without a connection: the one that comes next may be.

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, statfsSync } from "node:fs";
import { HEAD_PAIR_WORDS, headIn, headOf, isHeadIn, namesState } from "../../protocol/log-head.ts";
import { databaseName } from "../../protocol/session-id.ts";
import { type Kept, KeptOpen } from "./kept-open.ts";
import { isPast, LOOK_AGAIN_MS } from "./open-files.ts";

/** What the files of a database tell of its state. */
export interface DatabaseState {
  /** Of the database. */
  readonly ino: number;
  /** Undefined: it has no log. */
  readonly head: Int32Array | undefined;
  /** Where the head does not name the state alone: when the database itself was changed last. 0 where it does. */
  readonly ctimeMs: number;
}

interface Answered {
  readonly ino: number;
  readonly head?: Uint8Array | null | undefined;
}

/** A copy, and what is known of its database. */
export interface DatabaseCopy {
  readonly path: string;
  /** That its contents belong to; undefined: none is known, and the daemon is asked. */
  state: DatabaseState | undefined;
  database: OpenDatabase | undefined;
  /** Looks by name that found it current. */
  looks: number;
}

/**
 * `f_type` of ext2 to ext4, tmpfs, Btrfs, XFS and overlays of them: reads see at once what a process writes into memory that it has mapped. FUSE with
 * direct I/O, for one, does not have that.
 */
const COHERENT: ReadonlySet<number> = new Set([0xef53, 0x01021994, 0x9123683e, 0x58465342, 0x794c7630]);
/** Never waits for the other end of a pipe, and never follows a symbolic link. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
const QUIETLY = { throwIfNoEntry: false } as const;
/** After so many looks by name the files are kept open: opening costs more than that saves at once. */
const LOOKS_BEFORE_OPEN = 4;
const FILES_EACH = 2;

/** The head that was read last, twice. */
const pair = new Int32Array(HEAD_PAIR_WORDS);
const bytes = new Uint8Array(pair.buffer);

/**
 * The files of a database, kept open. The log still has its name as long as the number of its names is 1, which a removal changes, and a rename over it. The
 * database has its own as long: the last program that closes it removes the log and not the database, and whoever ends a session removes both, `Unique` of
 * Gambas as well. What somebody does by hand is noticed within a second, when both names are looked at again: a database that is removed without its log, a
 * directory that is renamed, a link.
 */
export class OpenDatabase implements Kept {
  readonly ino: number;
  readonly #path: string;
  readonly #database: number;
  readonly #log: number;
  readonly #logIno: number;
  /** When their names were looked at last. */
  #lookedMs = Number.NEGATIVE_INFINITY;
  #wasUsed = true;
  #isOpen = true;

  private constructor(path: string, database: number, log: number) {
    this.#path = path;
    this.#database = database;
    this.#log = log;
    this.ino = fstatSync(database).ino;
    this.#logIno = fstatSync(log).ino;
  }

  /** Throws the system's error. */
  static open(path: string): OpenDatabase {
    const database = openSync(path, FLAGS);
    try {
      return new OpenDatabase(path, database, openSync(`${path}-shm`, FLAGS));
    } catch (error) {
      closeSync(database);
      throw error;
    }
  }

  /** Reads the head, and looks whether these still are the files of that name. */
  look(nowMs: number): boolean {
    this.#wasUsed = true;
    if (!this.#isOpen) return false;
    if (!readPair(this.#log)) pair.fill(0);
    if (Math.abs(nowMs - this.#lookedMs) >= LOOK_AGAIN_MS) {
      const isNamed = (path: string, ino: number): boolean => lstatSync(path, QUIETLY)?.ino === ino;
      if (!isNamed(this.#path, this.ino) || !isNamed(`${this.#path}-shm`, this.#logIno)) return false;
      this.#lookedMs = nowMs;
    }
    return fstatSync(this.#log).nlink === 1;
  }

  /** Whether the look that was just made has found this state. The order is that of `stateByName`. */
  isIn({ ino, head, ctimeMs }: DatabaseState): boolean {
    if (head === undefined || ino !== this.ino || !isHeadIn(pair, head)) return false;
    return ctimeMs === 0 || fstatSync(this.#database).ctimeMs === ctimeMs;
  }

  /** What the look that was just made has found, at that time. */
  stateAt(nowMs: number): DatabaseState | undefined {
    const head = headIn(pair);
    return head === undefined ? undefined : stateOf(fstatSync(this.#database), head, nowMs);
  }

  takeUse(): boolean {
    const wasUsed = this.#wasUsed;
    this.#wasUsed = false;
    return wasUsed;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#database);
    closeSync(this.#log);
  }
}

export class Databases {
  readonly directory: string;
  /** Undefined: it is not known yet, since there is no directory. */
  #isCoherent: boolean | undefined;
  readonly #open: KeptOpen<OpenDatabase>;
  #isPaused = false;

  /** @param maxFiles that may be kept open. */
  constructor(directory: string, maxFiles: number) {
    this.directory = directory;
    this.#open = new KeptOpen(Math.floor(maxFiles / FILES_EACH));
  }

  pathOf(id: string): string {
    return `${this.directory}/${databaseName(id)}`;
  }

  /** No copy is current until `resume`, and nothing is open. */
  pause(): void {
    this.#isPaused = true;
    this.#open.closeAll();
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Whether the database is in the state of the copy. False: only the daemon can tell. */
  isCurrent(copy: DatabaseCopy, nowMs: number): boolean {
    const { state, database } = copy;
    if (state === undefined || !this.#mayLook) return false;
    try {
      if (database !== undefined) {
        if (database.look(nowMs)) return database.isIn(state);
        this.close(copy);
      }
      if (!isInByName(copy.path, state)) return false;
      copy.looks += 1;
      if (copy.looks >= LOOKS_BEFORE_OPEN && state.head !== undefined) this.#keepOpen(copy);
      return true;
    } catch {
      // Whatever the system error: it costs a question.
      return false;
    }
  }

  /** The state now, for contents that are asked for afterwards. Undefined: nothing could be told from it later. */
  look(path: string, database: OpenDatabase | undefined, nowMs: number): DatabaseState | undefined {
    if (!this.#mayLook) return undefined;
    try {
      return database?.look(nowMs) === true ? database.stateAt(nowMs) : stateByName(path, nowMs);
    } catch {
      // Whatever the system error: the next look may tell.
      return undefined;
    }
  }

  close(copy: DatabaseCopy): void {
    if (copy.database !== undefined) this.#open.close(copy.database);
    copy.database = undefined;
    copy.looks = 0;
  }

  closeAll(): void {
    this.#open.closeAll();
  }

  get #mayLook(): boolean {
    this.#isCoherent ??= isCoherent(this.directory);
    return this.#isCoherent === true && !this.#isPaused;
  }

  /** That they are the files of the name is found out when they are used. */
  #keepOpen(copy: DatabaseCopy): void {
    if (!this.#open.hasRoom) return;
    try {
      copy.database = OpenDatabase.open(copy.path);
    } catch {
      // Whatever the system error: looks by name go on.
      return;
    }
    this.#open.add(copy.database);
  }
}

/** The state that an answer of the daemon's belongs to. What was seen before counts if it was seen at the database that the daemon has. */
export function answeredState(answer: Answered, seen?: DatabaseState): DatabaseState | undefined {
  const { ino, head } = answer;
  const told = head ? headOf(head) : undefined;
  if (told !== undefined) return { ino, head: told, ctimeMs: 0 };
  return seen?.ino === ino ? seen : undefined;
}

/**
 * Where the head does not name the state alone the log is empty, and the database itself tells the rest: that is looked at last, and only counts if it was changed
 * longer ago than a tick of the clock that the system stamps files by. In the other order somebody could, in between, commit, bring the log
 * into the database and begin another one.
 */
function stateByName(path: string, nowMs: number): DatabaseState | undefined {
  const isThere = readPairOf(path);
  const head = isThere ? headIn(pair) : undefined;
  if (isThere ? head === undefined : hasLog(path)) return undefined;
  const stat = lstatSync(path, QUIETLY);
  return stat && stateOf(stat, head, nowMs);
}

function stateOf(
  { ino, ctimeMs }: { readonly ino: number; readonly ctimeMs: number },
  head: Int32Array | undefined,
  nowMs: number,
): DatabaseState | undefined {
  if (head !== undefined && namesState(head)) return { ino, head, ctimeMs: 0 };
  return isPast(ctimeMs, nowMs) ? { ino, head, ctimeMs } : undefined;
}

/** In the order of `stateByName`. */
function isInByName(path: string, { ino, head, ctimeMs }: DatabaseState): boolean {
  const isThere = readPairOf(path);
  const isSame = head === undefined ? !isThere && !hasLog(path) : isThere && isHeadIn(pair, head);
  const stat = isSame ? lstatSync(path, QUIETLY) : undefined;
  return stat !== undefined && stat.ino === ino && (ctimeMs === 0 || stat.ctimeMs === ctimeMs);
}

/** A program that was killed has left its log. */
function hasLog(path: string): boolean {
  return lstatSync(`${path}-wal`, QUIETLY) !== undefined;
}

/** False: nobody has the database open. */
function readPairOf(path: string): boolean {
  let log: number;
  try {
    log = openSync(`${path}-shm`, FLAGS);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  try {
    if (!readPair(log)) pair.fill(0);
    return true;
  } finally {
    closeSync(log);
  }
}

/** False: it is being made. */
function readPair(log: number): boolean {
  return readSync(log, bytes, 0, bytes.length, 0) === bytes.length;
}

function isCoherent(directory: string): boolean | undefined {
  if (process.platform !== "linux") return false;
  try {
    return COHERENT.has(statfsSync(directory).type);
  } catch {
    // Any system error: the directory is missing or closed to this worker.
    return undefined;
  }
}
