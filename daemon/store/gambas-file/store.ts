// The engine that keeps sessions where Gambas keeps them: one file each, read and replaced under Gambas' record lock. Every way in which we
// change a session's file stands here: stage, publish, stamp, remove.
//
// A file is replaced by exchanging its name with that of its twin (README.md, "How a file is replaced"): the new bytes are
// written to the twin, which only this session ever uses, and one system call makes them the session. Every revision of ours gets a
// modification time that no other revision of the session ever had or will have, so that stat names it (`stamps.ts`).

import { fstatSync, ftruncateSync, readSync, statSync } from "node:fs";
import { opendir } from "node:fs/promises";
import { SessionError } from "../../../protocol/errors.ts";
import { type Dialect, fileOfImage, HEADER_BYTES, imageOfFile } from "../../../protocol/image/image.ts";
import { isSessionId } from "../../../protocol/session-id.ts";
import {
  closeDescriptor,
  isMissing,
  isOnlyOurs,
  isSystemError,
  isUnsupported,
  type OpenFile,
  openToRead,
  openToStamp,
  readAll,
  removeFile,
  unreadable,
  writeAll,
} from "../../files/files.ts";
import type { Log } from "../../report/report.ts";
import {
  type ChangeEvents,
  type ChangeWatch,
  isSameRevision,
  type Loaded,
  type OpenSessions,
  type Present,
  type RecordLocks,
  type Revision,
  type Staged,
  type Store,
} from "../store.ts";
import { Evidence } from "./evidence.ts";
import { FileSystem, wasReadSinceStamp } from "./file-system.ts";
import { closeFile, type HotSession, HotSessions } from "./hot-sessions.ts";
import { checksumOf, InPlace } from "./in-place.ts";
import { Places } from "./layout.ts";
import { exchangeBack, exchangeIfThere, lookAtReplaced, renameIfThere } from "./names.ts";
import { FileFlushes, FileRecovery } from "./recovery.ts";
import { Stamps, toMs } from "./stamps.ts";
import { Twins } from "./twins.ts";
import { Watch } from "./watch.ts";

export { lacksIn, lacksOf } from "./file-system.ts";

/** So many saves between look and step, one after the other, are no saves: the exchange does not do what it should. */
const MAX_MISSES = 1_000;
/** A file younger than this could be saved again within the same tick: its revision names it only for now. */
const FLEETING_MS = 50;

interface StagedFile extends Staged {
  revision: Revision;
  readonly existing: Revision | undefined;
  /** Stays open while the session is locked. */
  readonly hot: HotSession;
  /** What is still to be written, and where and when; undefined: the image lies aside. */
  readonly inPlace?: InPlaceWrite;
}

interface InPlaceWrite {
  readonly into: OpenFile;
  readonly bytes: Buffer;
  /** Modification time that the file gets. */
  readonly micros: number;
}

export interface GambasFileOptions {
  readonly root: string;
  /** Sessions whose files are kept open; each takes up to three descriptors. */
  readonly openSessions: number;
  readonly gambas: "auto" | Dialect;
  /** Whether an image may be written into a session's file itself, where nobody can see that. */
  readonly inPlace: boolean;
  readonly log: Pick<Log, "info" | "warn">;
  /** Told in words of what the file system turns out to lack after the start. */
  readonly onLack?: (words: string) => void;
}

export class GambasFileStore implements Store<StagedFile> {
  readonly fileSystem: FileSystem;
  readonly locks: RecordLocks;
  readonly open: OpenSessions;
  readonly programs: Evidence;
  readonly recovery: FileRecovery;
  readonly flushes: FileFlushes;
  readonly watch: (events: ChangeEvents) => ChangeWatch;
  /** The directory whose files workers may stat. */
  readonly directory: string;
  readonly nameOf = undefined;
  readonly keepsShares = true;
  readonly staysGone = false;
  readonly removeUnchanged = undefined;
  readonly strangers = undefined;
  readonly #places: Places;
  readonly #hot: HotSessions;
  readonly #twins: Twins;
  readonly #stamps: Stamps;
  readonly #inPlace: InPlace;
  readonly #uid = process.getuid?.();

  constructor({ root, gambas, inPlace, log, onLack, ...options }: GambasFileOptions) {
    const openSessions = Math.max(1, options.openSessions);
    const places = new Places(root);
    const fileSystem = new FileSystem(places, onLack);
    const hot = new HotSessions(places, fileSystem, openSessions);
    const twins = new Twins({ places, fileSystem, hot, openSessions });
    this.#places = places;
    this.#hot = hot;
    this.#twins = twins;
    this.#stamps = new Stamps(fileSystem);
    this.fileSystem = fileSystem;
    this.locks = hot;
    this.open = hot;
    this.programs = new Evidence({ root, sessions: places.sessions, fileSystem, hot, gambas, log });
    this.#inPlace = new InPlace({ fileSystem, programs: this.programs, isAllowed: inPlace });
    this.recovery = new FileRecovery({ places, fileSystem, twins });
    this.flushes = new FileFlushes({ places, fileSystem, hot });
    this.watch = (events) => new Watch(places.sessions, events, log);
    this.directory = places.sessions;
  }

  get checksOnPublish(): boolean {
    return this.fileSystem.has("exchange");
  }

  get tellsRevisions(): boolean {
    return this.fileSystem.tellsRevisions;
  }

  stat(id: string): Revision | undefined {
    const stat = statSync(this.#pathOf(id), { throwIfNoEntry: false });
    return stat && this.fileSystem.revisionOf(stat);
  }

  load(id: string, maxBytes: number): Loaded | undefined {
    const fd = this.#openSession(id);
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw unreadable(id, "is not a regular file");
      if (stat.size > maxBytes)
        throw unreadable(id, `has ${stat.size} bytes; at most ${maxBytes} are read (maxSessionBytes)`);
      const revision = this.fileSystem.revisionOf(stat);
      const image = readAll(fd, stat.size);
      takeImage(id, image);
      const isFleeting = Date.now() - stat.mtimeMs < FLEETING_MS || !this.tellsRevisions;
      return { image, revision, isFleeting, changedMs: stat.ctimeMs };
    } finally {
      closeDescriptor(fd);
    }
  }

  header(id: string): Buffer | undefined {
    const fd = this.#openSession(id);
    if (fd === undefined) return undefined;
    try {
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      return fstatSync(fd).isFile() && readSync(fd, header, 0, HEADER_BYTES, 0) === HEADER_BYTES ? header : undefined;
    } finally {
      closeDescriptor(fd);
    }
  }

  sizeOf(id: string): number | undefined {
    return statSync(this.#pathOf(id), { throwIfNoEntry: false })?.size;
  }

  async *ids(): AsyncGenerator<string> {
    const directory = await opendir(this.#places.sessions, { bufferSize: 256 }).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (directory === undefined) return;
    for await (const entry of directory) {
      if (isSessionId(entry.name)) yield entry.name;
    }
  }

  stage(id: string, image: Buffer, present: Present | undefined): StagedFile {
    const existing = present?.revision;
    const hot = this.#hot.heat(id);
    const into = this.#inPlace.fileFor({ hot, bytes: image.length, existing });
    if (into !== undefined && existing !== undefined) return this.#stageInPlace(hot, image, { into, existing });
    const twin = this.#twins.open(id, hot);
    // Before it is so: a write that fails half way leaves bytes that the next one must cut off.
    twin.size = Math.max(twin.size, image.length);
    writeAll(twin.fd, fileOfImage(image));
    if (twin.size > image.length) ftruncateSync(twin.fd, image.length);
    twin.size = image.length;
    twin.wasRead = false;
    const mtimeMs = this.#stamps.stamp(twin.fd, existing);
    return { revision: this.fileSystem.revisionOf({ ino: twin.ino, size: image.length, mtimeMs }), existing, hot };
  }

  #stageInPlace(
    hot: HotSession,
    image: Buffer,
    { into, existing }: { readonly into: OpenFile; readonly existing: Revision },
  ): StagedFile {
    const bytes = fileOfImage(image);
    const micros = this.#stamps.next(existing);
    const revision = { ino: existing.ino, size: existing.size, mtimeMs: toMs(micros) };
    return { revision, checksum: checksumOf(bytes), existing, hot, inPlace: { into, bytes, micros } };
  }

  publish(id: string, staged: StagedFile): boolean {
    const { existing, hot, inPlace } = staged;
    if (inPlace !== undefined) return this.#overwrite(staged, inPlace);
    try {
      if (existing === undefined || !this.fileSystem.has("exchange")) return this.#replace(id, hot, existing);
      return this.#exchange(id, hot, existing);
    } catch (error) {
      if (isSystemError(error, "EXDEV") && this.#twins.moveInside()) return false;
      if (existing === undefined || !this.fileSystem.has("exchange") || !isUnsupported(error)) throw error;
      this.fileSystem.lack("exchange", error);
      return this.#replace(id, hot, existing);
    }
  }

  /** A kill before the stamp leaves the new bytes under the kernel's time: the journal has their checksum. */
  #overwrite(staged: StagedFile, { into, bytes, micros }: InPlaceWrite): true {
    writeAll(into.fd, bytes);
    into.wasRead = false;
    try {
      this.#stamps.set(into.fd, micros);
    } catch (error) {
      // Whatever the system error, the bytes are there, under the kernel's time. That may be the time of other bytes, too: no revision counts.
      staged.revision = this.fileSystem.revisionOf(fstatSync(into.fd));
      this.fileSystem.lack("times", error);
    }
    return true;
  }

  #exchange(id: string, hot: HotSession, existing: Revision): boolean {
    if (!exchangeIfThere(hot)) return false;
    const replaced = lookAtReplaced(hot);
    if (!isSameRevision(this.fileSystem.revisionOf(replaced), existing)) {
      // Another program saved since our last look: its file gets its name back.
      exchangeBack(hot);
      hot.misses += 1;
      if (replaced.ino !== hot.twin?.ino && hot.misses < MAX_MISSES) return false;
      this.fileSystem.lack("exchange", "what had the name is not what lies aside afterwards");
      return this.#replace(id, hot, existing);
    }
    hot.misses = 0;
    if (hot.current?.ino !== existing.ino) {
      closeFile(hot.current);
      hot.current = undefined;
    }
    hot.exchange();
    // The file that we replaced may have a second name, or not be ours: the next write looks again.
    if (!isOnlyOurs(replaced, this.#uid)) {
      closeFile(hot.twin);
      hot.twin = undefined;
    }
    return true;
  }

  /** The plain way. A save of another program since the look at `existing` stands, but for one in the moment between look and step. */
  #replace(id: string, hot: HotSession, existing: Revision | undefined): boolean {
    if (existing !== undefined && !isSameRevision(this.stat(id), existing)) return false;
    if (!renameIfThere(hot)) return false;
    closeFile(hot.current);
    hot.current = hot.twin;
    hot.twin = undefined;
    this.#twins.noteRenamed(id);
    return true;
  }

  stamp(id: string, startup: Buffer, existing: Revision): Revision | undefined {
    const hot = this.#hot.heat(id);
    const { current } = hot;
    if (current?.ino === existing.ino) {
      if (!isOnlyOurs(fstatSync(current.fd), this.#uid)) return undefined;
      current.wasRead ||= this.fileSystem.has("accessTimes") && wasReadSinceStamp(current.fd);
      writeAll(current.fd, startup);
      return { ...existing, mtimeMs: this.#stamps.stamp(current.fd, existing) };
    }
    const fd = this.#hot.withRoom(id, () => openToStamp(hot.path));
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      if (!isOnlyOurs(stat, this.#uid)) return undefined;
      writeAll(fd, startup);
      return this.fileSystem.revisionOf({
        ino: stat.ino,
        size: existing.size,
        mtimeMs: this.#stamps.stamp(fd, existing),
      });
    } finally {
      closeDescriptor(fd);
    }
  }

  remove(id: string): void {
    removeFile(this.#places.session(id));
    this.#twins.drop(id);
    removeFile(this.#places.lock(id));
    this.#hot.cool(id);
  }

  close(): void {
    this.#hot.close();
  }

  #pathOf(id: string): string {
    return this.#hot.get(id)?.path ?? this.#places.session(id);
  }

  #openSession(id: string): number | undefined {
    const isQuiet = this.fileSystem.has("quietReads");
    return this.#hot.withRoom(id, () => openToRead(id, this.#pathOf(id), isQuiet));
  }
}

/** In place: the bytes are nobody else's. */
function takeImage(id: string, file: Buffer): void {
  try {
    imageOfFile(file);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    throw new SessionError(error.code, `The file of session ${id} cannot be read. ${error.what}`, { cause: error });
  }
}
