// Twins that did not become sessions, in this life of the daemon and in the one before: takes them back, tells of them, cleans them up. And
// the flushes that make twins and names durable. Knows no contents, but whether a file is a whole session.

import { constants, fdatasync, fsync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { SessionError } from "../../../protocol/errors.ts";
import { imageOfFile } from "../../../protocol/image/image.ts";
import { closeDescriptor, isSystemError, native } from "../../files/files.ts";
import { type Attempt, type Flushes, isSameRevision, type Recovery, type Revision } from "../store.ts";
import type { FileSystem } from "./file-system.ts";
import type { HotSessions } from "./hot-sessions.ts";
import { checksumOf } from "./in-place.ts";
import type { Places } from "./layout.ts";
import type { Twins } from "./twins.ts";

const flushData = promisify(fdatasync);
const flush = promisify(fsync);

interface RecoveryParts {
  readonly places: Places;
  readonly fileSystem: FileSystem;
  readonly twins: Twins;
}

export class FileRecovery implements Recovery {
  readonly #places: Places;
  readonly #fileSystem: FileSystem;
  readonly #twins: Twins;

  constructor({ places, fileSystem, twins }: RecoveryParts) {
    this.#places = places;
    this.#fileSystem = fileSystem;
    this.#twins = twins;
  }

  discard(id: string): void {
    this.#twins.drop(id);
  }

  wasPublished(attempt: Attempt): boolean {
    if (attempt.checksum !== undefined) return this.#wasOverwritten(attempt, attempt.checksum);
    const { id, revision, replaced } = attempt;
    const session = this.#places.session(id);
    for (const directory of this.#places.allTwins) {
      const path = this.#places.twin(id, directory);
      const twin = this.#revisionAt(path);
      if (twin === undefined) continue;
      if (twin.ino === revision.ino && twin.mtimeMs === revision.mtimeMs) return false;
      if (replaced === undefined || twin.ino === replaced.ino) continue;
      if (!isSameRevision(this.#revisionAt(session), revision)) continue;
      // Neither ours nor the one it was to replace: another program had saved in between, and the daemon was killed before that save had
      // its name back.
      if (!isWhole(path)) continue;
      native?.exchange(path, session);
      return false;
    }
    return true;
  }

  /** The kill came before the new bytes, or before their stamp, or after it. */
  #wasOverwritten({ id, revision, replaced }: Attempt, checksum: number): boolean {
    const path = this.#places.session(id);
    const found = this.#revisionAt(path);
    if (found === undefined || isSameRevision(found, replaced)) return false;
    return isSameRevision(found, revision) || (found.ino === revision.ino && checksumAt(path) === checksum);
  }

  /** A file gets its name when it is whole. */
  isUnfinished(): boolean {
    return false;
  }

  removeLeftovers(): void {
    this.removeAside();
    if (this.#fileSystem.has("sameMount")) this.#twins.makeDirectory();
  }

  removeAside(): void {
    for (const directory of this.#places.allTwins) rmSync(directory, { recursive: true, force: true });
  }

  #revisionAt(path: string): Revision | undefined {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat && this.#fileSystem.revisionOf(stat);
  }
}

export class FileFlushes implements Flushes {
  readonly #places: Places;
  readonly #fileSystem: FileSystem;
  readonly #hot: HotSessions;

  constructor({ places, fileSystem, hot }: { places: Places; fileSystem: FileSystem; hot: HotSessions }) {
    this.#places = places;
    this.#fileSystem = fileSystem;
    this.#hot = hot;
  }

  check(): void {
    this.#fileSystem.checkFlushes();
  }

  async staged(id: string): Promise<void> {
    const twin = this.#hot.get(id)?.twin;
    if (twin !== undefined) await flushData(twin.fd);
  }

  /** The exchange of two names is in their directory. */
  async published(): Promise<void> {
    const fd = openSync(this.#places.sessions, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await flush(fd);
    } finally {
      closeDescriptor(fd);
    }
  }
}

/** Undefined where the file cannot be read. */
function checksumAt(path: string): number | undefined {
  try {
    return checksumOf(readFileSync(path));
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** False for bytes that are no session: a write of ours that was cut off, say. */
function isWhole(path: string): boolean {
  try {
    imageOfFile(readFileSync(path));
    return true;
  } catch (error) {
    if (error instanceof SessionError) return false;
    throw error;
  }
}
