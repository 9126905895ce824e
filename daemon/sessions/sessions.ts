// Every call on a session comes through here. Decides when sessions take their turns, and what happens to several at once (Unique, a
// closed connection). Which of them are in memory is up to the cache.
//
// All sessions that have work at the end of one turn of the event loop take their turns together: first each prepares, then one append
// to the journal names everything that is about to become visible, then each publishes and answers.

import type { Dialect } from "../../protocol/image/image.ts";
import { prefixOf } from "../../protocol/session-id.ts";
import { KIND, type State } from "../../protocol/wire/wire.ts";
import { endLeaseOf } from "../backend/backend.ts";
import type { Config } from "../config.ts";
import type { InheritedChanges } from "../foreign/inherited-changes.ts";
import { NOBODY } from "../foreign/nobody.ts";
import type { RecentValues } from "../foreign/recent-values.ts";
import { noteReplaced, printsOf, type Step } from "../foreign/repair.ts";
import { Cache } from "../memory/cache.ts";
import { AppliedCommits, type Journal, type JournaledChange, type JournaledCommit } from "../once/once.ts";
import type { Log, Metrics } from "../report/report.ts";
import type { Attendance, Clock, Flushes, ForeignPrograms, RecordLocks, Store } from "../store/store.ts";
import { ABSENT, stateOf } from "./contents.ts";
import type { Fences } from "./lease.ts";
import { LeaseWaits } from "./lease-waits.ts";
import { markOf, nobodyReads, type Prepared, type Session, storeError } from "./session.ts";
import type { Tombstones } from "./tombstones.ts";
import type { CommitTurn, EndTurn, ReadTurn, Turn } from "./turn.ts";

export interface Parts {
  readonly config: Config;
  readonly store: Store;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly fences: Fences;
  readonly tombstones: Tombstones;
  /** Values that a commit of ours or another program's save replaced. */
  readonly replaced: RecentValues;
  /** Values that commits of ours put there. */
  readonly committed: RecentValues;
  /** What an earlier daemon changed. */
  readonly inherited: InheritedChanges;
  /** Undefined for engines that keep nothing beyond this process. */
  readonly journal: Journal | undefined;
  /** The clock, in Unix ms. */
  readonly now: () => number;
  /** The clock of looks and ages: nobody sets it, and when the process begins it is the other one. */
  readonly steadyMs: Clock;
  /** Asks for `flush` at the end of this turn of the event loop. */
  readonly requestTurnEnd: () => void;
  /** False once another daemon may have our place: from then on nothing is written any more. */
  readonly mayWrite: () => boolean;
}

/** What a session may use of what is around it. */
export interface Surroundings extends Parts {
  readonly locks: RecordLocks;
  readonly programs: ForeignPrograms;
  schedule(session: Session): void;
  grew(session: Session): void;
  noteApplied(client: string, sequence: number): void;
  readonly waits: LeaseWaits;
  /** Dialect of an image that gets its first reference now. */
  dialect(): Dialect;
  /** The look at who else uses the store: one for all that is published together, just before that. */
  look(): Attendance;
}

const SESSIONS_PER_FLUSH = 64;
const NO_LOCKS: RecordLocks = { take: () => "held", release: () => undefined, has: () => false };

export class Sessions {
  readonly #parts: Parts;
  readonly #surroundings: Surroundings;
  /** Undefined: what is written need not be flushed. */
  readonly #flushes: Flushes | undefined;
  readonly #cache: Cache;
  /** Those that have work, in the order in which they got it. */
  #scheduled: Session[] = [];
  /** Since the last flush. */
  #turnsAtOnce = 0;
  #look: Attendance | undefined;
  #isStopped = false;
  readonly #applied = new AppliedCommits();
  readonly #waits = new LeaseWaits();
  readonly #uniqueTurns = new Map<string, Promise<void>>();
  /** With durability "fsync": what the disk works on, and the commits in it by `nameOf`. */
  readonly #toDisk = new Set<Promise<void>>();
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#flushes = parts.config.durability === "fsync" ? parts.store.flushes : undefined;
    this.#surroundings = {
      ...parts,
      locks: parts.store.locks ?? NO_LOCKS,
      programs: parts.store.programs ?? NOBODY,
      waits: this.#waits,
      schedule: (session) => this.#schedule(session),
      grew: (session) => this.#cache.settle(session),
      noteApplied: (client, sequence) => this.#applied.add(client, sequence),
      dialect: () => this.#surroundings.programs.dialect,
      look: () => {
        this.#look ??= this.#surroundings.programs.look(parts.steadyMs);
        return this.#look;
      },
    };
    this.#cache = new Cache(this.#surroundings);
  }

  get count(): number {
    return this.#cache.count;
  }

  /** Of these, how many are objects. */
  get awakeCount(): number {
    return this.#cache.awake.size;
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
    const session = this.#cache.awake.get(id);
    if (session !== undefined) session.read(turn);
    else this.#readAsleep(id, turn);
  }

  #readAsleep(id: string, turn: ReadTurn): void {
    const contents = this.#cache.currentAtRest(id);
    if (contents !== undefined) {
      this.#parts.metrics.hits += 1;
      turn.answer(stateOf(contents, turn.known));
    } else if (this.#cache.isAtRest(id) || this.#mayExist(id)) {
      const session = this.#cache.wake(id);
      session.read(turn);
      this.#takeTurnAtOnce(session);
    } else {
      turn.answer(ABSENT);
    }
  }

  /**
   * Of many that are read from their files each is done with before the next one begins: nothing of it outlives a collection of young
   * garbage, which would make the heap grow. Not more of them than others may be kept waiting for.
   */
  #takeTurnAtOnce(session: Session): void {
    if (this.#turnsAtOnce === SESSIONS_PER_FLUSH || this.#scheduled.at(-1) !== session) return;
    this.#scheduled.pop();
    session.isScheduled = false;
    this.#turnsAtOnce += 1;
    this.#takeTurns([session]);
  }

  /** @throws SessionError ERR_DEADLOCK where the turn would never come. */
  enter(id: string, turn: Turn): void {
    const mayWait = turn.held === undefined || turn.held === null ? turn : this.#waits.enter(id, turn);
    const flushes = this.#flushes;
    const isDurable = mayWait.type === "end" && flushes !== undefined;
    this.#cache.wake(id).enter(isDurable ? this.#answeredFromDisk(id, mayWait, flushes) : mayWait);
  }

  /** Who has signed out must not be signed in again by a power cut. */
  #answeredFromDisk(id: string, turn: EndTurn, flushes: Flushes): EndTurn {
    const answer = (): void => {
      const done = flushes
        .published()
        .then(turn.answer, (error: unknown) => turn.fail(storeError(id, error)))
        .finally(() => this.#toDisk.delete(done));
      this.#toDisk.add(done);
    };
    return { ...turn, answer };
  }

  /** A commit that was applied before is answered with the present state and not applied again. */
  commit(id: string, turn: CommitTurn): void {
    const underWay = this.#underWay.size === 0 ? undefined : this.#underWay.get(nameOf(turn));
    // Its connection broke while the disk worked on it: what became of it is known when the disk is done.
    if (underWay !== undefined) {
      underWay.then(() => this.commit(id, turn)).catch(turn.fail);
      return;
    }
    if (!this.#applied.has(turn.caller.client, turn.sequence)) {
      this.enter(id, turn);
      return;
    }
    this.#parts.metrics.duplicates += 1;
    endLeaseOf(this, id, turn);
    this.read(id, { caller: turn.caller, known: 0, answer: turn.answer, fail: turn.fail });
  }

  /**
   * A commit that also ends every other session of the same prefix. Those of one prefix run one after the other, so that of several
   * created at once exactly one survives: the last.
   */
  commitUnique(id: string, turn: CommitTurn): void {
    const prefix = prefixOf(id);
    const earlier = this.#uniqueTurns.get(prefix) ?? Promise.resolve();
    // One of the earlier may wait for the lease of this one: it is written first, and then looks whether it was ended meanwhile.
    const written = turn.options.fence === undefined ? undefined : this.#written(id, turn);
    written?.catch(() => undefined);
    const mine = earlier
      .then(() => this.#commitAlone(id, prefix, turn, written))
      .catch((error: unknown) => turn.fail(storeError(id, error)));
    this.#uniqueTurns.set(prefix, mine);
    void mine.then(() => {
      if (this.#uniqueTurns.get(prefix) === mine) this.#uniqueTurns.delete(prefix);
    });
  }

  release(id: string, fence: number, owner: object): void {
    this.#cache.awake.get(id)?.release(fence, owner);
  }

  /** A connection is closed: its turns and leases end. */
  forget(owner: object): void {
    for (const session of this.#cache.awake.values()) session.forget(owner);
  }

  /** The file of this session may have changed. */
  lookAgain(id: string): void {
    if (this.#cache.awake.has(id) || this.#cache.isAtRest(id)) {
      if (this.#cache.currentAtRest(id) === undefined) this.#cache.wake(id).lookAgain();
    } else if (this.#parts.tombstones.has(id)) {
      this.#cache.wake(id).read(nobodyReads);
    }
  }

  /** Looks at all sessions in memory, some at a time. */
  lookAgainAtAll(): Generator<void> {
    return this.#cache.lookAgainAtAll();
  }

  /** Ends the session if its time is over. */
  endIfExpired(id: string): void {
    this.#cache.wake(id).read(nobodyReads);
  }

  /** Called once, with what the journal told. */
  recall(commits: readonly JournaledCommit[]): void {
    const nowMs = this.#parts.steadyMs();
    const oldestMs = nowMs - this.#parts.config.repairSeconds * 1000;
    for (const { client, sequence, change } of commits) {
      this.#applied.add(client, sequence);
      if (change === undefined || change.whenMs <= oldestMs) continue;
      noteReplaced(this.#parts, change.prints, Math.min(change.whenMs, nowMs));
    }
  }

  /** Does all the work that is due, once. */
  flush(): void {
    this.#turnsAtOnce = 0;
    this.#takeTurns(this.#takeDue());
  }

  #takeTurns(sessions: readonly Session[]): void {
    // Whoever waits here has lost its connection with our place, and asks the next daemon.
    if (sessions.length === 0 || !this.#parts.mayWrite()) return;
    const prepared: Prepared[] = [];
    const nowMs = this.#parts.now();
    for (const session of sessions) {
      const write = session.prepare(nowMs);
      if (write !== undefined) prepared.push(write);
      else this.#cache.settle(session);
    }
    if (prepared.length === 0) return;
    if (this.#flushes !== undefined) this.#sendToDisk(prepared, this.#flushes);
    else this.#acknowledge(this.#publish(prepared));
  }

  /** Some at a time, so that the first are answered while the others are written. */
  #takeDue(): Session[] {
    const due = this.#scheduled;
    this.#scheduled = due.splice(Math.min(SESSIONS_PER_FLUSH, this.#parts.store.open?.max ?? SESSIONS_PER_FLUSH));
    for (const session of due) session.isScheduled = false;
    if (this.#scheduled.length > 0) this.#parts.requestTurnEnd();
    return due;
  }

  /** Takes no more turns. What is under way has been answered when this resolves. */
  async stop(): Promise<void> {
    while (this.#scheduled.length > 0 || this.#uniqueTurns.size > 0 || this.#toDisk.size > 0) {
      await Promise.all([...this.#uniqueTurns.values(), ...this.#toDisk]);
      this.flush();
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#toDisk.size === 0 && this.#scheduled.every((session) => session.waitingCount === 0)) break;
    }
    this.#isStopped = true;
    this.#cache.stop();
  }

  #mayExist(id: string): boolean {
    const { store, tombstones } = this.#parts;
    try {
      return tombstones.has(id) || store.stat(id) !== undefined || store.locks?.has(id) === true;
    } catch {
      // Whatever the system error: it comes again at the session's turn, which answers with it.
      return true;
    }
  }

  #schedule(session: Session): void {
    if (this.#isStopped || session.isScheduled) return;
    session.isScheduled = true;
    this.#scheduled.push(session);
    this.#parts.requestTurnEnd();
  }

  /** Those that are visible now: the others begin again, or failed and were answered. */
  #publish(prepared: readonly Prepared[]): Prepared[] {
    const { journal } = this.#parts;
    this.#look = undefined;
    try {
      if (journal !== undefined) {
        const { isAnybodyThere } = this.#surroundings.look();
        for (const write of prepared) noteMarks(journal, write, isAnybodyThere);
        journal.append();
      }
    } catch (error) {
      for (const write of prepared) write.session.abort(write, error);
      return [];
    }
    const published = prepared.filter((write) => write.session.publish(write));
    // Only now is all of the batch decided: what was taken back must not count as done if we are killed.
    if (published.length < prepared.length) this.#appendQuietly();
    return published;
  }

  #appendQuietly(): void {
    try {
      this.#parts.journal?.append();
    } catch (error) {
      // What was noted is kept and goes with the next batch.
      this.#parts.log.error("journal-failed", { error: String(error) });
    }
  }

  #acknowledge(prepared: readonly Prepared[]): void {
    const answeredMs = performance.now();
    for (const write of prepared) write.session.acknowledge(write, answeredMs);
  }

  #sendToDisk(prepared: readonly Prepared[], flushes: Flushes): void {
    const names = prepared.flatMap(({ turns }) => turns.filter((turn) => turn.type === "commit").map(nameOf));
    const done = this.#publishDurably(prepared, flushes).finally(() => {
      this.#toDisk.delete(done);
      for (const name of names) this.#underWay.delete(name);
    });
    this.#toDisk.add(done);
    for (const name of names) this.#underWay.set(name, done);
  }

  /** The same with the disk in between: one flush of the directory serves all. */
  async #publishDurably(prepared: readonly Prepared[], flushes: Flushes): Promise<void> {
    const staged: Prepared[] = [];
    await Promise.all(
      prepared.map(async (write) => {
        try {
          await flushes.staged(write.session.id);
          staged.push(write);
        } catch (error) {
          write.session.abort(write, error);
        }
      }),
    );
    // The disk may have taken its time.
    const published = staged.length === 0 || !this.#parts.mayWrite() ? [] : this.#publish(staged);
    if (published.length === 0) return;
    try {
      await flushes.published();
      this.#acknowledge(published);
    } catch (error) {
      for (const write of published) write.session.abort(write, error);
    }
  }

  #written(id: string, turn: CommitTurn): Promise<State> {
    return new Promise((answer, fail) => {
      this.commit(id, { ...turn, answer, fail });
    });
  }

  async #commitAlone(id: string, prefix: string, turn: CommitTurn, written?: Promise<State>): Promise<void> {
    const wasApplied = this.#applied.has(turn.caller.client, turn.sequence);
    const state = await (written ?? this.#written(id, turn));
    // Sent again after a newer one has ended it, or ended by an earlier one that came to it late: the other one stays.
    if ((wasApplied && state.kind === KIND.absent) || (written !== undefined && this.#parts.tombstones.has(id))) {
      turn.answer(state);
      return;
    }
    const others: Promise<void>[] = [];
    for await (const other of this.#parts.store.ids()) {
      if (other !== id && prefixOf(other) === prefix) others.push(this.#endOther(other, turn));
    }
    await Promise.all(others);
    turn.answer(state);
  }

  /** One that cannot be ended (a directory of that name, say) must not keep the others from it. */
  #endOther(id: string, turn: CommitTurn): Promise<void> {
    return new Promise((answer) => {
      const fail = (error: unknown): void => {
        this.#parts.log.error("unique-failed", { session: id, error: String(error) });
        answer();
      };
      this.enter(id, { type: "end", caller: turn.caller, answer, fail });
    });
  }
}

function nameOf({ caller, sequence }: CommitTurn): string {
  return `${sequence} ${caller.client}`;
}

/** @param isObserved other programs run that may save what they loaded before: then the next daemon must know what was changed. */
function noteMarks(journal: Journal, { session, staged, before, turns, steps }: Prepared, isObserved: boolean): void {
  let at = 0;
  for (const turn of turns) {
    if (turn.type !== "commit") continue;
    const step = steps[at++];
    const change = isObserved && step !== undefined ? changeOf(session.id, step) : undefined;
    journal.noteCommit(markOf(session.id, turn), { revision: staged.revision, replaced: before?.revision, change });
  }
}

function changeOf(id: string, step: Step): JournaledChange {
  return { whenMs: step.nowMs, delta: step.delta, prints: printsOf(id, step) };
}
