// Questions about sessions on Redis, from one process with 64 operations at once: what does a read cost that is as new as Redis itself, where the
// daemon has a copy; what does a change cost; and both together, as a request that changes its session has them? "backend" is the daemon's part alone,
// in the process that measures; "50 ms" may be so much behind other hosts, and then a worker answers from its own copy.

import type { Shape } from "../crew/crew.ts";
import { changedValues } from "../session-values.ts";
import { readInTurn } from "./get-operations.ts";
import { set } from "./set.ts";
import { ownIds, type StoreCase } from "./store-case.ts";

const PEERS = ["connect-redis/ioredis AOF", "connect-redis/node-redis AOF"] as const;
const SHAPES: readonly Shape[] = [
  { procs: 1, concurrency: 64, size: "realistic" },
  { procs: 1, concurrency: 64, size: "large" },
];

const redis: Pick<StoreCase, "shapes" | "keepsCopies" | "isCounter" | "lengthShare"> = {
  shapes: SHAPES,
  keepsCopies: true,
  isCounter: false,
  lengthShare: 0.5,
};

export const redisRead: StoreCase = {
  ...redis,
  name: "redis-read",
  question: "read every value of a session on Redis that is unchanged, 64 at once",
  contenders: [
    "gambas-session redis, backend",
    "gambas-session redis",
    "gambas-session redis, 50 ms",
    "gambas-session memory",
    "gambas-session",
    ...PEERS,
  ],
  prepare: readInTurn,
};

export const redisChange: StoreCase = {
  ...redis,
  name: "redis-change",
  question: "change two values of a session on Redis that is in hand, 64 at once",
  contenders: ["gambas-session redis, backend", "gambas-session redis", ...PEERS],
  valuesAfter: (changes) => changedValues(changes),
  prepare: set.prepare,
};

export const redisVisit: StoreCase = {
  ...redis,
  name: "redis-visit",
  question: "read a session on Redis, and then change two values of it, 64 at once",
  contenders: ["gambas-session redis", ...PEERS],
  valuesAfter: (changes) => changedValues(changes),
  async prepare(subject, slot) {
    const ids = ownIds(slot);
    let visit = 0;
    return async () => {
      visit += 1;
      const held = await subject.hold(ids[visit % ids.length] ?? "");
      await held.change(visit);
    };
  },
};
