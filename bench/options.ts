// The command line of the benchmark.

import { parseArgs } from "node:util";
import { CASES } from "./cases/list.ts";
import { CONTENDERS } from "./contenders/list.ts";
import { PLANS, type Plan } from "./plan.ts";

export interface Options {
  readonly plan: Plan;
  /** Cases to run; empty: all. */
  readonly cases: readonly string[];
  /** Contenders to measure; empty: all. */
  readonly contenders: readonly string[];
  readonly json: string | undefined;
  /** Measures nothing. */
  readonly draws: boolean;
  readonly wantsHelp: boolean;
}

export const USAGE: string = `npm run bench -- [options]

  --quick              short rounds and fewer peers; everything in less than two minutes
  --full               longer, and with 1 000 000 sessions where their number matters
  --only CASE          only this case (may be repeated): ${CASES.map(({ name }) => name).join(", ")}
  --contender NAME     only this contender (may be repeated): ${CONTENDERS.map(({ name }) => name).join("; ")}
  --json FILE          also writes the rows there
  --draw               measures nothing: draws the picture of the run that was recorded last once more
  --rounds N, --round-ms MS, --warm-ms MS, --sessions N    other lengths
  --help               this

Without --only and --contender the results also go to bench/results/, whose README.md is a picture of them.
`;

/** @throws Error for anything it does not know. */
export function readOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const flag = { type: "boolean", default: false } as const;
  const lengths = { rounds: text, "round-ms": text, "warm-ms": text, sessions: text };
  const { values } = parseArgs({
    args: [...args],
    options: { quick: flag, full: flag, only: many, contender: many, json: text, draw: flag, help: flag, ...lengths },
  });
  const mode = values.full ? "full" : values.quick ? "quick" : "normal";
  const plan = PLANS[mode];
  return {
    plan: {
      ...plan,
      rounds: numberOf(values.rounds, plan.rounds),
      roundMs: numberOf(values["round-ms"], plan.roundMs),
      warmMs: numberOf(values["warm-ms"], plan.warmMs),
      sessions: numberOf(values.sessions, plan.sessions),
    },
    cases: known("case", values.only, CASES),
    contenders: known("contender", values.contender, CONTENDERS),
    json: values.json,
    draws: values.draw,
    wantsHelp: values.help,
  };
}

function known(what: string, names: readonly string[], among: readonly { readonly name: string }[]): readonly string[] {
  for (const name of names) {
    if (!among.some((one) => one.name === name)) throw new Error(`There is no ${what} "${name}".`);
  }
  return names;
}

function numberOf(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new Error(`"${text}" is not a number above 0.`);
}
