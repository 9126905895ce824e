// npm run bench: runs the cases one after the other, shows the tables and the goals, writes the results.

import { CASES } from "./cases/list.ts";
import { Lab } from "./lab.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { Course, type Seconds } from "./report/course.ts";
import { type Goal, goalsOf } from "./report/goals.ts";
import { describeMachine } from "./report/machine.ts";
import { Progress } from "./report/progress.ts";
import type { Result } from "./report/result.ts";
import { goalTable, rowTables } from "./report/table.ts";
import { drawLatest, latestResult, writeJson, writeResults } from "./report/write.ts";
import { type Row, round } from "./row.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

try {
  const options = readOptions(process.argv.slice(2));
  if (options.wantsHelp) process.stdout.write(USAGE);
  else if (options.draws) process.stdout.write(`The picture: ${drawLatest()}\n`);
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
  const { rows, seconds } = await runCases(lab, options);
  const goals = goalsOf(rows).filter(({ case: name }) => rows.some((row) => row.case === name));
  const { mode } = lab.plan;
  const result: Result = { mode, machine: describeMachine(), rows, goals, skipped: lab.skipped, seconds };
  process.stdout.write(`\n${rowTables(rows)}\n\n${goalTable(goals)}\n${summary(goals)}\n`);
  if (options.json !== undefined) writeJson(options.json, result);
  if (options.cases.length + options.contenders.length > 0) return;
  process.stdout.write(`\nThe picture of it: ${writeResults(result)}\n`);
}

async function runCases(lab: Lab, options: Options): Promise<{ readonly rows: Row[]; readonly seconds: Seconds }> {
  const isWanted = (name: string): boolean =>
    options.cases.length === 0 ? !lab.plan.leavesOutCases.includes(name) : options.cases.includes(name);
  const wanted = CASES.filter(({ name }) => isWanted(name));
  const latest = latestResult();
  const before = latest?.mode === lab.plan.mode ? latest.seconds : undefined;
  const course = new Course(
    wanted.map(({ name }) => name),
    before ?? {},
  );
  const rows: Row[] = [];
  for (const benchmark of wanted) {
    const began = performance.now();
    lab.progress.reach(course.text);
    lab.progress.say(`${course.text}: ${benchmark.name}, ${benchmark.question}`);
    rows.push(...(await benchmark.run(lab)));
    const seconds = (performance.now() - began) / 1000;
    course.note(benchmark.name, round(seconds, 1));
    lab.progress.say(`  done in ${seconds.toFixed(1)} s`);
  }
  return { rows, seconds: course.taken };
}

function summary(goals: readonly Goal[]): string {
  const count = (isMet: boolean | undefined): number => goals.filter((goal) => goal.isMet === isMet).length;
  return `\n${count(true)} goals reached, ${count(false)} missed, ${count(undefined)} not measured.`;
}
