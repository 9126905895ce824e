// The cases whose operations run in worker processes, by name.

import { getMiss } from "./get-miss.ts";
import { getWarm } from "./get-warm.ts";
import { increment } from "./increment.ts";
import { redisCount } from "./redis-count.ts";
import { redisChange, redisRead, redisVisit } from "./redis-sessions.ts";
import { set, setSizes } from "./set.ts";
import type { StoreCase } from "./store-case.ts";
import { touch } from "./touch.ts";
import { writeScale } from "./write-scale.ts";

export const STORE_CASES: readonly StoreCase[] = [getWarm, getMiss, set, setSizes, writeScale, touch, increment];

/** The same questions to sessions that many hosts share, on Redis. */
export const REDIS_CASES: readonly StoreCase[] = [redisRead, redisChange, redisVisit, redisCount];

export function storeCaseNamed(name: string): StoreCase {
  const found = [...STORE_CASES, ...REDIS_CASES].find((definition) => definition.name === name);
  if (found === undefined) throw new Error(`There is no case "${name}" for workers.`);
  return found;
}
