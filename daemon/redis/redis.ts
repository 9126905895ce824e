// The backend of many hosts: sessions that a Redis or Valkey keeps, of which this daemon has copies. Puts its parts together and takes them
// apart again. README.md of this folder says why it is so.

import { daemonPath } from "../../protocol/places.ts";
import type { Around, Backend, CommitTurn, Engine, ListTurn, ReadTurn, SweepTurn, Turn } from "../backend/backend.ts";
import type { Config } from "../config.ts";
import { Log } from "../report/report.ts";
import { Adoption } from "./adoption.ts";
import type { Calls } from "./calls/calls.ts";
import { connectLink, type Link } from "./link/link.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { type Keys, Sessions } from "./sessions/sessions.ts";
import { BoundedStaleness, STRICT } from "./staleness/staleness.ts";
import { Survey } from "./survey.ts";
import { UniqueCommits } from "./unique.ts";

/** What keys of sessions begin with. Those of the indexes have another sign in the place of the colon. */
const PREFIX = "gs";
/** How long a call waits for a server that is away, and how long one answer may take. */
const WAIT_MS = 10_000;
export const ANSWER_MS = 3_000;
const LINK = { keyPrefixes: [`${PREFIX}:`, `${PREFIX}!`], waitMs: WAIT_MS, answerMs: ANSWER_MS };
/** No session's. */
const GUARD = `${PREFIX}:-`;
/** So often the clock is compared with that of Redis while nobody asks anything. */
const CLOCK_MS = 5_000;

/**
 * @throws SessionError where the server cannot be reached, or must not keep sessions.
 */
export const redisEngine: Engine = async (around) => {
  return openOn(await connect(around.config, around.log), around);
};

/** Where a session is, and whose key this is. */
export const KEYS: Keys = {
  of: (id) => `${PREFIX}:${id}`,
  idOf: (key) => (key.startsWith(`${PREFIX}:`) ? key.slice(PREFIX.length + 1) : undefined),
};

/** Which sessions there are of a prefix. */
export function indexOn(calls: Calls): PrefixIndex {
  return new PrefixIndex({ calls, keyOf: KEYS.of, indexOf: (prefix) => `${PREFIX}!${prefix}` });
}

/** @throws SessionError as the engine. */
export function connect({ redis, acceptEviction, acceptLoss, durability }: Config, log: Log): Promise<Link> {
  const guard = durability === "replica" ? GUARD : undefined;
  return connectLink({ ...LINK, url: redis, acceptEviction, acceptLoss, log, guard });
}

/**
 * How a server is, asked without a daemon, by a connection that is closed again; also one that may drop sessions, or forget them.
 *
 * @returns what a daemon's status says of it.
 * @throws SessionError as the engine.
 */
export async function askRedis(url: string): Promise<Record<string, unknown>> {
  const log = new Log("silent");
  const link = await connectLink({ ...LINK, url, waitMs: ANSWER_MS, acceptEviction: true, acceptLoss: true, log });
  try {
    return link.report();
  } finally {
    await link.close();
  }
}

/** The backend on a link that is open. Closes it with itself. */
export async function openOn(link: Link, around: Around): Promise<Backend> {
  const backend = new RedisBackend(link, around);
  try {
    await backend.begin();
    return backend;
  } catch (error) {
    await link.close();
    throw error;
  }
}

class RedisBackend implements Backend {
  /** Workers have to ask. */
  readonly directory = "";
  readonly #around: Around;
  /** Undefined: every read asks. */
  readonly #staleness: BoundedStaleness | undefined;
  readonly #link: Link;
  #isStopping = false;
  readonly #sessions: Sessions;
  readonly #unique: UniqueCommits;
  readonly #survey: Survey;
  readonly adoptions: Adoption;

  constructor(link: Link, around: Around) {
    const { config, log, metrics, requestWork, mayWrite } = around;
    const replicas = config.durability === "replica" ? 1 : 0;
    const calls = { replicas, replicaWaitMs: ANSWER_MS / 2, requestFlush: requestWork };
    this.#around = around;
    const { maxStaleMs } = config;
    const path = daemonPath(config, ".versions");
    const bounded = { maxStaleMs, path, link, log, calls: () => this.#sessions.calls };
    this.#staleness = maxStaleMs > 0 ? new BoundedStaleness(bounded) : undefined;
    const staleness = this.#staleness ?? STRICT;
    this.#link = link;
    const noteUsed = (id: string, seconds: number): Promise<void> => this.#unique.keep(id, seconds);
    this.#sessions = new Sessions({ config, log, metrics, link, calls, mayWrite, keys: KEYS, noteUsed, staleness });
    const index = indexOn(this.#sessions.calls);
    const { timeoutSeconds } = config;
    this.#unique = new UniqueCommits({ sessions: this.#sessions, index, timeoutSeconds, log });
    this.adoptions = new Adoption({
      calls: this.#sessions.calls,
      // No prefix has a comma.
      noteOf: (id) => `${PREFIX}!,${id}`,
      isOurs: (key) => LINK.keyPrefixes.some((prefix) => key.startsWith(prefix)),
      maxBytes: config.maxSessionBytes,
    });
    this.#survey = new Survey({ sessions: this.#sessions, link, keys: KEYS, log });
  }

  get versions(): string {
    return this.#staleness?.path ?? "";
  }

  /** @throws ServerError */
  begin(): Promise<void> {
    return this.#sessions.calls.setClocks();
  }

  read(id: string, turn: ReadTurn): void {
    this.#sessions.read(id, turn);
  }

  enter(id: string, turn: Turn): void {
    this.#sessions.enter(id, turn);
  }

  commit(id: string, turn: CommitTurn): void {
    const { create, successor } = turn.options;
    if (create === true || successor !== undefined) this.#unique.commitNew(id, turn);
    else this.#sessions.commit(id, turn);
  }

  commitUnique(id: string, turn: CommitTurn): void {
    this.#unique.commitUnique(id, turn);
  }

  list(turn: ListTurn): void {
    this.#survey.list(turn);
  }

  sweep(turn: SweepTurn): void {
    this.#survey.sweep(turn);
  }

  release(id: string, fence: number, owner: object): void {
    this.#sessions.release(id, fence, owner);
  }

  forget(owner: object): void {
    this.#sessions.forget(owner);
    this.#survey.forget(owner);
  }

  start(): void {
    // What is asked while it leaves would keep it from that as long as Redis is away.
    const every = (ms: number, action: () => void): void => {
      this.#around.every(ms, () => {
        if (!this.#isStopping) action();
      });
    };
    this.#staleness?.start(every);
    every(CLOCK_MS, () => {
      // Whatever the reason: calls that need an answer are told it.
      this.#sessions.calls.setClocks().catch(() => undefined);
    });
  }

  flush(): void {
    this.#sessions.flush();
  }

  report(): Record<string, unknown> {
    const { scriptCalls, keysRead, keysWritten, overtaken, barriers, barrierMs } = this.#sessions.calls.counts;
    return {
      sessionsCached: this.#sessions.count,
      sessionsAwake: this.#sessions.busyCount,
      bytesCached: this.#sessions.bytes,
      waitingTurns: this.#sessions.waitingCount,
      tombstones: this.#sessions.endedCount,
      // Nobody has counted them: the server lets them expire by itself.
      sessionsOnDisk: null,
      redis: {
        ...this.#link.report(),
        ...{ scriptCalls, keysRead, keysWritten, overtaken, barriers },
        barrierMicros: barriers === 0 ? null : Math.round((1000 * barrierMs) / barriers),
      },
    };
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#survey.stop();
    await this.adoptions.stop();
    while (this.#unique.count > 0) await Promise.all(this.#unique.underWay);
    await this.#sessions.stop();
  }

  async close(isOurs: () => boolean): Promise<void> {
    await this.#around.log.attempt("stop-failed", () => this.stop());
    await this.#around.log.attempt("stop-failed", () => this.#staleness?.close(isOurs()));
    await this.#around.log.attempt("stop-failed", () => this.#link.close());
  }
}
