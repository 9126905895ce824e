// A link to one server, which is named, or found by Sentinels.

import { SessionError } from "../../../protocol/errors.ts";
import { describeRedis, type RedisAddress, type RedisTarget } from "../../../protocol/redis-url.ts";
import {
  type Admitted,
  admit,
  type ConnectionOptions,
  RedisServer,
  type Server,
  serverAt,
  type Wanted,
} from "../server/server.ts";
import { type Link, type LinkOptions, LOOK_MS, MOVING_LOOK_MS, type StaleListener } from "./options.ts";
import { Reporter } from "./reporter.ts";
import { DOUBT_MS, Sentinels } from "./sentinels.ts";

export class SingleLink implements Link {
  readonly isSharded = false;
  readonly #target: RedisTarget;
  readonly #sentinels: Sentinels | undefined;
  readonly #server: RedisServer;
  readonly #closing = new AbortController();
  readonly #listeners: StaleListener[] = [];

  constructor(target: RedisTarget, options: LinkOptions) {
    this.#target = target;
    const sentinels = target.kind === "sentinel" ? new Sentinels(target) : undefined;
    this.#sentinels = sentinels;
    const mayMove = sentinels !== undefined;
    const { waitMs, answerMs, acceptEviction, acceptLoss, keyPrefixes } = options;
    const { lookMs = mayMove ? MOVING_LOOK_MS : LOOK_MS } = options;
    const wanted = { acceptEviction, acceptLoss, keyPrefixes, isCluster: false, mayMove, tag: "" };
    const reporter = new Reporter(options.log, describeRedis(target));
    const signals = [this.#closing.signal];
    this.#server = new RedisServer((connection) => this.#admit(connection, wanted), {
      ...{ waitMs, answerMs, lookMs },
      onStale: (keys) => {
        for (const listener of this.#listeners) listener(keys, this.#server);
      },
      onAway: (reason) => reporter.away(reason),
      onPutOff: (reason) => reporter.putOff(reason),
      onConnected: (facts) => reporter.connected(facts),
      guard: mayMove ? options.guard : undefined,
      hasMoved: sentinels && (() => sentinels.hasMoved({ answerMs, signals })),
      // Those who know of the next master do so a moment after it is one.
      maxPauseMs: mayMove ? DOUBT_MS : undefined,
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
    const sentinels = this.#sentinels?.report();
    return { redis: describeRedis(this.#target), ...(sentinels && { sentinels }), ...this.#server.report() };
  }

  close(): Promise<void> {
    this.#closing.abort();
    return this.#server.close();
  }

  /** @throws SessionError | ServerError */
  async #admit(connection: ConnectionOptions, wanted: Wanted): Promise<Admitted> {
    const visit = async (address: RedisAddress, signals: readonly AbortSignal[]): Promise<Admitted> =>
      admit(await serverAt(address, this.#target), { ...connection, signals }, wanted);
    if (this.#sentinels === undefined) return visit(addressIn(this.#target), connection.signals);
    return this.#sentinels.follow(connection, (place, moved) => visit(place, [...connection.signals, moved]));
  }
}

function addressIn({ addresses: [address] }: RedisTarget): RedisAddress {
  if (address === undefined) throw new SessionError("ERR_BAD_OPTION", "The option redis names no server.");
  return address;
}
