// A link to one server, which is named, or found by Sentinels.

import { SessionError } from "../../../protocol/errors.ts";
import { describeAddress, describeRedis, type RedisAddress, type RedisTarget } from "../../../protocol/redis-url.ts";
import { admit, RedisServer, type Server, ServerError, serverAt } from "../server/server.ts";
import { type Link, type LinkOptions, LOOK_MS, type StaleListener } from "./options.ts";
import { Reporter } from "./reporter.ts";
import { type Asking, masterOf } from "./sentinel.ts";

export class SingleLink implements Link {
  readonly isSharded = false;
  readonly #target: RedisTarget;
  readonly #server: RedisServer;
  readonly #closing = new AbortController();
  readonly #listeners: StaleListener[] = [];
  /** Of the last connection. */
  #address: RedisAddress | undefined;

  constructor(target: RedisTarget, options: LinkOptions) {
    this.#target = target;
    const { waitMs, answerMs, lookMs = LOOK_MS, acceptEviction, acceptLoss, keyPrefixes } = options;
    const mayMove = target.kind === "sentinel";
    const wanted = { acceptEviction, acceptLoss, keyPrefixes, isCluster: false, mayMove, tag: "" };
    const reporter = new Reporter(options.log, describeRedis(target));
    this.#server = new RedisServer(
      async (connection) => {
        this.#address = await addressIn(target, connection);
        return admit(await serverAt(this.#address, target), connection, wanted);
      },
      {
        ...{ waitMs, answerMs, lookMs },
        onStale: (keys) => {
          for (const listener of this.#listeners) listener(keys, this.#server);
        },
        onAway: (reason) => reporter.away(reason),
        onPutOff: (reason) => reporter.putOff(reason),
        onConnected: (facts) => reporter.connected(facts),
        guard: mayMove ? options.guard : undefined,
        hasMoved: () => this.#hasMoved({ answerMs, signal: this.#closing.signal }),
      },
    );
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
    this.#closing.abort();
    return this.#server.close();
  }

  /** A master that only the Sentinels cannot reach goes on, until this connection leaves it. Where none answers it is believed. */
  async #hasMoved(how: Asking): Promise<boolean> {
    if (this.#target.kind !== "sentinel" || this.#address === undefined) return false;
    try {
      return describeAddress(await masterOf(this.#target, how)) !== describeAddress(this.#address);
    } catch (error) {
      if (error instanceof ServerError || error instanceof SessionError) return false;
      throw error;
    }
  }
}

/** @throws SessionError | ServerError */
async function addressIn(target: RedisTarget, how: Asking): Promise<RedisAddress> {
  if (target.kind === "sentinel") return masterOf(target, how);
  const [address] = target.addresses;
  if (address === undefined) throw new SessionError("ERR_BAD_OPTION", "The option redis names no server.");
  return address;
}
