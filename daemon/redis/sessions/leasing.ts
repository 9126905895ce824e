// Leases of one session over several hosts: which version the holder saw, and whether the lease lies in the value, where other hosts see it.
//
// A lease lies in this daemon alone as long as no other host gets in the way: a commit under it is for the version that its holder saw, and no other,
// which is all that makes it safe. After a conflict the next leases lie in the value too, so that the other hosts wait for them.
//
// Whatever else is due needs no lease. But a host that is farther away from Redis than another one, which changes the session without a gap, would be too
// late with each try: after some of them it lays a lease for what is due, too.

import { randomBytes } from "node:crypto";
import type { Contents } from "../../memory/cache.ts";
import { type CommitTurn, endsLease, type Leases, type LeaseTurn, type Turn, type Turns } from "../../turns/turns.ts";
import type { Answer, Order } from "../calls/calls.ts";
import { HOLDER_BYTES, isVersion, NO_LEASE, NOBODY, VERSION_BYTES } from "../value/value.ts";
import type { Copy } from "./copy.ts";
import type { Exchange } from "./exchange.ts";

/** Leases that lie in the value after a conflict, until it is tried without again. */
const LEASES_AFTER_CONFLICT = 16;
/** Calls in vain for what is due, until a lease is laid for it. */
const MAX_TRIES = 4;
/** How long others wait for what is due here, should this daemon be killed meanwhile. Of a call that takes longer no answer is waited for. */
const GO_FIRST_MS = 5_000;
/** More leases than are in the hands of workers that have not been told of it yet. */
const MAX_OVER = 16;

export interface LeasingParts {
  readonly id: string;
  readonly turns: Turns;
  readonly copy: Copy;
  readonly exchange: Exchange;
  readonly leases: Leases;
  /** The time of a lease is over. */
  readonly onLost: () => void;
  /** The connection of a holder is closed. */
  readonly isForgotten: (owner: object) => boolean;
}

export class Leasing {
  readonly #parts: LeasingParts;
  /** Names this session of this daemon among those who want a lease. */
  readonly holder: Buffer = Buffer.from(randomBytes(HOLDER_BYTES).toString("base64url").slice(0, HOLDER_BYTES));
  #version: Buffer | undefined;
  /** The version that a commit under the lease makes, as long as it is not known whether it has. */
  #sent: Buffer | undefined;
  /** Fences of the last leases that ended otherwise than with their connection, or with a commit that was still on its way. */
  readonly #over: number[] = [];
  /** Connections whose lease ended by its time, which they may not know. */
  readonly #late = new WeakSet<object>();
  /** Fences of the last leases that ended because what their holders saw is not stored: these run again. */
  readonly #overtaken: number[] = [];
  #held: Buffer | undefined;
  #toLay = 0;
  /** Calls for what is due that came to nothing, one after the other. */
  #tries = 0;

  constructor(parts: LeasingParts) {
    this.#parts = parts;
  }

  /** Our lease as it lies in the value. */
  get held(): Buffer | undefined {
    return this.#held;
  }

  get mustLie(): boolean {
    return this.#toLay > 0;
  }

  /** What is due would be too late again. */
  get mustGoFirst(): boolean {
    return this.#held === undefined && this.#tries >= MAX_TRIES;
  }

  /** It is in nobody's way but ours, and may go from hand to hand. */
  get mayPass(): boolean {
    return this.#held === undefined && !this.mustLie;
  }

  /** Who we are for the lease that lies in the value. */
  get asHolder(): Buffer {
    return this.#held === undefined ? NOBODY : this.holder;
  }

  /** This is the version that the holder saw, or made. */
  isOf(version: Buffer): boolean {
    return isVersion(this.#version, version) || isVersion(this.#sent, version);
  }

  /** The commit is for a lease that was taken back, perhaps while an earlier one under it was stored. */
  wasOvertaken({ options }: CommitTurn): boolean {
    return options.fence !== undefined && this.#overtaken.includes(options.fence);
  }

  /** The lease of the commit ended here: by a commit, because it was given back, by its time, or because another host was faster. */
  isOver({ options }: CommitTurn): boolean {
    return options.fence !== undefined && this.#over.includes(options.fence);
  }

  /** @param isUnverified the contents are what is known here, and were not compared with what is stored. */
  grant(turn: LeaseTurn, contents: Contents, version: Buffer, isUnverified?: true): void {
    const { id, turns, leases, onLost } = this.#parts;
    const { owner } = turn.caller;
    this.#version = version;
    this.#late.delete(owner);
    this.noteDone();
    leases.grant(turns, turn, { id, contents, isUnverified }, () => {
      this.#late.add(owner);
      onLost();
    });
  }

  /** Whether this connection has the lease, or has had it until its time was over: it may tell somebody what it saw under it. */
  isHolder(owner: object): boolean {
    return this.#parts.leases.isHeldBy(owner, this.#parts.id) || this.#late.has(owner);
  }

  /** Has others wait until what is due here is carried out. @param take given what is stored. */
  goFirst(take: (answer: Answer) => void): void {
    const { exchange } = this.#parts;
    exchange.write(this.#order("l", this.holder, GO_FIRST_MS), {
      take: (answer) => {
        if (typeof answer === "number") exchange.wait(-answer);
        else {
          this.noteDone();
          take(answer);
        }
      },
      fail: (error) => {
        // What is due is tried without it, and hears what is wrong.
        this.noteDone();
        exchange.mayLookAgain(error);
      },
    });
  }

  /** The others need not wait for the deadline of a lease that lies in the value. */
  layDown(): void {
    const { exchange } = this.#parts;
    if (this.#held === undefined) return;
    exchange.write(this.#order("u", this.asHolder, 0), {
      take: () => this.noteLying(undefined),
      fail: (error) => {
        // Where Redis refuses it the lease ends by its time.
        if (!exchange.mayLookAgain(error)) this.noteLying(undefined);
      },
    });
  }

  #order(what: "l" | "u", holder: Buffer, number: number): Order {
    return { what, version: this.#parts.copy.version, holder, bytes: NO_LEASE, number };
  }

  /** Ends the lease in force: what was to be done under it is refused. */
  close(): void {
    const { turns, isForgotten } = this.#parts;
    const { lease } = turns;
    if (lease !== undefined && !isForgotten(lease.owner)) remember(this.#over, lease.fence);
    this.passOn();
  }

  /**
   * Ends the lease in force, while nobody knows yet what becomes of the commit that ends it. Should that come again over another connection, it is no commit
   * of a lease that is over: it may be on its way still (`answers.ts`, late).
   */
  passOn(): void {
    const { id, turns, leases } = this.#parts;
    this.#version = undefined;
    this.#sent = undefined;
    leases.close(turns, id);
  }

  /** What is to lie in the value when these commits are stored. */
  leftBy(turns: readonly Turn[]): Buffer | undefined {
    const { lease } = this.#parts.turns;
    return lease === undefined || turns.some((turn) => endsLease(turn, lease)) ? undefined : this.#held;
  }

  /** Ends the lease in force if this commit was to end it. */
  closeReleased(turn: Turn): void {
    if (endsLease(turn, this.#parts.turns.lease)) this.close();
  }

  /** A commit is about to be stored as this value, or what begins with its head. */
  noteSent(value: Buffer): void {
    if (this.#parts.turns.lease !== undefined) this.#sent = value.subarray(0, VERSION_BYTES);
  }

  /** A commit under it was stored as this version. */
  noteStored(version: Buffer): void {
    if (this.#parts.turns.lease !== undefined) this.#version = version;
  }

  noteLaid(): void {
    this.#toLay -= 1;
  }

  /** Redis was asked for what is due, and something has been changed meanwhile. */
  noteTry(): void {
    this.#tries += 1;
  }

  /** What was due is carried out, or refused. */
  noteDone(): void {
    this.#tries = 0;
  }

  /** @param lease that lies in the value now: ours, or another one, or none. */
  noteLying(lease: Buffer | undefined): void {
    const isOurs = lease !== undefined && this.holder.equals(lease.subarray(0, HOLDER_BYTES));
    this.#held = isOurs ? lease : undefined;
  }

  /** Another host was faster than what was done under the lease in force, or what was seen with it. */
  noteConflict(): void {
    if (this.#parts.turns.lease !== undefined) this.#toLay = LEASES_AFTER_CONFLICT;
  }

  /** Ends the lease in force, whose holder has seen what is not stored, or not any more: it runs again. */
  takeBack(): void {
    const { lease } = this.#parts.turns;
    if (lease !== undefined) remember(this.#overtaken, lease.fence);
    this.close();
  }
}

function remember(fences: number[], fence: number): void {
  fences.push(fence);
  if (fences.length > MAX_OVER) fences.shift();
}
