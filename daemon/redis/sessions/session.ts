// One session in the daemon: takes its turns, one after the other, and has at most one call to Redis under way: so calls that are put off or sent
// again never overtake each other. What is known of its value is in `copy.ts`, what a turn makes of it in `plan.ts`; here it is stored, and
// calls are answered.
//
//   a step   reads what is stored, or compares and stores, or waits: for its call, for a barrier, or for the lease of another host
//   stored   the copy is what was stored, and the calls are answered
//   changed  another host was faster: the copy is what is there now, and the calls have their turn again
//   unsure   it may have been stored: looks, and finds the marks of what was
//
// A lease lies in this daemon alone as long as no other host gets in the way: a commit under it is for the version that its holder saw, and no other,
// which is all that makes it safe. After a conflict the next leases lie in the value too, so that the other hosts wait for them.

import { randomBytes } from "node:crypto";
import { startupBytes, timeoutSeconds } from "../../../protocol/image/image.ts";
import { KIND, type State } from "../../../protocol/wire/wire.ts";
import { isCode, type SessionError } from "../../../protocol/errors.ts";
import { ABSENT, type Contents, stateOf } from "../../memory/cache.ts";
import type { Log, Metrics } from "../../report/report.ts";
import {
  answerWritten,
  type CommitTurn,
  closed,
  type EndTurn,
  gone,
  isCreation,
  type Leases,
  type LeaseTurn,
  leaseLost,
  overtaken,
  type ReadTurn,
  storeError,
  type TouchTurn,
  type Turn,
  Turns,
} from "../../turns/turns.ts";
import { type Answer, type Argument, UNREPLICATED } from "../calls/calls.ts";
import { Copy } from "./copy.ts";
import { unanswered, unstored } from "./failures.ts";
import { ServerError } from "../link/link.ts";
import { isMarked } from "../value/value.ts";
import { endsLease, forgetAt, markOf, type Plan, planTurn } from "./plan.ts";
import { type Roads, succeed } from "./succession.ts";
import {
  endedValue,
  HOLDER_BYTES,
  isVersion,
  leaseOf,
  NO_LEASE,
  NO_MARKS,
  NO_VERSION,
  NOBODY,
  type StoredEnd,
  sessionValue,
} from "../value/value.ts";

/** The parts of the backend that a session uses. */
export interface House extends Roads {
  readonly leases: Leases;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Gives the session a step at the end of this turn of the event loop. */
  schedule(session: Session): void;
  /** The session may have nothing to do any more. */
  settle(session: Session): void;
  /** Asks the barrier of this turn about the session's copy. */
  verify(session: Session, verification: Verification): void;
  /** Does what is left of a succession. */
  complete(id: string, stored: StoredEnd): void;
  read(id: string, turn: ReadTurn): void;
  isForgotten(owner: object): boolean;
  noteEnded(id: string): void;
  /** Keeps its place in the index of its prefix. */
  noteUsed(id: string, timeoutSeconds: number): Promise<void>;
}

/** Exactly one of the three is called, once. */
export interface Verification {
  /** The copy was what Redis held when it was asked. */
  current(nowMs: number): void;
  stale(): void;
  failed(error: unknown): void;
}

export interface ConditionalEnd extends EndTurn {
  /** Ends it only as long as this is its version; else fails with ERR_CONFLICT. */
  readonly version?: Buffer;
}

/** Leases that lie in the value after a conflict, until it is tried without again. */
const LEASES_AFTER_CONFLICT = 16;
/** So often in its life time a session that is used is put into the index of its prefix again. */
const INDEX_PARTS = 4;
/** How long a session looks for what became of its changes. */
const UNSURE_MS = 10_000;
/** Whoever waits for another host's lease looks after so long, should a push have been lost with a connection. */
const MAX_WAIT_MS = 1_000;

export class Session {
  readonly id: string;
  readonly key: string;
  readonly #house: House;
  readonly #turns = new Turns();
  readonly #copy: Copy;
  /** Names this session of this daemon among those who want a lease. */
  readonly #holder: Buffer = Buffer.from(randomBytes(HOLDER_BYTES).toString("base64url").slice(0, HOLDER_BYTES));
  #isUnderWay = false;
  /** The version that the holder of the lease saw, or made. */
  #leaseVersion: Buffer | undefined;
  /** Our lease as it lies in the value. */
  #held: Buffer | undefined;
  #leasesToLay = 0;
  #waiting: NodeJS.Timeout | undefined;
  #unsureSinceMs: number | undefined;
  /** When its place in the index was kept last, by Redis' clock. */
  #indexedMs = Number.NEGATIVE_INFINITY;
  /** The copy came with the last answer, and no turn has been taken since. */
  #isFresh = false;

  constructor(id: string, house: House) {
    this.id = id;
    this.key = house.keyOf(id);
    this.#house = house;
    this.#copy = new Copy(id, house.limits.maxSessionBytes);
  }

  get bytes(): number {
    return this.#copy.bytes;
  }

  get isCurrent(): boolean {
    return this.#copy.isCurrent;
  }

  get copy(): Copy {
    return this.#copy;
  }

  get waitingCount(): number {
    return this.#turns.count;
  }

  get isIdle(): boolean {
    const hasNothing = this.#turns.lease === undefined && this.#held === undefined && this.#turns.count === 0;
    return hasNothing && !this.#isUnderWay && this.#waiting === undefined;
  }

  /** @param turn of a session whose copy is not current. */
  read(turn: ReadTurn): void {
    this.#turns.addRead(turn);
    this.#house.schedule(this);
  }

  /** The copy has passed a barrier that began after the read. */
  answerRead(turn: ReadTurn, nowMs: number): void {
    const contents = this.#copy.contentsAt(nowMs);
    turn.answer(contents === undefined ? ABSENT : stateOf(contents, turn.known));
  }

  enter(turn: Turn): void {
    if (turn.type !== "commit" || turn.options.fence === undefined) this.#turns.add(turn);
    else if (!this.#turns.addLeased(turn)) this.#lookForMark(turn);
    this.#house.schedule(this);
  }

  release(fence: number, owner: object): void {
    const { lease } = this.#turns;
    if (lease?.fence === fence && lease.owner === owner) this.#endLease();
  }

  forget(owner: object): void {
    for (const turn of this.#turns.takeThoseOf(owner)) turn.fail(closed(this.id));
    if (this.#turns.lease?.owner === owner) this.#endLease();
    this.#house.schedule(this);
  }

  /** Another host, or somebody, has changed the value. */
  noteStale(): void {
    this.#copy.noteStale();
    if (this.#waiting !== undefined) this.#goOn();
  }

  stop(): void {
    clearTimeout(this.#waiting);
    clearTimeout(this.#turns.lease?.deadline);
  }

  failAll(error: unknown): void {
    const problem = storeError(this.id, error);
    for (const turn of [...this.#turns.takeReads(), ...this.#turns.takeDue()]) turn.fail(problem);
  }

  /** One step. What it asks Redis for goes out at the end of this turn of the event loop. */
  step(): void {
    if (this.#isUnderWay) return;
    const { hasWork, readCount, due } = this.#turns;
    const first = due[0];
    const isNew = this.#copy.isUnknown && first !== undefined && isCreation(first) && readCount === 0;
    if (hasWork && !this.#copy.isCurrent && !isNew) this.#fetch();
    else {
      for (const turn of this.#turns.takeReads()) this.#house.verify(this, this.#readOf(turn));
      if (this.#waiting === undefined && due.length > 0) this.#takeTurn();
      else if (this.#held !== undefined && this.#turns.lease === undefined) this.#layDown(this.#held);
    }
    this.#house.settle(this);
  }

  // -- turns

  #takeTurn(): void {
    const nowMs = this.#house.calls.clockOf(this.key).nowMs;
    // Another host may have stamped it since.
    if (this.#copy.isExpiredAt(nowMs) && !this.#isFresh) return this.#fetch();
    this.#isFresh = false;
    const { stored, marks } = this.#copy;
    const contents = this.#copy.contentsAt(nowMs);
    const { due, lease } = this.#turns;
    const isExpired = this.#copy.isExpiredAt(nowMs);
    const ending = isExpired ? "ended" : stored?.kind === "ended" ? stored.ending : undefined;
    const standing = { id: this.id, image: contents?.image, marks, isTaken: stored !== undefined, ending };
    if (lease !== undefined && !isVersion(this.#leaseVersion, this.#copy.version)) return this.#overtake();
    const plan = planTurn({ ...standing, due, lease, nowMs }, this.#house.limits);
    this.#turns.drop(plan.taken);
    for (const turn of plan.repeated) this.#answerRepeated(turn);
    for (const { turn, problem } of plan.refused) this.#refuse(turn, problem);
    this.#carryOut(plan, contents, nowMs);
  }

  #carryOut(plan: Plan, contents: Contents | undefined, nowMs: number): void {
    const { last, turns, image } = plan;
    if (last?.type === "end") this.#end(last, plan, nowMs);
    else if (last?.type === "commit") this.#depart(last, contents);
    else if (image !== undefined && image !== contents?.image) this.#store(plan, image, contents);
    else if (plan.isTouched && contents !== undefined) this.#stamp(turns, contents, nowMs);
    else {
      for (const turn of turns) this.#house.verify(this, this.#touchOf(turn));
      if (last?.type === "lease") this.#lease(last);
      else this.#goOn();
    }
  }

  #store(plan: Plan, image: Buffer, before: Contents | undefined): void {
    const isEnding = plan.turns.some((turn) => endsLease(turn, this.#turns.lease));
    const lease = this.#turns.lease === undefined || isEnding ? undefined : this.#held;
    const value = sessionValue(image, { marks: plan.marks, ...(lease === undefined ? {} : { lease }) });
    this.#write(["c", this.#copy.version, this.#asHolder, value, forgetAt(image)], plan.turns, () => {
      this.#adoptOwn(value, lease);
      const { metrics } = this.#house;
      metrics.writes += 1;
      for (const turn of plan.turns) {
        if (turn.type === "commit") metrics.commits += 1;
        if (turn.type === "commit") metrics.noteCommit(performance.now() - turn.arrivedMs);
        this.#closeReleased(turn);
      }
      const contents = this.#copy.contentsAt(Number.NEGATIVE_INFINITY);
      if (contents !== undefined) {
        this.#keepIndexed(contents, plan.turns.some(isCreation));
        answerWritten({ turns: plan.turns, before, isRepair: false, origin: undefined }, contents);
      }
    });
  }

  #stamp(turns: readonly (CommitTurn | TouchTurn)[], { image }: Contents, nowMs: number): void {
    const stamp = startupBytes(nowMs);
    const stamped = Buffer.concat([stamp, image.subarray(stamp.length)]);
    const args = ["t", this.#copy.version, NOBODY, stamp, forgetAt(stamped)];
    const { version } = this.#copy;
    this.#call(args, turns, (answer) => {
      this.#adopt(answer);
      const contents = this.#copy.contentsAt(nowMs);
      if (contents === undefined || !isVersion(version, this.#copy.version)) return this.#again(turns);
      this.#house.metrics.touches += 1;
      this.#keepIndexed(contents, false);
      for (const turn of turns) turn.answer(stateOf(contents, turn.base));
    });
  }

  /** A session is put into its index when it is made; the index itself is forgotten when nobody has used it for long. */
  #keepIndexed({ image }: Contents, isNew: boolean): void {
    const { nowMs } = this.#house.calls.clockOf(this.key);
    const seconds = timeoutSeconds(image);
    if (isNew) this.#indexedMs = nowMs;
    if (nowMs - this.#indexedMs < (1000 * seconds) / INDEX_PARTS) return;
    const before = this.#indexedMs;
    this.#indexedMs = nowMs;
    this.#house.noteUsed(this.id, seconds).catch(() => {
      // Whatever the reason: the next use tries again.
      this.#indexedMs = before;
    });
  }

  /** Changes before the end are in nothing that could be lost: they were carried out, and then the session ended. */
  #end(turn: ConditionalEnd, { turns, marks }: Plan, nowMs: number): void {
    const before = this.#copy.contentsAt(nowMs);
    if (this.#copy.stored?.kind === "ended" || this.#copy.stored?.kind === "reserved") {
      turn.answer();
      return this.#goOn();
    }
    if (turn.version !== undefined && !isVersion(turn.version, this.#copy.version)) {
      turn.fail(overtaken(this.id));
      return this.#again(turns);
    }
    const value = endedValue("ended", marks);
    const until = String(Math.ceil(nowMs + this.#house.tombstoneMs));
    this.#write(["c", this.#copy.version, this.#asHolder, value, until], [...turns, turn], () => {
      this.#adoptOwn(value, undefined);
      this.#house.metrics.abandons += 1;
      this.#house.noteEnded(this.id);
      for (const one of turns) one.answer(before === undefined ? ABSENT : stateOf(before, 0));
      turn.answer();
    });
  }

  /** Goes on under another id: this one takes no other turn until that is there, or is refused. */
  #depart(turn: CommitTurn, contents: Contents | undefined): void {
    if (contents === undefined) return this.#refuse(turn, gone(this.id));
    this.#isUnderWay = true;
    this.#copy.begin();
    const standing = { id: this.id, image: contents.image, version: this.#copy.version, marks: this.#copy.marks };
    succeed({ ...standing, holder: this.#asHolder, turn }, this.#house)
      .then(
        (outcome) => {
          this.#isUnderWay = false;
          if (outcome.kind === "done") {
            this.#adoptOwn(outcome.value, undefined);
            this.#closeLease();
            this.#house.metrics.successions += 1;
            this.#house.metrics.commits += 1;
            this.#house.noteEnded(this.id);
            turn.answer(outcome.state);
          } else {
            if (outcome.answer !== undefined) this.#copy.adopt(outcome.answer);
            if (outcome.waitMs !== undefined) this.#wait(outcome.waitMs);
            this.#again([turn]);
          }
        },
        (error: unknown) => {
          this.#isUnderWay = false;
          this.#failed(error, [turn]);
        },
      )
      .catch((error: unknown) => turn.fail(storeError(this.id, error)))
      .finally(() => this.#goOn());
  }

  // -- leases

  #lease(turn: LeaseTurn): void {
    if (this.#leasesToLay > 0) return this.#lay(turn);
    this.#isUnderWay = true;
    const again = (): void => {
      this.#isUnderWay = false;
      this.#again([turn]);
    };
    this.#house.verify(this, {
      current: (nowMs) => {
        const contents = this.#copy.contentsAt(nowMs);
        if (contents === undefined) return again();
        this.#isUnderWay = false;
        this.#grant(turn, contents);
        this.#goOn();
      },
      stale: again,
      failed: (error) => {
        this.#isUnderWay = false;
        this.#failed(error, [turn]);
      },
    });
  }

  /** Into the value, where other hosts see it. */
  #lay(turn: LeaseTurn): void {
    const nowMs = this.#house.calls.clockOf(this.key).nowMs;
    this.#call(["l", this.#copy.version, this.#holder, String(Math.ceil(turn.leaseMs)), ""], [turn], (answer) => {
      this.#adopt(answer);
      const contents = this.#copy.contentsAt(nowMs);
      if (contents === undefined) return this.#again([turn]);
      this.#leasesToLay -= 1;
      this.#held = leaseOf(this.#holder, nowMs + turn.leaseMs);
      if (this.#house.isForgotten(turn.caller.owner)) return turn.fail(closed(this.id));
      this.#grant(turn, contents);
    });
  }

  #grant(turn: LeaseTurn, contents: Contents): void {
    if (this.#house.isForgotten(turn.caller.owner)) return turn.fail(closed(this.id));
    this.#leaseVersion = this.#copy.version;
    this.#house.leases.grant(this.#turns, turn, { id: this.id, contents }, (fence) => {
      if (this.#turns.lease?.fence === fence) this.#endLease();
    });
  }

  /** The others need not wait for its deadline. */
  #layDown(held: Buffer): void {
    this.#held = undefined;
    this.#call(["u", this.#copy.version, held.subarray(0, HOLDER_BYTES), NO_LEASE, ""], [], () => undefined);
  }

  /** What is due is for contents that another host has changed: it is stored already, or runs again on the new ones. */
  #overtake(): void {
    const due = this.#turns.takeDue();
    const { marks } = this.#copy;
    this.#leasesToLay = LEASES_AFTER_CONFLICT;
    this.#closeLease();
    for (const turn of due) {
      if (turn.type === "commit" && isMarked(marks, markOf(turn))) this.#answerRepeated(turn);
      else {
        this.#house.metrics.conflicts += 1;
        turn.fail(overtaken(this.id));
      }
    }
    this.#goOn();
  }

  #endLease(): void {
    this.#closeLease();
    this.#house.schedule(this);
  }

  #closeLease(): void {
    this.#leaseVersion = undefined;
    this.#house.leases.close(this.#turns, this.id);
  }

  #closeReleased(turn: Turn): void {
    if (endsLease(turn, this.#turns.lease)) this.#closeLease();
  }

  get #asHolder(): Buffer {
    return this.#held === undefined ? NOBODY : this.#holder;
  }

  // -- calls to Redis

  #fetch(): void {
    const reads = this.#turns.takeReads();
    this.#isUnderWay = true;
    this.#copy.begin();
    this.#house.calls
      .read(this.key, this.#copy.version)
      .then((answer) => {
        this.#isUnderWay = false;
        this.#adopt(answer);
        this.#isFresh = true;
        const { nowMs } = this.#house.calls.clockOf(this.key);
        for (const turn of reads) this.answerRead(turn, nowMs);
      })
      .catch((error: unknown) => {
        this.#isUnderWay = false;
        this.#failFetch(error, reads);
      })
      .finally(() => this.#house.schedule(this));
  }

  /** @throws SessionError ERR_UNREADABLE; ServerError. */
  #adopt(answer: Answer): void {
    if (!Buffer.isBuffer(answer)) throw answer;
    this.#copy.adopt(answer);
    this.#unsureSinceMs = undefined;
    const { stored } = this.#copy;
    if (stored?.kind === "ended" && stored.departure !== undefined) this.#house.complete(this.id, stored);
  }

  /** @param stored called when it is. Where something else is there, the turns come again. */
  #write(args: readonly Argument[], turns: readonly Turn[], stored: () => void): void {
    this.#call(args, turns, (answer) => {
      if (answer === 1) return stored();
      this.#adopt(answer);
      this.#again(turns);
    });
  }

  /** @param take given whatever is no failure and no lease of another host. */
  #call(args: readonly Argument[], turns: readonly Turn[], take: (answer: Answer) => void): void {
    this.#isUnderWay = true;
    this.#copy.begin();
    this.#house.calls
      .write(this.key, args)
      .then((answer) => {
        this.#isUnderWay = false;
        if (answer instanceof ServerError) throw answer;
        if (typeof answer !== "number" || answer > 0) return take(answer);
        this.#wait(-answer);
        this.#again(turns);
      })
      .catch((error: unknown) => {
        this.#isUnderWay = false;
        this.#failed(error, turns);
      })
      .finally(() => this.#house.schedule(this));
  }

  #adoptOwn(value: Buffer, lease: Buffer | undefined): void {
    this.#copy.adoptOwn(value);
    this.#held = lease;
    this.#unsureSinceMs = undefined;
    if (this.#turns.lease !== undefined) this.#leaseVersion = this.#copy.version;
  }

  /** These turns come before all others. */
  #again(turns: readonly Turn[]): void {
    const wanted = turns.filter((turn) => {
      const isWanted = !this.#house.isForgotten(turn.caller.owner);
      if (!isWanted) turn.fail(closed(this.id));
      return isWanted;
    });
    for (const turn of this.#turns.putBack(wanted)) turn.fail(leaseLost(this.id));
    this.#house.schedule(this);
  }

  /** Until the value changes, or the time is over: not at all if it has changed since the question was asked. */
  #wait(ms: number): void {
    if (this.#copy.isDirty) return;
    this.#waiting = setTimeout(() => this.#goOn(), Math.min(ms, MAX_WAIT_MS) + 1);
  }

  #goOn(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#house.schedule(this);
  }

  // -- answers

  #readOf(turn: ReadTurn): Verification {
    return {
      current: (nowMs) => this.answerRead(turn, nowMs),
      stale: () => this.read(turn),
      failed: (error) => turn.fail(unanswered(this.id, error)),
    };
  }

  /** A touch of a session that has a young stamp writes nothing, but the session must be there. */
  #touchOf(turn: CommitTurn | TouchTurn): Verification {
    const answer = (state: State): void => (state.kind === KIND.absent ? turn.fail(gone(this.id)) : turn.answer(state));
    return this.#readOf({ caller: turn.caller, known: turn.base, answer, fail: turn.fail });
  }

  /** Its lease is over, if it had one here: but it may be a commit that was applied under it, and whose answer was lost. */
  #lookForMark(turn: CommitTurn): void {
    const answer = (): void => {
      if (isMarked(this.#copy.marks, markOf(turn))) this.#answerRepeated(turn);
      else turn.fail(leaseLost(this.id));
    };
    this.#turns.addRead({ caller: turn.caller, known: 0, answer, fail: turn.fail });
  }

  #answerRepeated(turn: CommitTurn): void {
    const { caller, answer, fail, options } = turn;
    this.#house.metrics.duplicates += 1;
    this.#closeReleased(turn);
    this.#house.read(options.successor ?? this.id, { caller, known: 0, answer, fail });
  }

  /** That there never was a session is told by no value: only the barrier tells that none was made meanwhile. */
  #refuse(turn: Turn, problem: Error): void {
    if (this.#copy.stored !== undefined || !isCode(problem, "ERR_SESSION_GONE")) {
      this.#closeReleased(turn);
      turn.fail(problem);
      return;
    }
    this.#house.verify(this, {
      current: () => {
        this.#closeReleased(turn);
        turn.fail(problem);
      },
      stale: () => this.enter(turn),
      failed: (error) => turn.fail(unanswered(this.id, error)),
    });
  }

  // -- failures

  #failFetch(error: unknown, reads: readonly ReadTurn[]): void {
    if (this.#mayLookAgain(error)) {
      for (const turn of reads) this.#turns.addRead(turn);
      return;
    }
    const problem = unanswered(this.id, error);
    for (const turn of [...reads, ...this.#turns.takeReads()]) turn.fail(problem);
    this.#failTurns(problem, this.#turns.takeDue());
  }

  #failed(error: unknown, turns: readonly Turn[]): void {
    this.#copy.noteStale();
    if (this.#mayLookAgain(error)) this.#again(turns);
    else this.#failTurns(unstored(this.id, error), turns);
  }

  /** What may have been done is looked for: its marks tell. */
  #mayLookAgain(error: unknown): boolean {
    if (!(error instanceof ServerError) || error.outcome !== "unsure" || error.code === UNREPLICATED) return false;
    this.#copy.noteStale();
    this.#unsureSinceMs ??= performance.now();
    if (performance.now() - this.#unsureSinceMs < UNSURE_MS) return true;
    this.#unsureSinceMs = undefined;
    return false;
  }

  /** To end a session needs nothing that can be read. */
  #failTurns(problem: SessionError, turns: readonly Turn[]): void {
    const ends: EndTurn[] = [];
    for (const turn of turns) {
      if (turn.type === "end" && problem.code === "ERR_UNREADABLE") ends.push(turn);
      else {
        this.#closeReleased(turn);
        turn.fail(problem);
      }
    }
    if (ends.length > 0) this.#endUnread(ends);
  }

  #endUnread(ends: readonly EndTurn[]): void {
    const { nowMs } = this.#house.calls.clockOf(this.key);
    const value = endedValue("ended", NO_MARKS);
    const until = String(Math.ceil(nowMs + this.#house.tombstoneMs));
    this.#write(["x", NO_VERSION, NOBODY, value, until], ends, () => {
      this.#adoptOwn(value, undefined);
      this.#house.noteEnded(this.id);
      for (const turn of ends) turn.answer();
    });
  }
}
