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
  readonly #maxBytes: number;
  /** In the order of use, as far as it matters. */
  readonly #copies = new Map<string, Copy>();
  #bytes = 0;
  #directory = "";

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
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
    const copy = this.#copies.get(id);
    if (copy === undefined || copy.path === "") return undefined;
    const { revision } = copy.contents;
    const stat = statQuietly(copy.path);
    if (stat === undefined || stat.mtimeMs !== revision.mtimeMs) return undefined;
    if (stat.ino !== revision.ino || stat.size !== revision.size) return undefined;
    return copy.contents.isExpired(nowMs) ? undefined : copy.contents;
  }

  /** The copy, current or not. */
  peek(id: string): Contents | undefined {
    return this.#copies.get(id)?.contents;
  }

  keep(id: string, contents: Contents): void {
    this.drop(id);
    if (contents.isFleeting || contents.revision.size + OVERHEAD_BYTES > this.#maxBytes) return;
    this.#copies.set(id, { path: this.#directory === "" ? "" : `${this.#directory}/${id}`, contents });
    this.#bytes += contents.revision.size + OVERHEAD_BYTES;
    while (this.#bytes > this.#maxBytes) this.#dropOldest();
  }

  drop(id: string): void {
    const copy = this.#copies.get(id);
    if (copy === undefined) return;
    this.#copies.delete(id);
    this.#bytes -= copy.contents.revision.size + OVERHEAD_BYTES;
  }

  clear(): void {
    this.#copies.clear();
    this.#bytes = 0;
  }

  #dropOldest(): void {
    for (const id of this.#copies.keys()) {
      this.drop(id);
      return;
    }
    this.#bytes = 0;
  }
}

/** A worker that may not stat the file (permissions, another mount) asks the daemon instead. */
function statQuietly(path: string): { ino: number; size: number; mtimeMs: number } | undefined {
  try {
    return statSync(path, STAT_OPTIONS);
  } catch {
    return undefined;
  }
}
