// What a new daemon must know of what the old one did: which commits were applied, and which sessions have ended.
//
// There is one append per turn of the event loop, before anything of that turn becomes visible: a record names the revision that a commit
// is about to become. All commits before the last append were carried out; of the commits in it, the store can tell (`wasPublished`).
// The journal survives the end of the process, not the loss of power: after that no worker is left that would send anything again.
// Its format stands in `records.ts`.

import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { isFull } from "../files/files.ts";
import type { Revision } from "../store/store.ts";
import { Batch, type CommitMark, type JournaledCommit, KIND, type Written } from "./records.ts";

/**
 * When a file has grown by this since it was begun, and by as much as it was begun with, a new one is begun; one old one is kept. So where
 * millions of sessions have ended, no more tombstones are copied than bytes were written since.
 */
const MIN_GROWTH_BYTES = 4 * 1024 * 1024;
/** Commits of the last daemon that a new one tells the next, with what they changed: more than all workers have in flight. */
const MAX_CARRIED_COMMITS = 32_768;

export class Journal {
  readonly #path: string;
  readonly #snapshot: () => Iterable<readonly [string, number]>;
  readonly #batch = new Batch();
  /** Undefined until it is begun: nothing is committed before, and what the next daemon must know is in the old one. */
  #fd: number | undefined;
  #size = 0;
  /** Bytes the file was begun with. */
  #firstSize = 0;
  /** What a new file begins with, until there is one. */
  #known: readonly JournaledCommit[];

  /**
   * Begins a new file with those records of the old one that still count. The old file may end in the middle of a record, and names commits
   * that were lost in a crash: nothing is appended to it, and the new file takes its place in one step.
   *
   * @param known the commits that were applied, whose workers may still send them again; and (`isLast`) those of which that cannot be told yet.
   * @param snapshot the ended sessions that still count, now and whenever a new file is begun.
   * @param mayWait where the disk is full it is begun by the first append for which there is room. The old one must tell the next daemon the same until then.
   */
  constructor(
    path: string,
    known: readonly JournaledCommit[],
    snapshot: () => Iterable<readonly [string, number]>,
    { mayWait = false }: { readonly mayWait?: boolean } = {},
  ) {
    this.#path = path;
    this.#snapshot = snapshot;
    this.#known = known.slice(-MAX_CARRIED_COMMITS);
    try {
      this.#fd = this.#begin();
    } catch (error) {
      if (!mayWait || !isFull(error)) throw error;
    }
  }

  get isBegun(): boolean {
    return this.#fd !== undefined;
  }

  #begin(): number {
    const first = new Batch();
    for (const commit of this.#known) first.noteCommit(commit.isLast ? KIND.undecided : KIND.carried, commit, commit);
    const [fd, size] = this.#writeNewFile(first, () => {
      renameSync(`${this.#path}.new`, this.#path);
      rmSync(`${this.#path}.old`, { force: true });
    });
    this.#size = size;
    this.#firstSize = size;
    this.#known = [];
    return fd;
  }

  noteCommit(mark: CommitMark, written: Written): void {
    this.#batch.noteCommit(KIND.commit, mark, written);
  }

  /** What could not be told of it before. Goes with the next append: until then the store tells it again. */
  noteDecided(commit: JournaledCommit, wasPublished: boolean): void {
    this.#batch.noteCommit(wasPublished ? KIND.carried : KIND.cancelled, commit, commit);
  }

  /** Goes with the next append: what is written now says so already. */
  noteEnded(id: string, whenMs: number): void {
    this.#batch.noteEnded(id, whenMs);
  }

  noteCancelled(mark: CommitMark, revision: Revision): void {
    this.#batch.noteCommit(KIND.cancelled, mark, { revision });
  }

  /** Writes that a session has ended. On a full disk an end must not fail for want of room: `makeRoom` removes the session's files. */
  end(id: string, whenMs: number, makeRoom: () => void): void {
    this.#batch.noteEnded(id, whenMs);
    try {
      this.append();
    } catch {
      // Whatever the system error: the second try meets it again.
      makeRoom();
      this.append();
    }
  }

  /** What was noted until now. */
  get mark(): number {
    return this.#batch.mark;
  }

  /** What was noted since, and could not be appended, will not be: where it was refused for that it need not be cancelled. */
  takeBack(mark: number): void {
    this.#batch.takeBack(mark);
  }

  /** Writes all noted records with one call. Throws the system's error, and keeps the records then. */
  append(): void {
    if (this.#batch.isEmpty) return;
    this.#fd ??= this.#begin();
    if (this.#size - this.#firstSize > Math.max(MIN_GROWTH_BYTES, this.#firstSize)) this.#beginNewFile(this.#fd);
    this.#size = this.#batch.appendTo(this.#fd, this.#size);
  }

  /** Gives the file its name back when somebody took it, a cleaner of `/tmp` say: without it the next daemon would know nothing. One stat. */
  keepName(): void {
    const nameless = this.#fd;
    if (nameless === undefined || statSync(this.#path, { throwIfNoEntry: false }) !== undefined) return;
    const told = Buffer.allocUnsafe(this.#size);
    readSync(nameless, told, 0, told.length, 0);
    const fd = openSync(`${this.#path}.new`, "w+", 0o600);
    try {
      writeFileSync(fd, told);
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
    closeSync(nameless);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  /** The full file stays as `.old`, for commits whose answers may still be on their way; the ended sessions are copied. */
  #beginNewFile(full: number): void {
    const [fd, size] = this.#writeNewFile(new Batch(), () => {
      // An earlier try may have failed between the two renames.
      if (existsSync(this.#path)) renameSync(this.#path, `${this.#path}.old`);
      renameSync(`${this.#path}.new`, this.#path);
    });
    this.#fd = fd;
    this.#size = size;
    this.#firstSize = size;
    closeSync(full);
  }

  /** Calls `name`, which renames the files, when all is written. Nothing stays open when anything fails. */
  #writeNewFile(first: Batch, name: () => void): [fd: number, size: number] {
    const fd = openSync(`${this.#path}.new`, "w+", 0o600);
    try {
      let size = 0;
      for (const [id, whenMs] of this.#snapshot()) {
        first.noteEnded(id, whenMs);
        if (first.isFull) size = first.appendTo(fd, size);
      }
      if (!first.isEmpty) size = first.appendTo(fd, size);
      name();
      return [fd, size];
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}
