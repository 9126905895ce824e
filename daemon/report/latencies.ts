// Latencies of one kind of work: recorded one by one, told as percentiles.

import { createHistogram, type IntervalHistogram, type RecordableHistogram } from "node:perf_hooks";

/** What is timed: reads, commits, and how long a transaction waits for those before it. From the arrival of a call to its answer. */
export type Timed = "open" | "commit" | "lease";
export const TIMED: readonly Timed[] = ["open", "commit", "lease"];

/** One histogram for each kind of work. */
export class Latencies {
  readonly #histograms: Readonly<Record<Timed, RecordableHistogram>> = {
    open: createHistogram(),
    commit: createHistogram(),
    lease: createHistogram(),
  };

  record(timed: Timed, ns: number): void {
    this.#histograms[timed].record(ns);
  }

  report(): Record<`${Timed}Micros`, Record<string, number>> {
    const { open, commit, lease } = this.#histograms;
    return { openMicros: microsOf(open), commitMicros: microsOf(commit), leaseMicros: microsOf(lease) };
  }

  reset(): void {
    for (const timed of TIMED) this.#histograms[timed].reset();
  }
}

/** @param base microseconds that an idle daemon shows by this measure: subtracted from every value. */
export function microsOf(histogram: RecordableHistogram | IntervalHistogram, base = 0): Record<string, number> {
  if (histogram.count === 0) return { count: 0 };
  const micros = (ns: number): number => Math.max(0, ns / 1000 - base);
  const percentiles = [50, 90, 99, 99.9].map((part) => [`p${part}`, micros(histogram.percentile(part))]);
  return { count: histogram.count, ...Object.fromEntries(percentiles), max: micros(histogram.max) };
}
