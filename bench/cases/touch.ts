// Question: what does it cost to keep a session alive that was only read? express-session does this in every request, gambas-session
// once a second for each session; here everybody does it every time.

import { MANY_AT_ONCE, ownIds, type StoreCase } from "./store-case.ts";

export const touch: StoreCase = {
  name: "touch",
  question: "renew the life time of a session; acknowledged by the store",
  shapes: [MANY_AT_ONCE],
  contenders: [
    "floor: socket echo",
    "gambas-session",
    "gambas-session tmpfs",
    "connect-redis/ioredis",
    "connect-redis/ioredis AOF",
    "connect-redis/node-redis AOF",
    "session-file-store",
    "connect-memcached",
  ],
  keepsCopies: true,
  isCounter: false,
  async prepare(subject, slot) {
    const held = await Promise.all(ownIds(slot).map((id) => subject.hold(id)));
    let turn = 0;
    return () => held[turn++ % held.length]?.touch?.();
  },
};
