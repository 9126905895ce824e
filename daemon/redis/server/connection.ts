// One connection to one server, by the package @redis/client, and all that is known of that package. Calls and what the server pushes share it:
// their order is what a barrier relies on. A connection that broke, or was silent for too long, is never used again.

import type { ErrorReply } from "@redis/client";
import { SessionError } from "../../../protocol/errors.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Script } from "./script.ts";
import { refusalOf, ServerError } from "./server-error.ts";

export type Argument = string | Buffer;

/** So many replicas have to have it; the server asks them for so long. The same for all calls of a connection. */
export interface Replicated {
  readonly replicas: number;
  readonly ms: number;
}

export interface RunOptions {
  /** A command that goes out directly before the script. */
  readonly before?: readonly Argument[] | undefined;
  /** Undefined: done when the server has done it. */
  readonly replicated?: Replicated | undefined;
}

export interface ConnectionOptions {
  /** How long it may take until the connection is there, and how long one answer may take. */
  readonly answerMs: number;
  /** Whether the server is to tell what changes: a Sentinel cannot. */
  readonly tracks: boolean;
  /** Each ends it, also while it is being made. */
  readonly signals: readonly AbortSignal[];
  /** Keys that another connection has changed; null: all may have. Called before any answer that came later is given. */
  readonly onInvalidated: (keys: readonly string[] | null) => void;
}

type Package = typeof import("@redis/client");
type Client = ReturnType<Package["createClient"]>;

const TLS_HINT = "(Does it want TLS? Then the URL begins with rediss://.)";
/** What OpenSSL and Node say of an answer that is none in TLS, and of none. */
const NO_TLS = /wrong version number|packet length too long|before secure TLS connection/i;
const PLAIN_HINT = "(Does it speak TLS at that port? If not, the URL begins with redis://.)";

let loaded: Promise<Package> | undefined;
/** What makes clients. It is made once: that takes some 40 ms, and a client of it one or two with its connection. */
let factory: ReturnType<Package["RedisClient"]["factory"]> | undefined;

/** @throws SessionError ERR_BAD_OPTION where the package is not installed. */
async function loadPackage(): Promise<Package> {
  loaded ??= import("@redis/client");
  try {
    return await loaded;
  } catch (error) {
    loaded = undefined;
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    const what =
      "Sessions of type redis need the package @redis/client, which is not installed: npm install @redis/client@6.";
    throw new SessionError("ERR_BAD_OPTION", what, { cause: error });
  }
}

export class Connection {
  readonly #client: Client;
  readonly #typed: Client;
  readonly #options: ConnectionOptions;
  readonly #isReply: (error: unknown) => error is ErrorReply;
  readonly #watch: NodeJS.Timeout;
  #sent = 0;
  #answered = 0;
  /** What had been sent at the last two ticks of the watch, the older one first. */
  #marks: readonly [number, number] = [0, 0];
  #end: ServerError | undefined;
  #waiting: Promise<number> | undefined;
  readonly #abort = (): void => this.close();
  #tellEnd: (reason: ServerError) => void = () => {};
  /** Resolves when it is over, with the reason. Calls without an answer fail as "unsure" in the same turn. */
  readonly closed: Promise<ServerError> = new Promise((resolve) => {
    this.#tellEnd = resolve;
  });

  private constructor(redis: Package, client: Client, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    this.#isReply = (error): error is ErrorReply => error instanceof redis.ErrorReply;
    const types = { [redis.RESP_TYPES.BLOB_STRING]: Buffer };
    this.#typed = client.withTypeMapping(types) as unknown as Client;
    for (const signal of options.signals) signal.addEventListener("abort", this.#abort);
    this.#watch = setInterval(() => this.#look(), options.answerMs / 2);
    client.on("error", (error: Error) => this.#close(this.#failureOf(error, "unsure")));
    client.on("invalidate", (key: Buffer | string | null) => {
      if (this.#end === undefined) options.onInvalidated(key === null ? null : [String(key)]);
    });
  }

  /** @throws ServerError "refused": what the server, or the way there, said. */
  static async open(endpoint: Endpoint, options: ConnectionOptions): Promise<Connection> {
    const redis = await loadPackage();
    const { username, password, database, address, tls } = endpoint;
    factory ??= redis.RedisClient.factory({ RESP: 3 });
    const client = factory({
      RESP: 3,
      database,
      disableClientInfo: true,
      disableOfflineQueue: true,
      emitInvalidate: options.tracks,
      maintNotifications: "disabled",
      // Its own deadline is a timer for each call, and gives up the call, not the connection.
      commandOptions: { timeout: 0 },
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      socket: { ...address, ...tlsOptions(tls), connectTimeout: options.answerMs, reconnectStrategy: false },
    } as Parameters<typeof factory>[0]) as unknown as Client;
    const connection = new Connection(redis, client, options);
    try {
      if (options.signals.some(({ aborted }) => aborted)) throw closedError();
      await connection.#connect();
      return connection;
    } catch (error) {
      const { code, message, cause } = connection.#end ?? connection.#failureOf(error, "refused");
      connection.close();
      throw new ServerError("refused", code, message + hintFor(endpoint, code, message), { cause });
    }
  }

  /** The package waits for ever for a server that accepts and says nothing. */
  async #connect(): Promise<void> {
    const timer = setTimeout(() => this.#stall(), this.#options.answerMs);
    try {
      await this.#client.connect();
      // Again, because the package asks without NOLOOP: what this connection changes itself need not be pushed to it.
      if (this.#options.tracks) await this.call(["CLIENT", "TRACKING", "ON", "NOLOOP"]);
    } finally {
      clearTimeout(timer);
    }
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** Calls so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Whether the first so many calls have their answers, which come in the order of the calls. */
  hasAnswered(count: number): boolean {
    return this.#answered >= count;
  }

  /** @throws ServerError, never anything else. */
  async call(args: readonly Argument[]): Promise<unknown> {
    if (this.#end !== undefined) throw new ServerError("refused", this.#end.code, this.#end.message);
    this.#sent++;
    try {
      return this.#plain(await this.#typed.sendCommand(args as Argument[]));
    } catch (error) {
      throw this.#failureOf(error, "unsure");
    } finally {
      this.#answered++;
    }
  }

  /** @throws ServerError */
  async run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    how: RunOptions = {},
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.#send(["EVALSHA", script.digest, ...rest], how);
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== "NOSCRIPT") throw error;
      return this.#send(["EVAL", script.text, ...rest], how);
    }
  }

  async #send(call: readonly Argument[], { before, replicated }: RunOptions): Promise<unknown> {
    const first = before === undefined ? undefined : this.call(before);
    const answer = this.call(call);
    if (first === undefined && replicated === undefined) return answer;
    // It has been done when its answer comes, whatever becomes of the question after it.
    const count = replicated && this.#wait(replicated).catch(() => 0);
    const [, reply, replicas = 0] = await Promise.all([first, answer, count]);
    if (replicated === undefined || replicas >= replicated.replicas) return reply;
    const what = `Only ${replicas} of ${replicated.replicas} replicas confirmed it within ${replicated.ms} ms.`;
    throw new ServerError("unsure", "UNREPLICATED", what);
  }

  /** One WAIT, behind all that go out in this turn and want one. Whatever comes after it waits as well. */
  #wait({ replicas, ms }: Replicated): Promise<number> {
    this.#waiting ??= Promise.resolve().then(() => {
      this.#waiting = undefined;
      return this.call(["WAIT", String(replicas), String(ms)]) as Promise<number>;
    });
    return this.#waiting;
  }

  /** Cuts it at once; what is under way fails as "unsure". */
  close(reason: ServerError = closedError()): void {
    this.#close(reason);
  }

  #close(reason: ServerError): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    clearInterval(this.#watch);
    for (const signal of this.#options.signals) signal.removeEventListener("abort", this.#abort);
    this.#client.destroy();
    this.#tellEnd(reason);
  }

  #look(): void {
    const [old, recent] = this.#marks;
    this.#marks = [recent, this.#sent];
    if (this.hasAnswered(old)) return;
    // After a stop of this process answers may wait to be read: they come first.
    setImmediate(() => {
      if (!this.hasAnswered(old)) this.#stall();
    });
  }

  #stall(): void {
    const what = `Redis did not answer for ${this.#options.answerMs} ms; the connection was cut.`;
    this.#close(new ServerError("unsure", "STALLED", what));
  }

  /** An error among the answers of a script belongs to one of its keys. */
  #plain(reply: unknown): unknown {
    if (!Array.isArray(reply)) return reply;
    return reply.map((element) => (this.#isReply(element) ? refusalOf(element) : element));
  }

  #failureOf(error: unknown, outcome: "refused" | "unsure"): ServerError {
    if (error instanceof ServerError) return error;
    if (this.#isReply(error)) return refusalOf(error);
    if (this.#end !== undefined) return new ServerError(outcome, this.#end.code, this.#end.message);
    return new ServerError(outcome, "CUT", causeOf(error), { cause: error });
  }
}

/** What else it may be that nobody answered the first words. */
function hintFor({ address, tls }: Endpoint, code: string, message: string): string {
  if (!("host" in address)) return "";
  // It hung up at words that were not in TLS; or waits for the end of a line in words that were, or answers them in plain text.
  const wantsTls = tls === undefined && code === "CUT" && !/ECONNREFUSED|ENOTFOUND/.test(message);
  const isPlain = tls !== undefined && (code === "STALLED" || NO_TLS.test(message));
  return wantsTls ? ` ${TLS_HINT}` : isPlain ? ` ${PLAIN_HINT}` : "";
}

function closedError(): ServerError {
  return new ServerError("unsure", "CLOSED", "The connection to Redis was closed.");
}

function tlsOptions(tls: Endpoint["tls"]): object {
  if (tls === undefined) return {};
  return { tls: true, ...Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)) };
}

function causeOf(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return `The connection to Redis broke: ${message || code || "no reason given"}.`;
}
