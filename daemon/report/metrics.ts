// Counters and histograms of the daemon's work. All parts of the daemon write them; the status operation reads them.

import {
  createHistogram,
  type IntervalHistogram,
  monitorEventLoopDelay,
  type RecordableHistogram,
} from "node:perf_hooks";

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
  /** From the arrival of a call to its answer, in nanoseconds. */
  readonly #openNs: RecordableHistogram = createHistogram();
  readonly #commitNs: RecordableHistogram = createHistogram();
  readonly #leaseNs: RecordableHistogram = createHistogram();
  readonly #loopDelay: IntervalHistogram = monitorEventLoopDelay({ resolution: LOOP_TICK_MS });

  constructor() {
    this.#loopDelay.enable();
  }

  countError(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  noteOpen(ms: number): void {
    record(this.#openNs, ms);
  }

  noteCommit(ms: number): void {
    record(this.#commitNs, ms);
  }

  /** How long a transaction waited for the transactions before it. */
  noteLease(ms: number): void {
    record(this.#leaseNs, ms);
  }

  stop(): void {
    this.#loopDelay.disable();
  }

  report(): Record<string, unknown> {
    const { opens, hits, commits, writes, touches, abandons, leases, leasesLost, conflicts } = this;
    const { successions, repairs, resurrectionsUndone, foreignSaves, expired, duplicates } = this;
    return {
      uptimeSeconds: Math.round((performance.now() - this.#startedMs) / 1000),
      ...{ opens, hits, hitRate: opens === 0 ? 1 : hits / opens, commits, writes, touches, abandons, successions },
      ...{ leases, leasesLost, conflicts, repairs, resurrectionsUndone, foreignSaves, expired, duplicates },
      errors: Object.fromEntries(this.errors),
      openMicros: microsOf(this.#openNs),
      commitMicros: microsOf(this.#commitNs),
      leaseMicros: microsOf(this.#leaseNs),
      loopDelayMicros: microsOf(this.#loopDelay, LOOP_TICK_MS * 1000),
    };
  }
}

function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1e6)));
}

/** @param base microseconds that an idle daemon shows by this measure: subtracted from every value. */
function microsOf(histogram: RecordableHistogram | IntervalHistogram, base = 0): Record<string, number> {
  if (histogram.count === 0) return { count: 0 };
  const micros = (ns: number): number => Math.max(0, ns / 1000 - base);
  const percentiles = [50, 90, 99, 99.9].map((part) => [`p${part}`, micros(histogram.percentile(part))]);
  return { count: histogram.count, ...Object.fromEntries(percentiles), max: micros(histogram.max) };
}
