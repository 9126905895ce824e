// Whether a worker's copy of a session of type "sqlite" is current: what the files of its database tell of the state that it is in, without SQLite.
//
// Each commit of anybody changes the head of the log before it is acknowledged (`protocol/log-head.ts`), so a look that begins afterwards sees it. A copy is kept
// with a state that it belongs to, and is current as long as a look finds that very state. Which one that is:
// * Of its own commit the daemon tells the head, where nobody has followed with another one before it was read.
// * Before it asks for anything else the worker looks. What is answered is at least as new as that look; where a later one finds the same state, nobody
//   has committed since the first, so the answer is of that state. (To look when the answer has come would prove nothing.)
//
// What a look costs depends on what is known of the copy:
//
// UNKNOWN  no state is kept with it: the daemon is asked           --its answer-->                                      KNOWN
// KNOWN    the head is read                                        --it is the state's, and the log is at rest-->       SETTLED
// KNOWN    the head is read                                        --it is another one, or the database is-->           UNKNOWN
// SETTLED  one fstat of the log: nothing was written to it since   --another change time; a second since the head-->    KNOWN
//
// A commit writes its pages into the log (`-wal`) and changes the head afterwards, and each write gives the log another change time. So as long as that is the
// one of before the head was read, nobody has committed since. The log is at rest, and this holds, unless
// * the change time is so young that a later write may get it again (`isPast`);
// * a writer has written all that it has to, and was stopped before it changed the head. In front of each page it has written, earlier, a header with the
//   salts of the head, so the one behind those that count tells of it. Who begins a log may draw salts of its own: in one without a frame nothing may have
//   been written at all.
//
// Nothing else makes a commit visible. A checkpoint changes no contents. A recovery counts frames that it finds: the second case. Who leaves the log, for another
// journal or as the last program that closes it, removes it, which changes its change time as well. What is wrong all the same, since somebody has set the clock
// back, or done something by hand, is so for a second.
//
// Closing any descriptor of a file drops all locks that the process has on it: nothing in a worker, which has none, and the ruin of SQLite where that has
// the database open. So nothing is looked at while the daemon is in this process, nor without a connection: the one that comes next may be.

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statfsSync } from "node:fs";
import {
  FRAME_HEADER_WORDS,
  HEAD_PAIR_WORDS,
  headIn,
  headOf,
  isFrameOf,
  isHeadIn,
  namesState,
  nextFrameAt,
} from "../../protocol/log-head.ts";
import { databaseName } from "../../protocol/session-id.ts";
import { type Kept, KeptOpen } from "./kept-open.ts";
import { isPast, LOOK_AGAIN_MS, TICK_MS } from "./open-files.ts";

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
 * `f_type` of ext2 to ext4, tmpfs, Btrfs, XFS and overlays of them: reads see at once what a process writes into memory that it has mapped, and a
 * write gives a file another change time at once. FUSE with direct I/O, for one, does not have the first.
 */
const COHERENT: ReadonlySet<number> = new Set([0xef53, 0x01021994, 0x9123683e, 0x58465342, 0x794c7630]);
/** Never waits for the other end of a pipe, and never follows a symbolic link. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
const QUIETLY = { throwIfNoEntry: false } as const;
/** After so many looks by name the files are kept open: opening costs more than that saves at once. */
const LOOKS_BEFORE_OPEN = 4;
/** The head and the log. */
const FILES_EACH = 2;

/** The head that was read last, twice. */
const pair = new Int32Array(HEAD_PAIR_WORDS);
const bytes = new Uint8Array(pair.buffer);
const frame = new Int32Array(FRAME_HEADER_WORDS);
const frameBytes = new Uint8Array(frame.buffer);

/**
 * The two files beside a database, kept open: the log, and the one with its head. The head still has its name as long as the number of its names is 1, which a removal
 * changes, and a rename over it. The database has its own as long: the last program that closes it removes the log and not the database, and whoever ends
 * a session removes both, `Unique` of Gambas as well. What somebody does by hand is noticed within a second, when all names are looked at again: a
 * database that is removed without its log, a directory that is renamed, a link.
 */
export class OpenDatabase implements Kept {
  readonly #path: string;
  readonly #ino: number;
  readonly #head: number;
  readonly #headIno: number;
  readonly #log: number;
  readonly #logIno: number;
  /** When their names were looked at last. */
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** The log as it was before the look that was just made, if that looked at names, too. */
  #logBefore: Stats | undefined;
  /** That the database was in when the log was found at rest, with this change time. */
  #settled: DatabaseState | undefined;
  #settledMs = 0;
  #wasUsed = true;
  #isOpen = true;

  private constructor(path: string, ino: number, files: { readonly head: number; readonly log: number }) {
    this.#path = path;
    this.#ino = ino;
    this.#head = files.head;
    this.#headIno = fstatSync(files.head).ino;
    this.#log = files.log;
    this.#logIno = fstatSync(files.log).ino;
  }

  /** Throws the system's error. */
  static open(path: string): OpenDatabase {
    const { ino } = lstatSync(path);
    const head = openSync(`${path}-shm`, FLAGS);
    try {
      return new OpenDatabase(path, ino, { head, log: openSync(`${path}-wal`, FLAGS) });
    } catch (error) {
      closeSync(head);
      throw error;
    }
  }

  /** Whether nothing was written to the log since the database was in this state. False: a look can tell. */
  isSettled(state: DatabaseState, nowMs: number): boolean {
    this.#wasUsed = true;
    if (this.#settled !== state || Math.abs(nowMs - this.#lookedMs) >= LOOK_AGAIN_MS) return false;
    return fstatSync(this.#log).ctimeMs === this.#settledMs;
  }

  /** Reads the head, and looks whether these still are the files of that name. */
  look(nowMs: number): boolean {
    this.#wasUsed = true;
    this.#settled = undefined;
    if (!this.#isOpen) return false;
    // Before the head: what is written while this goes on is to be noticed afterwards.
    this.#logBefore = Math.abs(nowMs - this.#lookedMs) >= TICK_MS ? fstatSync(this.#log) : undefined;
    if (!readPair(this.#head)) pair.fill(0);
    if (this.#logBefore !== undefined) {
      if (!this.#areNamed()) return false;
      this.#lookedMs = nowMs;
    }
    return fstatSync(this.#head).nlink === 1;
  }

  #areNamed(): boolean {
    const isNamed = (ending: string, ino: number): boolean => lstatSync(this.#path + ending, QUIETLY)?.ino === ino;
    return isNamed("", this.#ino) && isNamed("-shm", this.#headIno) && isNamed("-wal", this.#logIno);
  }

  /** Whether the look that was just made has found this state. The order is that of `stateByName`. */
  isIn(state: DatabaseState): boolean {
    const { ino, head, ctimeMs } = state;
    if (head === undefined || ino !== this.#ino || !isHeadIn(pair, head)) return false;
    if (ctimeMs !== 0 && !isUnchanged(this.#path, state)) return false;
    if (this.#logBefore !== undefined && this.#isAtRest(this.#logBefore, head)) {
      this.#settled = state;
      this.#settledMs = this.#logBefore.ctimeMs;
    }
    return true;
  }

  #isAtRest({ nlink, size, ctimeMs }: Stats, head: Int32Array): boolean {
    if (nlink !== 1 || !isPast(ctimeMs, this.#lookedMs)) return false;
    if (!namesState(head)) return size === 0;
    const next = nextFrameAt(head);
    if (size < next) return false;
    const length = readSync(this.#log, frameBytes, 0, frameBytes.length, next);
    return length < frameBytes.length || !isFrameOf(frame, head);
  }

  /** What the look that was just made has found, at that time. */
  stateAt(nowMs: number): DatabaseState | undefined {
    const head = headIn(pair);
    const stat = head && lstatSync(this.#path, QUIETLY);
    return stat && stateOf(stat, head, nowMs);
  }

  takeUse(): boolean {
    const wasUsed = this.#wasUsed;
    this.#wasUsed = false;
    return wasUsed;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#settled = undefined;
    closeSync(this.#head);
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
        if (database.isSettled(state, nowMs)) return true;
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
function isInByName(path: string, state: DatabaseState): boolean {
  const { head } = state;
  const isThere = readPairOf(path);
  const isSame = head === undefined ? !isThere && !hasLog(path) : isThere && isHeadIn(pair, head);
  return isSame && isUnchanged(path, state);
}

function isUnchanged(path: string, { ino, ctimeMs }: DatabaseState): boolean {
  const stat = lstatSync(path, QUIETLY);
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
