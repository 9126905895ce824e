// The calls of one session to Redis: one at a time, so that none overtakes another, whatever is put off or sent again on the way. Knows no turns.

import { type Answer, type Calls, type Ends, type Order, UNREPLICATED, UNSURE_MS } from "../calls/calls.ts";
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

/** What `take` throws is given to `fail`. */
export class Exchange implements Ends<unknown> {
  readonly #parts: ExchangeParts;
  /** Those of the call that is under way. */
  #ends: Ends<never> | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #unsureSinceMs: number | undefined;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  get isUnderWay(): boolean {
    return this.#ends !== undefined;
  }

  /** For the lease of another host. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  get isIdle(): boolean {
    return this.#ends === undefined && this.#waiting === undefined;
  }

  get nowMs(): number {
    return this.#parts.calls.clockOf(this.#parts.key).nowMs;
  }

  read(ends: Ends<Answer>): void {
    const { calls, key, copy } = this.#parts;
    this.#begin(ends);
    calls.readFor(key, copy.version, this);
  }

  write(order: Order, ends: Ends<Answer>): void {
    const { calls, key } = this.#parts;
    this.#begin(ends);
    calls.writeFor(key, order, this);
  }

  /** Until this has ended no other call is made. */
  during<T>(work: Promise<T>, ends: Ends<T>): void {
    this.#begin(ends);
    work.then(
      (answer) => this.take(answer),
      (error: unknown) => this.fail(error),
    );
  }

  #begin(ends: Ends<never>): void {
    this.#ends = ends;
    this.#parts.copy.begin();
  }

  /** For the call that is under way: its answer. */
  take(answer: unknown): void {
    const ends = this.#ends;
    this.#ends = undefined;
    try {
      if (answer instanceof ServerError) throw answer;
      ends?.take(answer as never);
    } catch (error) {
      ends?.fail(error);
    } finally {
      this.#parts.schedule();
    }
  }

  /** For the call that is under way: there is no answer. */
  fail(error: unknown): void {
    const ends = this.#ends;
    this.#ends = undefined;
    try {
      ends?.fail(error);
    } finally {
      this.#parts.schedule();
    }
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
