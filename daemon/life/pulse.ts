// Whether the event loop of this process runs: everybody waits while it does not, because somebody stopped the process, or the machine has
// no time for it. An operator is told, and of the log lines that were left out meanwhile.

import type { Log } from "../report/report.ts";

/** An event loop that was late by so much is told of. */
const STALL_MS = 1_000;

export class Pulse {
  /** How often it is to be felt. */
  static readonly everyMs = 1_000;
  readonly #log: Log;
  #feltMs = performance.now();

  constructor(log: Log) {
    this.#log = log;
  }

  feel(): void {
    const lateMs = performance.now() - this.#feltMs - Pulse.everyMs;
    this.#feltMs = performance.now();
    if (lateMs > STALL_MS) this.#log.warn("stalled", { ms: Math.round(lateMs) });
    this.#log.tellSuppressed();
  }
}
