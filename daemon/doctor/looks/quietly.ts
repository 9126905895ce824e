// Looks that leave no trace and fail quietly: what cannot be seen is undefined. The access time of a session's file is evidence of who has read it,
// so files of a root are opened in a way that does not move it, or not at all. Loads nothing of daemon/files, which an installation that is not whole
// does not have: the doctor is to say so.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";

/** Absent outside Linux. */
const O_NOATIME: number = constants.O_NOATIME ?? 0;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | O_NOATIME;

/** Undefined where the system refuses. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** A file of the machine, of `/proc` say. */
export function textOf(path: string): string | undefined {
  return attempt(() => readFileSync(path, "utf8"));
}

export function namesIn(path: string): readonly string[] {
  return attempt(() => readdirSync(path)) ?? [];
}

export function linkAt(path: string): string | undefined {
  return attempt(() => readlinkSync(path));
}

export function statAt(path: string): Stats | undefined {
  return attempt(() => lstatSync(path, { throwIfNoEntry: false }));
}

export interface QuietFile {
  readonly bytes: Buffer;
  readonly stat: Stats;
}

/** A file of a root, or its first bytes. @throws the system's error. */
export function readQuietly(path: string, most?: number): QuietFile {
  const fd = openSync(path, FLAGS);
  try {
    const stat = fstatSync(fd);
    return { bytes: most === undefined ? readFileSync(fd) : headOf(fd, most), stat };
  } finally {
    closeSync(fd);
  }
}

function headOf(fd: number, most: number): Buffer {
  const bytes = Buffer.alloc(most);
  return bytes.subarray(0, readSync(fd, bytes, 0, most, 0));
}

export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && (codes.length === 0 || codes.includes(code));
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
