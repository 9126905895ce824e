// Every call on a session comes through here. Decides when sessions take their turns, and what happens to several at once (Unique, a
// closed connection). Which of them are in memory is up to the cache, and how they are written up to the batch.
//
// All sessions that have work at the end of one turn of the event loop take their turns together.

import { KIND, type State } from "../../protocol/wire/wire.ts";
import { endLeaseOf } from "../backend/backend.ts";
import type { Config } from "../config.ts";
import type { ForeignWriters } from "../foreign/foreign.ts";
import { ABSENT, Cache, stateOf } from "../memory/cache.ts";
import type { Journal } from "../once/once.ts";
import { AppliedCommits } from "../once/once.ts";
import type { Log, Metrics } from "../report/report.ts";
import type { Store } from "../store/store.ts";
import { type CommitTurn, idTaken, Leases, nobodyReads, type ReadTurn, storeError, type Turn } from "../turns/turns.ts";
import { CommitBatch } from "./commit-batch.ts";
import { NO_LOCKS } from "./lock-wait.ts";
import type { Surroundings } from "./look.ts";
import { Session } from "./session.ts";
import type { Tombstones } from "./tombstones.ts";
import { type Recalled, UndecidedCommits } from "./undecided.ts";
import { UniqueCommits } from "./unique.ts";

export { badId, type Caller, type CommitTurn } from "../turns/turns.ts";
export { Tombstones } from "./tombstones.ts";
export type { Recalled } from "./undecided.ts";

export interface Parts {
  readonly config: Config;
  readonly store: Store;
  readonly foreign: ForeignWriters;
  readonly tombstones: Tombstones;
  /** Undefined for engines that keep nothing beyond this process. */
  readonly journal: Journal | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The clock, in Unix ms. */
  readonly now: () => number;
  /** Asks for `flush` at the end of this turn of the event loop. */
  readonly requestTurnEnd: () => void;
  /** False once another daemon may have our place: from then on nothing is written any more. */
  readonly mayWrite: () => boolean;
}

/** Sessions that take their turns at one time: the first are answered while the others are written. */
const SESSIONS_PER_FLUSH = 64;

export class Sessions {
  readonly #parts: Parts;
  readonly #cache: Cache<Session>;
  readonly #batch: CommitBatch;
  readonly #unique: UniqueCommits;
  readonly #applied = new AppliedCommits();
  readonly #undecided: UndecidedCommits;
  readonly #leases: Leases;
  /** Those that have work, in the order in which they got it. */
  #scheduled: Session[] = [];
  /** Since the last flush. */
  #turnsAtOnce = 0;
  #isStopped = false;

  constructor(parts: Parts) {
    const { config, store, foreign, log, now, journal, mayWrite } = parts;
    this.#parts = parts;
    this.#leases = new Leases(parts);
    const surroundings = this.#surroundings();
    this.#cache = new Cache({
      wake: (id, resting) => new Session(id, surroundings, resting),
      store,
      cacheBytes: config.cacheBytes,
      now,
      neededSinceMs: () => foreign.neededSinceMs,
    });
    this.#batch = new CommitBatch({
      journal,
      flushes: config.durability === "fsync" ? store.flushes : undefined,
      foreign,
      log,
      now,
      mayWrite,
      noteApplied: (turn, answeredMs) => this.#noteApplied(turn, answeredMs),
      settle: (session) => this.#cache.settle(session),
    });
    this.#undecided = new UndecidedCommits({
      lockWaitMs: config.lockWaitMs,
      noteDecided: (commit, wasPublished) => {
        journal?.noteDecided(commit, wasPublished);
        if (wasPublished) this.#applied.add(commit.client, commit.sequence);
      },
    });
    this.#unique = new UniqueCommits({
      commit: (id, turn) => this.commit(id, turn),
      enter: (id, turn) => this.enter(id, turn),
      wasApplied: (turn) => this.#wasApplied(turn),
      hasEnded: (id) => parts.tombstones.has(id),
      ids: () => store.ids(),
      log,
    });
  }

  #surroundings(): Surroundings<Session> {
    const { config, store, foreign, tombstones, journal, log, metrics, now } = this.#parts;
    const { maxSessionBytes, timeoutSeconds, lockWaitMs } = config;
    return {
      store,
      locks: store.locks ?? NO_LOCKS,
      foreign,
      tombstones,
      journal,
      log,
      metrics,
      now,
      maxSessionBytes,
      lockWaitMs,
      limits: { maxSessionBytes, timeoutSeconds, dialect: foreign.dialect },
      leases: this.#leases,
      succeed: (id, turn) => this.#succeed(id, turn),
      schedule: (session) => this.#schedule(session),
    };
  }

  /** An id that is or was in use is not waited for: two sessions that are to go on as each other would wait for ever. */
  #succeed(id: string, turn: CommitTurn): void {
    const { store, tombstones } = this.#parts;
    try {
      if (tombstones.has(id) || store.stat(id) !== undefined) turn.fail(idTaken(id));
      else this.#cache.wake(id).enter(turn);
    } catch (error) {
      turn.fail(storeError(id, error));
    }
  }

  get count(): number {
    return this.#cache.count;
  }

  /** Of these, how many are objects. */
  get awakeCount(): number {
    return this.#cache.awakeCount;
  }

  get bytes(): number {
    return this.#cache.bytes;
  }

  get waitingCount(): number {
    let count = 0;
    for (const session of this.#scheduled) count += session.waitingCount;
    return count;
  }

  read(id: string, turn: ReadTurn): void {
    this.#parts.metrics.opens += 1;
    const session = this.#cache.awake(id);
    if (session !== undefined) session.read(turn);
    else this.#readAsleep(id, turn);
  }

  #readAsleep(id: string, turn: ReadTurn): void {
    const contents = this.#cache.currentAtRest(id);
    if (contents !== undefined) {
      this.#parts.metrics.hits += 1;
      turn.answer(stateOf(contents, turn.known));
    } else if (this.#cache.has(id) || this.#mayExist(id)) {
      const session = this.#cache.wake(id);
      session.read(turn);
      this.#takeTurnAtOnce(session);
    } else {
      turn.answer(ABSENT);
    }
  }

  /**
   * Of many sessions that are read from the store each is done with before the next one begins: the garbage of a read is young when it is
   * collected, and the heap does not grow. No more of them at once than other callers may be kept waiting for.
   */
  #takeTurnAtOnce(session: Session): void {
    if (this.#turnsAtOnce === SESSIONS_PER_FLUSH || this.#scheduled.at(-1) !== session) return;
    this.#scheduled.pop();
    this.#turnsAtOnce += 1;
    this.#batch.run([session]);
  }

  /** @throws SessionError ERR_DEADLOCK where the turn would never come. */
  enter(id: string, turn: Turn): void {
    const mayWait = this.#leases.enter(id, turn);
    this.#cache.wake(id).enter(mayWait.type === "end" ? this.#batch.durably(id, mayWait) : mayWait);
  }

  /** A commit that was applied before is answered with the present state and not applied again. */
  commit(id: string, turn: CommitTurn): void {
    // Its connection broke while the disk worked on it, or its daemon was killed, and another program keeps us from finding out what became of it.
    const decided = this.#batch.whenDecided(turn) ?? this.#undecided.whenDecided(id, turn.options.successor);
    if (decided !== undefined) {
      decided.then(() => this.commit(id, turn)).catch(turn.fail);
      return;
    }
    if (!this.#wasApplied(turn)) {
      this.enter(id, turn);
      return;
    }
    this.#parts.metrics.duplicates += 1;
    endLeaseOf(this, id, turn);
    this.read(turn.options.successor ?? id, { caller: turn.caller, known: 0, answer: turn.answer, fail: turn.fail });
  }

  #noteApplied({ caller, sequence, arrivedMs }: CommitTurn, answeredMs: number): void {
    this.#parts.metrics.commits += 1;
    this.#parts.metrics.noteCommit(answeredMs - arrivedMs);
    this.#applied.add(caller.client, sequence);
  }

  #wasApplied({ caller, sequence }: CommitTurn): boolean {
    return this.#applied.has(caller.client, sequence);
  }

  /** A commit that also ends every other session of the same prefix. */
  commitUnique(id: string, turn: CommitTurn): void {
    this.#unique.commit(id, turn);
  }

  release(id: string, fence: number, owner: object): void {
    this.#cache.awake(id)?.release(fence, owner);
  }

  /** A connection is closed: its turns and leases end. */
  forget(owner: object): void {
    for (const session of this.#cache.allAwake()) session.forget(owner);
  }

  /** The store may hold another revision of this session. */
  lookAgain(id: string): void {
    if (this.#cache.has(id)) {
      if (this.#cache.currentAtRest(id) === undefined) this.#cache.wake(id).lookAgain();
    } else if (this.#parts.tombstones.has(id)) {
      this.#cache.wake(id).read(nobodyReads);
    }
  }

  /** Looks at all sessions in memory, some at a time. */
  lookAgainAtAll(): Generator<void> {
    return this.#cache.lookAgainAtAll();
  }

  /**
   * Ends the session if its time is over. Resolves to whether there is none afterwards.
   *
   * @throws SessionError ERR_UNREADABLE, ERR_STORE; ERR_SESSION_BUSY when another program has kept it locked.
   */
  endIfExpired(id: string): Promise<boolean> {
    return new Promise((resolve, fail) => {
      const answer = ({ kind }: State): void => resolve(kind === KIND.absent);
      this.#cache.wake(id).read({ ...nobodyReads, answer, fail });
    });
  }

  /** Called once, with the commits of the daemon before, as the journal tells them. */
  recall(recalled: Recalled): void {
    for (const { client, sequence } of recalled.commits) this.#applied.add(client, sequence);
    this.#undecided.recall(recalled);
  }

  /** Does all the work that is due, once. */
  flush(): void {
    this.#turnsAtOnce = 0;
    this.#batch.run(this.#takeDue());
  }

  #takeDue(): readonly Session[] {
    const due = this.#scheduled;
    this.#scheduled = due.splice(Math.min(SESSIONS_PER_FLUSH, this.#parts.store.open?.max ?? SESSIONS_PER_FLUSH));
    if (this.#scheduled.length > 0) this.#parts.requestTurnEnd();
    return due;
  }

  /** Takes no more turns. Calls under way have been answered when this resolves. */
  async stop(): Promise<void> {
    while (this.#scheduled.length > 0 || this.#unique.count > 0 || this.#batch.isWorking) {
      await Promise.all([...this.#unique.underWay, ...this.#batch.underWay]);
      this.flush();
      await new Promise((resolve) => setImmediate(resolve));
      if (!this.#batch.isWorking && this.#scheduled.every((session) => session.waitingCount === 0)) break;
    }
    this.#isStopped = true;
    this.#cache.stop();
  }

  #mayExist(id: string): boolean {
    const { store, tombstones } = this.#parts;
    try {
      return tombstones.has(id) || store.stat(id) !== undefined || store.locks?.has(id) === true;
    } catch {
      // Any system error: it comes again at the session's turn, which answers with it.
      return true;
    }
  }

  #schedule(session: Session): void {
    if (this.#isStopped) return;
    this.#scheduled.push(session);
    this.#parts.requestTurnEnd();
  }
}
