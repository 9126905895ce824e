// Looks at all sessions in memory for what other programs changed: hints of the watch may be lost. One look at a time, in slices, and at
// most a tenth of the daemon's time, however many sessions there are.

/** Looks at all sessions, one with each step. */
export interface Looked {
  lookAgainAtAll(): Iterator<void>;
}

const SESSIONS_PER_SLICE = 64;
/** After a slice the look rests this many times as long as the slice took. */
const REST_FACTOR = 9;
/** And no longer, whatever the time of the slice was: it may be that of a process which was stopped, or of a disk. */
const MAX_REST_MS = 10_000;

export class Reconcile {
  readonly #sessions: Looked;
  #looks: Iterator<void> | undefined;
  #isWantedAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(sessions: Looked) {
    this.#sessions = sessions;
  }

  /** Begins a look, unless one is under way. */
  request(): void {
    if (this.#looks === undefined) this.#begin();
  }

  /** Anything may have changed just now, also where the look under way has been already. */
  requestWhole(): void {
    if (this.#looks === undefined) this.#begin();
    else this.#isWantedAgain = true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #begin(): void {
    this.#isWantedAgain = false;
    this.#looks = this.#sessions.lookAgainAtAll();
    this.#continue(this.#looks);
  }

  #continue(looks: Iterator<void>): void {
    const beganMs = performance.now();
    for (let count = 0; count < SESSIONS_PER_SLICE; count++) {
      if (looks.next().done !== true) continue;
      this.#looks = undefined;
      if (this.#isWantedAgain) this.#begin();
      return;
    }
    const restMs = Math.min(MAX_REST_MS, REST_FACTOR * (performance.now() - beganMs));
    this.#timer = setTimeout(() => this.#continue(looks), restMs).unref();
  }
}
