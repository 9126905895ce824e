// The way of commits into the store: all sessions that have work at one moment go it together, with one append to the journal and, for
// durability "fsync", one flush of the directory. "Acknowledged" and "applied once" rest on the order of its steps.

import type { ForeignWriters } from "../foreign/foreign.ts";
import type { CommitMark, Journal } from "../once/once.ts";
import type { Log } from "../report/report.ts";
import type { Flushes } from "../store/store.ts";
import type { CommitTurn, EndTurn } from "../turns/turns.ts";
import { storeError } from "../turns/turns.ts";
import type { Prepared, Session } from "./session.ts";

export interface BatchParts {
  /** Undefined for engines that keep nothing beyond this process. */
  readonly journal: Journal | undefined;
  /** Undefined: a commit counts when it is in the store. Else when it has been flushed, too. */
  readonly flushes: Flushes | undefined;
  readonly foreign: ForeignWriters;
  readonly log: Log;
  /** The clock, in Unix ms. */
  readonly now: () => number;
  /** False once another daemon may have our place: from then on nothing is written any more. */
  readonly mayWrite: () => boolean;
  /** The commit has been applied and acknowledged. `answeredMs`: performance.now(). */
  readonly noteApplied: (turn: CommitTurn, answeredMs: number) => void;
  /** The session has had its turn. */
  readonly settle: (session: Session) => void;
}

const NOTHING: readonly Prepared[] = [];
const NO_TURNS: readonly CommitTurn[] = [];

export class CommitBatch {
  readonly #parts: BatchParts;
  /** Batches that the disk works on, and the commits in them by `nameOf`. */
  readonly #toDisk = new Set<Promise<void>>();
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(parts: BatchParts) {
    this.#parts = parts;
  }

  /** Batches and ends that the disk works on. */
  get underWay(): Iterable<Promise<void>> {
    return this.#toDisk;
  }

  get isWorking(): boolean {
    return this.#toDisk.size > 0;
  }

  /** Resolves when the fate of this commit is known; undefined when the disk does not work on it. */
  whenDecided(turn: CommitTurn): Promise<void> | undefined {
    return this.#underWay.size === 0 ? undefined : this.#underWay.get(nameOf(turn));
  }

  /** Gives these sessions their turns. */
  run(sessions: readonly Session[]): void {
    if (sessions.length === 0) return;
    if (!this.#parts.mayWrite()) {
      for (const session of sessions) session.giveUp(NO_TURNS);
      return;
    }
    const prepared = this.#prepare(sessions);
    if (prepared.length === 0) return;
    const done = this.#commit(prepared);
    if (this.#parts.flushes !== undefined) this.#track(done, prepared);
  }

  /** The end of a session is answered when it cannot be undone: a user who signed out must not be signed in again by a power cut. */
  durably(id: string, turn: EndTurn): EndTurn {
    const { flushes } = this.#parts;
    if (flushes === undefined) return turn;
    const answer = (): void => {
      const failed = (error: unknown): void => turn.fail(storeError(id, error));
      this.#track(flushes.published().then(turn.answer, failed), NOTHING);
    };
    return { ...turn, answer };
  }

  /**
   * The story of a commit. With durability "file" it runs to its end without a pause, and nothing but a kill comes in between. A kill leaves,
   *   after step 1, 2   the old contents, ours aside: the next daemon throws ours away, and applies the commits that are sent again;
   *   after step 3      the same, and the journal says that these commits are about to become these revisions: the store tells the next
   *                     daemon that they have not (`wasPublished`), and it applies them when they are sent again;
   *   within step 4     some published, some not: the store tells for each;
   *   after step 4, 5   all published: the journal tells the next daemon, which answers commits that are sent again and applies none twice;
   *   after step 6      the same: whether an answer has arrived makes no difference.
   * A power cut loses no more than a kill once step 5 has been done, which only durability "fsync" does.
   */
  async #commit(prepared: readonly Prepared[]): Promise<void> {
    // 1. Each session has its lock, contents that are current, and its next revision staged.
    const { flushes } = this.#parts;
    // 2. Staged contents are on the disk before a name leads to them.
    const staged = flushes === undefined ? prepared : await this.#flushStaged(prepared, flushes);
    // 3. One append names every commit and the revision it is about to become.
    const noted = this.#note(staged);
    // 4. Each becomes visible in one step, or gives way to a foreign save and is cancelled in the journal.
    const published = this.#publish(noted);
    // 5. The names are on the disk.
    const durable = flushes === undefined ? published : await this.#flushPublished(published, flushes);
    // 6. Callers are answered.
    this.#acknowledge(durable);
    for (const { session } of prepared) this.#parts.settle(session);
  }

  #prepare(sessions: readonly Session[]): readonly Prepared[] {
    const prepared: Prepared[] = [];
    const nowMs = this.#parts.now();
    for (const session of sessions) {
      const write = session.prepare(nowMs);
      if (write !== undefined) prepared.push(write);
      else this.#parts.settle(session);
    }
    return prepared;
  }

  async #flushStaged(prepared: readonly Prepared[], flushes: Flushes): Promise<readonly Prepared[]> {
    const staged: Prepared[] = [];
    await Promise.all(
      prepared.map(async (write) => {
        try {
          await flushes.staged(write.session.id);
          staged.push(write);
        } catch (error) {
          write.session.abort(write, error);
        }
      }),
    );
    // The disk may have taken its time.
    if (staged.length === 0 || this.#parts.mayWrite()) return staged;
    for (const { session, turns } of staged) session.giveUp(turns);
    return NOTHING;
  }

  /** Looks who else uses the store just before our revisions become visible: a program that is not there yet can only load those. */
  #note(staged: readonly Prepared[]): readonly Prepared[] {
    if (staged.length === 0) return NOTHING;
    const { foreign, journal } = this.#parts;
    const { isAnybodyThere } = foreign.look();
    if (journal === undefined) return staged;
    const writes = isAnybodyThere ? asideAlone(staged) : staged;
    const { mark } = journal;
    try {
      for (const write of writes) noteCommits(journal, write, isAnybodyThere);
      journal.append();
      return writes;
    } catch (error) {
      // The file is as it was. On a disk that stays full they would become more and more, and all of them be written each time.
      journal.takeBack(mark);
      for (const write of writes) write.session.abort(write, error);
      return NOTHING;
    }
  }

  #publish(noted: readonly Prepared[]): readonly Prepared[] {
    const published: Prepared[] = [];
    for (const write of noted) {
      if (write.session.publish(write)) published.push(write);
      else this.#cancel(write);
    }
    // Only now is all of the batch decided: a commit that was taken back must not count as done if we are killed.
    if (published.length < noted.length) this.#appendQuietly();
    return published;
  }

  async #flushPublished(published: readonly Prepared[], flushes: Flushes): Promise<readonly Prepared[]> {
    if (published.length === 0) return NOTHING;
    try {
      await flushes.published();
      return published;
    } catch (error) {
      for (const write of published) this.#abort(write, error);
      return NOTHING;
    }
  }

  #acknowledge(durable: readonly Prepared[]): void {
    const answeredMs = performance.now();
    for (const write of durable) {
      write.session.acknowledge(write);
      for (const turn of write.turns) {
        if (turn.type === "commit") this.#parts.noteApplied(turn, answeredMs);
      }
    }
  }

  /** The journal has noted commits that will not be in the store. */
  #abort(write: Prepared, error: unknown): void {
    this.#cancel(write);
    write.session.abort(write, error);
  }

  #cancel({ session, staged, turns }: Prepared): void {
    const { journal } = this.#parts;
    if (journal === undefined) return;
    for (const turn of turns) {
      if (turn.type === "commit") journal.noteCancelled(markOf(session.id, turn), staged.revision);
    }
  }

  #appendQuietly(): void {
    try {
      this.#parts.journal?.append();
    } catch (error) {
      // The cancellations are kept and go with the next batch.
      this.#parts.log.error("journal-failed", { error: String(error) });
    }
  }

  #track(work: Promise<void>, prepared: readonly Prepared[]): void {
    const names = prepared.flatMap(({ turns }) => turns.filter((turn) => turn.type === "commit").map(nameOf));
    const done = work.finally(() => {
      this.#toDisk.delete(done);
      for (const name of names) this.#underWay.delete(name);
    });
    this.#toDisk.add(done);
    for (const name of names) this.#underWay.set(name, done);
  }
}

/** A program has come since the look before: what was to be written over the old bytes is written aside, in another turn. */
function asideAlone(staged: readonly Prepared[]): readonly Prepared[] {
  return staged.filter((write) => {
    if (write.staged.checksum === undefined) return true;
    write.session.comeAgain(write);
    return false;
  });
}

function nameOf({ caller, sequence }: CommitTurn): string {
  return `${sequence} ${caller.client}`;
}

function markOf(id: string, { caller, sequence }: CommitTurn): CommitMark {
  return { id, client: caller.client, sequence };
}

/** @param isObserved other programs run that may save what they loaded before: then the next daemon must know what was changed. */
function noteCommits(
  journal: Journal,
  { session, staged, before, turns, changes, origin }: Prepared,
  isObserved: boolean,
): void {
  let at = 0;
  for (const turn of turns) {
    if (turn.type !== "commit") continue;
    const change = isObserved ? changes[at] : undefined;
    at += 1;
    const written = {
      revision: staged.revision,
      replaced: before?.revision,
      checksum: staged.checksum,
      change,
      origin: origin?.id,
    };
    journal.noteCommit(markOf(session.id, turn), written);
  }
}
