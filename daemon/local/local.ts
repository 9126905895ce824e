// The backend of this machine: sessions that a store of this process keeps. Puts together what they need (journal, tombstones, memory of
// replaced values, sweep, looks for changes of other programs) and takes it apart again. Which of these an engine needs says its store.

import type { Around, Backend, CommitTurn, Engine, ReadTurn, Turn } from "../backend/backend.ts";
import { InheritedChanges } from "../foreign/inherited-changes.ts";
import { RecentValues } from "../foreign/recent-values.ts";
import { Reconcile } from "../foreign/reconcile.ts";
import { Journal, type JournaledCommit, replayJournal } from "../once/journal.ts";
import { Fences } from "../sessions/lease.ts";
import { Sessions } from "../sessions/sessions.ts";
import { Sweep } from "../sessions/sweep.ts";
import { Tombstones } from "../sessions/tombstones.ts";
import type { Store } from "../store/store.ts";

/** How soon it is known that a Gambas program has ended: until then it may be the one that has saved. */
const LOOK_MS = 200;
/** So often it is looked whether what an earlier daemon changed is too old to matter. */
const FORGET_MS = 60_000;
/** So often the directory of the sessions and the journal are looked for by their names. */
const CHECK_MS = 1_000;

/** Hints that other programs changed sessions. */
interface Watcher {
  readonly isWatching: boolean;
  start(): void;
  check(): void;
  stop(): Promise<void>;
}

interface ChangeEvents {
  readonly onChange: (id: string) => void;
  /** Anything may have changed. */
  readonly onMissed: () => void;
}

/** What an engine of this machine opens. A capability that is undefined is one that the engine has no use for. */
export interface Opened {
  readonly store: Store;
  /** Where the journal is that survives this process. */
  readonly journalPath: string | undefined;
  readonly watch: ((events: ChangeEvents) => Watcher) | undefined;
  /** What the status says of the engine. */
  report(): Record<string, unknown>;
}

/** Called with words for what the store turns out to lack after the start. */
export type OpenStore = (around: Around, onLack: (words: string) => void) => Opened;

export function onStore(open: OpenStore): Engine {
  return (around) => new LocalBackend(around, open);
}

class LocalBackend implements Backend {
  readonly directory: string;
  readonly #around: Around;
  readonly #opened: Opened;
  readonly #store: Store;
  readonly #tombstones: Tombstones;
  readonly #inherited: InheritedChanges;
  readonly #journal: Journal | undefined;
  readonly #sessions: Sessions;
  readonly #sweep: Sweep;
  readonly #reconcile: Reconcile;
  readonly #watch: Watcher | undefined;

  constructor(around: Around, open: OpenStore) {
    const { config, log } = around;
    this.#around = around;
    this.#opened = open(around, (words) => this.#noteLack(words));
    this.#store = this.#opened.store;
    this.directory = this.#store.directory;
    this.#tombstones = new Tombstones(config.maxTombstones, config.tombstoneSeconds);
    if (config.durability === "fsync") this.#store.checkFlushes();
    const applied = this.#recall();
    this.#inherited = new InheritedChanges(applied, config.repairSeconds * 1000);
    this.#inherited.prune(Date.now());
    this.#journal = this.#beginJournal(applied);
    this.#sessions = this.#makeSessions();
    this.#sessions.recall(applied);
    this.#removeLeftovers();
    const parts = { store: this.#store, sessions: this.#sessions, tombstones: this.#tombstones, log };
    this.#sweep = new Sweep({ ...parts, now: () => Date.now() }, config.sweepMs);
    this.#reconcile = new Reconcile(this.#sessions);
    this.#watch = this.#opened.watch?.({
      onChange: (id) => this.#sessions.lookAgain(id),
      onMissed: () => this.#reconcile.requestWhole(),
    });
  }

  read(id: string, turn: ReadTurn): void {
    this.#sessions.read(id, turn);
  }

  enter(id: string, turn: Turn): void {
    this.#sessions.enter(id, turn);
  }

  commit(id: string, turn: CommitTurn): void {
    this.#sessions.commit(id, turn);
  }

  commitUnique(id: string, turn: CommitTurn): void {
    this.#sessions.commitUnique(id, turn);
  }

  release(id: string, fence: number, owner: object): void {
    this.#sessions.release(id, fence, owner);
  }

  forget(owner: object): void {
    this.#sessions.forget(owner);
  }

  flush(): void {
    this.#sessions.flush();
  }

  start(): void {
    const { config, every } = this.#around;
    this.#sweep.start();
    this.#watch?.start();
    if (config.reconcileMs > 0 && this.#watch !== undefined) {
      every(config.reconcileMs, () => this.#reconcile.request());
      every(CHECK_MS, () => this.#watch?.check());
    }
    every(CHECK_MS, () => this.#keepJournal());
    every(LOOK_MS, () => this.#store.look(steadyMs));
    every(FORGET_MS, () => this.#inherited.prune(Date.now()));
    for (const words of this.#store.fileSystem?.lacks ?? []) this.#noteLack(words);
  }

  report(): Record<string, unknown> {
    return {
      ...this.#opened.report(),
      isWatching: this.#watch?.isWatching,
      sessionsCached: this.#sessions.count,
      sessionsAwake: this.#sessions.awakeCount,
      bytesCached: this.#sessions.bytes,
      waitingTurns: this.#sessions.waitingCount,
      sessionsOnDisk: this.#sweep.onDisk,
      tombstones: this.#tombstones.count,
    };
  }

  async stop(): Promise<void> {
    await this.#sweep.stop();
    await this.#attempt(() => this.#sessions.stop());
  }

  async close(isOurs: () => boolean): Promise<void> {
    await this.#sweep.stop();
    await this.#watch?.stop();
    this.#reconcile.stop();
    await this.#attempt(() => this.#sessions.stop());
    await this.#attempt(() => this.#journal?.close());
    await this.#attempt(() => this.#store.close());
    // Another daemon's by now, if the place is not ours any more.
    await this.#attempt(() => (isOurs() ? this.#store.removeAside() : undefined));
  }

  /** Tombstones and commits that an earlier daemon has left in the journal: of the last ones the store tells whether they were published. */
  #recall(): readonly JournaledCommit[] {
    const path = this.#opened.journalPath;
    if (path === undefined) return [];
    const { commits, ended } = replayJournal(path);
    for (const [id, endedMs] of ended) this.#tombstones.add(id, endedMs);
    this.#tombstones.prune(Date.now());
    return commits.filter(
      ({ isLast, id, revision, replaced }) => !isLast || this.#store.wasPublished(id, revision, replaced),
    );
  }

  #beginJournal(applied: readonly JournaledCommit[]): Journal | undefined {
    const path = this.#opened.journalPath;
    return path === undefined ? undefined : new Journal(path, applied, () => this.#tombstones.entries());
  }

  #makeSessions(): Sessions {
    const { config, log, metrics, requestWork, mayWrite } = this.#around;
    return new Sessions({
      config,
      store: this.#store,
      log,
      metrics,
      fences: new Fences(),
      tombstones: this.#tombstones,
      replaced: new RecentValues(config.maxReplacedValues, config.repairSeconds),
      committed: new RecentValues(config.maxReplacedValues, config.repairSeconds),
      inherited: this.#inherited,
      journal: this.#journal,
      now: () => Date.now(),
      steadyMs,
      requestTurnEnd: requestWork,
      mayWrite,
    });
  }

  /** After `wasPublished` was asked of them. */
  #removeLeftovers(): void {
    try {
      this.#store.removeLeftovers();
    } catch (error) {
      this.#journal?.close();
      throw error;
    }
  }

  /** Gives the journal its name back when somebody took it, a cleaner of `/tmp` say. */
  #keepJournal(): void {
    try {
      if (this.#around.mayWrite()) this.#journal?.keepName();
    } catch (error) {
      // Whatever the system error: the next look is in a second.
      this.#around.log.warn("place-unknown", { error: String(error) });
    }
  }

  #noteLack(what: string): void {
    const { log, config } = this.#around;
    log.warn("file-system", { root: config.root, what });
  }

  #attempt(step: () => Promise<void> | void): Promise<void> {
    return this.#around.log.attempt("stop-failed", step);
  }
}

/** Unix time as it was when this process began, and the time that has passed since: no setting of the clock changes it. */
function steadyMs(): number {
  return performance.timeOrigin + performance.now();
}
