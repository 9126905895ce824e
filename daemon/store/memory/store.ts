// The engine that keeps sessions in this process only: for tests of everything above it, and as the floor of benchmarks. Nobody else reads
// or writes them, and they end with the process, so it has no capability beyond the sessions themselves.

import { HEADER_BYTES } from "../../../protocol/image/image.ts";
import { isSessionId } from "../../../protocol/session-id.ts";
import type { Loaded, Revision, Staged, Store } from "../store.ts";

interface StagedImage extends Staged {
  readonly image: Buffer;
}

export class MemoryStore implements Store<StagedImage> {
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
  readonly #sessions = new Map<string, StagedImage>();
  #revisions = 0;

  load(id: string): Loaded | undefined {
    const session = this.#sessions.get(id);
    return session && { image: session.image, revision: session.revision, isFleeting: false, changedMs: 0 };
  }

  stat(id: string): Revision | undefined {
    return this.#sessions.get(id)?.revision;
  }

  header(id: string): Buffer | undefined {
    return this.#sessions.get(id)?.image.subarray(0, HEADER_BYTES);
  }

  sizeOf(id: string): number | undefined {
    return this.#sessions.get(id)?.revision.size;
  }

  async *ids(): AsyncGenerator<string> {
    for (const id of [...this.#sessions.keys()]) if (isSessionId(id)) yield id;
  }

  stage(_id: string, image: Buffer): StagedImage {
    return { image, revision: this.#nextRevision(image.length) };
  }

  publish(id: string, staged: StagedImage): boolean {
    this.#sessions.set(id, staged);
    return true;
  }

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

  close(): void {
    this.#sessions.clear();
  }

  #nextRevision(size: number): Revision {
    this.#revisions += 1;
    return { ino: 1, size, mtimeMs: this.#revisions };
  }
}
