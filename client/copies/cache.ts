// The revisions this worker holds, bounded in bytes. A copy is used only after one stat, or one fstat of a file that is kept open, has shown
// that it is still the file.

import { readFileSync, statSync } from "node:fs";
import { maxOpenFiles } from "../../protocol/places.ts";
import type { Contents, Tally } from "./contents.ts";
import { LooseCopies, Slabs } from "./loose-copies.ts";
import { type OpenFile, OpenFiles } from "./open-files.ts";

export { Contents, SHARED } from "./contents.ts";
export { Original } from "./original.ts";

/** What a copy takes besides its contents' bytes: path and id, objects, the buffer. */
const OVERHEAD_BYTES = 1024;
/** Part of the bound that is for what lies in the pool still. */
const LOOSE_PART = 1 / 8;
const STAT_OPTIONS = { throwIfNoEntry: false } as const;
/** A revision that was current so often in a row is worth keeping its file open. */
const LOOKS_BEFORE_OPEN = 4;
const MAX_OPEN_FILES = 1_024;
/** Of the files this process may have open, one in so many. */
const SHARE_OF_FILES = 8;
/** As few as any system allows: for one that does not say. */
const FEWEST_FILES = 256;

class Copy {
  readonly path: string;
  contents: Contents;
  file: OpenFile | undefined = undefined;
  /** How often its name was looked at and it was current. */
  looks = 0;

  constructor(path: string, contents: Contents) {
    this.path = path;
    this.contents = contents;
  }
}

/** Copies that age together, and the memory that they take. */
class Generation {
  readonly copies = new Map<string, Copy>();
  readonly loose: LooseCopies;
  /** Apart from it: contents that a request still has know where they were counted, long after all others are forgotten. */
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

  /** Its contents are others now, or count elsewhere. */
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
  readonly #files = new OpenFiles(shareOfFiles());
  /** Two generations: what is used moves to the young one; when that is full, it becomes the old one and the old one is forgotten. */
  #young: Generation;
  #old: Generation;
  #directory = "";

  constructor(maxBytes: number) {
    this.#maxBytesYoung = (maxBytes * (1 - LOOSE_PART)) / 2;
    this.#maxLooseSlabs = (maxBytes * LOOSE_PART) / 2 / Buffer.poolSize;
    this.#young = this.#newGeneration();
    this.#old = this.#newGeneration();
  }

  #newGeneration(): Generation {
    return new Generation(new LooseCopies(this.#slabs, this.#maxLooseSlabs));
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

  /** Memory that counts towards the bound, about. */
  get bytes(): number {
    return this.#young.bytes + this.#old.bytes;
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

  /** @param fresh buffers of theirs that were made for them: they may lie in the pool. */
  keep(id: string, contents: Contents, fresh: Iterable<Buffer | undefined>): void {
    if (contents.isFleeting || contents.bytes + OVERHEAD_BYTES > this.#maxBytesYoung) {
      this.drop(id);
      return;
    }
    for (const bytes of fresh) if (bytes !== undefined) this.#slabs.note(bytes);
    const copy = this.#young.copies.get(id);
    if (copy !== undefined) this.#replace(copy, contents);
    else {
      this.drop(id);
      const path = `${this.#directory}/${id}`;
      // An id that was cut out of a Cookie header would keep all of that header.
      this.#add(path.slice(-id.length), new Copy(this.#directory === "" ? "" : path, contents));
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
      generation.delete(id, copy);
    }
  }

  clear(): void {
    this.#young = this.#newGeneration();
    this.#old = this.#newGeneration();
    this.#files.closeAll();
  }

  #find(id: string): Copy | undefined {
    // What was decoded counts, too.
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

  /** In the place of older contents: a map whose entries are removed and added all the time costs garbage. */
  #replace(copy: Copy, contents: Contents): void {
    this.#closeFile(copy);
    copy.looks = 0;
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

/** A worker that may not stat the file (permissions, another mount) asks the daemon instead. */
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
