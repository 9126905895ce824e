// Leases of one session over several hosts: which version the holder saw, and whether the lease lies in the value, where other hosts see it.
//
// A lease lies in this daemon alone as long as no other host gets in the way: a commit under it is for the version that its holder saw, and no other,
// which is all that makes it safe. After a conflict the next leases lie in the value too, so that the other hosts wait for them.

import { randomBytes } from "node:crypto";
import type { Contents } from "../../memory/cache.ts";
import type { Leases, LeaseTurn, Turn, Turns } from "../../turns/turns.ts";
import { HOLDER_BYTES, isVersion, NOBODY } from "../value/value.ts";
import { endsLease } from "./plan.ts";

/** Leases that lie in the value after a conflict, until it is tried without again. */
const LEASES_AFTER_CONFLICT = 16;

export interface LeasingParts {
  readonly id: string;
  readonly turns: Turns;
  readonly leases: Leases;
  /** The time of a lease is over. */
  readonly onLost: () => void;
}

export class Leasing {
  readonly #parts: LeasingParts;
  /** Names this session of this daemon among those who want a lease. */
  readonly holder: Buffer = Buffer.from(randomBytes(HOLDER_BYTES).toString("base64url").slice(0, HOLDER_BYTES));
  #version: Buffer | undefined;
  #held: Buffer | undefined;
  #toLay = 0;

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

  /** Who we are for the lease that lies in the value. */
  get asHolder(): Buffer {
    return this.#held === undefined ? NOBODY : this.holder;
  }

  /** This is the version that the holder saw, or made. */
  isOf(version: Buffer): boolean {
    return isVersion(this.#version, version);
  }

  grant(turn: LeaseTurn, contents: Contents, version: Buffer): void {
    const { id, turns, leases, onLost } = this.#parts;
    this.#version = version;
    leases.grant(turns, turn, { id, contents }, (fence) => {
      if (turns.lease?.fence === fence) onLost();
    });
  }

  /** Ends the lease in force: what was to be done under it is refused. */
  close(): void {
    const { id, turns, leases } = this.#parts;
    this.#version = undefined;
    leases.close(turns, id);
  }

  /** Ends the lease in force if this commit was to end it. */
  closeReleased(turn: Turn): void {
    if (endsLease(turn, this.#parts.turns.lease)) this.close();
  }

  /** A commit under it was stored as this version. */
  noteStored(version: Buffer): void {
    if (this.#parts.turns.lease !== undefined) this.#version = version;
  }

  noteLaid(): void {
    this.#toLay -= 1;
  }

  /** @param lease that lies in the value now: ours, or another one, or none. */
  noteLying(lease: Buffer | undefined): void {
    const isOurs = lease !== undefined && this.holder.equals(lease.subarray(0, HOLDER_BYTES));
    this.#held = isOurs ? lease : undefined;
  }

  noteConflict(): void {
    this.#toLay = LEASES_AFTER_CONFLICT;
  }
}
