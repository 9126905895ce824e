// Question: how fast can the workers of one host, and of three, count in one session on Redis without losing any? Each host has a daemon of its own.

import { increment } from "./increment.ts";
import type { StoreCase } from "./store-case.ts";

export const redisCount: StoreCase = {
  ...increment,
  name: "redis-count",
  question: "add one to a number in one session on Redis, from one host and from three",
  shapes: [1, 3].map((hosts) => ({ procs: hosts, concurrency: 16, size: "realistic", hosts })),
  contenders: [
    "gambas-session redis",
    "ioredis AOF, WATCH/MULTI",
    "ioredis AOF, Lua",
    "node-redis AOF, WATCH/MULTI",
    "node-redis AOF, Lua",
  ],
  lengthShare: 0.5,
};
