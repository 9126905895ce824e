// A link to a cluster: a connection to each master, with its own pushes and barriers, and which of them has which slot. Nobody tells when that
// changes: it is asked again whenever a call says so or a master is away.

import { describeAddress, describeRedis, type RedisAddress, type RedisTarget } from "../../../protocol/redis-url.ts";
import {
  type Argument,
  admit,
  RedisServer,
  type Replicated,
  type Script,
  type Server,
  ServerError,
  serverAt,
  visit,
  type Wanted,
} from "../server/server.ts";
import { type Link, type LinkOptions, LOOK_MS, type StaleListener } from "./options.ts";
import { Reporter } from "./reporter.ts";
import { type ClusterNode, mastersIn, merged, slotOf, type Topology, tagOf } from "./topology.ts";

/** Between two looks at who has which slot. */
const PAUSE_MS = 50;
/** One that is away must not keep the answers of the others waiting. */
const MAX_ANSWER_MS = 1_000;

export class ClusterLink implements Link {
  readonly isSharded = true;
  readonly #target: RedisTarget;
  readonly #options: LinkOptions;
  readonly #shards = new Map<string, Shard>();
  readonly #listeners: StaleListener[] = [];
  #owners: readonly (Shard | undefined)[] = [];
  #looking: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(target: RedisTarget, options: LinkOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** @throws SessionError | ServerError */
  async open(): Promise<void> {
    const untilMs = performance.now() + this.#options.waitMs;
    for (let failure = await this.#failureOfLook(); failure !== undefined; failure = await this.#failureOfLook()) {
      if (!(failure instanceof ServerError) || performance.now() >= untilMs) throw failure;
      await pause();
    }
    await Promise.all(this.#masters().map((shard) => shard.server.open()));
  }

  /** A key whose slot nobody has is asked for at any: it says what is wrong. */
  serverOf(key: string): Server {
    return this.shardOf(key);
  }

  shardOf(key: string): Shard {
    const shard = this.#owners[slotOf(key)] ?? this.#masters()[0];
    if (shard === undefined) throw new ServerError("refused", "CLOSED", "The link to Redis was closed.");
    return shard;
  }

  get servers(): readonly Server[] {
    return this.#masters();
  }

  onStale(listener: StaleListener): void {
    this.#listeners.push(listener);
  }

  async *scan(pattern: string): AsyncIterable<string> {
    for (const { server } of this.#masters()) yield* server.scan(pattern);
  }

  report(): Record<string, unknown> {
    const shards = [...this.#shards].map(([where, { server, slots }]) => ({ where, slots, ...server.report() }));
    return { redis: describeRedis(this.#target), shards };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const all = [...this.#shards.values()];
    this.#shards.clear();
    await Promise.all(all.map(({ server }) => server.close()));
    // Cut short, it fails, which is told to whoever asked for it.
    await Promise.allSettled([this.#looking]);
  }

  /**
   * One step at the shard of a key, and at another one when it is not there any more.
   *
   * @throws ServerError
   */
  async follow<T>(
    first: Shard,
    key: string | undefined,
    step: (shard: Shard, asked: boolean) => Promise<T>,
  ): Promise<T> {
    const untilMs = performance.now() + this.#options.waitMs;
    for (let [shard, asked] = [first, false]; ; ) {
      try {
        if (!asked) return await step(shard, false);
        // Its slot is being moved: what is read at its next place is not pushed by the present one.
        return await step(shard, true).finally(() => this.tell(key === undefined ? null : [key], first));
      } catch (error) {
        if (!(error instanceof ServerError) || this.#closing.signal.aborted || performance.now() >= untilMs)
          throw error;
        const next = await this.#nextFor(error, shard, key);
        if (next === undefined) throw error;
        [shard, asked] = [next, error.code === "ASK"];
      }
    }
  }

  /** Where to try again after an error; undefined: nowhere. */
  async #nextFor(error: ServerError, shard: Shard, key: string | undefined): Promise<Shard | undefined> {
    if (error.code === "ASK") {
      const [, host, port] = /^ASK \d+ (.*):(\d+)$/.exec(error.message) ?? [];
      const next = this.#shardAt({ host: host || shard.address.host, port: Number(port) });
      next.server.start();
      return next;
    }
    const isGone = error.code === "CLOSED" && error.outcome === "refused";
    if (!isGone && !["MOVED", "CLUSTERDOWN"].includes(error.code)) return undefined;
    await this.look();
    const next = key === undefined ? this.#masters()[0] : this.shardOf(key);
    if (next === shard) await pause();
    return next;
  }

  /** Asks again who has which slot, unless that is being done. Never fails. */
  async look(): Promise<void> {
    await this.#failureOfLook();
  }

  tell(keys: readonly string[] | null, shard: Shard): void {
    for (const listener of this.#listeners) listener(keys, shard);
  }

  async #failureOfLook(): Promise<unknown> {
    let failure: unknown;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking.catch((error: unknown) => {
      failure = error;
    });
    return failure;
  }

  /** Asks all that are known at once: one of them may be cut off, and tell what was true before. */
  async #look(): Promise<void> {
    const known = [...this.#target.addresses, ...[...this.#shards.values()].map(({ address }) => address)];
    const places = new Map(known.map((address) => [describeAddress(address), address]));
    const answers = await Promise.allSettled([...places.values()].map((address) => this.#ask(address)));
    const told = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    if (told.length > 0) return this.#adopt(merged(told));
    const [failed] = answers;
    throw failed?.status === "rejected" ? failed.reason : new ServerError("refused", "AWAY", "No node was named.");
  }

  async #ask(address: RedisAddress): Promise<readonly ClusterNode[]> {
    const endpoint = await serverAt(address, this.#target);
    const answerMs = Math.min(this.#options.answerMs, MAX_ANSWER_MS);
    const options = { answerMs, signals: [this.#closing.signal], tracks: false, onInvalidated: () => {} };
    return visit(endpoint, options, this.#wanted(undefined), async (connection) => {
      const text = String(await connection.call(["CLUSTER", "NODES"]));
      connection.close();
      return mastersIn(text, address, this.#target.tls !== undefined);
    });
  }

  #adopt({ masters, owners }: Topology): void {
    if (this.#closing.signal.aborted) return;
    const before = this.#owners;
    const shards = new Map([...new Set(owners)].map((node) => [node, node && this.#shardAt(node)]));
    this.#owners = owners.map((node) => shards.get(node));
    const places = new Set(masters.map(describeAddress));
    const counts = new Map<Shard, number>();
    for (const shard of this.#owners) if (shard !== undefined) counts.set(shard, (counts.get(shard) ?? 0) + 1);
    const changed = new Set(
      this.#owners.flatMap((shard, slot) => (shard === before[slot] ? [] : [shard, before[slot]])),
    );
    for (const [place, shard] of this.#shards) {
      const hadSlots = shard.slots > 0;
      shard.slots = counts.get(shard) ?? 0;
      if (changed.has(shard)) {
        shard.tag = tagOf((slot) => this.#owners[slot] === shard);
        this.tell(null, shard);
      }
      if (shard.slots > 0 && before.length > 0) shard.server.start();
      // One without slots may be about to get some, and is asked for them meanwhile; one that has lost them is left, also by those who wait there.
      if (shard.slots > 0 || (!hadSlots && places.has(place))) continue;
      this.#shards.delete(place);
      void shard.server.close();
    }
  }

  #masters(): readonly Shard[] {
    return [...this.#shards.values()].filter(({ slots }) => slots > 0);
  }

  #shardAt(address: { readonly host: string; readonly port: number }): Shard {
    const place = describeAddress(address);
    const shard = this.#shards.get(place) ?? new Shard(this, address, (one) => this.#serverOf(one));
    this.#shards.set(place, shard);
    return shard;
  }

  #serverOf(shard: Shard): RedisServer {
    const { waitMs, answerMs, lookMs = LOOK_MS, log } = this.#options;
    const [prefix = ""] = this.#options.keyPrefixes;
    const reporter = new Reporter(log, describeAddress(shard.address));
    return new RedisServer(
      async (connection) => admit(await serverAt(shard.address, this.#target), connection, this.#wanted(shard.tag)),
      {
        ...{ waitMs, answerMs, lookMs },
        onStale: (keys) => this.tell(keys, shard),
        onAway: (reason) => {
          reporter.away(reason);
          void this.look();
        },
        onPutOff: (reason) => reporter.putOff(reason),
        onConnected: (facts) => reporter.connected(facts),
        witness: () => shard.tag && `${prefix}${shard.tag}`,
      },
    );
  }

  #wanted(tag: string | undefined): Wanted {
    const { acceptEviction, acceptLoss, keyPrefixes } = this.#options;
    return { acceptEviction, acceptLoss, keyPrefixes, isCluster: true, mayMove: true, tag };
  }
}

/** A master, and what is its. Calls that come to it too late go to the one that has the key now. */
class Shard implements Server {
  readonly address: { readonly host: string; readonly port: number };
  readonly server: RedisServer;
  slots = 0;
  /** Makes a key one of its slots; undefined where it has none. */
  tag: string | undefined;
  readonly #link: ClusterLink;

  constructor(link: ClusterLink, { host, port }: Shard["address"], serve: (shard: Shard) => RedisServer) {
    this.#link = link;
    this.address = { host, port };
    this.server = serve(this);
  }

  run(script: Script, keys: readonly string[], args: readonly Argument[], replicated?: Replicated): Promise<unknown> {
    return this.#link.follow(this, keys[0], ({ server }, asked) =>
      server.run(script, keys, args, replicated, asked ? ["ASKING"] : undefined),
    );
  }

  barrier(): Promise<number> {
    return this.#link.follow(this, undefined, ({ server }) => server.barrier());
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())));
}
