// One session in the daemon: takes its turns, one after the other. The calls that wait are in `turns.ts`, the contents in `look.ts`, the
// record lock in `lock-wait.ts`, the decisions of a turn in `plan.ts`; here a plan is carried out and calls are answered.
//
//   COLD  no contents in memory                       --load-->            WARM
//   WARM  contents of a revision of the file          --commit, touch-->   WARM   (the store first, then memory)
//   WARM  stat shows a revision we did not write      --refresh-->         WARM   (their contents, stale values put back)
//   any   a failed read or write                      ------------>        as it was  (and the next turn looks at the file)
//   any   abandoned, expired, replaced                ------------>        GONE   (a tombstone; memory and file are empty)
//
//
// There is no dirty state: contents come from the store or are in it, and no change is acknowledged before it is written.
//
// All calls are synchronous, so a turn is a call of `prepare` and one of `publish`, and nothing of this session happens in between except
// the flush to disk where durability asks for it. Calls that arrive meanwhile wait and are written together.

import { isCode } from "../../protocol/errors.ts";
import type { ChangedValues, Encounters } from "../foreign/foreign.ts";
import { ABSENT, type Awake, type Contents, type Resting, sameToo, stateOf } from "../memory/cache.ts";
import type { Staged } from "../store/store.ts";
import {
  answerUnwritten,
  answerWritten,
  type CommitTurn,
  closed,
  type EndTurn,
  endsLease,
  type LeaseTurn,
  leaseLost,
  nobodyReads,
  type Origin,
  overtaken,
  type ReadTurn,
  storeError,
  type TouchTurn,
  type Turn,
  Turns,
  type Written,
} from "../turns/turns.ts";
import { type LockUser, LockWait } from "./lock-wait.ts";
import { Look, type Surroundings } from "./look.ts";
import { isOvertaken, type Plan, planTurn } from "./plan.ts";
import { Departure } from "./succession.ts";

/** A write that `prepare` staged; `publish` makes it visible, and `acknowledge` answers. */
export interface Prepared extends Written {
  readonly session: Session;
  readonly staged: Staged;
  readonly image: Buffer;
  /** These count again when nothing of this becomes visible: of a repair those before the stale save, or it would not be missed any more. */
  readonly unwritten: Contents | undefined;
  /** Of each commit among its turns, in the same order. */
  readonly changes: readonly ChangedValues[];
}

/** A session that was there and is not: the pause before it is looked for again. */
const VANISHED_PAUSE_MS = 10;

export class Session implements Awake, LockUser {
  readonly id: string;
  readonly #house: Surroundings<Session>;
  readonly #encounters: Encounters;
  readonly #lock: LockWait;
  readonly #look: Look;
  readonly #turns = new Turns();
  /** It has asked for a turn and not had it yet. */
  #isScheduled = false;
  /** Between `prepare` and `acknowledge`, of this session or of the one that takes its place. */
  #isWriting = false;

  constructor(id: string, house: Surroundings<Session>, resting?: Resting) {
    this.id = id;
    this.#house = house;
    const encounters = house.foreign.of(id, resting);
    const lock = new LockWait(this, house, encounters);
    this.#encounters = encounters;
    this.#lock = lock;
    this.#look = new Look({ id, resting }, house, { encounters, lock });
  }

  /** Of its contents, 0 without any. */
  get bytes(): number {
    return this.#look.contents?.image.length ?? 0;
  }

  get resting(): Resting | undefined {
    const { contents } = this.#look;
    const { writtenMs, mayBeHeld } = this.#encounters;
    return contents && { id: this.id, contents, writtenMs, mayBeHeld };
  }

  get wasOnlyRead(): boolean {
    return this.#encounters.hasNone && this.#look.contents?.sameAs.length === 1;
  }

  get isIdle(): boolean {
    return this.#turns.lease === undefined && !this.#isWriting && !this.#turns.hasWork && !this.#lock.isWaiting;
  }

  get waitingCount(): number {
    return this.#turns.count;
  }

  /** Answers at once when memory is known to be current, else in the next turn. */
  read(turn: ReadTurn): void {
    const { contents } = this.#look;
    if (contents !== undefined && this.#look.isCurrent) {
      this.#house.metrics.hits += 1;
      turn.answer(stateOf(contents, turn.known));
      return;
    }
    this.#turns.addRead(turn);
    this.askForTurn();
  }

  enter(turn: Turn): void {
    if (turn.type !== "commit" || turn.options.fence === undefined) this.#turns.add(turn);
    else if (!this.#turns.addLeased(turn)) turn.fail(leaseLost(this.id));
    this.askForTurn();
  }

  /** Ends the lease if it is this one. */
  release(fence: number, owner: object): void {
    const { lease } = this.#turns;
    if (lease?.fence === fence && lease.owner === owner) this.#endLease();
  }

  /** A connection is gone: nothing it asked for and did not get happens any more. */
  forget(owner: object): void {
    for (const turn of this.#turns.takeThoseOf(owner)) turn.fail(closed(this.id));
    if (this.#turns.lease?.owner === owner) this.#endLease();
  }

  lookAgain(): void {
    if (this.#look.contents === undefined || this.#look.isCurrent) return;
    this.#turns.addRead(nobodyReads);
    this.askForTurn();
  }

  askForTurn(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#house.schedule(this);
  }

  stop(): void {
    this.#lock.stop();
    clearTimeout(this.#turns.lease?.deadline);
  }

  /**
   * First half of a turn: takes the lock, looks at the store, answers reads, plans, stages the new contents.
   *
   * @param nowMs the clock, in Unix ms, read once for all that are prepared together.
   */
  prepare(nowMs: number): Prepared | undefined {
    this.#isScheduled = false;
    if (this.#isWriting || !this.#turns.hasWork) return undefined;
    let isLocked = this.#turns.lease !== undefined;
    const known = this.#look.contents;
    try {
      if (!isLocked && !this.#lock.take(nowMs, this.#look.mayBeLocked(this.#turns.createsSession))) return undefined;
      isLocked = true;
      const image = this.#turns.areCommits && this.#look.isTrusted(nowMs) ? known?.image : this.#look.refresh(nowMs);
      if (image === "vanished") {
        this.#releaseLock();
        this.#lock.retryLater(VANISHED_PAUSE_MS);
        return undefined;
      }
      this.#turns.answerReads(this.#look.contents, image);
      const prepared = this.#takeTurn(image, nowMs);
      this.#isWriting ||= prepared !== undefined;
      if (this.#isWriting) return prepared;
    } catch (error) {
      this.#look.keep(known);
      this.#failDue(error, isLocked);
    }
    this.#finishTurn();
    return undefined;
  }

  /** Second half: makes the staged revision visible. False when it is not: there is nothing to acknowledge then. */
  publish(prepared: Prepared): boolean {
    const { origin } = prepared;
    try {
      if (origin?.isCurrent === false) throw overtaken(origin.id);
      if (this.#house.store.publish(this.id, prepared.staged)) {
        if (origin !== undefined) this.#takePlaceOf(origin);
        this.#adoptWritten(prepared);
        return true;
      }
      this.comeAgain(prepared);
    } catch (error) {
      this.#undo(prepared, error);
    }
    return false;
  }

  /** Another program has saved or come between our look and our step: our turns come again. */
  comeAgain(prepared: Prepared): void {
    this.#isWriting = false;
    this.#look.keep(prepared.unwritten);
    for (const turn of this.#turns.putBack(prepared.turns)) turn.fail(leaseLost(this.id));
    this.#finishTurn();
  }

  /** A write that `publish` made visible counts now: answers its turns. Apart from it for the flush to disk in between. */
  acknowledge(prepared: Prepared): void {
    this.#isWriting = false;
    const { contents } = this.#look;
    // Before the answers: the next holder of the lease begins while they are on their way.
    for (const turn of prepared.turns) this.#closeReleased(turn);
    this.#grantNext();
    if (contents !== undefined) {
      answerWritten(prepared, contents);
      this.#turns.answerReads(contents, contents.image);
    }
    this.#finishTurn();
  }

  /** The turn failed before publication, or in the flush after it: its calls are told so. */
  abort(prepared: Prepared, error: unknown): void {
    try {
      this.#house.store.recovery?.discard(this.id);
    } catch (discardError) {
      // It lies aside, invisible, until the next write uses it.
      this.#house.log.error("discard-failed", { session: this.id, error: String(discardError) });
    }
    this.#undo(prepared, error);
  }

  /** Another daemon may have our place: what waits, and what was prepared, is not carried out. Whoever asked for it asks that one. */
  giveUp(prepared: readonly Turn[]): void {
    this.#isScheduled = false;
    const all = [...prepared, ...this.#turns.takeReads(), ...this.#turns.takeDue()];
    for (const turn of all) turn.fail(closed(this.id));
  }

  // -- a turn

  #takeTurn(image: Buffer | undefined, nowMs: number): Prepared | undefined {
    const { id } = this;
    const { contents } = this.#look;
    this.#loseIfOvertaken(image);
    const { due, lease } = this.#turns;
    const ending = image === undefined ? this.#house.tombstones.endingOf(id) : undefined;
    const plan = planTurn({ id, contents, image, due, lease, ending, nowMs }, this.#house.limits);
    this.#turns.drop(plan.taken);
    for (const { turn, problem } of plan.refused) this.#refuse(turn, problem);
    if (plan.last?.type === "end") return this.#end(plan.last, plan.turns);
    if (plan.last?.type === "commit") return this.#depart(plan.last);
    if (plan.image !== contents?.image) return this.#stage(plan);
    if (plan.isTouched && contents !== undefined) return this.#touch(plan, contents, nowMs);
    answerUnwritten(plan.turns, contents);
    if (plan.last !== undefined) this.#grant(plan.last);
    return undefined;
  }

  #stage({ image, turns, changes, isRepair, origin }: Plan): Prepared | undefined {
    const before = this.#look.contents;
    const unwritten = isRepair ? this.#look.known : before;
    if (image === undefined) return undefined;
    try {
      const staged = this.#house.store.stage(this.id, image, before);
      return { session: this, staged, image, before, unwritten, turns, changes, isRepair, origin };
    } catch (error) {
      if (before === undefined) this.#look.leaveNothing();
      this.#look.keep(unwritten);
      this.#refuseAll(turns, error);
      if (isRepair) this.#failRepair(error);
      return undefined;
    }
  }

  #touch(plan: Plan, contents: Contents, nowMs: number): Prepared | undefined {
    let image: Buffer | undefined;
    try {
      image = this.#look.stamp(contents, nowMs);
    } catch (error) {
      return this.#refuseAll(plan.turns, error);
    }
    this.#lock.noteDone();
    this.#house.metrics.touches += 1;
    if (image !== undefined) return this.#stage({ ...plan, image });
    answerUnwritten(plan.turns, this.#look.contents);
    return undefined;
  }

  /** Changes before the end are in nothing that could be lost: they were carried out, and then the session ended. */
  #end(turn: EndTurn, earlier: readonly (CommitTurn | TouchTurn)[]): undefined {
    const before = this.#look.contents;
    try {
      this.#look.end();
    } catch (error) {
      return this.#refuseAll([...earlier, turn], error);
    }
    this.#lock.noteDone();
    for (const one of earlier) one.answer(before === undefined ? ABSENT : stateOf(before, 0));
    this.#house.metrics.abandons += 1;
    turn.answer();
  }

  /** Goes on under another id: this one is held until that is written, and has ended with it, or is refused. */
  #depart(turn: CommitTurn): undefined {
    const departure = new Departure(this.id, this.#look, this.#house.store);
    const { successor, arrival } = departure.of(turn, (error) => {
      this.#isWriting = false;
      if (departure.hasEnded) this.#closeLease();
      if (error === undefined) this.#house.metrics.successions += 1;
      // Another program has saved in spite of our lock: its save goes along.
      else if (isCode(error, "ERR_CONFLICT") && turn.options.fence === undefined) this.#turns.putBack([turn]);
      else this.#refuse(turn, storeError(this.id, error));
      this.#releaseLock();
      this.askForTurn();
    });
    this.#isWriting = true;
    this.#house.succeed(successor, arrival);
  }

  /** There are never two of them: where the other one cannot end, this one does not begin. */
  #takePlaceOf(origin: Origin): void {
    try {
      origin.end();
    } catch (error) {
      this.#house.store.remove(this.id);
      throw error;
    }
  }

  #adoptWritten({ before, image, staged, turns, changes, isRepair }: Prepared): void {
    const { revision } = staged;
    this.#lock.noteDone();
    // A repair alone makes the contents what they were.
    const isUnchanged = before !== undefined && turns.length === 0;
    this.#look.adopt(image, revision, isUnchanged ? sameToo(before, revision) : [revision.mtimeMs]);
    this.#encounters.noteWritten(changes);
    if (isRepair) this.#encounters.noteRepaired();
    // A repair is not the transaction's work: its holder must still be told of contents that it did not see.
    const { lease } = this.#turns;
    if (lease !== undefined && turns.length > 0) lease.image = image;
    this.#house.metrics.writes += 1;
  }

  #finishTurn(): void {
    this.#releaseLock();
    if (this.#turns.hasWork && !this.#lock.isWaiting) this.askForTurn();
  }

  /** With a lease it stays ours. */
  #releaseLock(): void {
    if (this.#turns.lease === undefined) this.#lock.release();
  }

  // -- leases

  #grant(turn: LeaseTurn): void {
    const { contents } = this.#look;
    if (contents === undefined) return;
    this.#house.leases.grant(this.#turns, turn, { id: this.id, contents }, () => this.#endLease());
  }

  /** The next holder is to see the contents just written, and the lock is still ours. Another program that may want the lock comes first. */
  #grantNext(): void {
    const { first } = this.#turns;
    if (this.#turns.lease !== undefined || first?.type !== "lease") return;
    const nowMs = this.#house.now();
    if (this.#encounters.mayWantLock(nowMs) || !this.#look.isAlive(nowMs)) return;
    this.#turns.drop(1);
    this.#grant(first);
  }

  /** Its worker runs it again, on the new contents. */
  #loseIfOvertaken(image: Buffer | undefined): void {
    const { lease } = this.#turns;
    if (lease === undefined || lease.turns.length === 0 || !isOvertaken(lease, image)) return;
    this.#house.metrics.conflicts += 1;
    for (const turn of this.#turns.takeDue()) turn.fail(overtaken(this.id));
    this.#closeLease();
  }

  #closeReleased(turn: Turn): void {
    if (endsLease(turn, this.#turns.lease)) this.#closeLease();
  }

  #closeLease(): void {
    this.#house.leases.close(this.#turns, this.id);
  }

  #endLease(): void {
    this.#closeLease();
    if (!this.#isWriting) this.#lock.release();
    if (this.#turns.hasWork) this.askForTurn();
  }

  // -- failures

  #undo(prepared: Prepared, error: unknown): void {
    const problem = this.#lock.problemOf(error);
    if (problem === undefined) {
      this.comeAgain(prepared);
      return;
    }
    const { before, unwritten, turns, isRepair } = prepared;
    const { contents } = this.#look;
    this.#isWriting = false;
    // Contents that are visible already stay known: only the disk has not taken them.
    const isVisible = contents !== before;
    this.#look.keep(isVisible ? contents : unwritten);
    if (before === undefined) this.#look.leaveNothing();
    this.#refuseAll(turns, problem);
    if (isRepair && !isVisible) this.#failRepair(problem);
    this.#finishTurn();
  }

  /** The calls that wait want the values that could not be put back: they are told so, and the next look tries again. */
  #failRepair(error: unknown): void {
    this.#house.log.error("repair-failed", { session: this.id, error: String(error) });
    this.#failDue(error, true);
  }

  /** @param mayEnd the lock is ours: ending a session needs nothing that can be read. */
  #failDue(error: unknown, mayEnd: boolean): void {
    const cause = this.#lock.problemOf(error);
    if (cause === undefined) return;
    const problem = storeError(this.id, cause);
    for (const turn of this.#turns.takeReads()) turn.fail(problem);
    const ends: EndTurn[] = [];
    for (const turn of this.#turns.takeDue()) {
      if (turn.type === "end" && mayEnd && problem.code !== "ERR_SESSION_BUSY") ends.push(turn);
      else this.#refuse(turn, problem);
    }
    for (const turn of ends) this.#end(turn, []);
  }

  /** Nothing of it was written. Where another program is in the way the calls come again. */
  #refuseAll(turns: readonly Turn[], error: unknown): undefined {
    const cause = this.#lock.problemOf(error);
    if (cause === undefined) for (const turn of this.#turns.putBack(turns)) turn.fail(leaseLost(this.id));
    if (cause === undefined) return;
    const problem = storeError(this.id, cause);
    for (const turn of turns) this.#refuse(turn, problem);
  }

  /** A commit that was to end its lease ends it, applied or refused: the rest of the lease is nobody's. */
  #refuse(turn: Turn, problem: Error): void {
    this.#closeReleased(turn);
    turn.fail(problem);
  }
}
