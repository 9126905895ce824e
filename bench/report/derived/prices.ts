// What the session costs a page: the CPU of a worker and of its server for a request, less that of the same page without any session.

import type { Row } from "../../row.ts";
import { find } from "./find.ts";

const BARE = "no session";
const IN_EXPRESS = " in Express";

export interface Price {
  readonly contender: string;
  /** CPU of a request in µs, all of it. */
  readonly workerUs: number;
  /** 0 where there is no server. */
  readonly serverUs: number;
  /** The page without a session, in the same frame. */
  readonly bareUs: number;
  /** What is left for the session. */
  readonly sessionUs: number;
}

/** Of a case over HTTP, in the order of its rows; a row without its bare page has no price. */
export function pricesOf(rows: readonly Row[], name: string): readonly Price[] {
  return rows.filter((row) => row.case === name && row.is_floor !== true).flatMap((row) => priceOf(rows, row) ?? []);
}

export function priceOf(rows: readonly Row[], row: Row): Price | undefined {
  if (row.is_floor === true) return undefined;
  const bare = row.contender.endsWith(IN_EXPRESS) ? `${BARE}${IN_EXPRESS}` : BARE;
  const bareUs = find(rows, { case: row.case, contender: bare })?.cpu_us_per_op;
  if (typeof bareUs !== "number" || row.cpu_us_per_op === null) return undefined;
  const [workerUs, serverUs] = [row.cpu_us_per_op, row.server_cpu_us_per_op ?? 0];
  return { contender: row.contender, workerUs, serverUs, bareUs, sessionUs: workerUs + serverUs - bareUs };
}
