// Which commits of which worker were applied lately, so that a commit that is sent again after a broken connection is not applied again.
// Bounded: of a worker the last numbers count, more than it may have in flight.

import { MAX_COMMITS_IN_FLIGHT } from "../backend/backend.ts";

/** Numbers from the highest one down that are remembered; a worker counts its commits, so those in flight lie close together. */
const WINDOW: number = 2 * MAX_COMMITS_IN_FLIGHT;
/** Workers of one generation, more than a machine runs: two generations are remembered, 16 KiB for each worker. */
const CLIENTS_PER_GENERATION = 1024;

/** One worker's commit numbers: a bit for each of the last ones, at its place in a ring. */
class Sequences {
  readonly #bits = new Uint32Array(WINDOW / 32);
  #highest = -1;

  add(sequence: number): void {
    if (sequence > this.#highest) this.#advanceTo(sequence);
    else if (sequence <= this.#highest - WINDOW) return;
    const place = sequence % WINDOW;
    this.#bits[place >>> 5] = (this.#bits[place >>> 5] as number) | (1 << (place & 31));
  }

  has(sequence: number): boolean {
    if (sequence > this.#highest || sequence <= this.#highest - WINDOW) return false;
    const place = sequence % WINDOW;
    return ((this.#bits[place >>> 5] as number) & (1 << (place & 31))) !== 0;
  }

  /** The places of the numbers in between are those of older ones, which are forgotten. */
  #advanceTo(sequence: number): void {
    if (sequence - this.#highest >= WINDOW) this.#bits.fill(0);
    else {
      for (let number = this.#highest + 1; number <= sequence; number++) {
        const place = number % WINDOW;
        this.#bits[place >>> 5] = (this.#bits[place >>> 5] as number) & ~(1 << (place & 31));
      }
    }
    this.#highest = sequence;
  }
}

export class AppliedCommits {
  #young = new Map<string, Sequences>();
  #old = new Map<string, Sequences>();

  add(client: string, sequence: number): void {
    this.#of(client).add(sequence);
  }

  has(client: string, sequence: number): boolean {
    return (this.#young.get(client) ?? this.#old.get(client))?.has(sequence) === true;
  }

  #of(client: string): Sequences {
    const known = this.#young.get(client);
    if (known !== undefined) return known;
    const sequences = this.#old.get(client) ?? new Sequences();
    this.#young.set(client, sequences);
    if (this.#young.size >= CLIENTS_PER_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    return sequences;
  }
}
