// The guard: while a commit of ours becomes visible no other program may be inside a transaction of this database. Gambas begins to save with a read, and if
// somebody commits before it writes, its snapshot is stale: it polls for 20 s inside that same transaction, and its save is lost (README.md).
//
// A transaction holds one of the reader slots of SQLite's write-ahead log: a lock on one of the bytes 123 to 127 of `<database>-shm`. A write lock on all of
// them is refused while a transaction is open, and keeps the next one waiting, for microseconds. It must be SQLite's own kind of lock and of the same process,
// which Node has no call for: an open-file-description lock, the kind of our other locks, would meet the slots of our own connection.

import { SessionError } from "../../../protocol/errors.ts";
import { firstLine, isNotThere, Missing, requirePeer } from "./library.ts";

const PEER = "koffi";
const FIRST_SLOT = 123;
const SLOTS = 5;
/** `struct flock` and the commands of 64-bit Linux. */
const FLOCK_BYTES = 32;
const F_SETLK = 6;
const WRITE_LOCK = 1;
const UNLOCK = 2;
const EAGAIN = 11;
const EACCES = 13;
const ARCHITECTURES = ["x64", "arm64", "riscv64", "loong64"];

export interface Guard {
  /** Never waits: false while another program is inside a transaction. `fd` is open for writing on `-shm`. */
  take(fd: number): boolean;
  release(fd: number): void;
}

interface Koffi {
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

function guardBy(koffi: Koffi): Guard {
  const fcntl = koffi.load(null).func("int fcntl(int fd, int command, void *lock)");
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeBigInt64LE(BigInt(FIRST_SLOT), 8);
  lock.writeBigInt64LE(BigInt(SLOTS), 16);
  const set = (fd: number, type: number): number => {
    lock.writeInt16LE(type, 0);
    return fcntl(fd, F_SETLK, lock);
  };
  return {
    take(fd) {
      if (set(fd, WRITE_LOCK) === 0) return true;
      const errno = koffi.errno();
      if (errno === EAGAIN || errno === EACCES) return false;
      throw new SessionError("ERR_STORE", `The reader slots of a database could not be locked (error ${errno}).`);
    },
    release(fd) {
      set(fd, UNLOCK);
    },
  };
}
