// One server as the backend meets it: there is a connection or there will be one, calls wait for it, and each ends in its time.

import { SessionError } from "../../../protocol/errors.ts";
import { msLeft } from "../../../protocol/places.ts";
import type { Admitted } from "./admission.ts";
import type { Argument, Connection, ConnectionOptions, Replicated } from "./connection.ts";
import { type Facts, factsIn, isMaster } from "./facts.ts";
import type { Script } from "./script.ts";
import { isAlone, isElsewhere, isLater, ServerError } from "./server-error.ts";

/** One server, or one shard of a cluster. Calls go out in the order in which they are made; one that the server put off goes out again later. */
export interface Server {
  /**
   * One call of a script. An element of its answer that is an error is a `ServerError`.
   *
   * @param replicated who else has to have what it wrote: else it is "unsure", with the code "UNREPLICATED".
   * @throws ServerError with its outcome; a call that waits for a server ends when its time is over.
   */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    replicated?: Replicated | undefined,
  ): Promise<unknown>;
  /**
   * The server's time, in ms. What was acknowledged to anybody before this call has been pushed here when it is answered.
   *
   * @throws ServerError
   */
  barrier(): Promise<number>;
}

export interface ServerOptions {
  /** How long a call waits for a server that is away or busy. */
  readonly waitMs: number;
  /** How long one answer may take before the connection is cut. */
  readonly answerMs: number;
  /** Pause between two looks at what the server says of itself. */
  readonly lookMs: number;
  readonly onStale: (keys: readonly string[] | null) => void;
  /** Whenever there is no connection: it broke, or an attempt failed. */
  readonly onAway: (reason: Error) => void;
  /** Whenever a call was put off, to be made again: the server is loading, or busy with a script. */
  readonly onPutOff: (reason: Error) => void;
  /** Whenever there is one again. */
  readonly onConnected: (facts: Facts) => void;
  /** Whether another server has its place now, as far as somebody knows. Asked with each look, and again and again while it says nothing. */
  readonly hasMoved?: (() => Promise<boolean>) | undefined;
  /** The longest pause between two attempts to connect. Undefined: a second. */
  readonly maxPauseMs?: number | undefined;
  /** A key that shows with each barrier that the server still has what it had: one without it answers as if it had. */
  readonly witness?: () => string | undefined;
  /**
   * A key under which nothing ever is. With each barrier the server is asked to delete it: a master that no replica follows any more, because another
   * one has its place, would answer what it knows, and refuses that (`min-replicas-to-write`).
   */
  readonly guard?: string | undefined;
}

export interface ServerReport extends Partial<Facts> {
  readonly isConnected: boolean;
  /** Why it is not connected. */
  readonly reason?: string;
  readonly reconnects: number;
  readonly barrierMs?: number;
}

const NO_PARTS: readonly unknown[] = [];
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 1_000;
/** A connection over which no answer has come for this long is asked after: its server may have been replaced. */
const SILENT_MS = 250;

export class RedisServer implements Server {
  readonly #admit: (options: ConnectionOptions) => Promise<Admitted>;
  readonly #options: ServerOptions;
  #connection: Connection | undefined;
  #facts: Facts | undefined;
  #lastFailure: Error = new ServerError("refused", "AWAY", "Redis has not been reached yet.");
  /** Called whenever there is a connection, or will never be one. */
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  #isOpening = false;
  #life: Promise<void> | undefined;
  #asking: Promise<boolean> | undefined;
  #connects = 0;
  /** Of the last barriers, the younger the more. */
  #barrierMs: number | undefined;

  /** @param admit makes a connection that may be used, or throws. Called again and again. */
  constructor(admit: (options: ConnectionOptions) => Promise<Admitted>, options: ServerOptions) {
    this.#admit = admit;
    this.#options = options;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** For an operator. */
  report(): ServerReport {
    const facts = this.#facts;
    return {
      isConnected: this.isConnected,
      ...(this.isConnected ? {} : { reason: wordsOf(this.#lastFailure) }),
      reconnects: Math.max(0, this.#connects - 1),
      ...(this.#barrierMs === undefined ? {} : { barrierMs: Math.round(this.#barrierMs * 1000) / 1000 }),
      ...(facts === undefined ? {} : facts),
    };
  }

  /**
   * Connects, and from then on again whenever the connection breaks, until `close`.
   *
   * @throws whatever the last attempt within `waitMs` failed with; SessionError at once, for that will not change by itself.
   */
  async open(): Promise<void> {
    const until = performance.now() + this.#options.waitMs;
    this.#isOpening = true;
    for (let attempt = 0; ; attempt++) {
      const failure = await this.#connect();
      if (failure === undefined) break;
      const isOver = performance.now() >= until || this.#closing.signal.aborted;
      if (failure instanceof SessionError || isOver) throw failure;
      await this.#pause(attempt);
    }
    this.#isOpening = false;
    this.start();
  }

  /** As `open`, without waiting for the first connection. */
  start(): void {
    if (!this.#isOpening) this.#life ??= this.#live();
  }

  run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    replicated?: Replicated,
    before?: readonly Argument[],
  ): Promise<unknown> {
    return this.#try((connection) => connection.run(script, keys, args, { replicated, before }), "once");
  }

  async barrier(): Promise<number> {
    const sentMs = performance.now();
    const key = this.#options.witness?.();
    const ask = async (connection: Connection): Promise<unknown> => {
      const checks = key === undefined ? [] : [connection.call(["GETRANGE", key, "0", "0"])];
      if (this.#options.guard !== undefined) checks.push(connection.call(["DEL", this.#options.guard]));
      return (await Promise.all([connection.call(["TIME"]), ...checks]))[0];
    };
    const [seconds, micros] = (await this.#try(ask, "again")) as [unknown, unknown];
    const tookMs = performance.now() - sentMs;
    this.#barrierMs = this.#barrierMs === undefined ? tookMs : this.#barrierMs * 0.9 + tookMs * 0.1;
    return Number(seconds) * 1000 + Number(micros) / 1000;
  }

  /** A command that may be done twice. @throws ServerError */
  call(args: readonly Argument[]): Promise<unknown> {
    return this.#try((connection) => connection.call(args), "again");
  }

  /** Keys that match: each that is there all the time at least once. @throws ServerError */
  async *scan(pattern: string): AsyncIterable<string> {
    for (let [cursor, connects] = ["0", this.#connects]; ; ) {
      const answer = await this.call(["SCAN", cursor, "MATCH", pattern, "COUNT", "1000"]);
      const [next, keys] = answer as [Buffer, Buffer[]];
      // A cursor means nothing to another process, which may be the one that answers now: it begins anew.
      if (connects !== this.#connects) {
        [cursor, connects] = ["0", this.#connects];
        continue;
      }
      for (const key of keys) yield String(key);
      cursor = String(next);
      if (cursor === "0") return;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection?.close();
    this.#wake();
    await this.#life;
  }

  async #try(step: (connection: Connection) => Promise<unknown>, when: "once" | "again"): Promise<unknown> {
    const until = performance.now() + this.#options.waitMs;
    for (let attempt = 0; ; attempt++) {
      // Without an await where there is a connection: calls keep their order.
      const connection = this.#usable ?? (await this.#connected(until));
      try {
        const answer = await step(connection);
        // A script that caught the error of its write has written nothing: no other of its writes was done either.
        for (const part of Array.isArray(answer) ? answer : NO_PARTS) {
          if (isElsewhere(part) || (isAlone(part) && (await this.#hasMoved()))) throw part;
        }
        return answer;
      } catch (error) {
        if (isElsewhere(error) || (isAlone(error) && (await this.#hasMoved()))) connection.close(error);
        const isUndone = error instanceof ServerError && error.outcome === "refused";
        const mayCome = isLater(error) || (isAlone(error) && when === "again");
        const goesOn = mayCome || (!connection.isOpen && (isUndone || when === "again"));
        if (!goesOn || performance.now() >= until || this.#closing.signal.aborted) throw error;
        if (mayCome) this.#options.onPutOff(error);
        if (connection.isOpen) await this.#pause(attempt);
      }
    }
  }

  /** A connection that has just broken is not told of yet. */
  get #usable(): Connection | undefined {
    return this.#connection?.isOpen ? this.#connection : undefined;
  }

  async #connected(until: number): Promise<Connection> {
    while (!this.#closing.signal.aborted) {
      const connection = this.#usable;
      if (connection !== undefined) return connection;
      const leftMs = msLeft(until, performance.now());
      if (leftMs === 0) throw new ServerError("refused", "AWAY", wordsOf(this.#lastFailure));
      await this.#nextConnection(leftMs);
    }
    throw new ServerError("refused", "CLOSED", "The link to Redis was closed.");
  }

  async #nextConnection(ms: number): Promise<void> {
    const { promise, resolve } = withResolvers();
    const timer = setTimeout(resolve, ms);
    this.#waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
  }

  /** As long as it is open: a connection, and after it the next one. */
  async #live(): Promise<void> {
    for (let attempt = 0; !this.#closing.signal.aborted; ) {
      const connection = this.#connection;
      if (connection !== undefined) {
        const beganMs = performance.now();
        await this.#use(connection);
        // One that breaks at once is no better than none.
        attempt = performance.now() - beganMs < LAST_PAUSE_MS ? attempt + 1 : 0;
        if (attempt > 1) await this.#pause(attempt);
      } else if ((await this.#connect()) !== undefined) await this.#pause(attempt++);
    }
  }

  /** Until it breaks. */
  async #use(connection: Connection): Promise<void> {
    const timers = [setInterval(() => this.#look(connection), this.#options.lookMs)];
    if (this.#options.hasMoved !== undefined) timers.push(this.#heedSilence(connection));
    this.#lastFailure = await connection.closed;
    for (const timer of timers) clearInterval(timer);
    this.#connection = undefined;
    this.#options.onStale(null);
    this.#tellAway(this.#lastFailure);
  }

  /** A connection that nobody uses breaks in silence, and a master may be made a replica. */
  async #look(connection: Connection): Promise<void> {
    try {
      this.#facts = factsIn(String(await connection.call(["INFO"])));
      const isLeft = !isMaster(this.#facts) || (await this.#hasMoved());
      if (isLeft) connection.close(replaced());
    } catch (error) {
      // It has broken, which ends the watch, or is busy, which calls find out themselves.
      if (!(error instanceof ServerError)) throw error;
    }
  }

  /** A server that was cut off, or stands still, is left as soon as another one has its place, not only when its time to answer is over. */
  #heedSilence(connection: Connection): NodeJS.Timeout {
    let sent = 0;
    return setInterval(async () => {
      const isSilent = !connection.hasAnswered(sent);
      sent = connection.sent;
      if (isSilent && (await this.#hasMoved())) connection.close(replaced());
    }, SILENT_MS);
  }

  /** Asked by many at once, and answered once. */
  #hasMoved(): Promise<boolean> {
    const { hasMoved = async () => false } = this.#options;
    this.#asking ??= hasMoved().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Why there is no connection, or undefined when there is. */
  async #connect(): Promise<Error | undefined> {
    try {
      const { answerMs, onStale } = this.#options;
      const signals = [this.#closing.signal];
      const { connection, facts } = await this.#admit({ answerMs, signals, onInvalidated: onStale, tracks: true });
      // What was answered over the last connection may have been taken for current since it broke.
      onStale(null);
      this.#facts = facts;
      this.#connection = connection;
      this.#connects++;
      this.#options.onConnected(facts);
      this.#wake();
      return undefined;
    } catch (error) {
      if (!(error instanceof ServerError || error instanceof SessionError)) throw error;
      this.#lastFailure = error;
      this.#tellAway(this.#lastFailure);
      return this.#lastFailure;
    }
  }

  #tellAway(reason: Error): void {
    if (!this.#closing.signal.aborted) this.#options.onAway(reason);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }

  /** Longer each time, and by chance, so that many hosts do not come at once. */
  async #pause(attempt: number): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { maxPauseMs = LAST_PAUSE_MS } = this.#options;
    const longest = Math.min(maxPauseMs, FIRST_PAUSE_MS * 2 ** attempt);
    const { promise, resolve } = withResolvers();
    const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
    this.#closing.signal.addEventListener("abort", resolve, { once: true });
    await promise;
    clearTimeout(timer);
    this.#closing.signal.removeEventListener("abort", resolve);
  }
}

/** What to do says the error that they become a part of. */
function wordsOf(error: Error): string {
  return error instanceof SessionError ? error.what : error.message;
}

function replaced(): ServerError {
  return new ServerError("unsure", "ROLE", "Redis is no master any more.");
}

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
