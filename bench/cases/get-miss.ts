// Question: what does a read cost that has to go to the daemon, because this worker has no copy or the file has changed?

import { readInTurn } from "./get-operations.ts";
import { MANY_AT_ONCE, MANY_LARGE, type StoreCase } from "./store-case.ts";

export const getMiss: StoreCase = {
  name: "get-miss",
  question: "read every value of a session this worker has no copy of",
  shapes: [MANY_AT_ONCE, MANY_LARGE],
  contenders: [
    "floor: socket echo",
    "gambas-session",
    "connect-redis/ioredis",
    "connect-redis/node-redis",
    "session-file-store",
    "connect-memcached",
  ],
  keepsCopies: false,
  isCounter: false,
  prepare: readInTurn,
};
