// When a session was put into the index of its prefix last. It is put there when it is made, and again some times in its life, as long as it is used: the
// index itself is forgotten when nobody has used it for long.

import { timeoutSeconds } from "../../../protocol/image/image.ts";

/** So often in its life time. */
const PARTS = 4;

export class IndexPlace {
  readonly #put: (timeoutSeconds: number) => Promise<void>;
  /** By Redis' clock. */
  #keptMs = Number.NEGATIVE_INFINITY;

  constructor(put: (timeoutSeconds: number) => Promise<void>) {
    this.#put = put;
  }

  /** The session was used. @param isNew whoever made it puts it there. */
  keep(image: Buffer, nowMs: number, isNew: boolean): void {
    const before = this.#keptMs;
    const seconds = timeoutSeconds(image);
    if (!isNew && nowMs - before < (1000 * seconds) / PARTS) return;
    this.#keptMs = nowMs;
    if (isNew) return;
    this.#put(seconds).catch(() => {
      // Whatever the reason: the next use tries again.
      this.#keptMs = before;
    });
  }
}
