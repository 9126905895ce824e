// The smallest engine there can be, a Map: shows what the seam asks of an engine, and that nothing above it needs more.

import type { Loaded, Revision, Staged, Store } from "../../../daemon/store/store.ts";

interface Kept extends Staged {
  readonly image: Buffer;
}

export class ToyEngine implements Store<Kept> {
  readonly checksOnPublish = true;
  readonly tellsRevisions = true;
  readonly locks = undefined;
  readonly open = undefined;
  readonly programs = undefined;
  readonly recovery = undefined;
  readonly flushes = undefined;
  readonly watch = undefined;
  readonly fileSystem = undefined;
  readonly directory = "";
  readonly nameOf = undefined;
  readonly keepsShares = true;
  readonly staysGone = false;
  readonly removeUnchanged = undefined;
  readonly strangers = undefined;
  readonly #kept = new Map<string, Kept>();
  #count = 0;

  load(id: string): Loaded | undefined {
    const kept = this.#kept.get(id);
    return kept && { ...kept, isFleeting: false, changedMs: 0 };
  }

  stat(id: string): Revision | undefined {
    return this.#kept.get(id)?.revision;
  }

  header(id: string): Buffer | undefined {
    return this.#kept.get(id)?.image.subarray(0, 16);
  }

  sizeOf(id: string): number | undefined {
    return this.#kept.get(id)?.image.length;
  }

  async *ids(): AsyncGenerator<string> {
    yield* [...this.#kept.keys()];
  }

  stage(_id: string, image: Buffer): Kept {
    this.#count += 1;
    return { image, revision: { ino: 1, size: image.length, mtimeMs: this.#count } };
  }

  publish(id: string, staged: Kept): boolean {
    this.#kept.set(id, staged);
    return true;
  }

  stamp(id: string, startup: Buffer): Revision | undefined {
    const kept = this.#kept.get(id);
    if (kept === undefined) return undefined;
    const stamped = this.stage(id, Buffer.concat([startup, kept.image.subarray(startup.length)]));
    this.publish(id, stamped);
    return stamped.revision;
  }

  remove(id: string): void {
    this.#kept.delete(id);
  }

  close(): void {
    this.#kept.clear();
  }
}
