// Transactions of one host that follow each other without waiting for Redis. While a commit is on its way, the lease that it ends is the next holder's, on
// what it makes; and when his last commit comes before Redis has answered, that is staged, and the lease goes on. What is staged is stored by one call.
//
//   1. A's commit is on its way. B waits: he is given the lease on what that makes, and told that it is unverified
//   2. B's commit comes: it is staged, and C is given the lease on what it makes
//   3. A's is stored: B's is sent, with those that were staged since, for the version that A's has made
//      it is not: A, B and C run again. Nobody has told anything of what they saw
//      nobody knows: A's is looked for. B and C run again, for theirs were never sent
//
// Without this file each waits for the round trip of the one before him, which is all that is lost.

import {
  type CommitTurn,
  endsLease,
  overtaken,
  type TouchTurn,
  type Turn,
  type Turns,
  withoutLease,
} from "../../turns/turns.ts";
import { nameOf } from "../value/value.ts";
import { asContents } from "./copy.ts";
import type { Leasing } from "./leasing.ts";
import { keepImage, type Limits, type Plan, planTurn, type Storing, storingOf } from "./plan.ts";

/** Commits that are staged at once: more than workers of a host that wait for one session, as a rule. */
const MAX_STAGED = 64;
/** The name of no version. */
const NEVER = -1;

/** What one call stores, and for whom. */
export interface Sending extends Storing {
  readonly turns: readonly (CommitTurn | TouchTurn)[];
  /** So many of them saw the version that it is for; those behind them saw what these make of it. Undefined: all. */
  readonly seeingCount?: number;
  /** Our lease, which goes on lying in the value. */
  readonly lease: Buffer | undefined;
  /** Its commits are of several leases, all of which are over but perhaps the last. */
  readonly isChained: boolean;
}

interface Staged extends Sending {
  readonly plan: Plan;
}

export interface ChainParts {
  readonly id: string;
  readonly turns: Turns;
  readonly leasing: Leasing;
  readonly limits: Limits;
}

export class Chain {
  readonly #parts: ChainParts;
  #underWay: Sending | undefined;
  /** The name of the version that it is for. */
  #seen = 0;
  /** The lease that it ends is the next holder's by now. */
  #isPassed = false;
  #staged: Staged | undefined;

  constructor(parts: ChainParts) {
    this.#parts = parts;
  }

  get isStaged(): boolean {
    return this.#staged !== undefined;
  }

  /** A call is on its way. @param seen the name of the version that it is for; 0: of none. */
  begin(sending: Sending, seen: number): void {
    this.#underWay = sending;
    this.#seen = seen;
    this.#isPassed = (sending.isChained && !this.#endsLease(sending)) || this.#pass(sending);
  }

  /** While it is: whoever waits for the lease may have it, and what came under the lease may be staged. */
  goOn(nowMs: number): void {
    if (this.#underWay === undefined) return;
    if (!this.#isPassed) this.#isPassed = this.#pass(this.#underWay);
    else if (this.#staged === undefined || !this.#pass(this.#staged)) this.#stage(this.#underWay, nowMs);
  }

  /** It is stored, as this version. */
  noteStored(version: Buffer): void {
    // Whoever has the lease by now has seen what came after it.
    if (!this.#isPassed) this.#parts.leasing.noteStored(version);
    this.#underWay = undefined;
    this.#isPassed = false;
  }

  /** What is to be stored next. */
  takeStaged(): Sending | undefined {
    const staged = this.#staged;
    this.#staged = undefined;
    return staged;
  }

  /**
   * What is on its way is not stored, or nobody knows. Returns its turns as they come again.
   *
   * @param takeBackLease ends the lease in force.
   */
  takeBack(turns: readonly Turn[], takeBackLease: () => void): readonly Turn[] {
    const isChained = this.#isPassed || this.#underWay?.isChained === true || this.#staged !== undefined;
    const staged = this.takeStaged();
    const { seeingCount = turns.length } = this.#underWay ?? {};
    this.#underWay = undefined;
    this.#isPassed = false;
    if (!isChained) return turns;
    const { id, turns: waiting } = this.#parts;
    if (waiting.lease !== undefined) takeBackLease();
    for (const turn of staged?.turns ?? []) turn.fail(overtaken(id));
    // Their leases are over, and not by their fault. What those behind the first have seen was never there, unless their marks are.
    return turns.map((turn, n) => {
      return turn.type === "commit" ? withoutLease(turn, n < seeingCount ? this.#seen : NEVER) : turn;
    });
  }

  /** Decides nothing that depends on what is not stored: a commit that would be refused, or has been done, waits for its turn. */
  #stage(underWay: Sending, nowMs: number): void {
    const { id, turns, limits } = this.#parts;
    const { due, lease } = turns;
    const { stored } = this.#staged ?? underWay;
    const count = this.#staged?.turns.length ?? 0;
    if (lease?.isEnding !== true || stored.kind !== "session" || count >= MAX_STAGED) return;
    const { image, marks, version } = stored;
    const standing = { id, image, name: nameOf(version), marks, isTaken: true, ending: undefined, due, lease, nowMs };
    const plan = planTurn(standing, limits);
    if (plan.refused.length > 0 || plan.repeated.length > 0 || plan.last !== undefined || plan.image === image) return;
    turns.drop(plan.taken);
    this.#staged = this.#added(plan, underWay, nowMs);
    this.#pass(this.#staged);
  }

  #added(plan: Plan, { stored }: Sending, nowMs: number): Staged {
    const before = this.#staged?.plan;
    const images = [...(before?.images ?? [])];
    for (const image of plan.images) keepImage(images, image);
    const all = { ...plan, images, turns: [...(before?.turns ?? []), ...plan.turns] };
    const storing = storingOf(all, { id: this.#parts.id, stored, lease: undefined, nowMs });
    const seeingCount = this.#staged?.seeingCount ?? plan.turns.length;
    return { ...storing, plan: all, turns: all.turns, seeingCount, lease: undefined, isChained: true };
  }

  #endsLease({ turns }: Sending): boolean {
    const { lease } = this.#parts.turns;
    return turns.some((turn) => endsLease(turn, lease));
  }

  /** Gives the lease that it ends to who is next, if he takes it unverified. */
  #pass(sending: Sending): boolean {
    const { turns, leasing } = this.#parts;
    const { first } = turns;
    const { stored } = sending;
    if (stored.kind !== "session" || !leasing.mayPass || !this.#endsLease(sending)) return false;
    if (first?.type !== "lease" || first.isOptimistic !== true) return false;
    leasing.passOn();
    turns.drop(1);
    leasing.grant(first, asContents(stored.image, stored.version), stored.version, true);
    return true;
  }
}
