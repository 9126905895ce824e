// One daemon per root and type. The election lock is proper-lockfile's (a directory, `<root>/sessiond.lock`); beside it the daemon keeps a record
// lock on `<root>/sessiond.pid`, which the kernel drops the moment the process dies. So a lock directory left by a killed daemon is known
// to be stale at once, and a lock directory whose owner is only stalled is never taken: at no time are there two daemons.
//
// One daemon leaves while another one is being elected:
//   1. The new one opens the pid file and finds its record lock held.
//   2. The old one removes the lock directory, then the name of the pid file, and at last closes the file, with which its record lock goes.
//   3. The new one gets the record lock of a file that has no name any more: it sees that and begins again, with a file of its own.

import * as fs from "node:fs";
import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { lock as lockFile } from "proper-lockfile";
import { daemonPath, type Places } from "../../protocol/places.ts";
import { isFull, isMissing, isSystemError, isUnsupported, native } from "../files/files.ts";
import { electedPid, pathOfPid } from "../peer/peer.ts";

// Node ignores this signal, so that a write beyond a limit is answered with EFBIG. proper-lockfile's signal-exit listens to it, and would end the
// process, if nobody else did.
process.on("SIGXFSZ", () => undefined);

/** How long a lock directory is believed where record locks are not to be had. */
const STALE_MS = 10_000;
const UPDATE_MS = 3_000;
/** How long a daemon that was killed may take to end: its threads go one after the other. */
const ENDING_MS = 5_000;
const ENDING_PAUSE_MS = 2;
/** Signal 9 in the masks of `/proc/<pid>/status`. */
const SIGKILL_BIT = 0x100n;

export interface Election {
  /** False once the pid file is not the one that was locked: somebody replaced or removed it, or the root. */
  readonly isStillOurs: () => boolean;
  readonly resign: () => Promise<void>;
}

/**
 * Resolves to undefined when another daemon of this type has the root. Waits only for a daemon that was killed and has not ended yet. `onLost` is called
 * when the lock directory is taken from this daemon afterwards: it may write nothing any more.
 */
export async function elect(
  places: Pick<Places, "root" | "type">,
  onLost: (reason: string) => void,
): Promise<Election | undefined> {
  const pidPath = pathOfPid(places);
  const lockPath = daemonPath(places, ".lock");
  const deadlineMs = performance.now() + ENDING_MS;
  for (let before: Holder = "there"; ; ) {
    const fd = openSync(pidPath, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    let unlock: Unlock | undefined;
    let isElected = false;
    try {
      let { ino } = fstatSync(fd);
      const isStillOurs = (): boolean => statSync(pidPath, { throwIfNoEntry: false })?.ino === ino;
      const recordLock = takeRecordLock(fd, pidPath);
      const release = recordLock === "busy" ? undefined : await takeLock(recordLock, { lockPath, isStillOurs, onLost });
      unlock = release;
      if (release !== undefined && recordLock === "none") ino = renewPidFile(pidPath);
      if (release === undefined) {
        const holder = lookAtHolder(places);
        if (holder === "there" || performance.now() > deadlineMs) return undefined;
        // The holder went between the two looks; or it is a process that cannot be seen from here (another pid namespace) and holds its lock.
        if (holder === "gone" && before === "gone") return undefined;
        before = holder;
      } else if (isStillOurs()) {
        // Otherwise step 3 of the head comment has happened.
        tellPid(pidPath);
        isElected = true;
        return { isStillOurs, resign: () => resign({ pidPath, fd, unlock: release, isStillOurs }) };
      }
    } finally {
      if (!isElected) {
        await unlock?.();
        closeSync(fd);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, ENDING_PAUSE_MS));
  }
}

/** On a full disk nobody is told which process it is: what makes the daemon the only one is the lock. */
function tellPid(pidPath: string): void {
  try {
    fs.writeFileSync(pidPath, `${process.pid}\n`);
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** "ending": the holder was killed. Its locks stay until the last of its threads has gone, on a busy machine some 50 ms later. */
type Holder = "there" | "ending" | "gone";

function lookAtHolder(places: Pick<Places, "root" | "type">): Holder {
  const pid = electedPid(places);
  if (pid === undefined) return "there";
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const pending = status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm);
    const isKilled = [...pending].some(([, mask]) => (BigInt(`0x${mask}`) & SIGKILL_BIT) !== 0n);
    return isKilled || /^State:\s*[ZX]/m.test(status) ? "ending" : "there";
  } catch (error) {
    return isSystemError(error, "ENOENT", "ESRCH") ? "gone" : "there";
  }
}

interface Office {
  readonly pidPath: string;
  readonly fd: number;
  readonly unlock: Unlock;
  readonly isStillOurs: () => boolean;
}

/** Step 2 of the head comment: the name goes before the record lock. */
async function resign({ pidPath, fd, unlock, isStillOurs }: Office): Promise<void> {
  try {
    await unlock();
    if (isStillOurs()) rmSync(pidPath, { force: true });
  } finally {
    closeSync(fd);
  }
}

interface Candidate {
  readonly lockPath: string;
  readonly isStillOurs: () => boolean;
  readonly onLost: (reason: string) => void;
}

/** "none": files cannot be locked here, or the lock keeps nobody out. */
type RecordLock = "held" | "busy" | "none";

function takeRecordLock(fd: number, path: string): RecordLock {
  if (native === undefined) return "none";
  try {
    if (!native.tryLock(fd)) return "busy";
    return keepsOthersOut(native, fd, path) ? "held" : "none";
  } catch (error) {
    if (isUnsupported(error) || isSystemError(error, "ENOLCK")) return "none";
    throw error;
  }
}

/** Tried on the file that has the name, if that is still ours: of one that has none any more our lock is as good as any. */
function keepsOthersOut({ tryLock }: NonNullable<typeof native>, fd: number, path: string): boolean {
  let second: number;
  try {
    second = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
  try {
    return fstatSync(second).ino !== fstatSync(fd).ino || !tryLock(second);
  } finally {
    closeSync(second);
  }
}

/** Without a record lock a daemon that was stalled may still believe in its place: it looks for the inode of its pid file before it writes. */
function renewPidFile(path: string): number {
  const aside = `${path}.new`;
  fs.writeFileSync(aside, "", { mode: 0o600 });
  fs.renameSync(aside, path);
  return statSync(path).ino;
}

async function takeLock(recordLock: RecordLock, candidate: Candidate): Promise<Unlock | undefined> {
  const first = await takeLockFile(candidate);
  if (first !== undefined || recordLock === "none") return first;
  // This process holds the record lock, so the daemon that made this directory is dead.
  rmSync(candidate.lockPath, { recursive: true, force: true });
  return takeLockFile(candidate);
}

type Unlock = () => Promise<void>;

async function takeLockFile({ lockPath, isStillOurs, onLost }: Candidate): Promise<Unlock | undefined> {
  try {
    const release = await lockFile(lockPath.replace(/\.lock$/, ""), {
      fs: removingOnlyIf(isStillOurs),
      realpath: false,
      lockfilePath: lockPath,
      stale: STALE_MS,
      update: UPDATE_MS,
      retries: 0,
      onCompromised: (error) => onLost(error.message),
    });
    return () => releaseQuietly(release);
  } catch (error) {
    if (isSystemError(error, "ELOCKED")) return undefined;
    throw error;
  }
}

/** proper-lockfile removes the lock directory by its name, also at the end of the process, and by then it may be another daemon's. */
function removingOnlyIf(isStillOurs: () => boolean): typeof fs {
  const rmdir = (path: string, done: fs.NoParamCallback): void => {
    try {
      if (isStillOurs()) fs.rmdir(path, done);
      else done(null);
    } catch (error) {
      done(error as NodeJS.ErrnoException);
    }
  };
  const rmdirSync = (path: string): void => {
    if (isStillOurs()) fs.rmdirSync(path);
  };
  return { ...fs, rmdir: rmdir as typeof fs.rmdir, rmdirSync: rmdirSync as typeof fs.rmdirSync };
}

/** A lock that was lost meanwhile cannot be given back; any other failure is an error. */
async function releaseQuietly(release: Unlock): Promise<void> {
  try {
    await release();
  } catch (error) {
    if (!isSystemError(error, "ERELEASED", "ENOTACQUIRED")) throw error;
  }
}
