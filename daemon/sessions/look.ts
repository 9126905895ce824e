// The contents of one session as the daemon knows them, and the look that brings them up to the store: reads, foreign saves, expiry, a
// session that vanished or came back. Knows no turns.
//
//   COLD      no contents                         --load-->                  WARM
//   WARM      --the store holds another revision: theirs, stale values to be put back-->   WARM
//   WARM      --nothing is there: looked for again, since Gambas unlinks before it renames-->   WARM, then COLD
//   any       --its time is over, or it has ended and came back: removed-->   COLD, with a tombstone

import { isExpired, isSameButStamp, startupBytes } from "../../protocol/image/image.ts";
import type { Encounters, ForeignWriters } from "../foreign/foreign.ts";
import { type Contents, contentsOf, isCurrent, type Resting, sameToo } from "../memory/cache.ts";
import type { Journal } from "../once/once.ts";
import type { Log, Metrics } from "../report/report.ts";
import { isSameRevision, type Loaded, type Recovery, type Revision, type SessionFiles } from "../store/store.ts";

import type { CommitTurn, Leases } from "../turns/turns.ts";
import type { LockParts } from "./lock-wait.ts";
import type { Limits } from "./plan.ts";
import type { Tombstones } from "./tombstones.ts";

export interface LookParts {
  readonly store: SessionFiles;
  readonly tombstones: Tombstones;
  /** Undefined for engines that keep nothing beyond this process. */
  readonly journal: Journal | undefined;
  readonly maxSessionBytes: number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The clock, in Unix ms. */
  readonly now: () => number;
}

/** The parts of the daemon that a session uses. */
export interface Surroundings<S> extends LockParts, LookParts {
  readonly store: SessionFiles & { readonly recovery: Recovery | undefined };
  readonly foreign: ForeignWriters;
  readonly limits: Limits;
  readonly leases: Leases;
  /** Makes a session that takes the place of another one. */
  readonly succeed: (id: string, turn: CommitTurn) => void;
  /** Gives the session a turn at the end of this turn of the event loop. */
  readonly schedule: (session: S) => void;
}

/** Looks before a session that was there is believed to be gone. */
const VANISHED_LOOKS = 3;

export class Look {
  readonly #id: string;
  readonly #parts: LookParts;
  readonly #encounters: Encounters;
  readonly #lock: { readonly hasLock: boolean };
  #contents: Contents | undefined;
  /** The contents before the last look. */
  #known: Contents | undefined;
  /** A write has failed, or found that another program had saved. */
  #mustLook = false;
  #vanishedLooks = 0;

  constructor(
    { id, resting }: { readonly id: string; readonly resting: Resting | undefined },
    parts: LookParts,
    { encounters, lock }: { readonly encounters: Encounters; readonly lock: { readonly hasLock: boolean } },
  ) {
    this.#id = id;
    this.#parts = parts;
    this.#encounters = encounters;
    this.#lock = lock;
    this.#contents = resting?.contents;
  }

  get contents(): Contents | undefined {
    return this.#contents;
  }

  /** The contents before the last look: those count again where it found a stale save and the repair is not written. */
  get known(): Contents | undefined {
    return this.#known;
  }

  /** The store holds these contents: one stat. */
  get isCurrent(): boolean {
    return this.#contents !== undefined && isCurrent(this.#contents, this.#id, this.#parts);
  }

  /** There are contents, and their time is not over. */
  isAlive(nowMs: number): boolean {
    return this.#contents !== undefined && !isExpired(this.#contents.image, nowMs);
  }

  /** Where publication itself finds out whether somebody saved meanwhile, commits need no look before. */
  isTrusted(nowMs: number): boolean {
    const contents = this.#contents;
    if (contents === undefined || contents.isFleeting) return false;
    if (this.#mustLook || !this.#parts.store.checksOnPublish) return false;
    return !isExpired(contents.image, nowMs);
  }

  /** Nothing is made of an id that has ended, or that nobody has: its lock file would be nobody's. */
  mayBeLocked(isCreated: boolean): boolean {
    const { store, tombstones } = this.#parts;
    if (this.#contents !== undefined || (isCreated && !tombstones.has(this.#id))) return true;
    return store.stat(this.#id) !== undefined;
  }

  /**
   * Brings the contents up to the store. Returns what it should hold: other bytes than those of the contents where a repair is due, undefined
   * where there is no session. "vanished": nothing can be told yet, look again in a moment.
   */
  refresh(nowMs: number): Buffer | undefined | "vanished" {
    const known = this.#contents;
    if (known !== undefined && this.isCurrent) return known.image;
    this.#known = known;
    this.#mustLook = false;
    const { store, tombstones, maxSessionBytes } = this.#parts;
    if (tombstones.has(this.#id)) return this.#refreshEnded(known);
    const loaded = store.load(this.#id, maxSessionBytes);
    if (loaded === undefined) return this.#missing(known);
    if (!this.#lock.hasLock) return "vanished";
    this.#vanishedLooks = 0;
    // Only of a whole session: the first bytes of a damaged one may well look like a time long ago.
    if (isExpired(loaded.image, nowMs)) return this.#expire();
    return known === undefined ? this.#adoptFirst(loaded) : this.#adoptTheirs(loaded, known, nowMs);
  }

  /** These contents are in the store: we wrote them, or stamped it. `sameAs` as in `Contents`. */
  adopt(image: Buffer, revision: Revision, sameAs: readonly number[]): void {
    this.#contents = { image, revision, isFleeting: !this.#parts.store.tellsRevisions, sameAs };
  }

  /** Puts a new stamp in its place in the store. Where that may not be done returns the image to be written instead. */
  stamp(contents: Contents, nowMs: number): Buffer | undefined {
    const startup = startupBytes(nowMs);
    const image = Buffer.allocUnsafeSlow(contents.image.length);
    contents.image.copy(image);
    startup.copy(image);
    const revision = this.#parts.store.stamp(this.#id, startup, contents.revision);
    if (revision === undefined) return image;
    this.adopt(image, revision, sameToo(contents, revision));
    return undefined;
  }

  /**
   * A step has failed, or another program saved before it: these contents count as before. The next turn looks how far the step came; the
   * values that a stale save undid are told by these contents alone.
   */
  keep(contents: Contents | undefined): void {
    this.#contents = contents;
    this.#mustLook = true;
  }

  /** The store and the memory are empty, and the id stays ended. When it fails, the next look tells how far it came. */
  end(): void {
    const { store, journal, tombstones, now } = this.#parts;
    const nowMs = now();
    // It may be busy: then nothing has ended yet.
    if (store.staysGone) store.remove(this.#id);
    this.#contents = undefined;
    journal?.end(this.#id, nowMs, () => store.remove(this.#id));
    tombstones.add(this.#id, nowMs);
    store.remove(this.#id);
  }

  /**
   * The same for one whose place another one has taken, as the journal says already. Throws where its file is still there: then it has not
   * ended.
   */
  leave(): void {
    const { store, journal, tombstones, now, log } = this.#parts;
    try {
      store.remove(this.#id);
    } catch (error) {
      if (store.stat(this.#id) !== undefined) throw error;
      // Whatever the system error: the session is gone, and its lock file is nobody's.
      log.error("discard-failed", { session: this.#id, error: String(error) });
    }
    const nowMs = now();
    this.#contents = undefined;
    tombstones.addSucceeded(this.#id, nowMs);
    journal?.noteEnded(this.#id, nowMs);
  }

  /** A session that could not be made has a lock file all the same: on a full disk one more with every try. */
  leaveNothing(): void {
    const { store, log } = this.#parts;
    try {
      if (this.#lock.hasLock && store.stat(this.#id) === undefined) store.remove(this.#id);
    } catch (error) {
      log.error("discard-failed", { session: this.#id, error: String(error) });
    }
  }

  /** Nothing brings back a session that has ended, whether the file that came back can be read or not. */
  #refreshEnded(known: Contents | undefined): undefined | "vanished" {
    const { store, log, metrics } = this.#parts;
    if (store.stat(this.#id) === undefined) return this.#missing(known);
    if (!this.#lock.hasLock) return "vanished";
    this.#vanishedLooks = 0;
    store.remove(this.#id);
    this.#contents = undefined;
    metrics.resurrectionsUndone += 1;
    log.info("resurrection-undone", { session: this.#id });
    return undefined;
  }

  #missing(known: Contents | undefined): undefined | "vanished" {
    if (known !== undefined && this.#vanishedLooks < VANISHED_LOOKS) {
      this.#vanishedLooks += 1;
      return "vanished";
    }
    this.#vanishedLooks = 0;
    this.#contents = undefined;
    // Another program ended it. Our twin and the lock file we may have made go too; no tombstone: that program may save it again.
    if (known !== undefined && this.#lock.hasLock) this.#parts.store.remove(this.#id);
    return undefined;
  }

  #expire(): undefined {
    this.#parts.metrics.expired += 1;
    this.end();
    return undefined;
  }

  #adoptFirst(loaded: Loaded): Buffer {
    this.#contents = contentsOf(loaded, [loaded.revision.mtimeMs]);
    return this.#encounters.judgeFirst(loaded) ?? loaded.image;
  }

  #adoptTheirs(loaded: Loaded, known: Contents, nowMs: number): Buffer {
    const isSameAsOurs = isSameButStamp(loaded.image, known.image);
    // Where two revisions may look the same the bytes tell.
    const isNew = !isSameAsOurs || !isSameRevision(loaded.revision, known.revision);
    const repaired = isNew ? this.#encounters.judge(loaded, known, nowMs) : undefined;
    this.#contents = contentsOf(loaded, isSameAsOurs ? sameToo(known, loaded.revision) : [loaded.revision.mtimeMs]);
    if (repaired === undefined) return loaded.image;
    // With everything put back the contents are the ones we had: a worker that holds those holds these.
    if (isSameButStamp(repaired, known.image)) this.#contents = contentsOf(loaded, known.sameAs);
    return repaired;
  }
}
