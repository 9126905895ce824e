// One session in the daemon: takes its turns, one after the other. What is known of its value is in `copy.ts`, its calls to Redis are in `exchange.ts`,
// what a turn makes of the value in `plan.ts`; here that is stored, and calls are answered.
//
//   a step   reads what is stored, or compares and stores, or waits: for its call, for a barrier, or for the lease of another host
//   stored   the copy is what was stored, and the calls are answered
//   changed  another host was faster: the copy is what is there now, and the calls have their turn again
//   unsure   it may have been stored: looks, and finds the marks of what was

import type { SessionError } from "../../../protocol/errors.ts";
import { startupBytes } from "../../../protocol/image/image.ts";
import type { Contents } from "../../memory/cache.ts";
import { ABSENT, stateOf } from "../../memory/cache.ts";
import {
  answerWritten,
  type CommitTurn,
  closed,
  gone,
  isCreation,
  isLate,
  type LeaseTurn,
  overtaken,
  type ReadTurn,
  storeError,
  type TouchTurn,
  type Turn,
  Turns,
} from "../../turns/turns.ts";
import type { Answer, Order } from "../calls/calls.ts";
import { endedValue, isVersion, NO_LEASE, NO_MARKS, readValue, type Stored } from "../value/value.ts";
import { Answers, touchCheck } from "./answers.ts";
import { Chain, type Sending } from "./chain.ts";
import { Copy } from "./copy.ts";
import { Exchange } from "./exchange.ts";
import { unanswered, unstored } from "./failures.ts";
import type { ConditionalEnd, House } from "./house.ts";
import { IndexPlace } from "./index-place.ts";
import { Leasing } from "./leasing.ts";
import { forgetAt, type Plan, planTurn, storingOf } from "./plan.ts";
import { succeed } from "./succession.ts";

export class Session {
  readonly id: string;
  readonly key: string;
  readonly copy: Copy;
  readonly chain: Chain;
  readonly #house: House<Session>;
  readonly #turns = new Turns();
  readonly #exchange: Exchange;
  readonly #leasing: Leasing;
  readonly #answers: Answers<Session>;
  readonly #place: IndexPlace;
  /** The copy came with the last answer, and no turn has been taken since. */
  #isFresh = false;

  constructor(id: string, house: House<Session>) {
    this.id = id;
    this.key = house.keyOf(id);
    this.#house = house;
    this.copy = new Copy(id, house.limits.maxSessionBytes, (version) => house.staleness.show(id, version));
    const [{ calls, leases, isForgotten }, { copy }] = [house, this];
    this.#place = new IndexPlace((seconds) => house.noteUsed(id, seconds));
    this.#exchange = new Exchange({ key: this.key, copy, calls, schedule: () => house.schedule(this) });
    const [turns, exchange, onLost] = [this.#turns, this.#exchange, () => this.#endLease()];
    this.#leasing = new Leasing({ id, turns, copy, exchange, leases, isForgotten, onLost });
    this.#answers = new Answers(this, { copy, leasing: this.#leasing, house });
    this.chain = new Chain({ id, turns: this.#turns, leasing: this.#leasing, limits: house.limits });
  }

  get waitingCount(): number {
    return this.#turns.count;
  }

  get isIdle(): boolean {
    if (this.#turns.lease !== undefined || this.#leasing.held !== undefined) return false;
    return this.#turns.count === 0 && this.#exchange.isIdle && !this.chain.isStaged;
  }

  isHolder(owner: object): boolean {
    return this.#leasing.isHolder(owner);
  }

  /** @param turn of a session whose copy is not current. */
  read(turn: ReadTurn): void {
    this.#turns.addRead(turn);
    this.#house.schedule(this);
  }

  /** The copy has passed a barrier that began after the read. */
  answerRead(turn: ReadTurn, nowMs: number): void {
    const contents = this.copy.contentsAt(nowMs);
    turn.answer(contents === undefined ? ABSENT : stateOf(contents, turn.known));
  }

  enter(turn: Turn): void {
    if (turn.type !== "commit" || turn.options.fence === undefined) this.#turns.add(turn);
    else if (!this.#turns.addLeased(turn)) this.#answers.late(turn);
    this.#house.schedule(this);
  }

  expect(turn: CommitTurn): CommitTurn {
    return this.#turns.expect(turn);
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
    this.copy.noteStale();
    if (this.#exchange.isWaiting) this.#exchange.goOn();
  }

  stop(): void {
    this.#exchange.stop();
    clearTimeout(this.#turns.lease?.deadline);
  }

  failAll(error: unknown): void {
    const problem = storeError(this.id, error);
    this.#takeBack([]);
    for (const turn of [...this.#turns.takeReads(), ...this.#turns.takeDue()]) turn.fail(problem);
  }

  /** One step. What it asks Redis for goes out at the end of this turn of the event loop. */
  step(): void {
    const { isUnderWay, nowMs } = this.#exchange;
    const staged = isUnderWay ? undefined : this.chain.takeStaged();
    if (isUnderWay) this.chain.goOn(nowMs);
    else if (staged !== undefined) this.#send(staged, this.copy.contents);
    else this.#begin();
    this.#house.settle(this);
  }

  #begin(): void {
    const [{ hasWork, readCount, due }, [first]] = [this.#turns, this.#turns.due];
    const isNew = this.copy.isUnknown && first !== undefined && isCreation(first) && readCount === 0;
    // Reads wait for a fetch at most, also where others' leases are in the way all the time.
    const mayGoFirst = due.length > 0 && !this.#exchange.isWaiting && (readCount === 0 || this.#isFresh);
    if (mayGoFirst && this.#leasing.mustGoFirst) this.#goFirst();
    else if (hasWork && !this.copy.isCurrent && !isNew) this.#fetch();
    else {
      this.#answers.verifyReads(this.#turns);
      if (!this.#exchange.isWaiting && due.length > 0) this.#takeTurn();
      else if (this.#turns.lease === undefined) this.#leasing.layDown();
    }
  }

  #goFirst(): void {
    this.#isFresh = false;
    this.#leasing.goFirst((answer) => {
      this.#adopt(answer);
      this.#isFresh = true;
    });
  }

  // -- turns

  #takeTurn(): void {
    const [{ nowMs }, { due, lease }] = [this.#exchange, this.#turns];
    const isExpired = this.copy.isExpiredAt(nowMs);
    // Another host may have stamped it since; and what was seen is compared with what is there, not with what is known of it.
    const mustLook = (isExpired || isLate(due[0])) && !this.#isFresh;
    this.#isFresh = false;
    if (mustLook) this.#fetch();
    else if (lease !== undefined && !this.#leasing.isOf(this.copy.version)) this.#answers.overtake(this.#turns);
    else this.#plan(isExpired, nowMs);
  }

  #plan(isExpired: boolean, nowMs: number): void {
    const { due, lease } = this.#turns;
    const { stored, marks } = this.copy;
    const contents = isExpired ? undefined : this.copy.contents;
    const ending = isExpired ? "ended" : stored?.kind === "ended" ? stored.ending : undefined;
    const [{ id }, image, name] = [this, contents?.image, contents?.revision.mtimeMs ?? 0];
    const standing = { id, image, name, marks, isTaken: stored !== undefined, ending, due, lease, nowMs } as const;
    const plan = planTurn(standing, this.#house.limits);
    this.#turns.drop(plan.taken);
    for (const turn of plan.repeated) this.#answers.repeat(turn);
    for (const { turn, problem } of plan.refused) this.#answers.refuse(turn, problem);
    this.#carryOut(plan, contents, nowMs);
  }

  #carryOut(plan: Plan, contents: Contents | undefined, nowMs: number): void {
    const { last, turns, image } = plan;
    if (last?.type === "end") this.#end(last, plan, nowMs);
    else if (last?.type === "commit") this.#depart(last, contents);
    else if (image !== undefined && image !== contents?.image) this.#store(plan, contents, nowMs);
    else if (plan.isTouched && contents !== undefined) this.#stamp(turns, contents, nowMs);
    else if (last?.type === "lease") this.#lease(last, contents);
    else {
      this.#leasing.noteDone();
      for (const turn of turns) this.#house.verify(this, touchCheck(this, turn));
      this.#house.schedule(this);
    }
  }

  #store(plan: Plan, before: Contents | undefined, nowMs: number): void {
    const lease = this.#leasing.leftBy(plan.turns);
    const storing = storingOf(plan, { id: this.id, stored: before && this.copy.stored, lease, nowMs });
    this.#send({ ...storing, turns: plan.turns, lease, isChained: false }, before);
  }

  #send(sending: Sending, before: Contents | undefined): void {
    const { order, stored, turns, lease } = sending;
    this.#answers.verifyReads(this.#turns);
    this.#leasing.noteSent(order.bytes);
    this.#write(this.#order(order.what, order.bytes, order.number), turns, () => {
      this.#adoptOwn(stored, lease);
      this.#house.metrics.writes += 1;
      for (const turn of turns) {
        if (turn.type === "commit") this.#answers.noteCommit(turn);
        this.#leasing.closeReleased(turn);
      }
      const { contents } = this.copy;
      if (contents !== undefined) {
        this.#place.keep(contents.image, this.#exchange.nowMs, turns.some(isCreation));
        answerWritten({ turns, before, isRepair: false, origin: undefined }, contents);
      }
    });
    this.chain.begin(sending, before?.revision.mtimeMs ?? 0);
  }

  #stamp(turns: readonly (CommitTurn | TouchTurn)[], { image }: Contents, nowMs: number): void {
    const stamp = startupBytes(nowMs);
    const until = forgetAt(Buffer.concat([stamp, image.subarray(stamp.length)]));
    const { version } = this.copy;
    this.#call(this.#order("t", stamp, until), turns, (answer) => {
      this.#adopt(answer);
      const contents = this.copy.contentsAt(nowMs);
      if (contents === undefined || !isVersion(version, this.copy.version)) return this.#again(turns);
      this.#leasing.noteDone();
      this.#house.metrics.touches += 1;
      this.#place.keep(contents.image, nowMs, false);
      for (const turn of turns) turn.answer(stateOf(contents, turn.base));
    });
  }

  /** Changes before the end are in nothing that could be lost: they were carried out, and then the session ended. */
  #end(turn: ConditionalEnd, { turns, marks }: Plan, nowMs: number): void {
    const before = this.copy.contentsAt(nowMs);
    if (this.copy.stored?.kind === "ended" || this.copy.stored?.kind === "reserved") {
      turn.answer();
      this.#house.schedule(this);
      return;
    }
    if (turn.version !== undefined && !isVersion(turn.version, this.copy.version)) {
      turn.fail(overtaken(this.id));
      this.#again(turns);
      return;
    }
    this.#bury("c", marks, [...turns, turn], () => {
      this.#house.metrics.abandons += 1;
      for (const one of turns) one.answer(before === undefined ? ABSENT : stateOf(before, 0));
      turn.answer();
    });
  }

  /** A tombstone in its place: "x" whatever is there. */
  #bury(what: "c" | "x", marks: Buffer, turns: readonly Turn[], buried: () => void): void {
    const value = endedValue("ended", marks);
    this.#write(this.#order(what, value, this.#exchange.nowMs + this.#house.tombstoneMs), turns, () => {
      this.#adoptOwn(readValue(this.id, value), undefined);
      this.#house.noteEnded(this.id);
      buried();
    });
  }

  /** Goes on under another id: this one takes no other turn until that is there, or is refused. */
  #depart(turn: CommitTurn, contents: Contents | undefined): void {
    if (contents === undefined) throw gone(this.id);
    const standing = { id: this.id, image: contents.image, version: this.copy.version, marks: this.copy.marks };
    this.#exchange.during(succeed({ ...standing, holder: this.#leasing.asHolder, turn }, this.#house), {
      take: (outcome) => {
        if (outcome.kind === "done") {
          this.#adoptOwn(readValue(this.id, outcome.value), undefined);
          this.#leasing.close();
          this.#house.metrics.successions += 1;
          this.#answers.noteCommit(turn);
          this.#house.noteEnded(this.id);
          turn.answer(outcome.state);
        } else {
          if (outcome.waitMs !== undefined) this.#exchange.wait(outcome.waitMs);
          else this.#adopt(outcome.answer);
          this.#again([turn]);
        }
      },
      fail: (error) => this.#failed(error, [turn]),
    });
  }

  // -- leases

  #lease(turn: LeaseTurn, known: Contents | undefined): void {
    if (this.#leasing.mustLie) this.#lay(turn);
    else if (turn.isOptimistic === true && known !== undefined) this.#grant(turn, known, true);
    else this.#grantVerified(turn);
  }

  #grantVerified(turn: LeaseTurn): void {
    const passed = new Promise<number | undefined>((resolve, failed) => {
      this.#house.verify(this, { current: resolve, stale: () => resolve(undefined), failed });
    });
    this.#exchange.during(passed, {
      take: (nowMs) => {
        const contents = nowMs === undefined ? undefined : this.copy.contentsAt(nowMs);
        if (contents === undefined) this.#again([turn]);
        else this.#grant(turn, contents);
      },
      fail: (error) => this.#failed(error, [turn]),
    });
  }

  /** Into the value, where other hosts see it. */
  #lay(turn: LeaseTurn): void {
    const { nowMs } = this.#exchange;
    const order = { ...this.#order("l", NO_LEASE, turn.leaseMs), holder: this.#leasing.holder };
    this.#call(order, [turn], (answer) => {
      this.#adopt(answer);
      const contents = this.copy.contentsAt(nowMs);
      if (contents === undefined) return this.#again([turn]);
      this.#leasing.noteLaid();
      this.#grant(turn, contents);
    });
  }

  #grant(turn: LeaseTurn, contents: Contents, isUnverified?: true): void {
    if (this.#house.isForgotten(turn.caller.owner)) turn.fail(closed(this.id));
    else this.#leasing.grant(turn, contents, this.copy.version, isUnverified);
  }

  /** Of a commit under it that was sent before the mark tells what became of it. */
  #endLease(): void {
    const sent = this.#turns.lease?.turns.splice(0) ?? [];
    this.#leasing.close();
    for (const turn of sent) this.#answers.late(turn);
    this.#house.schedule(this);
  }

  // -- calls to Redis

  #fetch(): void {
    const reads = this.#turns.takeReads();
    this.#exchange.read({
      take: (answer) => {
        this.#adopt(answer);
        this.#isFresh = true;
        if (this.#turns.due.length > 0) this.#leasing.noteTry();
        const { nowMs } = this.#exchange;
        for (const turn of reads) this.answerRead(turn, nowMs);
      },
      fail: (error) => this.#failFetch(error, reads),
    });
  }

  /** @throws SessionError ERR_UNREADABLE; ServerError. */
  #adopt(answer: Answer): void {
    if (!Buffer.isBuffer(answer)) throw answer;
    this.copy.adopt(answer);
    this.#exchange.noteSure();
    const { stored } = this.copy;
    this.#leasing.noteLying(stored?.lease);
    if (stored?.kind === "ended" && stored.departure !== undefined) this.#house.complete(this.id, stored);
  }

  #order(what: Order["what"], bytes: Buffer, number: number): Order {
    return { what, version: this.copy.version, holder: this.#leasing.asHolder, bytes, number };
  }

  /** @param stored called when it is. Where something else is there, the turns come again. */
  #write(order: Order, turns: readonly Turn[], stored: () => void): void {
    this.#call(order, turns, (answer) => {
      if (answer === 1) {
        stored();
        return;
      }
      this.#house.calls.counts.overtaken += 1;
      this.#leasing.noteConflict();
      this.#adopt(answer);
      this.#again(turns);
    });
  }

  /** @param take given whatever is no failure and no lease of another host. */
  #call(order: Order, turns: readonly Turn[], take: (answer: Answer) => void): void {
    this.#exchange.write(order, {
      take: (answer) => {
        if (typeof answer !== "number" || answer > 0) take(answer);
        else {
          this.#leasing.noteConflict();
          this.#exchange.wait(-answer);
          this.#again(turns);
        }
      },
      fail: (error) => this.#failed(error, turns),
    });
  }

  #adoptOwn(stored: Stored, lease: Buffer | undefined): void {
    this.copy.adoptOwn(stored);
    this.#leasing.noteLying(lease);
    this.#exchange.noteSure();
    this.chain.noteStored(this.copy.version);
    this.#leasing.noteDone();
  }

  /** These turns come before all others. */
  #again(turns: readonly Turn[]): void {
    this.#leasing.noteTry();
    const wanted = this.#answers.wanted(this.#takeBack(turns));
    for (const turn of this.#turns.putBack(wanted)) if (turn.type === "commit") this.#answers.late(turn);
    this.#house.schedule(this);
  }

  // -- failures

  #failFetch(error: unknown, reads: readonly ReadTurn[]): void {
    if (this.#exchange.mayLookAgain(error)) {
      for (const turn of reads) this.#turns.addRead(turn);
      return;
    }
    const problem = unanswered(this.id, error);
    for (const turn of [...reads, ...this.#turns.takeReads()]) turn.fail(problem);
    this.#failTurns(problem, this.#turns.takeDue());
  }

  #failed(error: unknown, turns: readonly Turn[]): void {
    this.copy.noteStale();
    if (this.#exchange.mayLookAgain(error)) this.#again(turns);
    else this.#failTurns(unstored(this.id, error), this.#takeBack(turns));
  }

  #takeBack(turns: readonly Turn[]): readonly Turn[] {
    return this.chain.takeBack(turns, () => this.#answers.takeBack(this.#turns));
  }

  #failTurns(problem: SessionError, turns: readonly Turn[]): void {
    const ends = this.#answers.fail(problem, turns);
    if (ends.length > 0) this.#bury("x", NO_MARKS, ends, () => void ends.map((turn) => turn.answer()));
  }
}
