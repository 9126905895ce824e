// The hot sessions: a bounded number of sessions used lately, whose files the daemon keeps open, lock files included.
// Knows the files of a session, and no contents.

import { mkdirSync, statSync } from "node:fs";
import { closeDescriptor, isMissing, isOutOfDescriptors, type OpenFile } from "../../files/files.ts";
import type { LockResult, OpenSessions, RecordLocks } from "../store.ts";
import type { FileSystem } from "./file-system.ts";
import type { Places } from "./layout.ts";
import { RecordLock } from "./record-lock.ts";

/** Once descriptors have not run out for so long, more sessions may be hot again: those who had them may have gone. */
const CALM_MS = 60_000;
/** Hot sessions that the clock hand passes for one that comes: where thousands are locked it would go round them all each time. */
const HAND_STEPS = 32;

/** The files kept open for one session. */
export class HotSession {
  readonly path: string;
  readonly lock: RecordLock;
  readonly #places: Places;
  readonly #id: string;
  #twinPath: string | undefined;
  current: OpenFile | undefined;
  twin: OpenFile | undefined;
  /** Set by every use; cleared by the clock hand, which goes round the hot sessions to find one to close. */
  wasUsed = true;
  /** Exchanges in a row that the daemon had to take back. */
  misses = 0;

  constructor(places: Places, fileSystem: FileSystem, id: string) {
    this.path = places.session(id);
    this.lock = new RecordLock(places.lock(id), fileSystem);
    this.#places = places;
    this.#id = id;
  }

  /** Made at the first write, not before: it costs a hash, which sessions that are only read need not pay. */
  get twinPath(): string {
    this.#twinPath ??= this.#places.twin(this.#id);
    return this.#twinPath;
  }

  /** Forgets the twin and its path: twins lie in another directory from now on. */
  leaveTwin(): void {
    closeFile(this.twin);
    this.twin = undefined;
    this.#twinPath = undefined;
  }

  /** Notes an exchange of names: the session's file has become the twin, and the twin the session's file. */
  exchange(): void {
    const twin = this.twin;
    this.twin = this.current;
    this.current = twin;
  }

  forgetFiles(): void {
    closeFile(this.current);
    closeFile(this.twin);
    this.current = undefined;
    this.twin = undefined;
  }

  close(): void {
    this.lock.close();
    this.forgetFiles();
  }
}

export class HotSessions implements RecordLocks, OpenSessions {
  readonly #places: Places;
  readonly #fileSystem: FileSystem;
  readonly #most: number;
  /** The limit of hot sessions: the configured one, or less since descriptors have run out. */
  #max: number;
  /** When they ran out last, or the limit was raised since. */
  #shortMs = 0;
  /** The clock hand stands at the first of them. */
  #sessions = new Map<string, HotSession>();

  constructor(places: Places, fileSystem: FileSystem, max: number) {
    this.#places = places;
    this.#fileSystem = fileSystem;
    this.#most = max;
    this.#max = max;
  }

  get max(): number {
    return this.#max;
  }

  get(id: string): HotSession | undefined {
    return this.#sessions.get(id);
  }

  take(id: string, mayCreate: boolean): LockResult {
    const hot = this.heat(id);
    try {
      return hot.lock.take(mayCreate);
    } catch (error) {
      if (isOutOfDescriptors(error)) this.#keepFewer(id);
      // The session directory is missing: a Gambas program makes it whenever it creates a session, and so does the
      // daemon.
      else if (mayCreate && isMissing(error)) mkdirSync(this.#places.sessions, { recursive: true, mode: 0o700 });
      else throw error;
      return hot.lock.take(mayCreate);
    }
  }

  has(id: string): boolean {
    return statSync(this.#places.lock(id), { throwIfNoEntry: false }) !== undefined;
  }

  /** Also cools the session if there are too many hot ones: while all of them were locked, none could be cooled. */
  release(id: string): void {
    this.#sessions.get(id)?.lock.release();
    if (this.#sessions.size > this.#max) this.cool(id);
  }

  /** Makes a session hot: its files stay open until it is cooled. */
  heat(id: string): HotSession {
    const known = this.#sessions.get(id);
    if (known !== undefined) {
      known.wasUsed = true;
      return known;
    }
    // One is cooled before the new session joins. The other way round:
    //   1. The new session joins, unlocked, while all others are locked.
    //   2. The clock hand finds it, the only one without a lock, and cools it.
    //   3. Its caller takes the record lock of a session that no map holds any more.
    if (this.#sessions.size >= this.#max) this.#keepMore();
    if (this.#sessions.size >= this.#max) this.#coolOne();
    const hot = new HotSession(this.#places, this.#fileSystem, id);
    this.#sessions.set(id, hot);
    return hot;
  }

  /** Opens a file of session `id`. Where descriptors have run out, cools other sessions and tries once more. */
  withRoom<T>(id: string, open: () => T): T {
    try {
      return open();
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      this.#keepFewer(id);
      return open();
    }
  }

  /** Doubles the limit after a while, up to the configured one. */
  #keepMore(): void {
    const presentMs = performance.now();
    if (this.#max === this.#most || presentMs - this.#shortMs < CALM_MS) return;
    this.#max = Math.min(this.#most, 2 * this.#max);
    this.#shortMs = presentMs;
  }

  /** Halves the number of hot sessions, until there may be more of them again. Locked sessions stay, and session `id`, whose turn it is. */
  #keepFewer(id: string): void {
    this.#max = Math.max(1, this.#sessions.size >> 1);
    this.#shortMs = performance.now();
    for (const [other, hot] of this.#sessions) {
      if (this.#sessions.size <= this.#max) return;
      if (other !== id && !hot.lock.isHeld) this.cool(other);
    }
  }

  cool(id: string): void {
    this.#sessions.get(id)?.close();
    this.#sessions.delete(id);
    // A new Map: entries that one Map has ever had are not collected as young garbage while that Map keeps changing.
    if (this.#sessions.size === 0) this.#sessions = new Map();
  }

  leaveTwins(): void {
    for (const hot of this.#sessions.values()) hot.leaveTwin();
  }

  close(): void {
    for (const hot of this.#sessions.values()) hot.close();
    this.#sessions.clear();
  }

  /**
   * Moves the clock hand on to a session that is neither locked nor used since the hand last passed, and cools it. Where
   * it finds none soon there are more hot sessions than the limit, until they are given back.
   */
  #coolOne(): void {
    let left = Math.min(2 * this.#sessions.size, HAND_STEPS);
    for (const [id, hot] of this.#sessions) {
      if (left-- === 0) return;
      if (!hot.wasUsed && !hot.lock.isHeld) {
        this.cool(id);
        return;
      }
      hot.wasUsed = false;
      this.#sessions.delete(id);
      this.#sessions.set(id, hot);
    }
  }
}

export function closeFile(file: OpenFile | undefined): void {
  if (file !== undefined) closeDescriptor(file.fd);
}
