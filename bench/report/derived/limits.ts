// Where a server of one thread becomes the limit. Of N cores it has one, the workers have the others. An operation costs w µs of CPU in a worker and s
// in the server, so the workers' cores do (N - 1) * 1e6 / w of them a second and the server 1e6 / s: as many where N = 1 + w / s (bench/README.md).

import type { Row } from "../../row.ts";

/** The cases whose operations are what an application does, or how they scale. */
const CASES: ReadonlySet<string> = new Set(["write-scale", "http-write"]);

/** Its server has a thread for each core. */
const OF_MANY_THREADS = "connect-memcached";

export interface Limit {
  readonly case: string;
  readonly contender: string;
  readonly procs: number;
  readonly workerUs: number;
  readonly serverUs: number;
  /** From so many cores on more of them bring nothing. */
  readonly cores: number;
  /** Operations a second that the server does with a core of its own. */
  readonly perSecond: number;
}

export function limitsOf(rows: readonly Row[]): readonly Limit[] {
  return rows.flatMap((row) => limitOf(row) ?? []);
}

function limitOf(row: Row): Limit | undefined {
  const { cpu_us_per_op: workerUs, server_cpu_us_per_op: serverUs } = row;
  if (row.contender === OF_MANY_THREADS) return undefined;
  if (!CASES.has(row.case) || row.is_floor === true || workerUs === null || serverUs === null || serverUs <= 0)
    return undefined;
  const { contender, procs } = row;
  const [cores, perSecond] = [1 + workerUs / serverUs, Math.round(1e6 / serverUs)];
  return { case: row.case, contender, procs, workerUs, serverUs, cores, perSecond };
}
