// What one process measured in one round.

import type { Latencies } from "./latencies.ts";

export interface Sample {
  readonly ops: number;
  readonly elapsedMs: number;
  /** CPU this process used meanwhile. */
  readonly cpuUs: number;
  readonly latencies: Latencies;
}
