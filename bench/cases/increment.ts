// Question: how fast can all workers count in one session, and does every acknowledged count arrive? The stores of express-session
// offer only get and set, which loses updates; connect-redis' users go through their own client for an exact count.

import { MANY_AT_ONCE, type StoreCase } from "./store-case.ts";

export const increment: StoreCase = {
  name: "increment",
  question: "add one to a number in one session from all workers at once; lost: acknowledged and not there",
  shapes: [MANY_AT_ONCE],
  contenders: [
    "gambas-session",
    "gambas-session tmpfs",
    "ioredis AOF, WATCH/MULTI",
    "ioredis AOF, Lua",
    "node-redis AOF, WATCH/MULTI",
    "node-redis AOF, Lua",
    "connect-redis/ioredis AOF",
    "session-file-store",
  ],
  keepsCopies: true,
  isCounter: true,
  valuesAfter: (changes) => ({ n: changes }),
  async prepare(subject, { share }) {
    const held = await subject.hold(share.ids[0] ?? "");
    return () => held.increment?.();
  },
};
