// The door to Redis: where each key is, what has changed there, and how it is. Knows no session.

import { SessionError } from "../../../protocol/errors.ts";
import { describeRedis, parseRedisUrl, type RedisTarget } from "../../../protocol/redis-url.ts";
import { Connection, type Endpoint } from "./connection.ts";
import { RedisServer, type Server } from "./server.ts";
import { ServerError } from "./server-error.ts";

export { Script } from "./script.ts";
export type { Server } from "./server.ts";
export { ServerError } from "./server-error.ts";

export interface LinkOptions {
  /** The option `redis`. */
  readonly url: string;
  /** How long a call waits for a server that is away or busy. */
  readonly waitMs: number;
  /** How long one answer may take before the connection is cut; less than `waitMs`. */
  readonly answerMs: number;
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

/** @throws SessionError before the first session: ERR_BAD_OPTION or ERR_STORE with what to do. */
export async function connectLink(options: LinkOptions): Promise<Link> {
  const target = parseRedisUrl(options.url);
  const link = new SingleLink(target, options);
  try {
    await link.open();
    return link;
  } catch (error) {
    await link.close();
    if (!(error instanceof ServerError)) throw error;
    throw new SessionError("ERR_STORE", `Redis at ${describeRedis(target)} cannot be used: ${error.message}`, {
      cause: error,
    });
  }
}

class SingleLink implements Link {
  readonly #target: RedisTarget;
  readonly #server: RedisServer;
  readonly #listeners: StaleListener[] = [];

  constructor(target: RedisTarget, { waitMs, answerMs }: LinkOptions) {
    this.#target = target;
    this.#server = new RedisServer((options) => Connection.open(endpointOf(target), options), {
      waitMs,
      answerMs,
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

  async *scan(pattern: string): AsyncIterable<string> {
    let cursor = "0";
    do {
      const answer = await this.#server.call(["SCAN", cursor, "MATCH", pattern, "COUNT", "1000"]);
      const [next, keys] = answer as [Buffer, Buffer[]];
      for (const key of keys) yield String(key);
      cursor = String(next);
    } while (cursor !== "0");
  }

  report(): Record<string, unknown> {
    return {
      redis: describeRedis(this.#target),
      isConnected: this.#server.isConnected,
      reconnects: this.#server.reconnects,
    };
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

function endpointOf({ addresses, credentials, database }: RedisTarget): Endpoint {
  const [socket] = addresses;
  if (socket === undefined) throw new SessionError("ERR_BAD_OPTION", "The option redis names no server.");
  return { socket, tls: undefined, username: credentials.username, password: credentials.password, database };
}
