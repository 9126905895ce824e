// The backend of this machine: sessions that a store of this process keeps. Puts together what they need (journal, tombstones, memory of
// replaced values, sweep, looks for changes of other programs) and takes it apart again. Which of these an engine needs says its store.

import { daemonPath } from "../../protocol/places.ts";
import type { Around, Backend, CommitTurn, Engine, ListTurn, ReadTurn, SweepTurn, Turn } from "../backend/backend.ts";
import type { Config } from "../config.ts";
import { isOutOfDescriptors, isSystemError } from "../files/files.ts";
import { ForeignWriters, Reconcile } from "../foreign/foreign.ts";
import { Journal, type JournaledCommit, replayJournal, withoutOldChanges } from "../once/once.ts";
import type { Log } from "../report/report.ts";
import { type Recalled, Sessions, Tombstones } from "../sessions/sessions.ts";
import { type ChangeWatch, type Recovery, type Store, StoreBusy } from "../store/store.ts";
import { Listing, Sweep } from "../survey/survey.ts";
import { Names } from "./names.ts";

/** How soon it is known that a Gambas program has ended: until then it may be the one that has saved. */
const LOOK_MS = 200;
/** So often it is looked whether what an earlier daemon changed is too old to matter. */
const FORGET_MS = 60_000;
/** So often the directory of the sessions and the journal are looked for by their names. */
const CHECK_MS = 1_000;

/** What an engine may use of the daemon that opens it. */
export interface StoreOptions {
  readonly config: Config;
  readonly log: Log;
  /** Told in words of what the store turns out to lack after the start. */
  readonly onLack: (words: string) => void;
}

/** An engine of this machine. */
export function onStore(open: (options: StoreOptions) => Store): Engine {
  return (around) => {
    const { config, log } = around;
    const onLack = (words: string): void => log.warn("file-system", { root: config.root, what: words });
    const store = open({ config, log, onLack });
    try {
      return new LocalBackend(around, store);
    } catch (error) {
      store.close();
      throw error;
    }
  };
}

class LocalBackend implements Backend {
  readonly directory: string;
  readonly #around: Around;
  readonly #store: Store;
  readonly #names: Names;
  readonly #tombstones: Tombstones;
  readonly #foreign: ForeignWriters;
  readonly #journal: Journal | undefined;
  readonly #sessions: Sessions;
  readonly #sweep: Sweep;
  readonly #listing: Listing;
  readonly #reconcile: Reconcile;
  readonly #watch: ChangeWatch | undefined;

  constructor(around: Around, store: Store) {
    const { config, log } = around;
    this.#around = around;
    this.#store = store;
    this.#names = new Names(store);
    this.directory = store.directory;
    this.#tombstones = new Tombstones(config.maxTombstones, config.tombstoneSeconds);
    if (config.durability === "fsync") store.flushes?.check();
    const recalled = this.#recall();
    this.#foreign = this.#makeForeign(recalled.commits);
    this.#journal = this.#beginJournal(recalled);
    this.#sessions = this.#makeSessions();
    this.#sessions.recall(recalled);
    this.#removeLeftovers();
    const { maxSessionBytes, sweepMs } = config;
    const parts = { store, sessions: this.#sessions, tombstones: this.#tombstones, maxSessionBytes, log };
    this.#sweep = new Sweep({ ...parts, now: () => Date.now() }, sweepMs);
    this.#listing = new Listing({ store, tombstones: this.#tombstones, log, now: () => Date.now() });
    this.#reconcile = new Reconcile(this.#sessions);
    this.#watch = store.watch?.({
      onChange: (id) => this.#sessions.lookAgain(id),
      onMissed: () => this.#reconcile.requestWhole(),
    });
  }

  read(id: string, turn: ReadTurn): void {
    this.#sessions.read(this.#names.of(id), turn);
  }

  enter(id: string, turn: Turn): void {
    this.#sessions.enter(this.#names.of(id), turn);
  }

  commit(id: string, turn: CommitTurn): void {
    this.#sessions.commit(this.#names.of(id), this.#names.ofCommit(turn));
  }

  commitUnique(id: string, turn: CommitTurn): void {
    this.#sessions.commitUnique(this.#names.of(id), this.#names.ofCommit(turn));
  }

  list(turn: ListTurn): void {
    this.#listing.list(this.#names.ofList(turn));
  }

  sweep(turn: SweepTurn): void {
    this.#sweep.request(turn);
  }

  release(id: string, fence: number, owner: object): void {
    this.#sessions.release(this.#names.of(id), fence, owner);
  }

  forget(owner: object): void {
    this.#sessions.forget(owner);
    this.#listing.forget(owner);
    this.#sweep.forget(owner);
  }

  flush(): void {
    this.#sessions.flush();
  }

  start(): void {
    const { config, log, every } = this.#around;
    this.#sweep.start();
    this.#watch?.start();
    if (config.reconcileMs > 0 && this.#watch !== undefined) {
      every(config.reconcileMs, () => this.#reconcile.request());
      every(CHECK_MS, () => this.#watch?.check());
    }
    every(CHECK_MS, () => this.#keepJournal());
    every(LOOK_MS, () => this.#foreign.look());
    every(FORGET_MS, () => this.#foreign.prune());
    for (const what of this.#store.fileSystem?.lacks ?? []) log.warn("file-system", { root: config.root, what });
  }

  report(): Record<string, unknown> {
    const { fileSystem, programs } = this.#store;
    return {
      hasRecordLocks: fileSystem?.report.recordLocks,
      fileSystem: fileSystem?.report,
      gambas: programs?.dialectInWords,
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
    await this.#attempt(() => (isOurs() ? this.#store.recovery?.removeAside() : undefined));
  }

  /** Tombstones and commits that an earlier daemon has left in the journal: of the last ones the store tells whether they were published. */
  #recall(): Recalled {
    const { recovery } = this.#store;
    if (recovery === undefined) return { commits: [], undecided: [], areAllPublished: true, wasPublished: () => false };
    const { commits, ended } = replayJournal(this.#journalPath);
    for (const [id, endedMs] of ended) this.#tombstones.add(id, endedMs);
    this.#tombstones.prune(Date.now());
    const wasPublished = (commit: JournaledCommit): boolean => this.#wasPublished(recovery, commit);
    const undecided: JournaledCommit[] = [];
    const published = commits.filter((commit) => {
      try {
        return !commit.isLast || wasPublished(commit);
      } catch (error) {
        if (!(error instanceof StoreBusy)) throw error;
        undecided.push(commit);
        return false;
      }
    });
    const oldestMs = steadyMs() - this.#around.config.repairSeconds * 1000;
    const areAllPublished = published.length === commits.length;
    return { commits: withoutOldChanges(published, oldestMs), undecided, areAllPublished, wasPublished };
  }

  /** Of one that was about to be, and took the place of another session perhaps. @throws StoreBusy. */
  #wasPublished(recovery: Recovery, commit: JournaledCommit): boolean {
    try {
      if (!recovery.wasPublished(commit) || this.#wasTakenBack(commit)) return false;
    } catch (error) {
      // With more memory or descriptors it can be told. No start now: a commit that was published, and forgotten, would be applied once more.
      if (error instanceof StoreBusy || isOutOfDescriptors(error) || isSystemError(error, "ENOMEM")) throw error;
      // Whatever else the error: one session that cannot be looked at keeps no daemon from its start. Whoever was told of nothing asks again.
      this.#around.log.warn("recovery-failed", { session: commit.id, error: String(error) });
      return false;
    }
    if (commit.origin !== undefined) this.#endOrigin(commit.origin);
    return true;
  }

  /** Not even a twin is left of it, and the kill came before the journal said so: the session whose place it was to take is still there. */
  #wasTakenBack({ id, origin }: JournaledCommit): boolean {
    return origin !== undefined && this.#store.stat(id) === undefined && this.#store.stat(origin) !== undefined;
  }

  /** Another session had just taken its place when the daemon before was killed: until it has ended, too, nobody is told of that one. */
  #endOrigin(id: string): void {
    this.#tombstones.addSucceeded(id, Date.now());
    try {
      this.#store.locks?.take(id, false);
      this.#store.remove(id);
    } catch (error) {
      // Whatever the system error: it has a tombstone, and the next look at it tries again.
      this.#around.log.error("discard-failed", { session: id, error: String(error) });
    }
  }

  #makeForeign(earlier: readonly JournaledCommit[]): ForeignWriters {
    const { config, log, metrics } = this.#around;
    const { maxReplacedValues, repairSeconds } = config;
    const { programs } = this.#store;
    return new ForeignWriters({ programs, maxReplacedValues, repairSeconds, steadyMs, earlier, log, metrics });
  }

  #beginJournal({ commits, undecided, areAllPublished }: Recalled): Journal | undefined {
    if (this.#store.recovery === undefined) return undefined;
    const known = [...commits.map((commit) => ({ ...commit, isLast: false })), ...undecided];
    // On a full disk sessions can be read all the same. The old one tells the next daemon what it has told us, but of commits that were not published:
    // it would take those for others, once we have removed what lies aside.
    const snapshot = () => this.#tombstones.entries();
    const journal = new Journal(this.#journalPath, known, snapshot, { mayWait: areAllPublished });
    if (!journal.isBegun) this.#around.log.error("journal-failed", { error: "there is no room for a new one" });
    return journal;
  }

  get #journalPath(): string {
    return daemonPath(this.#around.config, ".journal");
  }

  #makeSessions(): Sessions {
    const { config, log, metrics, requestWork, mayWrite } = this.#around;
    return new Sessions({
      config,
      store: this.#store,
      log,
      metrics,
      foreign: this.#foreign,
      tombstones: this.#tombstones,
      journal: this.#journal,
      now: () => Date.now(),
      requestTurnEnd: requestWork,
      mayWrite,
    });
  }

  /** After `wasPublished` was asked of them. */
  #removeLeftovers(): void {
    try {
      this.#store.recovery?.removeLeftovers();
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

  #attempt(step: () => Promise<void> | void): Promise<void> {
    return this.#around.log.attempt("stop-failed", step);
  }
}

/** Unix time as it was when this process began, and the time that has passed since: no setting of the clock changes it. */
function steadyMs(): number {
  return performance.timeOrigin + performance.now();
}
