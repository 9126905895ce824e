// Every question, in the order of the table.

import type { Case } from "./case.ts";
import { httpRead, redisHttpRead } from "./http-read.ts";
import { httpWrite, redisHttpWrite } from "./http-write.ts";
import { memory } from "./memory.ts";
import { redisMemory } from "./redis-memory.ts";
import { soak } from "./soak.ts";
import { start } from "./start.ts";
import { caseOf } from "./store-case.ts";
import { REDIS_CASES, STORE_CASES } from "./store-cases.ts";

export const CASES: readonly Case[] = [
  ...STORE_CASES.map(caseOf),
  httpRead,
  httpWrite,
  start,
  memory,
  soak,
  ...REDIS_CASES.map(caseOf),
  redisHttpRead,
  redisHttpWrite,
  redisMemory,
];
