// The copies of sessions that this worker holds, bounded in bytes. The worker uses a copy only after one stat of the
// session's name, or one fstat of its open file, has shown that the file still has the copy's revision; of a database, after
// a look at its log.

import { readFileSync, statSync } from "node:fs";
import { maxOpenFiles } from "../../protocol/places.ts";
import type { Contents, Tally } from "./contents.ts";
import { type DatabaseCopy, type DatabaseState, Databases, type OpenDatabase } from "./databases.ts";
import { LooseCopies, Slabs } from "./loose-copies.ts";
import { type OpenFile, OpenFiles } from "./open-files.ts";
import { VersionTable } from "./version-table.ts";

export { Contents, SHARED } from "./contents.ts";
export { answeredState, type DatabaseState } from "./databases.ts";
export { Original } from "./original.ts";

/** Memory of a copy besides the bytes of its contents: path and id, objects, the buffer. */
const OVERHEAD_BYTES = 1024;
/** Part of the bound that is left for contents whose bytes still lie in Node's pool. */
const LOOSE_PART = 1 / 8;
const STAT_OPTIONS = { throwIfNoEntry: false } as const;
/**
 * After so many looks that found a copy current, its file is opened: opening costs more than the fstat saves at once.
 */
const LOOKS_BEFORE_OPEN = 4;
const MAX_OPEN_FILES = 1_024;
/** The copies take one in so many of the files that this process may open: the application needs the others. */
const SHARE_OF_FILES = 8;
/** Assumed where the system does not tell its limit: every system allows a process at least so many open files. */
const FEWEST_FILES = 256;

export interface Keeping {
  readonly contents: Contents;
  /** Of their database, which they belong to: told with them, or seen before they were asked for. */
  readonly state?: DatabaseState | undefined;
}

class Copy implements DatabaseCopy {
  readonly path: string;
  contents: Contents;
  file: OpenFile | undefined = undefined;
  /** Stats of the session's name that found these contents current. */
  looks = 0;
  state: DatabaseState | undefined;
  database: OpenDatabase | undefined = undefined;

  constructor(path: string, contents: Contents, state: DatabaseState | undefined) {
    this.path = path;
    this.contents = contents;
    this.state = state;
  }
}

/** Copies that age together, and the memory that they take. */
class Generation {
  readonly copies = new Map<string, Copy>();
  readonly loose: LooseCopies;
  /**
   * An object apart from the generation: contents that a request still uses refer to their tally, and must not keep a
   * whole forgotten generation in memory by it.
   */
  readonly #tally: Tally = { bytes: 0 };

  constructor(loose: LooseCopies) {
    this.loose = loose;
  }

  get bytes(): number {
    return this.#tally.bytes;
  }

  add(id: string, copy: Copy): void {
    this.copies.set(id, copy);
    this.count(copy);
  }

  /** Counts a copy whose contents are new, or were counted in another generation before. */
  count(copy: Copy): void {
    copy.contents.countIn(this.#tally);
    this.#tally.bytes += OVERHEAD_BYTES;
    this.loose.add(copy);
  }

  uncount(copy: Copy): void {
    copy.contents.countIn(undefined);
    this.#tally.bytes -= OVERHEAD_BYTES;
  }

  delete(id: string, copy: Copy): void {
    this.copies.delete(id);
    this.uncount(copy);
    this.loose.delete(copy);
  }
}

export class Cache {
  readonly #maxBytesYoung: number;
  readonly #maxLooseSlabs: number;
  readonly #slabs = new Slabs();
  readonly #maxFiles = shareOfFiles();
  readonly #files = new OpenFiles(this.#maxFiles);
  /**
   * A copy that is used moves from the old generation to the young one. A young generation that is full becomes the
   * old one, and the copies of the old one are forgotten.
   */
  #young: Generation;
  #old: Generation;
  #directory = "";
  #versions: VersionTable | undefined;
  /** Undefined: the sessions are in none. */
  #databases: Databases | undefined;

  constructor(maxBytes: number) {
    this.#maxBytesYoung = (maxBytes * (1 - LOOSE_PART)) / 2;
    this.#maxLooseSlabs = (maxBytes * LOOSE_PART) / 2 / Buffer.poolSize;
    this.#young = this.#newGeneration();
    this.#old = this.#newGeneration();
  }

  #newGeneration(): Generation {
    return new Generation(new LooseCopies(this.#slabs, this.#maxLooseSlabs));
  }

  /**
   * Where the session files are; "": the daemon keeps no files that a stat could look at, so no copy is current by itself.
   */
  set directory(directory: string) {
    if (directory === this.#directory) return;
    this.#directory = directory;
    this.clear();
    this.#files.directory = directory;
  }

  /** Where the daemon says which versions are current, if it does; each daemon has a table of its own. */
  set versions(path: string | undefined) {
    this.#versions?.close();
    this.#versions = path === undefined ? undefined : VersionTable.open(path);
  }

  /** Where the databases of the sessions are; undefined: nothing may be looked at there, for now. */
  set databases(directory: string | undefined) {
    if (directory === undefined) this.#databases?.pause();
    else if (directory === this.#databases?.directory) this.#databases.resume();
    else {
      this.clear();
      this.#databases = new Databases(directory, this.#maxFiles);
    }
  }

  /** The state of a session's database now, to be kept with contents that are asked for afterwards. */
  look(id: string, nowMs: number): DatabaseState | undefined {
    if (this.#databases === undefined) return undefined;
    const database = this.#find(id)?.database;
    return this.#databases.look(this.#databases.pathOf(id), database, nowMs);
  }

  /** The estimated memory of all copies, which counts towards the bound. */
  get bytes(): number {
    return this.#young.bytes + this.#old.bytes;
  }

  /** The contents of the copy, if the file has its revision right now. Undefined: the daemon must be asked. */
  current(id: string, nowMs: number): Contents | undefined {
    const copy = this.#find(id);
    if (copy === undefined) return undefined;
    if (copy.path === "") return this.#currentVersion(id, copy.contents);
    const isCurrent =
      this.#databases === undefined
        ? copy.file?.isCurrent(nowMs) === true || this.#look(copy, nowMs)
        : this.#databases.isCurrent(copy, nowMs);
    return isCurrent && !copy.contents.isExpired(nowMs) ? copy.contents : undefined;
  }

  /** The same for sessions that are in no files. */
  #currentVersion(id: string, contents: Contents): Contents | undefined {
    const nowMs = this.#versions?.timeOf(id, contents.revision.mtimeMs);
    return nowMs !== undefined && !contents.isExpired(nowMs) ? contents : undefined;
  }

  /** Whether a stat of the session's name shows the revision of the copy. */
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

  #closeFile(copy: Copy): void {
    if (copy.file === undefined) return;
    this.#files.close(copy.file);
    copy.file = undefined;
  }

  /** The contents of the copy, current or not. */
  peek(id: string): Contents | undefined {
    return this.#find(id)?.contents;
  }

  /** @param fresh the buffers that were made for these contents: they may lie in Node's pool. */
  keep(id: string, { contents, state }: Keeping, fresh: Iterable<Buffer | undefined>): void {
    if (contents.isFleeting || contents.bytes + OVERHEAD_BYTES > this.#maxBytesYoung) {
      this.drop(id);
      return;
    }
    for (const bytes of fresh) if (bytes !== undefined) this.#slabs.note(bytes);
    const copy = this.#young.copies.get(id);
    if (copy !== undefined) this.#replace(copy, contents, state);
    else {
      this.drop(id);
      const path = `${this.#directory}/${id}`;
      // The key is cut out of the path: an id that was cut out of a Cookie header would keep the whole header in
      // memory.
      const key = path.slice(-id.length);
      const ofFile = this.#directory === "" ? "" : path;
      this.#add(key, new Copy(this.#databases?.pathOf(key) ?? ofFile, contents, state));
    }
    if (this.#young.bytes > this.#maxBytesYoung) this.#age();
    this.#old.loose.settleSome();
    this.#young.loose.settleSome();
  }

  drop(id: string): void {
    for (const generation of [this.#young, this.#old]) {
      const copy = generation.copies.get(id);
      if (copy === undefined) continue;
      this.#closeFile(copy);
      this.#databases?.close(copy);
      generation.delete(id, copy);
    }
  }

  clear(): void {
    this.#young = this.#newGeneration();
    this.#old = this.#newGeneration();
    this.#files.closeAll();
    this.#databases?.closeAll();
  }

  #find(id: string): Copy | undefined {
    // A young generation grows without `keep`, too: values that requests have decoded count.
    if (this.#young.bytes > this.#maxBytesYoung) this.#age();
    const young = this.#young.copies.get(id);
    if (young !== undefined) return young;
    const old = this.#old.copies.get(id);
    if (old === undefined) return undefined;
    this.#old.delete(id, old);
    if (old.contents.bytes + OVERHEAD_BYTES > this.#maxBytesYoung) old.contents.shed();
    this.#add(id, old);
    return old;
  }

  /**
   * The copy stays in its map and gets other contents: a map whose entries are removed and added again makes garbage.
   */
  #replace(copy: Copy, contents: Contents, state: DatabaseState | undefined): void {
    this.#closeFile(copy);
    // The file of a database stays what it is, whatever is committed.
    if (this.#databases === undefined) copy.looks = 0;
    copy.state = state;
    this.#young.uncount(copy);
    copy.contents = contents;
    this.#young.count(copy);
  }

  #add(id: string, copy: Copy): void {
    if (this.#young.bytes + copy.contents.bytes + OVERHEAD_BYTES > this.#maxBytesYoung) this.#age();
    this.#young.add(id, copy);
  }

  #age(): void {
    this.#old = this.#young;
    this.#young = this.#newGeneration();
  }
}

/**
 * Undefined for any error: a worker that may not stat the file (permissions, another mount) asks the daemon instead.
 */
function statQuietly(path: string): { ino: number; size: number; mtimeMs: number; ctimeMs: number } | undefined {
  try {
    return statSync(path, STAT_OPTIONS);
  } catch {
    return undefined;
  }
}

function shareOfFiles(): number {
  const files = maxOpenFiles((path) => readFileSync(path, "latin1")) ?? FEWEST_FILES;
  return Math.min(MAX_OPEN_FILES, Math.floor(files / SHARE_OF_FILES));
}
