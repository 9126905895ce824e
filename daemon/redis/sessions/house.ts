// What a session uses of the backend around it, and what is asked of its copy.

import type { Log, Metrics } from "../../report/report.ts";
import type { EndTurn, Leases, ReadTurn } from "../../turns/turns.ts";
import type { Staleness } from "../staleness/staleness.ts";
import type { StoredEnd } from "../value/value.ts";
import type { Roads } from "./succession.ts";

/** The parts of the backend that a session `S` uses. */
export interface House<S> extends Roads {
  readonly leases: Leases;
  readonly metrics: Metrics;
  readonly staleness: Staleness;
  readonly log: Log;
  /** Gives the session a step at the end of this turn of the event loop. */
  schedule(session: S): void;
  /** The session may have nothing to do any more. */
  settle(session: S): void;
  /** Asks the barrier of this turn about the session's copy. */
  verify(session: S, verification: Verification): void;
  /** Does what is left of a succession. */
  complete(id: string, stored: StoredEnd): void;
  /** Resolves when that has been done, or there was nothing to do. @throws ServerError */
  whenComplete(id: string): Promise<void>;
  read(id: string, turn: ReadTurn): void;
  isForgotten(owner: object): boolean;
  noteEnded(id: string): void;
  /** Keeps its place in the index of its prefix. */
  noteUsed(id: string, timeoutSeconds: number): Promise<void>;
}

/** Exactly one of the three is called, once. */
export interface Verification {
  /** The copy was what Redis held when it was asked. */
  current(nowMs: number): void;
  stale(): void;
  failed(error: unknown): void;
}

export interface ConditionalEnd extends EndTurn {
  /** Ends it only as long as this is its version; else fails with ERR_CONFLICT. */
  readonly version?: Buffer | undefined;
}
