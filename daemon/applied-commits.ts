// Which commits of which worker were applied lately, so that one that is sent again after a broken connection is not applied again.
// Bounded: one generation holds more than a worker may have in flight.

/** Commits of one connection that may wait at once; a generation holds as many. */
export const MAX_COMMITS_IN_FLIGHT = 32_768;
const PER_GENERATION: number = MAX_COMMITS_IN_FLIGHT;
const CLIENTS_PER_GENERATION = 1024;

/** Two generations of one worker's commit numbers: cheap to fill, forgotten half at a time. */
class Sequences {
  #young = new Set<number>();
  #old = new Set<number>();

  add(sequence: number): void {
    this.#young.add(sequence);
    if (this.#young.size < PER_GENERATION) return;
    this.#old = this.#young;
    this.#young = new Set();
  }

  has(sequence: number): boolean {
    return this.#young.has(sequence) || this.#old.has(sequence);
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
