// One line of results, and the arithmetic on several measurements of the same thing. Knows nothing of how they were made.

export interface Row {
  readonly case: string;
  readonly contender: string;
  readonly procs: number;
  readonly concurrency: number;
  /** Bytes of the session's values as JSON. */
  readonly size: number;
  /** null where a rate means nothing (memory). */
  readonly ops_per_s: number | null;
  readonly p50_us: number | null;
  readonly p99_us: number | null;
  /** CPU of the processes that use the store; for HTTP of the workers that serve the pages. */
  readonly cpu_us_per_op: number | null;
  /** CPU of the store's own process; null where there is none. */
  readonly server_cpu_us_per_op: number | null;
  /** Updates that were acknowledged and are not there; null where nothing is counted. */
  readonly lost: number | null;
  /** A bound nobody is meant to pick: what the machine can do. */
  readonly is_floor?: boolean;
  /** Of the changes, the share that makes the session longer or shorter; absent where nothing is changed. */
  readonly size_changes?: number;
  readonly sessions?: number;
  readonly bytes_per_session?: number;
  readonly resident_mb?: number;
}

/** Of an even count the upper one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
