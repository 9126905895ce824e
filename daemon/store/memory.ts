// The engine that keeps sessions in this process only: for tests of everything above it, and as the floor of benchmarks.

import { HEADER_BYTES } from "../../protocol/image/image.ts";
import { isSessionId } from "../../protocol/session-id.ts";
import type { Clock, Loaded, LockResult, Look, Revision, Saver, Staged, Store } from "./store.ts";

interface StagedImage extends Staged {
  readonly image: Buffer;
}

export class MemoryStore implements Store<StagedImage> {
  readonly directory = "";
  readonly checksOnPublish = true;
  readonly tellsRevisions = true;
  readonly fileSystem = undefined;
  /** Nobody reads what is written here. */
  readonly dialect = "3.19";
  readonly dialectInWords = undefined;
  readonly lockable: number = Number.POSITIVE_INFINITY;
  readonly #sessions = new Map<string, StagedImage>();
  #revisions = 0;

  lock(_id: string, _mayCreate: boolean): LockResult {
    return "held";
  }

  unlock(_id: string): void {}

  stat(id: string): Revision | undefined {
    return this.#sessions.get(id)?.revision;
  }

  hasLock(_id: string): boolean {
    return false;
  }

  load(id: string, _maxBytes: number): Loaded | undefined {
    const session = this.#sessions.get(id);
    return session && { image: session.image, revision: session.revision, isFleeting: false, changedMs: 0 };
  }

  stage(_id: string, image: Buffer, _existing: Revision | undefined): StagedImage {
    return { image, revision: this.#nextRevision(image.length) };
  }

  publish(id: string, staged: StagedImage): boolean {
    this.#sessions.set(id, staged);
    return true;
  }

  discard(_id: string, _staged: StagedImage): void {}

  stamp(id: string, startup: Buffer, existing: Revision): Revision {
    const image = Buffer.from(this.#sessions.get(id)?.image ?? startup);
    startup.copy(image, 0);
    const revision = this.#nextRevision(existing.size);
    this.#sessions.set(id, { image, revision });
    return revision;
  }

  remove(id: string): void {
    this.#sessions.delete(id);
  }

  wasRead(_id: string, _revision: Revision): boolean | undefined {
    return undefined;
  }

  noteForeignSave(_image: Buffer): void {}

  isOurFile(_id: string, _revision: Revision): boolean {
    return false;
  }

  look(clock: Clock): Look {
    return { atMs: clock(), isAnybodyThere: false };
  }

  whoReplaced(_id: string, _revision: Revision, _clock: Clock): Saver {
    return { mayHaveRunAt: () => true, mayHaveComeSince: () => true };
  }

  wasPublished(): boolean {
    return false;
  }

  removeLeftovers(): void {}

  removeAside(): void {}

  header(id: string): Buffer | undefined {
    return this.#sessions.get(id)?.image.subarray(0, HEADER_BYTES);
  }

  async *ids(): AsyncGenerator<string> {
    for (const id of [...this.#sessions.keys()]) if (isSessionId(id)) yield id;
  }

  checkFlushes(): void {}

  async syncStaged(_id: string): Promise<void> {}

  async syncPublished(): Promise<void> {}

  cool(_id: string): void {}

  close(): void {
    this.#sessions.clear();
  }

  #nextRevision(size: number): Revision {
    this.#revisions += 1;
    return { ino: 1, size, mtimeMs: this.#revisions };
  }
}
