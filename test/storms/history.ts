// The long history storm: `node dist/test/storms/history.js` with any of --kill-daemon N, --kill-workers N, --workers N, --operations N,
// --sessions N, --reads PERCENT, --seed N, --durability fsync. Many sessions and nearly all reads show files that workers keep open. Without --workers it runs once with 4 and once with 8. Ends with 1 if anything is wrong.

import { parseArgs } from "node:util";
import { printFigures, runStorm } from "./storm.ts";

const DEFAULTS = {
  "kill-daemon": 0,
  "kill-workers": 20,
  operations: 100_000,
  reads: 48,
  seed: Date.now() % 2 ** 32,
  sessions: 3,
};
const names = [...Object.keys(DEFAULTS), "workers", "durability"];
const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
const values: Partial<Record<string, unknown>> = parseArgs({ options }).values;

function number(name: keyof typeof DEFAULTS): number {
  return values[name] === undefined ? DEFAULTS[name] : Number(values[name]);
}

const seed = number("seed");
for (const workers of values.workers === undefined ? [4, 8] : [Number(values.workers)]) {
  const figures = await runStorm({
    seed,
    workers,
    sessions: number("sessions"),
    operations: number("operations"),
    width: 3,
    readShare: number("reads"),
    workerKills: number("kill-workers"),
    daemonKills: number("kill-daemon"),
    durability: values.durability === "fsync" ? "fsync" : "file",
  });
  printFigures(`history storm, ${workers} workers, seed ${seed}`, figures);
  if (figures.violations.length > 0 || figures.torn > 0) process.exitCode = 1;
}
