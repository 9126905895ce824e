// What a deployment costs those who visit meanwhile: `pm2 reload` and `pm2 restart` of four instances under load, with sessions and, in turn, the
// same application without. A figure of one run says little on a busy machine: prints the median of several and the worst.
// `node dist/test/supervisors/measure-pm2.js [rounds [action]]`

import { freePort } from "../support/free-port.ts";
import { daemonPid, freshRoot, removeRoot } from "../support/processes.ts";
import { answering, Load, type Tally } from "./load.ts";
import { APPLICATION, Pm2 } from "./supervisors.ts";

const VISITORS = 8;
const BEFORE = 300;
const AFTER = 300;
const ROUNDS = Number(process.argv[2] ?? 5);
const ACTIONS = [["nothing"], ["reload"], ["restart"], ["reload", "--no-treekill"]];
/** The one that was asked for, or all. */
const WANTED = ACTIONS.filter(([action]) => process.argv[3] === undefined || process.argv[3] === action);

interface Round extends Tally {
  readonly before: number | undefined;
  readonly after: number | undefined;
}

async function measure(
  pm2: Pm2,
  root: string,
  action: string,
  flags: readonly string[],
  control: boolean,
): Promise<Round> {
  const port = await freePort();
  const env = { GAMBAS_SESSION_ROOT: root, PORT: String(port), ...(control && { CONTROL: "yes" }) };
  await pm2.run(["start", APPLICATION, "--name", "app", ...flags], env);
  await answering(port);
  const before = daemonPid(root);
  const load = new Load(port, VISITORS, control);
  await load.more(BEFORE);
  load.forgetSlowest();
  if (action !== "nothing") await pm2.run([action, "app"]);
  await load.more(AFTER);
  const tally = await load.end();
  const after = daemonPid(root);
  await pm2.run(["delete", "app"]);
  return { ...tally, before, after };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function slowestOf(rounds: readonly Round[]): readonly number[] {
  return rounds.map(({ slowestMs }) => Math.round(slowestMs));
}

function describe(rounds: readonly Round[]): string {
  const slowest = slowestOf(rounds);
  const sum = (of: (round: Round) => number): number => rounds.reduce((all, round) => all + of(round), 0);
  const counts = `${sum(({ requests }) => requests)} requests, ${sum(({ errors }) => errors)} errors, ${sum(({ unanswered }) => unanswered)} unanswered`;
  return `${counts}, ${sum(({ wrong }) => wrong.length)} wrong, slowest ${median(slowest)} ms (${slowest.join(", ")})`;
}

const root = freshRoot();
const pm2 = new Pm2();
const leave = (): void => void pm2.end().finally(() => process.exit(1));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, leave);
try {
  for (const [action, ...flags] of WANTED) {
    const [own, control]: [Round[], Round[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      own.push(await measure(pm2, root, action ?? "", ["-i", "4", ...flags], false));
      control.push(await measure(pm2, root, action ?? "", ["-i", "4", ...flags], true));
    }
    console.log(`${[action, ...flags].join(" ")}\n  sessions: ${describe(own)}`);
    console.log(`  control:  ${describe(control)}`);
    console.log(`  ratio:    ${(median(slowestOf(own)) / median(slowestOf(control))).toFixed(2)}`);
    console.log(`  daemon:   ${own.map(({ before, after }) => `${before} -> ${after}`).join(", ")}`);
  }
} finally {
  await pm2.end();
  await removeRoot(root);
}
