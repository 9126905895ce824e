// A link to one server, which is named, or found by Sentinels.

import { SessionError } from "../../../protocol/errors.ts";
import { describeRedis, type RedisTarget } from "../../../protocol/redis-url.ts";
import {
  type Admitted,
  admit,
  type ConnectionOptions,
  RedisServer,
  type Server,
  serverAt,
  type Wanted,
} from "../server/server.ts";
import { type Link, type LinkOptions, LOOK_MS, type StaleListener } from "./options.ts";
import { Reporter } from "./reporter.ts";
import { masterOf } from "./sentinel.ts";

export class SingleLink implements Link {
  readonly isSharded = false;
  readonly #target: RedisTarget;
  readonly #server: RedisServer;
  readonly #listeners: StaleListener[] = [];

  constructor(target: RedisTarget, options: LinkOptions) {
    this.#target = target;
    const { waitMs, answerMs, acceptEviction, acceptLoss, keyPrefixes } = options;
    const mayMove = target.kind === "sentinel";
    const wanted = { acceptEviction, acceptLoss, keyPrefixes, isCluster: false, mayMove, tag: "" };
    const find = mayMove ? admitMaster : admitNamed;
    const reporter = new Reporter(options.log, describeRedis(target));
    this.#server = new RedisServer((connection) => find(target, connection, wanted), {
      ...{ waitMs, answerMs, lookMs: LOOK_MS },
      onStale: (keys) => {
        for (const listener of this.#listeners) listener(keys, this.#server);
      },
      onAway: (reason) => reporter.away(reason),
      onConnected: (facts) => reporter.connected(facts),
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
