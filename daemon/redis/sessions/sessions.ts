// Every call on a session comes through here. Decides which sessions are in memory, gives them their steps, and asks the barrier: one question to Redis
// for all reads of a turn of the event loop.
//
// A read of a current copy:
//   1. It waits for the end of the turn. 2. The barrier goes out, behind everything else that Redis was asked. 3. Whatever was acknowledged to anybody
//   before the read began is pushed to this connection before the barrier is answered. 4. The copy is still current: it is the answer. Else it is asked for.

import { KIND, type State } from "../../../protocol/wire/wire.ts";
import { type Caller, endLeaseOf } from "../../backend/backend.ts";
import type { Config } from "../../config.ts";
import type { Log, Metrics } from "../../report/report.ts";
import { type CommitTurn, closed, Leases, type ReadTurn, storeError, type Turn } from "../../turns/turns.ts";
import { Calls, type CallsOptions } from "../calls/calls.ts";
import type { Link, Server } from "../link/link.ts";
import type { Staleness } from "../staleness/staleness.ts";
import type { Stored, StoredEnd } from "../value/value.ts";
import { readCheck } from "./answers.ts";
import { reasonOf } from "./failures.ts";
import type { ConditionalEnd, House, Verification } from "./house.ts";
import { Session } from "./session.ts";
import { complete } from "./succession.ts";

export { reasonOf, unanswered, unstored } from "./failures.ts";
export { forgetAt, markOf } from "./plan.ts";
export { complete } from "./succession.ts";

/** The memory of a session besides its image, about. */
const SESSION_BYTES = 1_200;
/** When the cache is full this part of it is given back at once: whoever looks for the oldest of a Map walks over the places of all that have gone, or were used. */
const FREED_PART = 1 / 64;
/** Pause between two looks whether everything is done, before the daemon leaves. */
const STOP_LOOK_MS = 5;

export interface SessionsParts {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly link: Link;
  readonly calls: CallsOptions;
  readonly mayWrite: () => boolean;
  readonly staleness: Staleness;
  readonly keys: Keys;
  /** The session was used: its place in the index of its prefix is to be kept. */
  readonly noteUsed: (id: string, timeoutSeconds: number) => Promise<void>;
}

/** The keys of sessions in Redis. */
export interface Keys {
  of(id: string): string;
  /** Undefined: it is no session's. */
  idOf(key: string): string | undefined;
}

export interface Looked {
  readonly stored: Stored | undefined;
  /** A session whose time is not over. */
  readonly isThere: boolean;
}

/** Whoever asks for this daemon itself. */
const NOBODY: Caller = { owner: {}, client: "" };

interface Asked {
  readonly session: Session;
  readonly verification: Verification;
}

interface Known {
  readonly session: Session;
  countedBytes: number;
}

export class Sessions {
  readonly calls: Calls;
  readonly #parts: SessionsParts;
  readonly #house: House<Session>;
  readonly #leases: Leases;
  /** The one that was used longest ago comes first. */
  readonly #known = new Map<string, Known>();
  /** Those that have turns, a lease or a call under way. */
  readonly #busy = new Set<Session>();
  #scheduled = new Set<Session>();
  #asked = new Map<Server, Asked[]>();
  readonly #forgotten = new WeakSet<object>();
  readonly #completing = new Map<string, Promise<void>>();
  #bytes = 0;
  #ended = 0;
  #isStopped = false;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.calls = new Calls(parts.link, parts.calls);
    this.#leases = new Leases(parts);
    this.#house = this.#makeHouse();
    parts.link.onStale((keys) => this.#noteStale(keys));
  }

  #makeHouse(): House<Session> {
    const { config, log, metrics, keys, staleness } = this.#parts;
    const { maxSessionBytes, timeoutSeconds, tombstoneSeconds } = config;
    return {
      calls: this.calls,
      limits: { maxSessionBytes, timeoutSeconds },
      leases: this.#leases,
      metrics,
      staleness,
      log,
      tombstoneMs: Math.max(1, 1000 * tombstoneSeconds),
      keyOf: (id) => keys.of(id),
      schedule: (session) => this.#schedule(session),
      settle: (session) => this.#settle(session),
      verify: (session, verification) => this.#verify(session, verification),
      noteChanged: (id) => this.#known.get(id)?.session.noteStale(),
      complete: (id, stored) => this.#complete(id, stored),
      whenComplete: async (id) => this.#completing.get(id),
      read: (id, turn) => this.read(id, turn),
      isForgotten: (owner) => this.#forgotten.has(owner),
      noteUsed: (id, seconds) => this.#parts.noteUsed(id, seconds),
      noteEnded: () => {
        this.#ended += 1;
      },
    };
  }

  get count(): number {
    let count = 0;
    for (const { session } of this.#known.values()) if (session.copy.bytes > 0) count += 1;
    return count;
  }

  /** Those that have something to do. */
  get busyCount(): number {
    let count = 0;
    for (const session of this.#busy) if (!session.isIdle) count += 1;
    return count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Tombstones that this daemon has made. */
  get endedCount(): number {
    return this.#ended;
  }

  get waitingCount(): number {
    let count = 0;
    for (const session of this.#busy) count += session.waitingCount;
    return count;
  }

  read(id: string, turn: ReadTurn): void {
    this.#parts.metrics.opens += 1;
    this.#parts.staleness.noteUse();
    const session = this.#session(id);
    // A transaction that asks whether what it saw is the newest is told that, and not what others may be told.
    const isHolder = session.isHolder(turn.caller.owner);
    if (isHolder && session.chain.keepBack(turn)) return;
    if (!session.copy.isCurrent) {
      session.read(turn);
      return;
    }
    if (this.#parts.staleness.mayUseCopies && !isHolder) {
      this.#parts.metrics.hits += 1;
      session.answerRead(turn, this.calls.clockOf(session.key).nowMs);
      return;
    }
    this.#verify(session, readCheck(session, turn));
  }

  /** @throws SessionError ERR_DEADLOCK where the turn would never come. */
  enter(id: string, turn: Turn): void {
    const mayWait = this.#leases.enter(id, turn);
    this.#parts.staleness.noteUse();
    this.#session(id).enter(mayWait);
  }

  commit(id: string, turn: CommitTurn): void {
    try {
      this.enter(id, turn);
    } catch (error) {
      endLeaseOf(this, id, turn);
      throw error;
    }
  }

  /** A commit has arrived that is made later: its lease does not end by its time meanwhile. Returns it as it is to be made, or to fail. */
  expect(id: string, turn: CommitTurn): CommitTurn {
    return this.#known.get(id)?.session.expect(turn) ?? turn;
  }

  release(id: string, fence: number, owner: object): void {
    this.#known.get(id)?.session.release(fence, owner);
  }

  forget(owner: object): void {
    this.#forgotten.add(owner);
    for (const session of this.#busy) session.forget(owner);
  }

  /**
   * What Redis holds of a session now, and whether its time is over.
   *
   * @throws SessionError ERR_STORE, ERR_UNREADABLE.
   */
  look(id: string): Promise<Looked> {
    const session = this.#session(id);
    return new Promise((resolve, fail) => {
      const answer = ({ kind }: State): void => {
        resolve({ stored: session.copy.stored, isThere: kind !== KIND.absent });
      };
      this.read(id, { caller: NOBODY, known: 0, answer, fail });
    });
  }

  /** @throws SessionError ERR_CONFLICT where it is not of the version that is named; ERR_DEADLOCK, ERR_STORE. */
  end(id: string, { caller, held, version }: Pick<ConditionalEnd, "caller" | "held" | "version">): Promise<void> {
    return new Promise((answer, fail) => {
      const turn: ConditionalEnd = { type: "end", version, caller, held, answer, fail };
      this.enter(id, turn);
    });
  }

  flush(): void {
    if (!this.#parts.mayWrite()) {
      this.#giveUp();
      return;
    }
    const scheduled = this.#scheduled;
    this.#scheduled = new Set();
    for (const session of scheduled) this.#step(session);
    this.calls.flush();
    const asked = this.#asked;
    this.#asked = new Map();
    for (const [server, some] of asked) void this.#askBarrier(server, some);
    if (this.#scheduled.size > 0) this.#parts.calls.requestFlush();
  }

  /** Another daemon may have our place: what waits is not carried out. Whoever asked for it asks that one. */
  #giveUp(): void {
    const [scheduled, asked] = [this.#scheduled, this.#asked];
    this.#scheduled = new Set();
    this.#asked = new Map();
    for (const session of scheduled) session.failAll(closed(session.id));
    for (const { session, verification } of [...asked.values()].flat()) verification.failed(closed(session.id));
    this.calls.giveUp();
  }

  /** Takes no more turns. Calls under way have been answered when this resolves. */
  async stop(): Promise<void> {
    while (this.#hasWork) {
      this.flush();
      // Whoever asked after each turn, or waited for what is under way anew each time, would be all that goes on while Redis is away.
      await new Promise((resolve) => setTimeout(resolve, STOP_LOOK_MS));
    }
    this.#isStopped = true;
    for (const { session } of this.#known.values()) session.stop();
  }

  get #hasWork(): boolean {
    if (!this.#parts.mayWrite()) return false;
    const isAsking = this.#scheduled.size > 0 || this.#asked.size > 0 || this.calls.isWorking;
    return isAsking || this.#completing.size > 0;
  }

  #step(session: Session): void {
    try {
      session.step();
    } catch (error) {
      session.failAll(error);
    }
  }

  async #askBarrier(server: Server, asked: readonly Asked[]): Promise<void> {
    let nowMs: number;
    try {
      nowMs = await this.calls.barrier(server);
    } catch (error) {
      for (const { session, verification } of asked) {
        verification.failed(error);
        this.#schedule(session);
      }
      return;
    }
    for (const { session, verification } of asked) {
      try {
        if (session.copy.isCurrent) {
          this.#parts.metrics.hits += 1;
          verification.current(nowMs);
        } else verification.stale();
      } catch (error) {
        verification.failed(storeError(session.id, error));
      }
    }
  }

  #verify(session: Session, verification: Verification): void {
    const server = this.#parts.link.serverOf(session.key);
    const asked = this.#asked.get(server);
    if (asked !== undefined) asked.push({ session, verification });
    else {
      this.#asked.set(server, [{ session, verification }]);
      this.#parts.calls.requestFlush();
    }
  }

  #schedule(session: Session): void {
    if (this.#isStopped) return;
    this.#busy.add(session);
    if (this.#scheduled.size === 0) this.#parts.calls.requestFlush();
    this.#scheduled.add(session);
  }

  #noteStale(keys: readonly string[] | null): void {
    if (keys === null) {
      this.#parts.staleness.forgetAll();
      for (const { session } of this.#known.values()) session.noteStale();
      return;
    }
    for (const key of keys) {
      const id = this.#parts.keys.idOf(key);
      if (id === undefined) continue;
      const known = this.#known.get(id);
      if (known === undefined) this.#parts.staleness.show(id, 0);
      else known.session.noteStale();
    }
  }

  #complete(id: string, stored: StoredEnd): void {
    if (this.#completing.has(id)) return;
    const done = complete(id, stored, this.#house).finally(() => this.#completing.delete(id));
    this.#completing.set(id, done);
    // Whatever the reason: whoever meets the tombstone next does it.
    done.catch((error: unknown) => this.#parts.log.warn("succession-unfinished", { error: reasonOf(error) }));
  }

  // -- memory

  #session(id: string): Session {
    const known = this.#known.get(id);
    if (known !== undefined) {
      this.#known.delete(id);
      this.#known.set(id, known);
      return known.session;
    }
    const session = new Session(id, this.#house);
    this.#known.set(id, { session, countedBytes: SESSION_BYTES });
    this.#bytes += SESSION_BYTES;
    return session;
  }

  #settle(session: Session): void {
    const known = this.#known.get(session.id);
    if (known?.session !== session) return;
    const bytes = SESSION_BYTES + session.copy.bytes;
    this.#bytes += bytes - known.countedBytes;
    known.countedBytes = bytes;
    if (!session.isIdle) return;
    this.#busy.delete(session);
    if (session.copy.bytes === 0) this.#drop(session.id, known);
    else if (this.#bytes > this.#parts.config.cacheBytes) this.#makeRoom();
  }

  #makeRoom(): void {
    const keptBytes = (1 - FREED_PART) * this.#parts.config.cacheBytes;
    for (const [id, known] of this.#known) {
      if (this.#bytes <= keptBytes) return;
      if (known.session.isIdle) this.#drop(id, known);
    }
  }

  #drop(id: string, { countedBytes }: Known): void {
    this.#known.delete(id);
    this.#bytes -= countedBytes;
  }
}
