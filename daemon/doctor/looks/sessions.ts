// Looks at the files in `session/`: whether each can be read as a session of the type that is asked for, by whom, and what else lies there. Decodes no value,
// takes no lock, opens no database, and moves no access time.

import { type Dir, opendirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { SessionError } from "../../../protocol/errors.ts";
import { imageOfFile, layoutOf, startupMs } from "../../../protocol/image/image.ts";
import { idOfDatabase, isSessionId } from "../../../protocol/session-id.ts";
import { spanText } from "../../cli/terminal/figures.ts";
import type { Oddity, OtherSessions, SessionFacts } from "../checks/checks.ts";
import { HEAD_BYTES, problemOfDatabase } from "./databases.ts";
import { isSystemError, type QuietFile, readQuietly, reasonOf, statAt } from "./quietly.ts";

/** A look takes a second at most; of more sessions it is told how many were read. */
const MAX_READ = 5_000;
const MAX_READ_BYTES = 64 * 1024 * 1024;
/** As the setting `maxSessionBytes` is by default: what a daemon reads. */
const MAX_SESSION_BYTES = 32 * 1024 * 1024;
/** Clocks of programs differ by less. */
const FUTURE_MS = 60_000;
/** A file that another one takes the place of while it is read is read again, so often. */
const MAX_TRIES = 5;
const OWNERS_BITS = 0o600;
/** Cookie paths that are told apart. */
const MAX_PATHS = 20;
/** What Gambas and daemons put there besides sessions. */
const KNOWN = /\.lock$|^_unique_lock\.db$|\.db-(?:journal|wal|shm)$|^\.unique\.lock$|^\.sessiond/;
/** Sessions of another type that are named. */
const MAX_NAMES = 10;

/** Those that have a file for each session in `session/`. */
type FileType = OtherSessions["type"];

type Found = {
  -readonly [K in keyof SessionFacts]: SessionFacts[K] extends readonly Oddity[] ? Oddity[] : SessionFacts[K];
};

export interface Directory {
  readonly facts: SessionFacts;
  readonly others: Omit<OtherSessions, "isServed">;
}

/** Whose files are looked for. */
export interface Wanted {
  readonly type: FileType;
  /** Whose the root is. */
  readonly uid: number;
  readonly nowMs: number;
}

/** Of a root that is no directory. */
export function noDirectory(type: FileType): Directory {
  return { facts: nothingFound(), others: noOthers(type) };
}

export function lookAtSessions(root: string, wanted: Wanted): Directory {
  const visitor = new Visitor(join(root, "session"), wanted);
  let directory: Dir | undefined;
  try {
    directory = opendirSync(join(root, "session"), { bufferSize: 256 });
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) visitor.visit(entry.name);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (!isSystemError(error, "ENOENT")) visitor.found.problem = reasonOf(error);
  }
  directory?.closeSync();
  return { facts: { ...visitor.found, cookiePaths: [...visitor.cookiePaths] }, others: visitor.others };
}

function nothingFound(): Found {
  const none = { damaged: [], foreign: [], barred: [], noFiles: [], strays: [], future: [] };
  return { ...none, problem: "", count: 0, read: 0, cookiePaths: [] };
}

function noOthers(type: FileType) {
  const other: FileType = type === "file" ? "sqlite" : "file";
  return { type: other, count: 0, names: [] as string[], usedMs: undefined as number | undefined };
}

/** The type whose sessions have such names. */
function typeOf(name: string): FileType | undefined {
  if (isSessionId(name)) return "file";
  return idOfDatabase(name) === undefined ? undefined : "sqlite";
}

class Visitor {
  readonly found: Found = nothingFound();
  readonly cookiePaths = new Set<string>();
  readonly others: ReturnType<typeof noOthers>;
  readonly #folder: string;
  readonly #wanted: Wanted;
  #readBytes = 0;

  constructor(folder: string, wanted: Wanted) {
    this.#folder = folder;
    this.#wanted = wanted;
    this.others = noOthers(wanted.type);
  }

  visit(name: string): void {
    const type = typeOf(name);
    if (type === this.#wanted.type) this.#visitSession(name);
    else if (type !== undefined) this.#noteOther(name);
    else if (!KNOWN.test(name)) this.found.strays.push({ name, why: "no session" });
  }

  /** A commit to a database moves the time of its log, and that of the database only when it is brought there. */
  #noteOther(name: string): void {
    const { others } = this;
    others.count += 1;
    if (others.names.length < MAX_NAMES) others.names.push(name);
    if (others.count > MAX_READ) return;
    for (const path of [name, `${name}-wal`]) {
      const { mtimeMs = Number.NEGATIVE_INFINITY } = statAt(join(this.#folder, path)) ?? {};
      if (mtimeMs > (others.usedMs ?? 0)) others.usedMs = mtimeMs;
    }
  }

  #visitSession(name: string): void {
    const { found } = this;
    found.count += 1;
    if (found.read >= MAX_READ || this.#readBytes > MAX_READ_BYTES) return;
    const stat = statAt(join(this.#folder, name));
    // It has ended this very moment.
    if (stat === undefined) return;
    found.read += 1;
    if (!stat.isFile()) found.noFiles.push({ name, why: kindOf(stat) });
    else if (stat.uid !== this.#wanted.uid) found.foreign.push({ name, why: `user ${stat.uid}` });
    else if ((stat.mode & OWNERS_BITS) !== OWNERS_BITS)
      found.barred.push({ name, why: `mode ${(stat.mode & 0o7777).toString(8).padStart(4, "0")}` });
    // What counts of a database is in it.
    else if (stat.size > MAX_SESSION_BYTES && this.#wanted.type === "file")
      found.damaged.push({ name, why: `${stat.size} bytes` });
    else this.#read(name);
  }

  #read(name: string): void {
    const path = join(this.#folder, name);
    for (let left = MAX_TRIES; left > 0; left--) {
      const file = openedAt(path, this.#wanted.type === "file" ? undefined : HEAD_BYTES);
      if (file === undefined) return;
      const why = typeof file === "string" ? file : this.#note(name, file);
      if (why === undefined) return;
      // A daemon writes into what it has just replaced: only what still has the name is damaged.
      const isDamaged = left === 1 || typeof file === "string" || isStill(statAt(path), file.stat);
      if (!isDamaged) continue;
      this.found.damaged.push({ name, why: why.replace(/\.$/, "") });
      return;
    }
  }

  /** Returns why it is no session. */
  #note(name: string, { bytes, stat }: QuietFile): string | undefined {
    this.#readBytes += bytes.length;
    if (this.#wanted.type === "sqlite") {
      const hasLog = statAt(join(this.#folder, `${name}-wal`)) !== undefined;
      return problemOfDatabase(bytes, stat.size, hasLog);
    }
    try {
      imageOfFile(bytes);
      const { cookiePath } = layoutOf(bytes);
      if (cookiePath !== "" && this.cookiePaths.size < MAX_PATHS) this.cookiePaths.add(cookiePath);
      const aheadMs = startupMs(bytes) - this.#wanted.nowMs;
      if (aheadMs > FUTURE_MS) this.found.future.push({ name, why: `in ${spanText(aheadMs / 1000)}` });
      return undefined;
    } catch (error) {
      if (error instanceof SessionError) return error.what.replace(/^The stored session cannot be read: /, "");
      throw error;
    }
  }
}

/** What it holds, or why it cannot be read; undefined where it has ended this very moment. */
function openedAt(path: string, most: number | undefined): QuietFile | string | undefined {
  try {
    return readQuietly(path, most);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return isSystemError(error, "ENOENT") ? undefined : reasonOf(error);
  }
}

function isStill(now: Stats | undefined, then: Stats): boolean {
  return now?.ino === then.ino && now.size === then.size && now.mtimeMs === then.mtimeMs;
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return "a directory";
  if (stat.isSymbolicLink()) return "a link";
  return stat.isSocket() ? "a socket" : stat.isFIFO() ? "a pipe" : "a device";
}
