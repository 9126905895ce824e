// npm run bench: runs the cases one after the other, shows the tables and the goals, writes the results.

import { CASES } from "./cases/list.ts";
import { Lab } from "./lab.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { type Goal, goalsOf } from "./report/goals.ts";
import { describeMachine } from "./report/machine.ts";
import { Progress } from "./report/progress.ts";
import type { Result } from "./report/result.ts";
import { goalTable, rowTables } from "./report/table.ts";
import { writeJson, writeResults } from "./report/write.ts";
import type { Row } from "./row.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

try {
  const options = readOptions(process.argv.slice(2));
  if (options.wantsHelp) process.stdout.write(USAGE);
  else await main(options);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

async function main(options: Options): Promise<void> {
  const progress = new Progress(process.stderr);
  const lab = new Lab(options.plan, progress, options.contenders);
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => {
      lab.kill();
      process.exit(code);
    });
  }
  process.once("exit", () => lab.kill());
  const rows = await runCases(lab, options);
  const goals = goalsOf(rows).filter(({ case: name }) => rows.some((row) => row.case === name));
  const result: Result = { mode: lab.plan.mode, machine: describeMachine(), rows, goals, skipped: lab.skipped };
  process.stdout.write(`\n${rowTables(rows)}\n\n${goalTable(goals)}\n${summary(goals)}\n`);
  if (options.json !== undefined) writeJson(options.json, result);
  if (options.cases.length + options.contenders.length === 0) writeResults(result);
}

async function runCases(lab: Lab, options: Options): Promise<Row[]> {
  const wanted = CASES.filter(({ name }) => options.cases.length === 0 || options.cases.includes(name));
  const rows: Row[] = [];
  for (const [index, benchmark] of wanted.entries()) {
    const began = performance.now();
    lab.progress.say(`[${index + 1}/${wanted.length}] ${benchmark.name}: ${benchmark.question}`);
    rows.push(...(await benchmark.run(lab)));
    lab.progress.say(`  done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }
  return rows;
}

function summary(goals: readonly Goal[]): string {
  const count = (isMet: boolean | undefined): number => goals.filter((goal) => goal.isMet === isMet).length;
  return `\n${count(true)} goals reached, ${count(false)} missed, ${count(undefined)} not measured.`;
}
