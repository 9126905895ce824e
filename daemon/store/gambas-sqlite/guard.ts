// The guard: while a commit of ours becomes visible no other program may be inside a transaction of this database. Gambas begins to save with a read, and if
// somebody commits before it writes, its snapshot is stale: it polls for 20 s inside that same transaction, and its save is lost (README.md).
//
// A transaction holds one of the reader slots of SQLite's write-ahead log: a lock on one of the bytes 123 to 127 of `<database>-shm`. A write lock on all of
// them is refused while a transaction is open, and keeps the next one waiting, for microseconds. Node has no call for either kind that it takes:
//
//   the first slot  by a lock of the open file. It keeps our own connection out as well, which is the point. On that slot, which is for logs that are in the
//                   database as a whole, SQLite begins the log anew at the end of a commit: it gives back locks of this process and takes others, all before
//                   the commit is visible, and whoever came in there would have a snapshot that is stale.
//   the others      by a lock of the process, SQLite's own kind. Our own connection has one of them while it writes, and keeps it to the end.

import { SessionError } from "../../../protocol/errors.ts";
import { firstLine, isNotThere, Missing, requirePeer } from "./library.ts";

const PEER = "koffi";
const FIRST_SLOT = 123;
const OTHER_SLOTS = 124;
const OTHERS = 4;
/** `struct flock` and the commands of 64-bit Linux. */
const FLOCK_BYTES = 32;
const OF_PROCESS = 6;
const OF_OPEN_FILE = 37;
const WRITE_LOCK = 1;
const UNLOCK = 2;
const EAGAIN = 11;
const EACCES = 13;
const ARCHITECTURES = ["x64", "arm64", "riscv64", "loong64"];

export interface Guard {
  /** Never waits: false while another program is inside a transaction. `fd` is open for writing on `-shm`. */
  take(fd: number): boolean;
  /** Where it was taken: again those slots that SQLite itself locks and unlocks. False: another program is in one of them. */
  takeAgain(fd: number): boolean;
  release(fd: number): void;
}

export interface Koffi {
  load(path: string | null): { func(prototype: string): (fd: number, command: number, lock: Uint8Array) => number };
  errno(): number;
}

/** The guard, or why there is none. */
export function findGuard(): Guard | Missing {
  const { platform, arch } = process;
  if (platform !== "linux" || !ARCHITECTURES.includes(arch))
    return new Missing(`there is none for ${platform} on ${arch}`);
  const koffi = requirePeer<Koffi>(PEER);
  if (koffi instanceof Error) {
    const unloadable = isNotThere(koffi) ? "" : `, which is there and cannot be loaded (${firstLine(koffi)})`;
    return new Missing(`it needs the package ${PEER}${unloadable}`, `npm install ${PEER}`);
  }
  try {
    return guardBy(koffi);
  } catch (error) {
    return new Missing(`${PEER} does not find fcntl (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Exported for tests of it. */
export function guardBy(koffi: Koffi): Guard {
  const fcntl = koffi.load(null).func("int fcntl(int fd, int command, void *lock)");
  const [first, others] = [lockOn(FIRST_SLOT, 1), lockOn(OTHER_SLOTS, OTHERS)];
  const [noFirst, noOthers] = [unlocked(first), unlocked(others)];
  const take = (fd: number, command: number, lock: Buffer): boolean => {
    if (fcntl(fd, command, lock) === 0) return true;
    const errno = koffi.errno();
    if (errno === EAGAIN || errno === EACCES) return false;
    throw new SessionError("ERR_STORE", `The reader slots of a database could not be locked (error ${errno}).`);
  };
  return {
    take(fd) {
      if (!take(fd, OF_OPEN_FILE, first)) return false;
      let isTaken = false;
      try {
        isTaken = take(fd, OF_PROCESS, others);
        return isTaken;
      } finally {
        // Refused, or an error of the system (no locks left): nobody else would give the first one back.
        if (!isTaken) fcntl(fd, OF_OPEN_FILE, noFirst);
      }
    },
    takeAgain: (fd) => take(fd, OF_PROCESS, others),
    release(fd) {
      fcntl(fd, OF_PROCESS, noOthers);
      fcntl(fd, OF_OPEN_FILE, noFirst);
    },
  };
}

function lockOn(first: number, count: number): Buffer {
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(WRITE_LOCK, 0);
  lock.writeBigInt64LE(BigInt(first), 8);
  lock.writeBigInt64LE(BigInt(count), 16);
  return lock;
}

function unlocked(lock: Buffer): Buffer {
  const none = Buffer.from(lock);
  none.writeInt16LE(UNLOCK, 0);
  return none;
}
