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
  futimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { opendir } from "node:fs/promises";
import { promisify } from "node:util";
import { SessionError } from "../../../protocol/errors.ts";
import { layoutOf } from "../../../protocol/image.ts";
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
import { givesWholeMicros, recordsReads, wasReadSinceStamp } from "./file-times.ts";
import { closeDescriptor, isMissing, isSystemError, readAll, removeFile, writeAll } from "./files.ts";
import { closeFile, type HotSession, HotSessions, type OpenFile } from "./hot-sessions.ts";
import { idOfName, Places } from "./layout.ts";
import { native } from "./native.ts";
import { Presence } from "./presence.ts";

/** Absent outside Linux. */
const O_NOATIME: number = constants.O_NOATIME ?? 0;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | O_NOATIME;
const STAMP_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const TWIN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
const FILE_MODE = 0o600;
const HEADER_BYTES = 16;
/**
 * How far our modification times stay behind the clock: longer than a tick of the kernel's coarse clock, by which kernels before
 * 6.13 stamp files. So whatever another program writes from now on is younger than every stamp given so far.
 */
const STAMP_LAG_MICROS = 20_000;
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
}

export class GambasFileStore implements Store<StagedFile> {
  readonly checksOnPublish: boolean = native !== undefined;
  readonly #places: Places;
  readonly #hot: HotSessions;
  /** Sessions that have a twin file, in the order of use. */
  readonly #twins = new Set<string>();
  readonly #maxTwins: number;
  readonly #presence: Presence;
  readonly #recordsReads: boolean;
  readonly #givesWholeMicros: boolean;
  #lastStamp = 0;

  constructor(options: GambasFileOptions) {
    this.#places = new Places(options.root);
    this.#presence = new Presence(options.root);
    const openSessions = Math.max(1, options.openSessions);
    this.#hot = new HotSessions(this.#places, openSessions);
    this.#maxTwins = 20 * openSessions;
    mkdirSync(this.#places.sessions, { recursive: true, mode: 0o700 });
    mkdirSync(this.#places.twins, { recursive: true, mode: 0o700 });
    this.#recordsReads = recordsReads(`${this.#places.twins}/access-time`);
    this.#givesWholeMicros = givesWholeMicros(`${this.#places.twins}/modification-time`);
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
    return stat && { ino: stat.ino, size: stat.size, mtimeMs: stat.mtimeMs };
  }

  hasLock(id: string): boolean {
    return statSync(this.#places.lock(id), { throwIfNoEntry: false }) !== undefined;
  }

  load(id: string, maxBytes: number): Loaded | undefined {
    const fd = this.#open(id, () => openSession(id, this.#pathOf(id)));
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw unreadable(id, "is not a regular file");
      if (stat.size > maxBytes)
        throw unreadable(id, `has ${stat.size} bytes; at most ${maxBytes} are read (maxSessionBytes)`);
      const revision = { ino: stat.ino, size: stat.size, mtimeMs: stat.mtimeMs };
      const image = readAll(fd, stat.size);
      const isFleeting = Date.now() - stat.mtimeMs < FLEETING_MS;
      return { image, revision, isFleeting, changedMs: stat.ctimeMs };
    } finally {
      closeDescriptor(fd);
    }
  }

  header(id: string): Buffer | undefined {
    const fd = this.#open(id, () => openSession(id, this.#pathOf(id)));
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
    writeAll(twin.fd, image);
    if (twin.size > image.length) ftruncateSync(twin.fd, image.length);
    twin.size = image.length;
    twin.wasRead = false;
    const mtimeMs = this.#stampTime(twin.fd, existing);
    return { revision: { ino: twin.ino, size: image.length, mtimeMs }, existing, hot };
  }

  publish(id: string, { existing, hot }: StagedFile): boolean {
    if (existing === undefined || native === undefined) {
      renameSync(hot.twinPath, hot.path);
      closeFile(hot.current);
      hot.current = hot.twin;
      hot.twin = undefined;
      this.#twins.delete(id);
      return true;
    }
    if (!exchangeIfThere(hot)) return false;
    if (!replacedWhatWasMeant(hot, existing)) return false;
    if (hot.current?.ino !== existing.ino) {
      closeFile(hot.current);
      hot.current = undefined;
    }
    hot.exchange();
    return true;
  }

  discard(id: string, _staged: StagedFile): void {
    this.#dropTwin(id);
  }

  stamp(id: string, startup: Buffer, existing: Revision): Revision {
    const hot = this.#hot.heat(id);
    if (hot.current?.ino === existing.ino) {
      hot.current.wasRead ||= this.#recordsReads && wasReadSinceStamp(hot.current.fd);
      writeAll(hot.current.fd, startup);
      return { ...existing, mtimeMs: this.#stampTime(hot.current.fd, existing) };
    }
    const fd = this.#open(id, () => openSync(hot.path, STAMP_FLAGS));
    try {
      writeAll(fd, startup);
      return { ino: fstatSync(fd).ino, size: existing.size, mtimeMs: this.#stampTime(fd, existing) };
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
    if (!this.#recordsReads || current?.ino !== revision.ino) return undefined;
    return current.wasRead || wasReadSinceStamp(current.fd);
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
    const twin = statSync(this.#places.twin(id), { throwIfNoEntry: false });
    if (twin === undefined) return true;
    if (twin.ino === revision.ino && twin.mtimeMs === revision.mtimeMs) return false;
    if (replaced === undefined || twin.ino === replaced.ino || !isSameRevision(this.stat(id), revision)) return true;
    // Neither ours nor what it was to replace: another program had saved in between, and we were killed before it had its name back.
    if (!isWhole(this.#places.twin(id))) return true;
    native?.exchange(this.#places.twin(id), this.#places.session(id));
    return false;
  }

  /** Deletes all twins that an earlier daemon left. Only after what they tell (`wasPublished`) has been asked. */
  removeLeftovers(): void {
    rmSync(this.#places.twins, { recursive: true, force: true });
    mkdirSync(this.#places.twins, { recursive: true, mode: 0o700 });
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
    rmSync(this.#places.twins, { recursive: true, force: true });
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
    const twin = describeFile(this.#open(id, () => this.#createTwin(hot)));
    hot.twin = twin;
    this.#noteTwin(id);
    return twin;
  }

  #createTwin(hot: HotSession): number {
    try {
      return openSync(hot.twinPath, TWIN_FLAGS, FILE_MODE);
    } catch (error) {
      if (!isMissing(error)) throw error;
      mkdirSync(this.#places.twins, { recursive: true, mode: 0o700 });
      return openSync(hot.twinPath, TWIN_FLAGS, FILE_MODE);
    }
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
    // Half a microsecond more, because the double is cut to whole microseconds on its way to the kernel.
    const seconds = (stamp + 0.5) / 1e6;
    futimesSync(fd, seconds, seconds);
    this.#lastStamp = stamp;
    return this.#givesWholeMicros ? Math.floor(stamp / 1e6) * 1e3 + ((stamp % 1e6) * 1e3) / 1e6 : fstatSync(fd).mtimeMs;
  }
}

/** False when one of the two is gone: another program ended the session, or somebody cleaned up. */
function exchangeIfThere(hot: HotSession): boolean {
  try {
    native?.exchange(hot.twinPath, hot.path);
    return true;
  } catch (error) {
    // Which file has which name is not known any more; the next write must not go into the wrong one.
    hot.forgetFiles();
    if (!isMissing(error)) throw error;
    return false;
  }
}

/** False when somebody saved since our last look: what he wrote has its name back then, and so it has when that cannot be found out. */
function replacedWhatWasMeant(hot: HotSession, existing: Revision): boolean {
  try {
    if (isSameRevision(statSync(hot.twinPath), existing)) return true;
  } catch (error) {
    exchangeBack(hot);
    throw error;
  }
  exchangeBack(hot);
  return false;
}

/** What lies aside now is all there is of somebody's save: it is worth a second try. */
function exchangeBack(hot: HotSession): void {
  try {
    native?.exchange(hot.twinPath, hot.path);
  } catch {
    exchangeIfThere(hot);
  }
}

/** False for what is no session: a write of ours that was cut off, say. */
function isWhole(path: string): boolean {
  try {
    layoutOf(readFileSync(path));
    return true;
  } catch (error) {
    if (error instanceof SessionError) return false;
    throw error;
  }
}

function isOutOfDescriptors(error: unknown): boolean {
  return isSystemError(error, "EMFILE") || isSystemError(error, "ENFILE");
}

function openSession(id: string, path: string): number | undefined {
  try {
    return openSync(path, READ_FLAGS);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw isSystemError(error, "ELOOP") ? unreadable(id, "is a symbolic link") : error;
  }
}

/** Closes it where that fails. */
function describeFile(fd: number): OpenFile {
  try {
    const { ino, size } = fstatSync(fd);
    return { fd, ino, size, wasRead: false };
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

function unreadable(id: string, reason: string): SessionError {
  return new SessionError("ERR_UNREADABLE", `The file of session ${id} ${reason}.`);
}
