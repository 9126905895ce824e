// The revisions this worker holds, bounded in bytes. A copy is used only after one stat has shown that it is still the file.

import { statSync } from "node:fs";
import type { Contents } from "./contents.ts";

const OVERHEAD_BYTES = 512;
const STAT_OPTIONS = { throwIfNoEntry: false } as const;

interface Copy {
  readonly path: string;
  readonly contents: Contents;
}

export class Cache {
  readonly #maxBytesYoung: number;
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
  }

  get directory(): string {
    return this.#directory;
  }

  /** The copy, if it is what the file holds right now. Undefined means: ask the daemon. */
  current(id: string, nowMs: number): Contents | undefined {
    const copy = this.#find(id);
    if (copy === undefined || copy.path === "") return undefined;
    const { revision } = copy.contents;
    const stat = statQuietly(copy.path);
    if (stat === undefined || stat.mtimeMs !== revision.mtimeMs) return undefined;
    if (stat.ino !== revision.ino || stat.size !== revision.size) return undefined;
    return copy.contents.isExpired(nowMs) ? undefined : copy.contents;
  }

  /** The copy, current or not. */
  peek(id: string): Contents | undefined {
    return this.#find(id)?.contents;
  }

  keep(id: string, contents: Contents): void {
    if (contents.isFleeting || bytesOf(contents) > this.#maxBytesYoung) this.drop(id);
    else this.#add(id, { path: this.#directory === "" ? "" : `${this.#directory}/${id}`, contents });
  }

  drop(id: string): void {
    const copy = this.#young.get(id);
    if (copy !== undefined) this.#bytesYoung -= bytesOf(copy.contents);
    this.#young.delete(id);
    this.#old.delete(id);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#bytesYoung = 0;
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
function statQuietly(path: string): { ino: number; size: number; mtimeMs: number } | undefined {
  try {
    return statSync(path, STAT_OPTIONS);
  } catch {
    return undefined;
  }
}
