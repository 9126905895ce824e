// What the primary of a measured site can be asked, and what its workers are told.

import type { Places } from "../contenders/contender.ts";

export type Frame = "node:http" | "express";

export interface SiteSetup {
  readonly contender: string;
  readonly places: Places;
  /** What carries the middleware and the pages. */
  readonly frame: Frame;
  readonly workers: number;
}

export interface SiteCalls {
  start: { readonly request: SiteSetup; readonly reply: { readonly port: number; readonly pids: readonly number[] } };
}

/** Environment variable in which a worker finds its SiteSetup, as JSON. */
export const SETUP_VARIABLE = "GAMBAS_SESSION_BENCH_SITE";
