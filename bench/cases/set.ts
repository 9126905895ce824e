// Question: what does it cost to change two values of a session that the request has in hand, until the store has acknowledged it?
// The stores of express-session can only store a session whole; gambas-session sends what changed ("every key": all of it).

import { MANY_AT_ONCE, MANY_LARGE, ONE_AT_A_TIME, ownIds, type StoreCase } from "./store-case.ts";

export const set: StoreCase = {
  name: "set",
  question: "change two values of a session; acknowledged by the store (for files: in the file)",
  shapes: [ONE_AT_A_TIME, MANY_AT_ONCE, MANY_LARGE],
  contenders: [
    "floor: socket echo",
    "floor: file exchange",
    "floor: file exchange tmpfs",
    "gambas-session",
    "gambas-session tmpfs",
    "gambas-session, every key",
    "connect-redis/ioredis",
    "connect-redis/ioredis AOF",
    "connect-redis/node-redis",
    "connect-redis/node-redis AOF",
    "session-file-store",
    "session-file-store tmpfs",
    "connect-memcached",
  ],
  keepsCopies: true,
  isCounter: false,
  async prepare(subject, slot) {
    const held = await Promise.all(ownIds(slot).map((id) => subject.hold(id)));
    let visit = 0;
    return () => {
      visit += 1;
      return held[visit % held.length]?.change(visit);
    };
  },
};
