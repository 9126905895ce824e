// The revisions this worker holds, bounded in bytes. A copy is used only after one stat, or one fstat of a file that is kept open, has shown
// that it is still the file.

import { readFileSync, statSync } from "node:fs";
import type { Contents } from "./contents.ts";
import { type OpenFile, OpenFiles } from "./open-files.ts";

const OVERHEAD_BYTES = 512;
const STAT_OPTIONS = { throwIfNoEntry: false } as const;
/** A revision that was current so often in a row is worth keeping its file open. */
const LOOKS_BEFORE_OPEN = 4;
const MAX_OPEN_FILES = 1_024;
/** Of the files this process may have open, one in so many. */
const SHARE_OF_FILES = 8;

class Copy {
  readonly path: string;
  readonly contents: Contents;
  file: OpenFile | undefined = undefined;
  /** How often its name was looked at and it was current. */
  looks = 0;

  constructor(path: string, contents: Contents) {
    this.path = path;
    this.contents = contents;
  }
}

export class Cache {
  readonly #maxBytesYoung: number;
  readonly #files = new OpenFiles(Math.min(MAX_OPEN_FILES, Math.floor(maxOpenFiles() / SHARE_OF_FILES)));
  /** Two generations: what is used moves to the young one; when that is full, it becomes the old one and the old one is forgotten. */
  #young = new Map<string, Copy>();
  #old = new Map<string, Copy>();
  #bytesYoung = 0;
  #directory = "";

  constructor(maxBytes: number) {
    this.#maxBytesYoung = maxBytes / 2;
  }

  /** Where the session files are; "": there are none to stat, so nothing here is ever current. */
  set directory(directory: string) {
    if (directory === this.#directory) return;
    this.#directory = directory;
    this.clear();
    this.#files.directory = directory;
  }

  get directory(): string {
    return this.#directory;
  }

  /** The copy, if it is what the file holds right now. Undefined means: ask the daemon. */
  current(id: string, nowMs: number): Contents | undefined {
    const copy = this.#find(id);
    if (copy === undefined || copy.path === "") return undefined;
    const isCurrent = copy.file?.isCurrent(nowMs) === true || this.#look(copy, nowMs);
    return isCurrent && !copy.contents.isExpired(nowMs) ? copy.contents : undefined;
  }

  /** By its name. */
  #look(copy: Copy, nowMs: number): boolean {
    const { revision } = copy.contents;
    const stat = statQuietly(copy.path);
    if (stat === undefined || stat.mtimeMs !== revision.mtimeMs) return false;
    if (stat.ino !== revision.ino || stat.size !== revision.size) return false;
    if (copy.file?.noteLook(stat.ctimeMs, nowMs) === false) this.#closeFile(copy);
    copy.looks += 1;
    if (copy.file === undefined && copy.looks >= LOOKS_BEFORE_OPEN && this.#files.hasUseFor(stat.ctimeMs, nowMs)) {
      copy.file = this.#files.open(copy.path, revision, nowMs);
    }
    return true;
  }

  #closeFile(copy: Copy | undefined): void {
    if (copy?.file === undefined) return;
    this.#files.close(copy.file);
    copy.file = undefined;
  }

  /** The copy, current or not. */
  peek(id: string): Contents | undefined {
    return this.#find(id)?.contents;
  }

  keep(id: string, contents: Contents): void {
    if (contents.isFleeting || bytesOf(contents) > this.#maxBytesYoung) this.drop(id);
    else this.#add(id, new Copy(this.#directory === "" ? "" : `${this.#directory}/${id}`, contents));
  }

  drop(id: string): void {
    const copy = this.#young.get(id);
    if (copy !== undefined) this.#bytesYoung -= bytesOf(copy.contents);
    this.#closeFile(copy ?? this.#old.get(id));
    this.#young.delete(id);
    this.#old.delete(id);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#bytesYoung = 0;
    this.#files.closeAll();
  }

  #find(id: string): Copy | undefined {
    const young = this.#young.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(id);
    if (old !== undefined) this.#add(id, old);
    return old;
  }

  /** In the place of an older copy: a map whose entries are removed and added all the time costs garbage. */
  #add(id: string, copy: Copy): void {
    const older = this.#young.get(id);
    if (older !== copy) this.#closeFile(older);
    this.#bytesYoung += bytesOf(copy.contents) - (older === undefined ? 0 : bytesOf(older.contents));
    if (this.#bytesYoung > this.#maxBytesYoung) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bytesYoung = bytesOf(copy.contents);
    }
    this.#young.set(id, copy);
  }
}

function bytesOf(contents: Contents): number {
  return contents.revision.size + OVERHEAD_BYTES;
}

/** A worker that may not stat the file (permissions, another mount) asks the daemon instead. */
function statQuietly(path: string): { ino: number; size: number; mtimeMs: number; ctimeMs: number } | undefined {
  try {
    return statSync(path, STAT_OPTIONS);
  } catch {
    return undefined;
  }
}

/** Files this process may have open; where the system does not say, as few as any system allows. */
function maxOpenFiles(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return soft === undefined ? 256 : Number(soft);
  } catch {
    return 256;
  }
}
