// Counters and histograms of the daemon's work. All parts of the daemon write them; the status operation reads them.

import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { Latencies, microsOf, type Timed } from "./latencies.ts";
import { Watches } from "./watches.ts";

/** The pause between two samples of the event loop. The delay of the loop is the time by which a sample comes late. */
const LOOP_TICK_MS = 20;

export class Metrics {
  readonly #startedMs: number = performance.now();
  opens = 0;
  hits = 0;
  commits = 0;
  writes = 0;
  touches = 0;
  abandons = 0;
  successions = 0;
  leases = 0;
  leasesLost = 0;
  conflicts = 0;
  repairs = 0;
  resurrectionsUndone = 0;
  foreignSaves = 0;
  expired = 0;
  duplicates = 0;
  readonly errors = new Map<string, number>();
  readonly watches: Watches = new Watches();
  readonly #latencies = new Latencies();
  readonly #loopDelay: IntervalHistogram = monitorEventLoopDelay({ resolution: LOOP_TICK_MS });

  constructor() {
    this.#loopDelay.enable();
  }

  countError(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  noteOpen(ms: number): void {
    this.#record("open", ms);
  }

  noteCommit(ms: number): void {
    this.#record("commit", ms);
  }

  /** How long a transaction waited for the transactions before it. */
  noteLease(ms: number): void {
    this.#record("lease", ms);
  }

  stop(): void {
    this.#loopDelay.disable();
  }

  report(): Record<string, unknown> {
    const { opens, hits, commits, writes, touches, abandons, leases, leasesLost, conflicts } = this;
    const { successions, repairs, resurrectionsUndone, foreignSaves, expired, duplicates } = this;
    return {
      uptimeSeconds: Math.round((performance.now() - this.#startedMs) / 1000),
      ...{ opens, hits, hitRate: opens === 0 ? null : hits / opens, commits, writes, touches, abandons, successions },
      ...{ leases, leasesLost, conflicts, repairs, resurrectionsUndone, foreignSaves, expired, duplicates },
      errors: Object.fromEntries(this.errors),
      ...this.#latencies.report(),
      loopDelayMicros: microsOf(this.#loopDelay, LOOP_TICK_MS * 1000),
    };
  }

  #record(timed: Timed, ms: number): void {
    const ns = Math.max(1, Math.round(ms * 1e6));
    this.#latencies.record(timed, ns);
    if (this.watches.count > 0) this.watches.record(timed, ns);
  }
}
