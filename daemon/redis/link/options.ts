// What a link to Redis is asked for and offers.

import type { Log } from "../../report/report.ts";
import type { Server } from "../server/server.ts";

export interface LinkOptions {
  /** The option `redis`. */
  readonly url: string;
  /** The beginnings of all keys: the user's rights to them are tried. */
  readonly keyPrefixes: readonly string[];
  /** How long a call waits for a server that is away or busy, and a start for one that is not there. */
  readonly waitMs: number;
  /** How long one answer may take before the connection is cut; less than `waitMs`. */
  readonly answerMs: number;
  /** Pause between two looks at how a server is, and where; undefined: 5 s, and with Sentinels 1 s. */
  readonly lookMs?: number;
  readonly acceptEviction: boolean;
  readonly acceptLoss: boolean;
  readonly log: Log;
  /** A key under which nothing ever is: an old master of Sentinels is known by that it may not delete it. Undefined: that is not looked for. */
  readonly guard?: string | undefined;
}

export const LOOK_MS = 5_000;
/** What a former master acknowledges until it is left may be lost. */
export const MOVING_LOOK_MS = 1_000;

/** `keys` may differ from copies that were read over `server`; null: everything that was, for example because the connection broke. */
export type StaleListener = (keys: readonly string[] | null, server: Server) => void;

export interface Link {
  /** The one for this key now: it may be another one after any wait. */
  serverOf(key: string): Server;
  readonly servers: readonly Server[];
  /** Whether keys are on several servers: then each call of a script has one key. */
  readonly isSharded: boolean;
  /** Told before any answer that came from the server later is given. */
  onStale(listener: StaleListener): void;
  /** Keys that match Redis' pattern: each that is there all the time at least once. @throws ServerError */
  scan(pattern: string): AsyncIterable<string>;
  /** How it is, for an operator: no key, no value, no credentials. */
  report(): Record<string, unknown>;
  close(): Promise<void>;
}
