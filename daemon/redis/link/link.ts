// The door to Redis: where each key is, what has changed there, and how it is. Knows no session.

import { SessionError } from "../../../protocol/errors.ts";
import { describeRedis, parseRedisUrl, type RedisTarget } from "../../../protocol/redis-url.ts";
import type { Log } from "../../report/report.ts";
import { type Admitted, admit, type Wanted } from "./admission.ts";
import type { ConnectionOptions } from "./connection.ts";
import { serverAt } from "./endpoint.ts";
import { masterOf } from "./sentinel.ts";
import { RedisServer, type Server } from "./server.ts";
import { ServerError } from "./server-error.ts";

export { Script } from "./script.ts";
export type { Server } from "./server.ts";
export { ServerError } from "./server-error.ts";

export interface LinkOptions {
  /** The option `redis`. */
  readonly url: string;
  /** The beginnings of all keys: the user's rights to them are tried. */
  readonly keyPrefixes: readonly string[];
  /** How long a call waits for a server that is away or busy, and a start for one that is not there. */
  readonly waitMs: number;
  /** How long one answer may take before the connection is cut; less than `waitMs`. */
  readonly answerMs: number;
  readonly acceptEviction: boolean;
  readonly acceptLoss: boolean;
  readonly log: Log;
}

/** `keys` may differ from copies that were read over `server`; null: everything that was, for example because the connection broke. */
type StaleListener = (keys: readonly string[] | null, server: Server) => void;

export interface Link {
  serverOf(key: string): Server;
  readonly servers: readonly Server[];
  /** Told before any answer that came from the server later is given. */
  onStale(listener: StaleListener): void;
  /** Keys that match Redis' pattern: each that is there all the time at least once. @throws ServerError */
  scan(pattern: string): AsyncIterable<string>;
  /** How it is, for an operator: no key, no value, no credentials. */
  report(): Record<string, unknown>;
  close(): Promise<void>;
}

/** A busy server is asked this often how it is. */
const LOOK_MS = 5_000;

/**
 * @throws SessionError before the first session: ERR_BAD_REDIS for a server that must not keep any, ERR_BAD_OPTION, or ERR_STORE when there is
 *   none after `waitMs`.
 */
export async function connectLink(options: LinkOptions): Promise<Link> {
  const target = parseRedisUrl(options.url);
  const link = new SingleLink(target, options);
  try {
    await link.open();
    return link;
  } catch (error) {
    await link.close();
    if (!(error instanceof ServerError)) throw error;
    const what = `Redis at ${describeRedis(target)} cannot be used: ${error.message}`;
    throw new SessionError("ERR_STORE", what, { cause: error });
  }
}

/** One server, named or found by Sentinels. */
class SingleLink implements Link {
  readonly #target: RedisTarget;
  readonly #server: RedisServer;
  readonly #listeners: StaleListener[] = [];

  constructor(target: RedisTarget, options: LinkOptions) {
    this.#target = target;
    const { waitMs, answerMs, acceptEviction, acceptLoss, keyPrefixes } = options;
    const isMoving = target.kind === "sentinel";
    const wanted = { acceptEviction, acceptLoss, keyPrefixes, isCluster: false, mayMove: isMoving, tag: "" };
    const find = isMoving ? admitMaster : admitNamed;
    this.#server = new RedisServer((connection) => find(target, connection, wanted), {
      ...{ waitMs, answerMs, lookMs: LOOK_MS },
      onStale: (keys) => {
        for (const listener of this.#listeners) listener(keys, this.#server);
      },
    });
  }

  open(): Promise<void> {
    return this.#server.open();
  }

  serverOf(_key: string): Server {
    return this.#server;
  }

  get servers(): readonly Server[] {
    return [this.#server];
  }

  onStale(listener: StaleListener): void {
    this.#listeners.push(listener);
  }

  scan(pattern: string): AsyncIterable<string> {
    return this.#server.scan(pattern);
  }

  report(): Record<string, unknown> {
    return { redis: describeRedis(this.#target), ...this.#server.report() };
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

async function admitNamed(target: RedisTarget, connection: ConnectionOptions, wanted: Wanted): Promise<Admitted> {
  const [address] = target.addresses;
  if (address === undefined) throw new SessionError("ERR_BAD_OPTION", "The option redis names no server.");
  return admit(await serverAt(address, target), connection, wanted);
}

async function admitMaster(target: RedisTarget, connection: ConnectionOptions, wanted: Wanted): Promise<Admitted> {
  return admit(await serverAt(await masterOf(target, connection.answerMs), target), connection, wanted);
}
