// Question: how fast can the workers of one host, and of three, count in one session on Redis without losing any? Each host has a daemon of its own.
// Sixteen loops a host: in one worker, whose transactions share a lease, or in four of one host, between which the daemon hands it on.

import { increment } from "./increment.ts";
import type { StoreCase } from "./store-case.ts";

export const redisCount: StoreCase = {
  ...increment,
  name: "redis-count",
  question: "add one to a number in one session on Redis, from one host, in one worker or four, and from three",
  shapes: [
    { procs: 1, concurrency: 16, size: "realistic", hosts: 1 },
    { procs: 3, concurrency: 16, size: "realistic", hosts: 3 },
    { procs: 4, concurrency: 4, size: "realistic", hosts: 1 },
  ],
  contenders: [
    "gambas-session redis",
    "ioredis AOF, WATCH/MULTI",
    "ioredis AOF, Lua",
    "node-redis AOF, WATCH/MULTI",
    "node-redis AOF, Lua",
  ],
  lengthShare: 0.5,
};
