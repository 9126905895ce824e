// What a sweep finds, counted. A session ends in a turn of its own, and one that another program holds locked much later: the count is complete
// when each of those has been told.

import type { SweepCount } from "../backend/backend.ts";

/** "vanished": it has gone by itself since its name was read. "failed": its time is over, and it could not be ended. */
export type Fate = "kept" | "ended" | "unreadable" | "failed" | "vanished";

export class Tally {
  readonly #counts: Record<Fate, number> = { kept: 0, ended: 0, unreadable: 0, failed: 0, vanished: 0 };
  /** Fates that are not told yet. */
  #open = 0;
  #complete: (() => void) | undefined;
  #isGivenUp = false;

  get count(): SweepCount {
    const { kept, ended, unreadable, failed } = this.#counts;
    return { seen: kept + ended + unreadable + failed, ended, unreadable, failed };
  }

  note(fate: Fate): void {
    this.#counts[fate] += 1;
  }

  /** @param fate never rejects. */
  await(fate: Promise<Fate>): void {
    this.#open += 1;
    void fate.then((told) => {
      this.note(told);
      this.#open -= 1;
      if (this.#open === 0) this.#complete?.();
    });
  }

  /** Resolves when no fate is open any more, or nobody waits for those that are. To be called once, after the last `await`. */
  async close(): Promise<void> {
    if (this.#open === 0 || this.#isGivenUp) return;
    await new Promise<void>((resolve) => {
      this.#complete = resolve;
    });
  }

  giveUp(): void {
    this.#isGivenUp = true;
    this.#complete?.();
  }
}
