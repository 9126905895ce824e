// Question: how many changes a second do more and more workers get, and what do they cost the one daemon (or the one Redis) and the workers? What
// a reader sees where the server becomes the limit: its CPU for a change does not get less, however many workers there are (bench/README.md).

import { set } from "./set.ts";
import type { StoreCase } from "./store-case.ts";

export const writeScale: StoreCase = {
  ...set,
  name: "write-scale",
  question: "the changes of `set` from more and more workers at one server; the CPU that each change costs either side",
  shapes: [1, 2, 4, 8].map((procs) => ({ procs, concurrency: 16, size: "realistic" })),
  contenders: ["floor: daemon in C", "gambas-session", "connect-redis/ioredis AOF"],
  lengthShare: 0.25,
};
