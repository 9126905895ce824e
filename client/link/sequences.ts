// The numbers of a worker's commits, and the lowest that it waits for: a commit tells it, so that what remembers applied commits may forget those below.

export class Sequences {
  #last = 0;
  #floor = 1;
  /** Those above the floor that have ended. */
  readonly #ended = new Set<number>();

  /** The lowest number that is waited for, or the next one. */
  get floor(): number {
    return this.#floor;
  }

  next(): number {
    this.#last += 1;
    return this.#last;
  }

  /** The commit of this number was answered, or has failed: it is not sent again. */
  end(sequence: number): void {
    if (sequence !== this.#floor) {
      this.#ended.add(sequence);
      return;
    }
    this.#floor += 1;
    while (this.#ended.delete(this.#floor)) this.#floor += 1;
  }
}
