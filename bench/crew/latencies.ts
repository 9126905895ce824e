// Latencies as counts in buckets that grow with the latency: 3 % wide at every scale, so that they can be sent and added.

const STEPS_BITS = 5;
const STEPS = 1 << STEPS_BITS;
const MAX_NS = 0x7fff_ffff;
const BUCKETS = (31 - STEPS_BITS + 1) * STEPS;

export type Latencies = Uint32Array;

export function noLatencies(): Latencies {
  return new Uint32Array(BUCKETS);
}

export function note(latencies: Latencies, ms: number): void {
  const ns = Math.min(MAX_NS, (ms * 1e6) | 0);
  const bucket = ns < STEPS ? ns : bucketOf(ns);
  latencies[bucket] = (latencies[bucket] ?? 0) + 1;
}

export function add(into: Latencies, more: Latencies): void {
  for (let bucket = 0; bucket < into.length; bucket++) into[bucket] = (into[bucket] ?? 0) + (more[bucket] ?? 0);
}

/** µs below which `share` of the latencies lie. */
export function percentile(latencies: Latencies, share: number): number {
  const wanted = share * latencies.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of latencies.entries()) {
    seen += count;
    if (count > 0 && seen >= wanted) return middleNs(bucket) / 1000;
  }
  return Number.NaN;
}

/** The leading bit says which group of buckets, the next five bits which one of it. */
function bucketOf(ns: number): number {
  const shift = 31 - Math.clz32(ns) - STEPS_BITS;
  return (shift + 1) * STEPS + ((ns >>> shift) & (STEPS - 1));
}

function middleNs(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (STEPS + (bucket % STEPS) + 0.5) * 2 ** shift;
}
