// Question: how long does it take from starting a server to its first answer, and does it matter how many sessions lie on disk?

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../client/index.ts";
import type { Lab } from "../lab.ts";
import { median, type Row, round } from "../row.ts";
import { commandOf } from "../servers/commands.ts";
import { ServerProcess } from "../servers/server-process.ts";
import { idOf, writeSessionFiles } from "../session-files.ts";
import { SIZES, sizeOf } from "../session-values.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";

const NAME = "start";
const CONTENDER = "gambas-session";

export const start: Case = {
  name: NAME,
  question: "from starting a daemon to its first answer, and from connecting to a running one, by files on disk",
  async run(lab) {
    const rows: Row[] = [];
    if (!lab.wants(CONTENDER)) return rows;
    for (const files of [0, ...lab.plan.manyFiles])
      rows.push(...(await lab.onStage((stage) => runWith(lab, stage, files))));
    if (lab.present(NAME, ["connect-redis/ioredis"]).length > 0)
      rows.push(await lab.onStage((stage) => redis(lab, stage)));
    return rows;
  },
};

async function runWith(lab: Lab, stage: Stage, files: number): Promise<Row[]> {
  const root = stage.directory("disk");
  // One in any case: it is what is asked for.
  await writeSessionFiles(root, Math.max(1, files), (done) =>
    lab.progress.show(`${NAME}: writing session files ${done}/${files}`),
  );
  const spawned = await repeat(lab, `spawned, ${files} files`, () => timeOfSpawn(root));
  const server = stage.keep(await ServerProcess.start(commandOf("daemon", root)));
  const running = await repeat(lab, `running, ${files} files`, () => timeOfAnswer(root, server.socket));
  return [
    rowOf(`${CONTENDER} spawned, ${files} files`, spawned, files),
    rowOf(`${CONTENDER} running, ${files} files`, running, files),
  ];
}

async function repeat(lab: Lab, label: string, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  while (times.length < lab.plan.startRounds) {
    lab.progress.show(`${NAME}: ${label}, round ${times.length + 1}/${lab.plan.startRounds}`);
    times.push(await measure());
  }
  return times;
}

/** As a worker does it that finds nobody there: connect() spawns the daemon and asks it for a session. */
async function timeOfSpawn(root: string): Promise<number> {
  const began = performance.now();
  const client = await connect({ root, idleExitMs: 5_000 });
  await client.open(idOf(0));
  const tookMs = performance.now() - began;
  const { pid } = await client.status();
  client.close();
  await endOf(Number(pid));
  return tookMs;
}

async function timeOfAnswer(root: string, socket: string): Promise<number> {
  const began = performance.now();
  const client = await connect({ root, socket, spawn: false });
  await client.open(idOf(0));
  const tookMs = performance.now() - began;
  client.close();
  return tookMs;
}

/** It belongs to nobody any more: what tells that it has gone is that its pid is free. */
async function endOf(pid: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function redis(lab: Lab, stage: Stage): Promise<Row> {
  const { Redis } = await import("ioredis");
  const root = stage.directory("disk");
  let round = 0;
  const times = await repeat(lab, "redis-server", async () => {
    const directory = join(root, String(round++));
    mkdirSync(directory);
    const began = performance.now();
    const server = await ServerProcess.start(commandOf("redis", directory));
    const client = new Redis({ path: server.socket });
    await client.get("nobody");
    const tookMs = performance.now() - began;
    client.disconnect();
    await server.end();
    return tookMs;
  });
  return rowOf("redis-server spawned, empty", times, 0);
}

function rowOf(contender: string, timesMs: readonly number[], sessions: number): Row {
  const middle = median(timesMs);
  return {
    case: NAME,
    contender,
    procs: 1,
    concurrency: 1,
    size: sizeOf(SIZES.realistic),
    ops_per_s: round(1000 / middle, 2),
    p50_us: Math.round(1000 * middle),
    p99_us: Math.round(1000 * Math.max(...timesMs)),
    cpu_us_per_op: null,
    server_cpu_us_per_op: null,
    lost: null,
    sessions,
  };
}
