// The takeover storm: `node dist/test/storms/takeover.js [--takeovers N] [--workers N] [--operations N] [--seed N]`. Prints the figures;
// ends with 1 if a request failed, or anything was lost, doubled or stale.

import { parseArgs } from "node:util";
import { runTakeovers } from "./takeovers.ts";

const names = ["takeovers", "workers", "operations", "seed"];
const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
const values: Partial<Record<string, unknown>> = parseArgs({ options }).values;
const takeovers = Number(values.takeovers ?? 20);
const { violations, failures, increments, ...rest } = await runTakeovers({
  takeovers,
  workers: Number(values.workers ?? 4),
  operations: Number(values.operations ?? 1_000 * takeovers),
  seed: Number(values.seed ?? Date.now() % 2 ** 32),
});
const rows = { ...rest, failures: JSON.stringify(failures), increments: JSON.stringify(increments) };
for (const [name, figure] of Object.entries({ ...rows, violations: violations.length })) {
  process.stdout.write(`  ${name.padEnd(20)} ${figure}\n`);
}
for (const violation of violations.slice(0, 20)) process.stdout.write(`    ${violation}\n`);
const { lost, doubled, unknown } = rest;
if (violations.length + lost + doubled + unknown + Object.keys(failures).length > 0) process.exitCode = 1;
