// The goals for sessions in databases, beside those in files and connect-redis.

import type { Row } from "../row.ts";
import { rateOf, ratio } from "./derived/find.ts";
import { atLeast, type Goal, ratesBeside } from "./goal.ts";

const OURS = "gambas-session sqlite";

export function sqliteGoals(rows: readonly Row[]): Goal[] {
  const against = (name: string, contender: string, peer: { readonly name: string; readonly target: number }): Goal => {
    const where = { case: name, procs: 4, contender };
    const reached = ratio(rateOf(rows, where), rateOf(rows, { ...where, contender: peer.name }));
    const goal = atLeast(name, `sqlite, 4 x 16: >= ${peer.target} x ${peer.name}`, peer.target, reached);
    return { ...goal, beside: ratesBeside(rows, where, [peer.name]) };
  };
  return [
    against("get-warm", OURS, { name: "connect-redis/ioredis", target: 3 }),
    against("set", `${OURS} tmpfs`, { name: "gambas-session tmpfs", target: 0.6 }),
  ];
}
