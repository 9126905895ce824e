// Question: how much memory does a session of 300 bytes take in the server that has it cached, and how much does a daemon take that
// has many files on disk and nothing cached? Resident size as the kernel sees it.

import { RedisStore } from "connect-redis-ioredis";
import { Redis } from "ioredis";
import { connect } from "../../client/index.ts";
import { withCookie } from "../contenders/express-store.ts";
import type { Lab } from "../lab.ts";
import { type Row, round } from "../row.ts";
import { commandOf } from "../servers/commands.ts";
import { residentBytes } from "../servers/cpu.ts";
import { ServerProcess } from "../servers/server-process.ts";
import { idOf, writeSessionFiles } from "../session-files.ts";
import { SIZES, sizeOf } from "../session-values.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";

const NAME = "memory";
const AT_ONCE = 64;
const PLENTY_BYTES = String(4 * 1024 ** 3);
const MB = 1024 * 1024;

export const memory: Case = {
  name: NAME,
  question: "memory for each cached session, and of a daemon with a cold cache, by sessions",
  async run(lab) {
    const rows: Row[] = [];
    for (const count of lab.plan.manyFiles) {
      if (lab.wants("gambas-session")) rows.push(...(await lab.onStage((stage) => gambas(lab, stage, count))));
      if (lab.present(NAME, ["connect-redis/ioredis"]).length > 0) {
        rows.push(await lab.onStage((stage) => redis(lab, stage, count)));
      }
    }
    return rows;
  },
};

async function gambas(lab: Lab, stage: Stage, count: number): Promise<Row[]> {
  // Files are not what is measured: where they can be in memory it goes faster.
  const root = stage.directory(lab.present(NAME, ["gambas-session tmpfs"]).length > 0 ? "tmpfs" : "disk");
  await writeSessionFiles(root, count, (done) => lab.progress.show(`${NAME}: writing session files ${done}/${count}`));
  const server = stage.keep(await ServerProcess.start(commandOf("daemon", root, ["--cache-bytes", PLENTY_BYTES])));
  const client = await connect({ root, socket: server.socket, spawn: false, cacheBytes: 0 });
  await client.open(idOf(0));
  const cold = residentBytes(server.pid);
  await inTurn(count, async (number) => {
    if (number % 1000 === 0) lab.progress.show(`${NAME}: gambas-session ${number}/${count}`);
    if ((await client.open(idOf(number))) === undefined) throw new Error(`session ${number} is not there`);
  });
  const warm = residentBytes(server.pid);
  client.close();
  return [
    rowOf("gambas-session cold", count, { after: cold }),
    rowOf("gambas-session cached", count, { before: cold, after: warm }),
  ];
}

async function redis(lab: Lab, stage: Stage, count: number): Promise<Row> {
  const server = stage.keep(await ServerProcess.start(commandOf("redis", stage.directory("disk"))));
  const client = new Redis({ path: server.socket });
  const store = new RedisStore({ client, prefix: "sess:" });
  await client.ping();
  const before = residentBytes(server.pid);
  await inTurn(count, async (number) => {
    if (number % 1000 === 0) lab.progress.show(`${NAME}: connect-redis ${number}/${count}`);
    await store.set(idOf(number), withCookie(SIZES.realistic));
  });
  const after = residentBytes(server.pid);
  client.disconnect();
  return rowOf("connect-redis", count, { before, after });
}

async function inTurn(count: number, action: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const loop = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) await action(number);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
}

/** @param bytes resident in the server: with the sessions, and before them where what they add is the question. */
export function memoryRow(
  what: Pick<Row, "case" | "contender"> & { readonly sessions: number },
  bytes: { readonly before?: number; readonly after: number },
): Row {
  const { before, after } = bytes;
  return {
    ...what,
    procs: 1,
    concurrency: AT_ONCE,
    size: sizeOf(SIZES.realistic),
    ops_per_s: null,
    p50_us: null,
    p99_us: null,
    cpu_us_per_op: null,
    server_cpu_us_per_op: null,
    lost: null,
    resident_mb: round(after / MB, 1),
    ...(before === undefined ? {} : { bytes_per_session: Math.round((after - before) / what.sessions) }),
  };
}

function rowOf(contender: string, sessions: number, bytes: { readonly before?: number; readonly after: number }): Row {
  return memoryRow({ case: NAME, contender: `${contender}, ${sessions}`, sessions }, bytes);
}
