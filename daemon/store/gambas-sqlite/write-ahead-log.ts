// The write-ahead log of one open database, with what SQLite keeps beside that: turns a database to it, holds the guard's place in it, brings it into the
// database, and tells when somebody has taken its files away. Knows no session.

import { closeSync, lstatSync, openSync, readSync } from "node:fs";
import { SessionError } from "../../../protocol/errors.ts";
import { framesIn, HEAD_BYTES } from "../../../protocol/log-head.ts";
import { isMissing } from "../../files/files.ts";
import type { Guard } from "./guard.ts";
import type { Statements } from "./schema.ts";

/** Commits after which it is brought into the database: as long as we have one open, Gambas programs are never the last to close it, which is when they would. */
const COMMITS = 32;
/** Or so many frames, as Gambas' own connections do: each commit to a large value takes as many as the value has pages. */
const FRAMES = 1_000;
/** So often it is looked whether its files still have their names. */
const LOOK_MS = 100;
const ENDINGS = ["-wal", "-shm"] as const;

interface LogParts {
  /** Of the database. */
  readonly path: string;
  readonly statements: Statements;
  /** Undefined: there is none. */
  readonly guard: Guard | undefined;
}

export class WriteAheadLog {
  readonly #parts: LogParts;
  /** Inodes of its files; undefined before there is a log. */
  #inodes: readonly number[] | undefined;
  /** Open on `-shm` for the guard. */
  #slots: number | undefined;
  /** When its files were looked for last, in Unix ms. */
  #lookedMs = 0;
  #hasLostFiles = false;
  #commits = 0;
  /** Frames that it had when it was to be brought in last. */
  #framesTried = 0;

  constructor(parts: LogParts) {
    this.#parts = parts;
  }

  get isOn(): boolean {
    return this.#inodes !== undefined;
  }

  /**
   * False: its files have lost their names, by hand or by what cleans /tmp. Programs that come now use other ones, and would neither see our commits nor
   * be seen: the database is to be opened anew.
   */
  get isWhole(): boolean {
    const nowMs = Date.now();
    if (Math.abs(nowMs - this.#lookedMs) > LOOK_MS) {
      const inodes = this.#inodes;
      this.#hasLostFiles ||= inodes !== undefined && this.#look().some((ino, place) => ino !== inodes[place]);
      this.#lookedMs = nowMs;
    }
    return !this.#hasLostFiles;
  }

  #look(): readonly number[] {
    return ENDINGS.map((ending) => lstatSync(this.#parts.path + ending, { throwIfNoEntry: false })?.ino ?? 0);
  }

  /**
   * As Gambas does at its first load: readers and a writer are no obstacle to each other from then on.
   *
   * @throws SessionError ERR_STORE where the place does not let it; SQLite's error.
   */
  turnTo(): void {
    if (this.isOn) return;
    const { statements, path } = this.#parts;
    const mode = statements.of("mode").get()?.journal_mode;
    const now = mode === "wal" ? mode : statements.of("toLog").get()?.journal_mode;
    if (now !== "wal") throw noLog(path, now);
    // SQLite makes the files of the log with the next look.
    statements.number("version");
    this.#inodes = this.#look();
  }

  /** Never waits: false while another program is inside a transaction. True where there is no guard. */
  takeGuard(): boolean {
    const { guard } = this.#parts;
    return guard === undefined || guard.take(this.#openSlots());
  }

  /** Where it is held, again what SQLite may have dropped of it. False: another program has come in there. */
  takeGuardAgain(): boolean {
    return this.#slots === undefined || this.#parts.guard?.takeAgain(this.#slots) !== false;
  }

  releaseGuard(): void {
    if (this.#slots !== undefined) this.#parts.guard?.release(this.#slots);
  }

  /** Once: it stays open for as long as the database does. */
  #openSlots(): number {
    try {
      this.#slots ??= openSync(`${this.#parts.path}-shm`, "r+");
      return this.#slots;
    } catch (error) {
      this.#hasLostFiles = isMissing(error);
      throw error;
    }
  }

  /** Of a database that is being made: there is a log already, or never will be. */
  begin(): void {
    const mode = this.#parts.statements.of("mode").get()?.journal_mode;
    if (mode !== "wal") throw noLog(this.#parts.path, mode);
    if (this.#parts.guard !== undefined) this.#openSlots();
  }

  /** Its head as the last commit of anybody has made it. Undefined where there is no guard: another descriptor could not be closed without harm. */
  get head(): Buffer | undefined {
    if (this.#slots === undefined) return undefined;
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    return readSync(this.#slots, head, 0, HEAD_BYTES, 0) === HEAD_BYTES ? head : undefined;
  }

  noteCommit(): void {
    this.#commits += 1;
  }

  /**
   * Before a commit, outside of a transaction and of the guard: what workers know of the head of the log stays true until the next commit.
   *
   * @param head as it was read last.
   */
  bringInIfDue(head: Buffer | undefined, isDue = false): void {
    const frames = head === undefined ? 0 : framesIn(head);
    if (!isDue && this.#commits < COMMITS && frames - this.#framesTried < FRAMES) return;
    this.#framesTried = frames;
    this.#bringIn();
  }

  /**
   * In two steps. SQLite brings a log into the database under a lock on the first slot, which the guard would keep from it. And a log that is begun anew makes
   * stale whoever is inside a transaction: that step is guarded. What cannot be done now is tried after further commits.
   */
  #bringIn(): void {
    this.#commits = 0;
    const { statements } = this.#parts;
    try {
      const { busy, log, checkpointed } = statements.of("bringIn").get() ?? {};
      if (busy !== 0 || log !== checkpointed || !this.takeGuard()) return;
      try {
        if (statements.of("beginAnew").get()?.busy === 0) this.#framesTried = 0;
      } finally {
        this.releaseGuard();
      }
    } catch {
      // Whatever the error: what was committed is in the log, and stays there.
    }
  }

  /** After the database: closing a descriptor drops all locks that this process has on the file. */
  close(): void {
    if (this.#slots !== undefined) closeSync(this.#slots);
    this.#slots = undefined;
  }
}

/** SQLite leaves a database in its mode, without an error, where it finds that there is nothing for programs to share. It never will be. */
function noLog(path: string, mode: unknown): SessionError {
  const what = `The database ${path} cannot have a write-ahead log, and stays in mode ${mode}: its file system has no memory that programs share.`;
  return new SessionError("ERR_STORE", `${what} Keep the root on another one (--root).`);
}
