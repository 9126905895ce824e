// Question: what does it cost to read a session that has not changed since this worker last saw it?
// gambas-session looks at the file's stat, or at the log of its database, and reads its own copy; the others ask their store again.

import { readInTurn } from "./get-operations.ts";
import { MANY_AT_ONCE, MANY_LARGE, ONE_AT_A_TIME, type StoreCase } from "./store-case.ts";

export const getWarm: StoreCase = {
  name: "get-warm",
  question: "read every value of a session that is unchanged since this worker saw it",
  shapes: [ONE_AT_A_TIME, MANY_AT_ONCE, MANY_LARGE],
  contenders: [
    "floor: Map",
    "gambas-session",
    "gambas-session sqlite",
    "better-sqlite3",
    "MemoryStore",
    "connect-redis/ioredis",
    "connect-redis/node-redis",
    "session-file-store",
    "connect-memcached",
  ],
  keepsCopies: true,
  isCounter: false,
  prepare: readInTurn,
};
