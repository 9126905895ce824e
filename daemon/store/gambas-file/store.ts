// The engine that keeps sessions where Gambas keeps them: one file each, read and replaced under Gambas' record lock.
//
// A file is replaced by exchanging its name with that of its twin (ARCHITECTURE.md, "How a file is replaced"): the new bytes are written to the twin, which only
// this session ever uses, and one system call makes them the session. Every revision of ours gets a modification time that no
// other revision of the session ever had or will have, so that stat names it (see `#stampTime`).

import {
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { opendir } from "node:fs/promises";
import { promisify } from "node:util";
import { SessionError } from "../../../protocol/errors.ts";
import { type Dialect, fileOfImage, HEADER_BYTES, imageOfFile } from "../../../protocol/image/image.ts";
import { closeDescriptor, isMissing, isSystemError, readAll, removeFile, writeAll } from "../../files/files.ts";
import { isUnsupported, native } from "../../files/native.ts";
import { isOnlyOurs, makeTwin, openToRead, openToStamp, openTwin, unreadable } from "../../files/opening.ts";
import type { Log } from "../../report/log.ts";
import {
  type Clock,
  isSameRevision,
  type Loaded,
  type LockResult,
  type Look,
  type Revision,
  type Saver,
  type Staged,
  type Store,
} from "../store.ts";
import { FileSystem, prepareDirectory, setMicros, wasReadSinceStamp } from "./file-system.ts";
import { closeFile, type HotSession, HotSessions, type OpenFile } from "./hot-sessions.ts";
import { idOfName, Places } from "./layout.ts";
import { exchangeBack, exchangeIfThere, lookAtReplaced, renameIfThere } from "./names.ts";
import { DialectInUse } from "./programs/dialect.ts";
import { Presence } from "./programs/presence.ts";

/**
 * How far our modification times stay behind the clock: longer than a tick of the kernel's coarse clock, by which kernels before
 * 6.13 stamp files. So whatever another program writes from now on is younger than every stamp given so far.
 */
const STAMP_LAG_MICROS = 20_000;
/** So many saves between look and step, one after the other, are no saves: the exchange does not do what it should. */
const MAX_MISSES = 1_000;
/** A file younger than this could be saved again within the same tick: its revision names it only for now. */
const FLEETING_MS = 50;

interface StagedFile extends Staged {
  readonly existing: Revision | undefined;
  /** Stays open while the session is locked. */
  readonly hot: HotSession;
}

export interface GambasFileOptions {
  readonly root: string;
  /** Sessions whose files are kept open; each takes up to three descriptors. */
  readonly openSessions: number;
  readonly gambas: "auto" | Dialect;
  readonly log: Pick<Log, "info">;
  /** Told in words of what the file system turns out to lack after the start. */
  readonly onLack?: (words: string) => void;
}

export class GambasFileStore implements Store<StagedFile> {
  readonly fileSystem: FileSystem;
  readonly #places: Places;
  readonly #hot: HotSessions;
  /** Sessions that have a twin file, in the order of use. */
  readonly #twins = new Set<string>();
  readonly #maxTwins: number;
  readonly #presence: Presence;
  readonly #dialect: DialectInUse;
  readonly #uid = process.getuid?.();
  #lastStamp = 0;

  constructor(options: GambasFileOptions) {
    this.#places = new Places(options.root);
    this.#presence = new Presence(options.root);
    this.#dialect = new DialectInUse({ setting: options.gambas, sessions: this.#places.sessions, log: options.log });
    this.fileSystem = new FileSystem(this.#places, options.onLack);
    const openSessions = Math.max(1, options.openSessions);
    this.#hot = new HotSessions(this.#places, this.fileSystem, openSessions);
    this.#maxTwins = 20 * openSessions;
  }

  get checksOnPublish(): boolean {
    return this.fileSystem.has("exchange");
  }

  get tellsRevisions(): boolean {
    return this.fileSystem.tellsRevisions;
  }

  checkFlushes(): void {
    this.fileSystem.checkFlushes();
  }

  /** The directory whose files workers may stat. */
  get directory(): string {
    return this.#places.sessions;
  }

  lock(id: string, mayCreate: boolean): LockResult {
    const hot = this.#hot.heat(id);
    try {
      return hot.lock.take(mayCreate);
    } catch (error) {
      if (isOutOfDescriptors(error)) this.#hot.keepFewer(id);
      // The directory itself is gone: Gambas makes it whenever it creates a session, so do we.
      else if (mayCreate && isMissing(error)) mkdirSync(this.#places.sessions, { recursive: true, mode: 0o700 });
      else throw error;
      return hot.lock.take(mayCreate);
    }
  }

  unlock(id: string): void {
    this.#hot.unlock(id);
  }

  get lockable(): number {
    return this.#hot.max;
  }

  stat(id: string): Revision | undefined {
    const stat = statSync(this.#pathOf(id), { throwIfNoEntry: false });
    return stat && this.#revisionOf(stat);
  }

  hasLock(id: string): boolean {
    return statSync(this.#places.lock(id), { throwIfNoEntry: false }) !== undefined;
  }

  load(id: string, maxBytes: number): Loaded | undefined {
    const fd = this.#openSession(id);
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw unreadable(id, "is not a regular file");
      if (stat.size > maxBytes)
        throw unreadable(id, `has ${stat.size} bytes; at most ${maxBytes} are read (maxSessionBytes)`);
      const revision = this.#revisionOf(stat);
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

  stage(id: string, image: Buffer, existing: Revision | undefined): StagedFile {
    const hot = this.#hot.heat(id);
    const twin = this.#openTwin(id, hot);
    // Before it is so: a write that fails half way leaves what the next one must cut off.
    twin.size = Math.max(twin.size, image.length);
    writeAll(twin.fd, fileOfImage(image));
    if (twin.size > image.length) ftruncateSync(twin.fd, image.length);
    twin.size = image.length;
    twin.wasRead = false;
    const mtimeMs = this.#stampTime(twin.fd, existing);
    return { revision: this.#revisionOf({ ino: twin.ino, size: image.length, mtimeMs }), existing, hot };
  }

  publish(id: string, { existing, hot }: StagedFile): boolean {
    try {
      if (existing === undefined || !this.fileSystem.has("exchange")) return this.#replace(id, hot, existing);
      return this.#exchange(id, hot, existing);
    } catch (error) {
      if (isSystemError(error, "EXDEV") && this.#moveTwins()) return false;
      if (existing === undefined || !this.fileSystem.has("exchange") || !isUnsupported(error)) throw error;
      this.fileSystem.lack("exchange", error);
      return this.#replace(id, hot, existing);
    }
  }

  #exchange(id: string, hot: HotSession, existing: Revision): boolean {
    if (!exchangeIfThere(hot)) return false;
    const replaced = lookAtReplaced(hot);
    if (!isSameRevision(this.#revisionOf(replaced), existing)) {
      // Somebody saved since our last look: what he wrote gets its name back.
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
    // Somebody may hold on to what we replaced under another name, or it is not ours: the next write looks again.
    if (!isOnlyOurs(replaced, this.#uid)) {
      closeFile(hot.twin);
      hot.twin = undefined;
    }
    return true;
  }

  /** The plain way. What another program saved since the look at `existing` stands, but for one in the moment between look and step. */
  #replace(id: string, hot: HotSession, existing: Revision | undefined): boolean {
    if (existing !== undefined && !isSameRevision(this.stat(id), existing)) return false;
    if (!renameIfThere(hot)) return false;
    closeFile(hot.current);
    hot.current = hot.twin;
    hot.twin = undefined;
    this.#twins.delete(id);
    return true;
  }

  /** `session/` may have become a mount of its own under us: then everything that is staged is staged again there. */
  #moveTwins(): boolean {
    if (!this.fileSystem.has("sameMount")) return false;
    this.fileSystem.tryAgain();
    if (this.fileSystem.has("sameMount")) return false;
    this.#hot.leaveTwins();
    this.#twins.clear();
    return true;
  }

  discard(id: string, _staged: StagedFile): void {
    this.#dropTwin(id);
  }

  stamp(id: string, startup: Buffer, existing: Revision): Revision | undefined {
    const hot = this.#hot.heat(id);
    const { current } = hot;
    if (current?.ino === existing.ino) {
      if (!isOnlyOurs(fstatSync(current.fd), this.#uid)) return undefined;
      current.wasRead ||= this.fileSystem.has("accessTimes") && wasReadSinceStamp(current.fd);
      writeAll(current.fd, startup);
      return { ...existing, mtimeMs: this.#stampTime(current.fd, existing) };
    }
    const fd = this.#open(id, () => openToStamp(hot.path));
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      if (!isOnlyOurs(stat, this.#uid)) return undefined;
      writeAll(fd, startup);
      return this.#revisionOf({ ino: stat.ino, size: existing.size, mtimeMs: this.#stampTime(fd, existing) });
    } finally {
      closeDescriptor(fd);
    }
  }

  remove(id: string): void {
    removeFile(this.#places.session(id));
    this.#dropTwin(id);
    removeFile(this.#places.lock(id));
    this.cool(id);
  }

  /**
   * Our stamps set access and modification time alike, and with "relatime" the first read after that moves the access time (our own
   * reads ask it not to). The inode is still open here when its name has gone to another program's save.
   */
  wasRead(id: string, revision: Revision): boolean | undefined {
    const current = this.#hot.get(id)?.current;
    if (!this.fileSystem.has("accessTimes") || current?.ino !== revision.ino) return undefined;
    return current.wasRead || wasReadSinceStamp(current.fd);
  }

  get dialect(): Dialect {
    return this.#dialect.current;
  }

  noteForeignSave(image: Buffer): void {
    this.#dialect.noteForeignSave(image);
  }

  get dialectInWords(): string {
    return this.#dialect.description;
  }

  /** While it is open here no other file has its number. */
  isOurFile(id: string, revision: Revision): boolean {
    return this.#hot.get(id)?.current?.ino === revision.ino;
  }

  look(clock: Clock): Look {
    return this.#presence.look(clock);
  }

  whoReplaced(id: string, revision: Revision, clock: Clock): Saver {
    return this.#presence.whoSavedSince(this.#replacedMs(id, revision), clock);
  }

  /** By when it had not been replaced yet: an open file without a name tells exactly, of others it is when they were written. */
  #replacedMs(id: string, revision: Revision): number {
    const current = this.#hot.get(id)?.current;
    if (current?.ino !== revision.ino) return revision.mtimeMs;
    const { nlink, ctimeMs } = fstatSync(current.fd);
    return nlink === 0 ? ctimeMs : revision.mtimeMs;
  }

  wasPublished(id: string, revision: Revision, replaced: Revision | undefined): boolean {
    for (const directory of this.#places.allTwins) {
      const path = this.#places.twin(id, directory);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const twin = this.#revisionOf(stat);
      if (twin.ino === revision.ino && twin.mtimeMs === revision.mtimeMs) return false;
      if (replaced === undefined || twin.ino === replaced.ino || !isSameRevision(this.stat(id), revision)) continue;
      // Neither ours nor what it was to replace: another program had saved in between, and we were killed before it had its name back.
      if (!isWhole(path)) continue;
      native?.exchange(path, this.#places.session(id));
      return false;
    }
    return true;
  }

  /** Deletes all twins that an earlier daemon left. Only after what they tell (`wasPublished`) has been asked. */
  removeLeftovers(): void {
    this.removeAside();
    if (this.fileSystem.has("sameMount")) this.#makeTwins();
  }

  async *ids(): AsyncGenerator<string> {
    const directory = await opendir(this.#places.sessions, { bufferSize: 256 }).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (directory === undefined) return;
    for await (const entry of directory) {
      const id = idOfName(entry.name);
      if (id !== undefined) yield id;
    }
  }

  async syncStaged(id: string): Promise<void> {
    const twin = this.#hot.get(id)?.twin;
    if (twin !== undefined) await promisify(fdatasync)(twin.fd);
  }

  async syncPublished(): Promise<void> {
    const fd = openSync(this.#places.sessions, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await promisify(fsync)(fd);
    } finally {
      closeDescriptor(fd);
    }
  }

  cool(id: string): void {
    this.#hot.cool(id);
  }

  close(): void {
    this.#hot.close();
  }

  removeAside(): void {
    for (const directory of this.#places.allTwins) rmSync(directory, { recursive: true, force: true });
  }

  /** Where inode numbers do not stay with their files, size and time have to do. */
  #revisionOf({ ino, size, mtimeMs }: Revision): Revision {
    return { ino: this.fileSystem.has("inodes") ? ino : 0, size, mtimeMs };
  }

  #pathOf(id: string): string {
    return this.#hot.get(id)?.path ?? this.#places.session(id);
  }

  /** Opens once more with fewer files kept open, when there were too many. */
  #open<T>(id: string, open: () => T): T {
    try {
      return open();
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
      this.#hot.keepFewer(id);
      return open();
    }
  }

  #openTwin(id: string, hot: HotSession): OpenFile {
    if (hot.twin !== undefined) return hot.twin;
    hot.twin = this.#open(id, () => openTwin(hot.twinPath, this.#uid) ?? this.#createTwin(hot.twinPath));
    this.#noteTwin(id);
    return hot.twin;
  }

  /** A twin is ours: whatever has its name and may not be written to is not looked at any further. */
  #createTwin(path: string): OpenFile {
    this.#makeTwins();
    return makeTwin(path);
  }

  #makeTwins(): void {
    if (!this.fileSystem.has("sameMount")) prepareDirectory(this.#places.sessions, true);
    prepareDirectory(this.#places.twins, false);
  }

  #openSession(id: string): number | undefined {
    const isQuiet = this.fileSystem.has("quietReads");
    return this.#open(id, () => openToRead(id, this.#pathOf(id), isQuiet));
  }

  #noteTwin(id: string): void {
    this.#twins.delete(id);
    this.#twins.add(id);
    if (this.#twins.size <= this.#maxTwins) return;
    for (const oldest of this.#twins) {
      if (this.#hot.get(oldest)?.lock.isHeld) continue;
      this.#dropTwin(oldest);
      return;
    }
  }

  #dropTwin(id: string): void {
    this.#twins.delete(id);
    const hot = this.#hot.get(id);
    if (hot !== undefined) {
      closeFile(hot.twin);
      hot.twin = undefined;
    }
    removeFile(hot?.twinPath ?? this.#places.twin(id));
  }

  /**
   * Gives the file a modification time that is younger than every one given before, and older than any the kernel gives from
   * now on. So no two revisions of a session share one: ours differ from each other because they only grow, and from those of
   * other programs because what they wrote before is remembered only if it is older than our lag, and what they write later is
   * younger than our stamps. (Just after a foreign save ours must be younger than that and may be ahead of the kernel's clock: such a
   * save is fleeting, in nobody's memory. After the clock was set back ours still grow; then only the nanoseconds tell theirs apart.)
   */
  #stampTime(fd: number, existing: Revision | undefined): number {
    const afterMs = existing === undefined ? 0 : Math.ceil(existing.mtimeMs * 1000) + 1;
    const stamp = Math.max(this.#lastStamp + 1, afterMs, Date.now() * 1000 - STAMP_LAG_MICROS);
    if (this.fileSystem.has("times")) setMicros(fd, stamp);
    this.#lastStamp = stamp;
    const isExact = this.fileSystem.givesWholeMicros;
    return isExact ? Math.floor(stamp / 1e6) * 1e3 + ((stamp % 1e6) * 1e3) / 1e6 : fstatSync(fd).mtimeMs;
  }
}

/** False for what is no session: a write of ours that was cut off, say. */
function isWhole(path: string): boolean {
  try {
    imageOfFile(readFileSync(path));
    return true;
  } catch (error) {
    if (error instanceof SessionError) return false;
    throw error;
  }
}

function isOutOfDescriptors(error: unknown): boolean {
  return isSystemError(error, "EMFILE") || isSystemError(error, "ENFILE");
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
