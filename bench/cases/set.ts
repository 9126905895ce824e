// Question: what does it cost to change two values of a session that the request has in hand, until the store has acknowledged it?
// The stores of express-session can only store a session whole; gambas-session sends what changed ("every key": all of it). A commit that keeps the
// size of its session costs a file less than one that changes it, so there are two variants.

import type { Subject } from "../contenders/contender.ts";
import type { Operation } from "../crew/drive.ts";
import { changedValues } from "../session-values.ts";
import { MANY_AT_ONCE, MANY_LARGE, ONE_AT_A_TIME, ownIds, type Slot, type StoreCase } from "./store-case.ts";

export const set: StoreCase = {
  name: "set",
  question: "change two values of a session; acknowledged by the store (for files: in the file)",
  shapes: [ONE_AT_A_TIME, MANY_AT_ONCE, MANY_LARGE],
  contenders: [
    "floor: socket echo",
    "floor: file exchange",
    "floor: file exchange tmpfs",
    "floor: file in place",
    "floor: file in place tmpfs",
    "floor: SQLite tmpfs",
    "gambas-session",
    "gambas-session tmpfs",
    "gambas-session, every key",
    "gambas-session sqlite",
    "gambas-session sqlite tmpfs",
    "better-sqlite3",
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
  valuesAfter: (changes) => changedValues(changes),
  prepare: (subject, slot) => changing(subject, slot, () => false),
};

const isLongIn = (round: number): boolean => Math.floor(round / 2) % 2 === 1;

/** Half of the commits find a session of another length than they make of it: short, short, long, long. */
export const setSizes: StoreCase = {
  name: "set-sizes",
  question: "the same where half of the changes make the session longer or shorter",
  shapes: [MANY_AT_ONCE],
  contenders: set.contenders.filter((name) => !/memcached|every key|socket|sqlite|redis$/i.test(name)),
  keepsCopies: true,
  isCounter: false,
  valuesAfter: (changes) => changedValues(changes, isLongIn(changes)),
  prepare: (subject, slot) => changing(subject, slot, isLongIn),
};

/** @param isLong whether a session is made longer, or kept so, in this round through all of them. */
async function changing(subject: Subject, slot: Slot, isLong: (round: number) => boolean): Promise<Operation> {
  const held = await Promise.all(ownIds(slot).map((id) => subject.hold(id)));
  let visit = 0;
  return () => {
    visit += 1;
    return held[visit % held.length]?.change(visit, isLong(Math.floor(visit / held.length)));
  };
}
