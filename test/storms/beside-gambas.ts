// The long run beside the real Gambas: `node dist/test/storms/beside-gambas.js [--workers N] [--transactions N] [--reads N]
// [--saves N] [--abandons N]`.
// Without --workers it runs once with 4 and once with 8, the last of them without a cache. Ends with 1 if anything is wrong.

import { parseArgs } from "node:util";
import { type Habit, Neighbours, type Outcome } from "../gambas/beside.ts";

const DEFAULTS = { transactions: 1_000, reads: 50_000, saves: 2_000, abandons: 200 };
const names = [...Object.keys(DEFAULTS), "workers"];
const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
const values: Partial<Record<string, unknown>> = parseArgs({ options }).values;

const habits: readonly [string, Habit][] = [
  ["reads", { kind: "reads", pause: 0 }],
  ["reads, 2 ms apart", { kind: "reads", pause: 0.002 }],
  ["changes", { kind: "changes", pause: 0 }],
  ["changes, 2 ms apart", { kind: "changes", pause: 0.002 }],
  ["holds its lock 0.5 s", { kind: "holds", seconds: 0.5, pause: 0.02 }],
];

function number(name: keyof typeof DEFAULTS): number {
  return values[name] === undefined ? DEFAULTS[name] : Number(values[name]);
}

function isFine(outcome: Outcome, habit: Habit): boolean {
  const { acknowledged, counter, keysMissing, gambasLost, gambasKey, gambasTurns, isSameInGambas } = outcome;
  const isGambasKept = gambasKey === (habit.kind === "changes" ? gambasTurns : 0);
  return counter === acknowledged && keysMissing === 0 && gambasLost === 0 && isGambasKept && isSameInGambas;
}

function report(what: string, figures: object, isRight: boolean): void {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${Math.round(Number(value) * 10) / 10}`);
  console.log(`${isRight ? "ok   " : "WRONG"} ${what}: ${text.join(", ")}`);
  if (!isRight) process.exitCode = 1;
}

for (const workers of values.workers === undefined ? [4, 8] : [Number(values.workers)]) {
  const last = { cacheBytes: 0 };
  const neighbours = await Neighbours.open(...Array.from({ length: workers - 1 }, () => ({})), last);
  try {
    for (const [name, habit] of habits) {
      const transactions = Math.ceil(number("transactions") / workers);
      const outcome = await neighbours.work({ transactions, plainCommits: transactions }, habit);
      report(`${workers} workers, Gambas ${name}`, outcome, isFine(outcome, habit));
    }
    for (const pause of [0, 0.002]) {
      const figures = await neighbours.look(Math.ceil(number("reads") / workers), number("saves"), pause);
      const { lost, empty, older, gambasLost } = figures;
      const what = `${workers} workers read what Gambas saves ${number("saves")} times, ${1000 * pause} ms apart`;
      report(what, figures, lost + empty + older + gambasLost === 0);
    }
    const ends = await neighbours.abandon(number("abandons"));
    report(`${workers} workers abandon`, { sessions: number("abandons"), ...ends }, ends.found === 0);
  } finally {
    await neighbours.close();
  }
}
