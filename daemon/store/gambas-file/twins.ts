// The second file of each session that is written: where the next contents are written, before they get the session's name. Knows which
// sessions have one, and bounds how many do.

import { makeTwin, type OpenFile, openTwin, removeFile } from "../../files/files.ts";
import { type FileSystem, prepareDirectory } from "./file-system.ts";
import { closeFile, type HotSession, type HotSessions } from "./hot-sessions.ts";
import type { Places } from "./layout.ts";

/** For each session that is kept open so many may have a twin: making one costs an inode, keeping one only its blocks. */
const TWINS_PER_OPEN_SESSION = 20;
/** Twins that go at once where there are too many: whoever looks for the oldest of a Set walks over the places of all that have gone, or were used. */
const MAX_DROPPED = 16;
const DROPPED_PART = 1 / 64;

interface TwinParts {
  readonly places: Places;
  readonly fileSystem: FileSystem;
  readonly hot: HotSessions;
  readonly openSessions: number;
}

export class Twins {
  readonly #places: Places;
  readonly #fileSystem: FileSystem;
  readonly #hot: HotSessions;
  readonly #max: number;
  /** Sessions that have a twin, in the order of use. */
  readonly #ids = new Set<string>();
  readonly #uid = process.getuid?.();

  constructor({ places, fileSystem, hot, openSessions }: TwinParts) {
    this.#places = places;
    this.#fileSystem = fileSystem;
    this.#hot = hot;
    this.#max = TWINS_PER_OPEN_SESSION * openSessions;
  }

  /** The twin of a session, made where there is none. */
  open(id: string, hot: HotSession): OpenFile {
    if (hot.twin !== undefined) return hot.twin;
    hot.twin = this.#hot.withRoom(id, () => openTwin(hot.twinPath, this.#uid) ?? this.#create(hot.twinPath));
    this.#note(id);
    return hot.twin;
  }

  drop(id: string): void {
    this.#ids.delete(id);
    const hot = this.#hot.get(id);
    if (hot !== undefined) {
      closeFile(hot.twin);
      hot.twin = undefined;
    }
    removeFile(hot?.twinPath ?? this.#places.twin(id));
  }

  /** The twin has been renamed: it is the session, and there is no second file. */
  noteRenamed(id: string): void {
    this.#ids.delete(id);
  }

  makeDirectory(): void {
    if (!this.#fileSystem.has("sameMount")) prepareDirectory(this.#places.sessions, true);
    prepareDirectory(this.#places.twins, false);
  }

  /** `session/` may have become a mount of its own under us: then everything that is staged is staged again there. False where it has not. */
  moveInside(): boolean {
    if (!this.#fileSystem.has("sameMount")) return false;
    this.#fileSystem.tryAgain();
    if (this.#fileSystem.has("sameMount")) return false;
    this.#hot.leaveTwins();
    this.#ids.clear();
    return true;
  }

  /** A twin is ours: a file of its name that may not be written to is not looked at any further. */
  #create(path: string): OpenFile {
    this.makeDirectory();
    return makeTwin(path);
  }

  #note(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size <= this.#max) return;
    const kept = this.#max - Math.min(MAX_DROPPED, Math.floor(DROPPED_PART * this.#max));
    for (const oldest of this.#ids) {
      if (this.#ids.size <= kept) return;
      if (!this.#hot.get(oldest)?.lock.isHeld) this.drop(oldest);
    }
  }
}
