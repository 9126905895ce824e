// The features of the file system under a root. The daemon finds them by trying each in the very directories where it
// needs it, and by later failures. All code that reads, writes or locks asks here, and has no other way to tell. Knows
// no session.
//
// File systems differ: FUSE, gluster, ZFS and sandboxes lack the exchange of names or open-file-description locks, some
// keep times to the second, and a session directory may be a mount of its own. For each missing feature the daemon has
// another way, or a refusal that names the feature.

import {
  chmodSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { SessionError } from "../../../protocol/errors.ts";
import {
  closeDescriptor,
  isFull,
  isSystemError,
  isUnsupported,
  native,
  nativeProblem,
  removeFile,
} from "../../files/files.ts";
import type { Revision } from "../store.ts";
import { Places } from "./layout.ts";

/** Absent outside Linux. */
const O_NOATIME: number = constants.O_NOATIME ?? 0;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/**
 * `f_type` of ext2 to ext4, XFS, Btrfs, tmpfs, and of overlayfs, which writes into one of them. They copy a write into the page cache a page at
 * a time, and a kill ends it only between two pages.
 */
const WRITES_PAGES: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630]);
/** Times that are tried, since a coarse clock or rounding shows at some of them only. */
const TIME_TRIES = 64;
/** A time that is set to the first second of 1970 is not later, rounded to whatever a file system keeps. */
const LONG_AGO_MS = 10_000;

/** For each feature, the consequence of its lack in words for the operator. */
const WORDS = {
  exchange: "two names cannot be exchanged in one step: a new file takes the place of the old one, which takes longer",
  recordLocks: "files cannot be locked: sessions are written without Gambas' lock, so run no Gambas program beside it",
  quietReads: "a file cannot be read without moving its access time",
  accessTimes: "access times do not tell whether a file was read: a stale save is told by other evidence",
  times: "times of files cannot be set: workers ask the daemon at every read",
  fineTimes: "times of files are too coarse to tell revisions apart: workers ask the daemon at every read",
  inodes: "inode numbers do not stay with their files: workers ask the daemon at every read",
  unlinks: "an open file does not tell that it was deleted: its name is looked at",
  wholeWrites:
    "it is not known that a kill cannot cut a short write: a session is never written in place, which takes longer",
  sameMount: "session/ is a mount of its own: what is being written lies in session/.sessiond.twins",
} as const;

export type Feature = keyof typeof WORDS;

export class FileSystem {
  readonly #places: Places;
  readonly #onLack: (words: string) => void;
  readonly #lacks = new Map<Feature, string>();
  #wholeMicros = false;

  /** @param onLack gets the words for each feature whose lack shows after the start. */
  constructor(places: Places, onLack: (words: string) => void = () => undefined) {
    this.#places = places;
    this.#onLack = onLack;
    if (native === undefined) {
      const reason = nativeProblem ?? "no addon";
      this.#lacks.set("exchange", reason).set("recordLocks", reason);
    }
    this.#try();
  }

  has(feature: Feature): boolean {
    return !this.#lacks.has(feature);
  }

  /** Whether stat tells any two revisions of a session apart. */
  get tellsRevisions(): boolean {
    return this.has("times") && this.has("fineTimes") && this.has("inodes");
  }

  /**
   * Whether a time that `setMicros` sets comes back as exactly that microsecond: then the daemon need not read it back
   * after every write.
   */
  get givesWholeMicros(): boolean {
    return this.#wholeMicros;
  }

  /** Without the inode where inode numbers do not stay with their files: size and time must do as a revision there. */
  revisionOf({ ino, size, mtimeMs }: Revision): Revision {
    return { ino: this.has("inodes") ? ino : 0, size, mtimeMs };
  }

  /** For the status: whether the file system has each feature. */
  get report(): Record<Feature, boolean> {
    const features = Object.keys(WORDS) as Feature[];
    return Object.fromEntries(features.map((name) => [name, this.has(name)])) as Record<Feature, boolean>;
  }

  /** For the log: the words for each feature that the file system lacks. */
  get lacks(): string[] {
    return [...this.#lacks].map(([feature, reason]) => `${WORDS[feature]} (${reason})`);
  }

  /** A call has failed as it does where the feature is missing: from now on the daemon takes the other way. */
  lack(feature: Feature, error: unknown): void {
    if (!this.has(feature)) return;
    this.#note(feature, error);
    this.#onLack(`${WORDS[feature]} (${reasonOf(error)})`);
  }

  /**
   * Tries all features again, after the directories have changed: another file system may be there now. Tells new
   * lacks.
   */
  tryAgain(): void {
    const before = new Set(this.lacks);
    this.#try();
    for (const words of this.lacks) if (!before.has(words)) this.#onLack(words);
  }

  /**
   * @throws SessionError ERR_BAD_OPTION where the file system cannot flush: durability "fsync" would be an empty
   * promise.
   */
  checkFlushes(): void {
    const { sessions, twins } = this.#places;
    try {
      onFile(`${twins}/flush`, (fd) => {
        writeSync(fd, "x");
        fdatasyncSync(fd);
      });
      onOpen(sessions, constants.O_RDONLY | constants.O_DIRECTORY, fsyncSync);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      const what = `Durability "fsync" is not possible in ${sessions}: its file system does not flush (${reasonOf(error)}). Choose "file", or a root on another file system.`;
      throw new SessionError("ERR_BAD_OPTION", what, { cause: error });
    }
  }

  #note(feature: Feature, error: unknown): void {
    this.#lacks.set(feature, reasonOf(error));
  }

  #try(): void {
    prepareDirectory(this.#places.sessions, true);
    this.#tryWholeWrites();
    if (this.#tryNames() === "elsewhere") {
      this.#places.moveTwinsInside();
      this.#note("sameMount", "EXDEV");
      // The mount is read-only, say: the daemon can read sessions there, and a write tells why it fails.
      if (this.#tryNames() === "untried") return;
    }
    const { twins } = this.#places;
    checkTakesNames(twins);
    onFile(`${twins}/modification-time`, (fd) => this.#tryTimes(fd));
    onFile(`${twins}/access-time`, (fd) => this.#tryReads(fd, `${twins}/access-time`));
  }

  /** A kill cannot be tried. */
  #tryWholeWrites(): void {
    try {
      const { type } = statfsSync(this.#places.sessions);
      if (!WRITES_PAGES.has(type)) this.#note("wholeWrites", `file system 0x${type.toString(16)}`);
    } catch (error) {
      this.#note("wholeWrites", error);
    }
  }

  /**
   * "elsewhere": the sessions are on another mount than the twins. "untried": another problem, a full disk say,
   * prevents the trial; it prevents writes of sessions as well, and the first write tells it.
   */
  #tryNames(): "tried" | "elsewhere" | "untried" {
    const { twins, sessions } = this.#places;
    const [twin, session] = [`${twins}/trial`, `${sessions}/.sessiond-trial`];
    try {
      prepareDirectory(twins, false);
      onFile(twin, (fd) => {
        const { ino } = fstatSync(fd);
        renameSync(twin, session);
        if (statSync(session).ino !== ino) this.#note("inodes", "after a rename");
      });
      this.#tryExchange(twin, session);
      this.#tryLocks(session);
      this.#tryUnlink(session);
      return "tried";
    } catch (error) {
      if (isSystemError(error, "EXDEV")) return "elsewhere";
      if (isUnsupported(error) || !isSystemError(error)) throw error;
      return "untried";
    } finally {
      removeQuietly(session);
    }
  }

  /**
   * After an exchange each name must stand for the other file. Where inode numbers belong to names, the daemon could
   * not find out which file an exchange has replaced.
   */
  #tryExchange(twin: string, session: string): void {
    if (!this.has("exchange")) return;
    onFile(twin, (fd) => {
      const [ours, theirs] = [fstatSync(fd).ino, statSync(session).ino];
      try {
        native?.exchange(twin, session);
      } catch (error) {
        this.#note("exchange", error);
        return;
      }
      if (statSync(session).ino !== ours || statSync(twin).ino !== theirs)
        this.#note("exchange", "wrong inode numbers");
    });
  }

  #tryLocks(session: string): void {
    if (!this.has("recordLocks")) return;
    onOpen(session, FLAGS, (first) =>
      onOpen(session, FLAGS, (second) => {
        try {
          if (native?.tryLock(first) === false || native?.tryLock(second) === true) {
            this.#note("recordLocks", "a lock keeps nobody out");
          }
        } catch (error) {
          this.#note("recordLocks", error);
        }
      }),
    );
  }

  #tryUnlink(session: string): void {
    onFile(session, (fd) => {
      const before = fstatSync(fd).nlink;
      removeFile(session);
      const after = fstatSync(fd).nlink;
      if (before !== 1 || after !== 0) this.#note("unlinks", `link counts ${before} and ${after}`);
    });
  }

  #tryTimes(fd: number): void {
    try {
      futimesSync(fd, 1, 1);
    } catch (error) {
      this.#note("times", error);
      return;
    }
    let isFine = true;
    this.#wholeMicros = true;
    for (let at = 0; at < TIME_TRIES; at++) {
      const stamp = Date.now() * 1000 + 15_489 * at;
      setMicros(fd, stamp);
      const { mtimeMs } = fstatSync(fd);
      this.#wholeMicros &&= fstatSync(fd, { bigint: true }).mtimeNs === BigInt(stamp) * 1000n;
      setMicros(fd, stamp + 1);
      isFine &&= fstatSync(fd).mtimeMs > mtimeMs;
      if (!isFine) break;
    }
    if (!isFine) this.#note("fineTimes", "a microsecond later is the same time");
  }

  /**
   * An access time is evidence if reads of foreign writers move it and the daemon's own do not. On a mount with
   * "noatime" no read moves it.
   */
  #tryReads(fd: number, path: string): void {
    if (!this.has("times")) {
      this.#note("accessTimes", "they cannot be set");
      return;
    }
    try {
      writeSync(fd, "x");
    } catch (error) {
      if (!isFull(error)) throw error;
      // Sessions can be read there all the same, and a write tells why it fails.
      this.#note("accessTimes", error);
      return;
    }
    futimesSync(fd, 1, 1);
    if (fstatSync(fd).mtimeMs > LONG_AGO_MS) {
      this.#note("accessTimes", "setting them has no effect");
      return;
    }
    try {
      readOnce(path, O_NOATIME);
      if (wasReadSinceStamp(fd)) this.#note("quietReads", "O_NOATIME has no effect");
    } catch (error) {
      this.#note("quietReads", error);
    }
    if (!this.has("quietReads")) {
      this.#note("accessTimes", "our own reads move them");
      return;
    }
    readOnce(path, 0);
    if (!wasReadSinceStamp(fd)) this.#note("accessTimes", "reading does not move them");
  }
}

/** A feature that a file system lacks, with the consequence. */
export interface Lack {
  readonly feature: string;
  readonly words: string;
}

/** Those that a report of a daemon says are lacking. */
export function lacksIn(report: Readonly<Record<string, boolean>>): readonly Lack[] {
  return Object.entries(WORDS).flatMap(([feature, words]) => (report[feature] === false ? [{ feature, words }] : []));
}

/** What the file system of this folder lacks: makes files in it, and leaves directories behind. */
export function lacksOf(folder: string): readonly Lack[] {
  return lacksIn(new FileSystem(new Places(folder)).report);
}

/**
 * A stamp sets the access time and the modification time to the same time; only a read since then makes them differ.
 */
export function wasReadSinceStamp(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.atimeMs !== stat.mtimeMs;
}

/** Adds half a microsecond, because Node cuts the double to whole microseconds on its way to the kernel. */
export function setMicros(fd: number, micros: number): void {
  const seconds = (micros + 0.5) / 1e6;
  futimesSync(fd, seconds, seconds);
}

/**
 * Makes a directory if it is missing, and gives the daemon access to it.
 *
 * @param mayBeLink a symbolic link to a directory is left: an operator may have put the sessions elsewhere by it.
 */
export function prepareDirectory(path: string, mayBeLink: boolean): void {
  const stat = mayBeLink ? statSync(path, { throwIfNoEntry: false }) : lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) {
    const isLocked = stat.uid === process.getuid?.() && (stat.mode & DIRECTORY_MODE) !== DIRECTORY_MODE;
    if (isLocked) chmodSync(path, DIRECTORY_MODE);
    return;
  }
  if (stat !== undefined && !mayBeLink) rmSync(path);
  mkdirSync(path, DIRECTORY_MODE);
}

/** Throws where file names cannot have a colon, as every id has one: file systems made for Windows take none. */
function checkTakesNames(directory: string): void {
  onFile(`${directory}/trial`, () => undefined);
  try {
    onFile(`${directory}/trial:0`, () => undefined);
  } catch (error) {
    if (isSystemError(error, "EIO", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT")) throw error;
    const what = `The file system of ${directory} takes no file name with a colon, as every session has one (${reasonOf(error)}).`;
    throw new SessionError("ERR_BAD_ROOT", what, { cause: error });
  }
}

function readOnce(path: string, flags: number): void {
  onOpen(path, READ_FLAGS | flags, (fd) => readSync(fd, Buffer.allocUnsafe(1), 0, 1, 0));
}

/** Makes a new file, and removes it after `use`. */
function onFile(path: string, use: (fd: number) => void): void {
  rmSync(path, { recursive: true, force: true });
  try {
    onOpen(path, FLAGS, use);
  } finally {
    removeQuietly(path);
  }
}

function onOpen(path: string, flags: number, use: (fd: number) => void): void {
  const fd = openSync(path, flags, FILE_MODE);
  try {
    use(fd);
  } finally {
    closeDescriptor(fd);
  }
}

/** Any error is left: a file of a trial has no meaning, and the next trial removes it first. */
function removeQuietly(path: string): void {
  try {
    removeFile(path);
  } catch {
    // Any system error; see above.
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}
