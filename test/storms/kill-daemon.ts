// The kill storm: `node dist/test/storms/kill-daemon.js [--kills N] [--seed N]`. kill -9 of the daemon, at least 200 times at random
// moments (some while the next one only starts), under the load of 4 workers. Ends with 1 if anything was lost, doubled or torn.

import { parseArgs } from "node:util";
import { printFigures, runStorm } from "./storm.ts";

const OPERATIONS_PER_KILL = 250;

const { values } = parseArgs({ options: { kills: { type: "string" }, seed: { type: "string" } } });
const kills = Number(values.kills ?? 200);
const seed = Number(values.seed ?? Date.now() % 2 ** 32);
const figures = await runStorm({
  seed,
  workers: 4,
  sessions: 3,
  // More than are needed between the kills: the load goes on behind the last of them.
  operations: OPERATIONS_PER_KILL * (kills + 40),
  width: 3,
  readShare: 48,
  workerKills: 0,
  daemonKills: kills,
  durability: "file",
});
printFigures(`kill storm, 4 workers, seed ${seed}`, figures);
const { daemonsKilled, failures, violations, lost, doubled, torn } = figures;
const isFine = violations.length + lost + doubled + torn + Object.keys(failures).length === 0;
if (!isFine || daemonsKilled < kills) process.exitCode = 1;
