// The sessions whose files are kept open, locks included: those used lately, a bounded number. Knows which files a session has, and no
// contents.

import { mkdirSync, statSync } from "node:fs";
import { closeDescriptor, isMissing, isSystemError } from "../../files/files.ts";
import type { OpenFile } from "../../files/opening.ts";
import type { LockResult, OpenSessions, RecordLocks } from "../store.ts";
import type { FileSystem } from "./file-system.ts";
import type { Places } from "./layout.ts";
import { RecordLock } from "./record-lock.ts";

/** The files kept open for one session. */
export class HotSession {
  readonly path: string;
  readonly lock: RecordLock;
  readonly #places: Places;
  readonly #id: string;
  #twinPath: string | undefined;
  current: OpenFile | undefined;
  twin: OpenFile | undefined;
  /** Set by every use, cleared by the hand of the clock that looks for one to close. */
  wasUsed = true;
  /** Exchanges in a row that had to be taken back. */
  misses = 0;

  constructor(places: Places, fileSystem: FileSystem, id: string) {
    this.path = places.session(id);
    this.lock = new RecordLock(places.lock(id), fileSystem);
    this.#places = places;
    this.#id = id;
  }

  /** Only made for those that are written: it costs a hash. */
  get twinPath(): string {
    this.#twinPath ??= this.#places.twin(this.#id);
    return this.#twinPath;
  }

  /** Twins are elsewhere from now on. */
  leaveTwin(): void {
    closeFile(this.twin);
    this.twin = undefined;
    this.#twinPath = undefined;
  }

  /** The file that was the session is the twin now, and the other way round. */
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
  /** Fewer than was asked for where descriptors have run out. */
  #max: number;
  /** The hand of the clock is at the first one. */
  #sessions = new Map<string, HotSession>();

  constructor(places: Places, fileSystem: FileSystem, max: number) {
    this.#places = places;
    this.#fileSystem = fileSystem;
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
      // The directory itself is gone: Gambas makes it whenever it creates a session, so do we.
      else if (mayCreate && isMissing(error)) mkdirSync(this.#places.sessions, { recursive: true, mode: 0o700 });
      else throw error;
      return hot.lock.take(mayCreate);
    }
  }

  has(id: string): boolean {
    return statSync(this.#places.lock(id), { throwIfNoEntry: false }) !== undefined;
  }

  /** Where all others were locked there may be more open than there should be. */
  release(id: string): void {
    this.#sessions.get(id)?.lock.release();
    if (this.#sessions.size > this.#max) this.cool(id);
  }

  /** From now on its files stay open, until there are too many. */
  heat(id: string): HotSession {
    const known = this.#sessions.get(id);
    if (known !== undefined) {
      known.wasUsed = true;
      return known;
    }
    // Before it is one of them: where all others are locked it would be the one to go, and the lock that is taken next with it.
    if (this.#sessions.size >= this.#max) this.#coolOne();
    const hot = new HotSession(this.#places, this.#fileSystem, id);
    this.#sessions.set(id, hot);
    return hot;
  }

  /** Opens a file of `id`, once more with fewer sessions open where descriptors have run out. */
  withRoom<T>(id: string, open: () => T): T {
    try {
      return open();
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      this.#keepFewer(id);
      return open();
    }
  }

  /** From now on half as many as there are. The session at its turn stays. */
  #keepFewer(id: string): void {
    this.#max = Math.max(1, this.#sessions.size >> 1);
    for (const [other, hot] of this.#sessions) {
      if (this.#sessions.size <= this.#max) return;
      if (other !== id && !hot.lock.isHeld) this.cool(other);
    }
  }

  cool(id: string): void {
    this.#sessions.get(id)?.close();
    this.#sessions.delete(id);
    // A Map that always changes keeps its former entries from being collected young.
    if (this.#sessions.size === 0) this.#sessions = new Map();
  }

  leaveTwins(): void {
    for (const hot of this.#sessions.values()) hot.leaveTwin();
  }

  close(): void {
    for (const hot of this.#sessions.values()) hot.close();
    this.#sessions.clear();
  }

  /** A session used since the hand last passed gets another chance. None goes while all are locked: then there are more for a while. */
  #coolOne(): void {
    let left = 2 * this.#sessions.size;
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

function isOutOfDescriptors(error: unknown): boolean {
  return isSystemError(error, "EMFILE", "ENFILE");
}
