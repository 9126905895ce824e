// The way to Redis: what the sessions of one turn of the event loop want is gathered and goes out in calls of some keys each, so that Redis works on the
// first while the next is being written. Also the barrier, which all reads of a turn share. Knows no session.

import { type Link, type Script, type Server, ServerError } from "../link/link.ts";
import { Clock } from "./clock.ts";
import { CONFIRM, INDEX, LOOK, NUMBER_DIGITS, ORDER_BYTES, READ, WRITE } from "./scripts.ts";

/**
 * Keys of one script call. With many the client waits for the server and the server for the client; with few each costs a call. Of 64 changes under way
 * at once 24 cost Redis 13 µs each, and 8 cost it 11.5: it begins with the first while the others are being written (`npm run bench -- --only redis-change`).
 */
const KEYS_PER_CALL = 8;
/** Bytes of arguments of one call, beyond which no other key is added to it. */
const BYTES_PER_CALL = 256 * 1024;

const VERSION_BYTES = 8;
const HOLDER_BYTES = 12;
const NUMBER_AT: number = 1 + VERSION_BYTES + HOLDER_BYTES;
const LENGTH_AT: number = NUMBER_AT + 1 + NUMBER_DIGITS;
const MAX_NUMBER: number = 10 ** NUMBER_DIGITS - 1;

export { MEMBERS } from "./scripts.ts";

/** The code of a change that is stored, and not on as many replicas as were asked for. */
export const UNREPLICATED = "UNREPLICATED";

/** How long it is looked for what became of a call. */
export const UNSURE_MS = 10_000;

export type Argument = string | Buffer;

/** What is to be done to one key (`scripts.ts`, WRITE). */
export interface Order {
  readonly what: "a" | "c" | "l" | "t" | "u" | "x";
  /** The version that is known; empty: nothing. */
  readonly version: Buffer;
  readonly holder: Buffer;
  readonly bytes: Buffer;
  /** ms, of Redis' clock or from now. */
  readonly number: number;
}
/** A number, a value or summary, an empty buffer for nothing, or an error of this key alone. */
export type Answer = Buffer | number | ServerError;

/** What becomes of a call: exactly one of both is called, once, and throws nothing. */
export interface Ends<T> {
  take(answer: T): void;
  fail(error: unknown): void;
}

interface Wanted {
  readonly key: string;
  readonly ends: Ends<Answer>;
}

interface WantedRead extends Wanted {
  readonly version: Buffer;
}

interface WantedWrite extends Wanted {
  readonly order: Order;
}

interface WantedPlace extends Wanted {
  readonly args: readonly Argument[];
}

/** What one server is asked for in a turn. */
interface Gathered {
  readonly reads: WantedRead[];
  readonly writes: WantedWrite[];
  readonly indexes: WantedPlace[];
}

export interface CallsOptions {
  /** So many replicas have a change before it counts. */
  readonly replicas: number;
  /** How long they may take, in ms. */
  readonly replicaWaitMs: number;
  /** Asks for `flush` at the end of this turn of the event loop. */
  readonly requestFlush: () => void;
}

/** What is counted for the status. */
export interface CallCounts {
  scriptCalls: number;
  keysRead: number;
  keysWritten: number;
  /** Changes that came too late: another host was faster. */
  overtaken: number;
  barriers: number;
  barrierMs: number;
}

export class Calls {
  readonly counts: CallCounts = {
    scriptCalls: 0,
    keysRead: 0,
    keysWritten: 0,
    overtaken: 0,
    barriers: 0,
    barrierMs: 0,
  };
  readonly #link: Link;
  readonly #options: CallsOptions;
  readonly #gathered = new Map<Server, Gathered>();
  readonly #clocks = new Map<Server, Clock>();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(link: Link, options: CallsOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** A node of a cluster takes no two keys in one call. */
  get #keysPerCall(): number {
    return this.#link.isSharded ? 1 : KEYS_PER_CALL;
  }

  get isWorking(): boolean {
    return this.#underWay.size > 0 || this.#gathered.size > 0;
  }

  /** The clock of the server that has this key. */
  clockOf(key: string): Clock {
    return this.#clock(this.#link.serverOf(key));
  }

  read(key: string, version: Buffer): Promise<Answer> {
    return new Promise((take, fail) => this.readFor(key, version, { take, fail }));
  }

  write(key: string, order: Order): Promise<Answer> {
    return new Promise((take, fail) => this.writeFor(key, order, { take, fail }));
  }

  /** As `read`, without a promise. */
  readFor(key: string, version: Buffer, ends: Ends<Answer>): void {
    this.#gatheredOr(key, ends)?.reads.push({ key, version, ends });
  }

  /** As `write`, without a promise. */
  writeFor(key: string, order: Order, ends: Ends<Answer>): void {
    this.#gatheredOr(key, ends)?.writes.push({ key, order, ends });
  }

  /** One id in the index of its prefix. Resolves to its place, and how many there are. @throws ServerError */
  index(key: string, args: readonly Argument[]): Promise<readonly [place: string, count: number]> {
    return untilSure(async () => {
      const answer = await new Promise<Answer>((take, fail) => {
        this.#gatheredFor(key).indexes.push({ key, args, ends: { take, fail } });
      });
      const [place, count] = answer as unknown as readonly [Buffer, number];
      return [String(place), count];
    });
  }

  /** Sends what was gathered. */
  flush(): void {
    for (const [server, { reads, writes, indexes }] of this.#gathered) {
      this.counts.keysRead += reads.length;
      this.counts.keysWritten += writes.length;
      const most = this.#keysPerCall;
      for (const call of callsOf(reads, most, () => VERSION_BYTES)) this.#run(server, READ, call, [versionsOf(call)]);
      for (const call of callsOf(writes, most, bytesOf)) this.#run(server, WRITE, call, [ordersOf(call)]);
      for (const call of callsOf(indexes, most, () => 0))
        this.#run(
          server,
          INDEX,
          call,
          call.flatMap(({ args }) => args),
        );
    }
    this.#gathered.clear();
  }

  /** What was gathered is not sent any more. */
  giveUp(): void {
    const gathered = [...this.#gathered.values()];
    this.#gathered.clear();
    const problem = new ServerError("refused", "CLOSED", "This daemon has lost its place.");
    for (const { reads, writes, indexes } of gathered)
      for (const { ends } of [...reads, ...writes, ...indexes]) ends.fail(problem);
  }

  /**
   * The server's time, in ms, and after it everything is known that was acknowledged to anybody before this was called.
   *
   * @throws ServerError
   */
  barrier(server: Server): Promise<number> {
    return this.#track(this.#barrier(server));
  }

  /** Brings the clocks up to their servers. */
  async setClocks(): Promise<void> {
    await Promise.all(this.#link.servers.map((server) => this.barrier(server)));
  }

  /** The summary of each, in the order of the keys. @throws ServerError */
  async look(keys: readonly string[]): Promise<readonly Answer[]> {
    const found = new Map<string, Answer>();
    const calls = this.#link.servers.flatMap((server) => {
      const own = keys.filter((key) => this.#link.serverOf(key) === server);
      return slicesOf(own, this.#keysPerCall).map((some) => ({ server, some }));
    });
    await Promise.all(
      calls.map(async ({ server, some }) => {
        const answers = (await untilSure(() => this.#track(server.run(LOOK, some, [])))) as Answer[];
        for (const [n, key] of some.entries()) found.set(key, answers[n] as Answer);
      }),
    );
    return keys.map((key) => found.get(key) ?? Buffer.alloc(0));
  }

  /** Resolves when as many replicas as were asked for have what is known to be stored, and was stored by another call. @throws ServerError */
  async confirm(key: string): Promise<void> {
    const { replicas, replicaWaitMs } = this.#options;
    if (replicas === 0) return;
    await this.#track(this.#link.serverOf(key).run(CONFIRM, [key], [], { replicas, ms: replicaWaitMs }));
  }

  /** One call of another script, which may be done twice. @throws ServerError */
  run(script: Script, key: string, args: readonly Argument[]): Promise<unknown> {
    return untilSure(() => this.#track(this.#link.serverOf(key).run(script, [key], args)));
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** Undefined: nobody has the key, which the caller is told as of a call that failed, and never before it has gone on. */
  #gatheredOr(key: string, ends: Ends<Answer>): Gathered | undefined {
    try {
      return this.#gatheredFor(key);
    } catch (error) {
      queueMicrotask(() => ends.fail(error));
      return undefined;
    }
  }

  /** @throws ServerError where nobody has the key. */
  #gatheredFor(key: string): Gathered {
    const server = this.#link.serverOf(key);
    this.#options.requestFlush();
    const known = this.#gathered.get(server);
    if (known !== undefined) return known;
    const gathered: Gathered = { reads: [], writes: [], indexes: [] };
    this.#gathered.set(server, gathered);
    return gathered;
  }

  #run(server: Server, script: Script, wanted: readonly Wanted[], args: readonly Argument[]): void {
    this.counts.scriptCalls += 1;
    const keys = wanted.map(({ key }) => key);
    const { replicas, replicaWaitMs } = this.#options;
    const replicated = script === WRITE && replicas > 0 ? { replicas, ms: replicaWaitMs } : undefined;
    const answers = server.run(script, keys, args, replicated) as Promise<Answer[]>;
    void this.#track(
      answers.then(
        (all) => {
          const width = all.length / wanted.length;
          for (const [n, one] of wanted.entries()) {
            one.ends.take((width === 1 ? all[n] : all.slice(n * width, (n + 1) * width)) as Answer);
          }
        },
        (error: unknown) => {
          for (const one of wanted) one.ends.fail(asServerError(error));
        },
      ),
    );
  }

  async #barrier(server: Server): Promise<number> {
    const sentMs = performance.now();
    const serverMs = await server.barrier();
    this.#clock(server).note(serverMs, sentMs);
    this.counts.barriers += 1;
    this.counts.barrierMs += performance.now() - sentMs;
    return serverMs;
  }

  #clock(server: Server): Clock {
    const known = this.#clocks.get(server);
    if (known !== undefined) return known;
    const clock = new Clock();
    this.#clocks.set(server, clock);
    // Until it is answered the host's own clock counts. Whatever the reason: whoever needs an answer is told it.
    this.barrier(server).catch(() => undefined);
    return clock;
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
    done.catch(() => undefined);
    return done;
  }
}

/** What may be done twice is done again while the connection breaks. */
async function untilSure<T>(call: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + UNSURE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const isUnsure = error instanceof ServerError && error.outcome === "unsure";
      if (!isUnsure || performance.now() > untilMs) throw error;
    }
  }
}

/** Zeros where nothing is known. */
function versionsOf(wanted: readonly WantedRead[]): Buffer {
  const versions = Buffer.alloc(wanted.length * VERSION_BYTES);
  for (const [n, { version }] of wanted.entries()) version.copy(versions, n * VERSION_BYTES);
  return versions;
}

function bytesOf({ order }: WantedWrite): number {
  return ORDER_BYTES + order.bytes.length;
}

function ordersOf(wanted: readonly WantedWrite[]): Buffer {
  let at = wanted.length * ORDER_BYTES;
  const bytes = wanted.reduce((sum, { order }) => sum + order.bytes.length, at);
  const all = Buffer.allocUnsafe(bytes).fill(0, 0, at);
  for (const [n, { order }] of wanted.entries()) {
    const from = n * ORDER_BYTES;
    all[from] = order.what.charCodeAt(0);
    order.version.copy(all, from + 1);
    order.holder.copy(all, from + 1 + VERSION_BYTES);
    const digits = String(Math.min(Math.ceil(order.number), MAX_NUMBER));
    all[from + NUMBER_AT] = all.write(digits, from + NUMBER_AT + 1, "latin1");
    all.writeUInt32BE(order.bytes.length, from + LENGTH_AT);
    at += order.bytes.copy(all, at);
  }
  return all;
}

function callsOf<W extends Wanted>(wanted: readonly W[], most: number, bytesOf: (one: W) => number): W[][] {
  const calls: W[][] = [];
  let bytes = 0;
  for (const one of wanted) {
    const call = calls.at(-1);
    const own = one.key.length + bytesOf(one);
    if (call !== undefined && call.length < most && bytes + own <= BYTES_PER_CALL) call.push(one);
    else {
      calls.push([one]);
      bytes = 0;
    }
    bytes += own;
  }
  return calls;
}

function slicesOf(keys: readonly string[], most: number): string[][] {
  const slices: string[][] = [];
  for (let at = 0; at < keys.length; at += most) slices.push(keys.slice(at, at + most));
  return slices;
}

function asServerError(error: unknown): ServerError {
  return error instanceof ServerError ? error : new ServerError("unsure", "ERR", String(error));
}
