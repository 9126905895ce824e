// The calls of one session to Redis: one at a time, so that none overtakes another, whatever is put off or sent again on the way. Knows no turns.

import { type Answer, type Calls, type Order, UNREPLICATED, UNSURE_MS } from "../calls/calls.ts";
import { ServerError } from "../link/link.ts";
import type { Copy } from "./copy.ts";

/** Whoever waits for another host's lease looks after so long, should a push have been lost with a connection. */
const MAX_WAIT_MS = 1_000;

export interface ExchangeParts {
  readonly key: string;
  readonly copy: Copy;
  readonly calls: Calls;
  /** There may be something to do. */
  readonly schedule: () => void;
}

/** What becomes of a call. Exactly one of both is called, once; what `take` throws is given to `fail`. */
interface Ends<T> {
  readonly take: (answer: T) => void;
  readonly fail: (error: unknown) => void;
}

export class Exchange {
  readonly #parts: ExchangeParts;
  #isUnderWay = false;
  #waiting: NodeJS.Timeout | undefined;
  #unsureSinceMs: number | undefined;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** For the lease of another host. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  get isIdle(): boolean {
    return !this.#isUnderWay && this.#waiting === undefined;
  }

  get nowMs(): number {
    return this.#parts.calls.clockOf(this.#parts.key).nowMs;
  }

  read(ends: Ends<Answer>): void {
    const { calls, key, copy } = this.#parts;
    this.during(calls.read(key, copy.version), ends);
  }

  write(order: Order, ends: Ends<Answer>): void {
    this.during(this.#parts.calls.write(this.#parts.key, order), ends);
  }

  /** Until this has ended no other call is made. */
  during<T>(work: Promise<T>, { take, fail }: Ends<T>): void {
    this.#isUnderWay = true;
    this.#parts.copy.begin();
    work
      .then((answer) => {
        this.#isUnderWay = false;
        if (answer instanceof ServerError) throw answer;
        take(answer);
      })
      .catch((error: unknown) => {
        this.#isUnderWay = false;
        fail(error);
      })
      .finally(this.#parts.schedule);
  }

  /** Until the value changes, or the time is over: not at all if it has changed since the question was asked. */
  wait(ms: number): void {
    if (this.#parts.copy.isDirty) return;
    this.#waiting = setTimeout(() => this.goOn(), Math.min(ms, MAX_WAIT_MS) + 1);
  }

  goOn(): void {
    this.stop();
    this.#parts.schedule();
  }

  stop(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  /** It is known again what is stored. */
  noteSure(): void {
    this.#unsureSinceMs = undefined;
  }

  /** What may have been done is looked for: its marks tell. */
  mayLookAgain(error: unknown): boolean {
    if (!(error instanceof ServerError) || error.outcome !== "unsure" || error.code === UNREPLICATED) return false;
    this.#parts.copy.noteStale();
    this.#unsureSinceMs ??= performance.now();
    if (performance.now() - this.#unsureSinceMs < UNSURE_MS) return true;
    this.#unsureSinceMs = undefined;
    return false;
  }
}
