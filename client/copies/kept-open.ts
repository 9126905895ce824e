// What a worker keeps open because requests ask for it again and again: so many at most, and nothing that nobody has asked for lately.

import { runOutside } from "../scope.ts";

/**
 * What no request has asked for in so long is closed: the session may have ended, and the file system frees an inode only when the last program has
 * closed it.
 */
const IDLE_MS = 5_000;

export interface Kept {
  /** Whether a request has asked for it since the last call. */
  takeUse(): boolean;
  close(): void;
}

export class KeptOpen<T extends Kept> {
  readonly #max: number;
  readonly #kept = new Set<T>();
  #idleCheck: NodeJS.Timeout | undefined;

  /** @param max how many may be open at once. */
  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#kept.size;
  }

  get hasRoom(): boolean {
    return this.#kept.size < this.#max;
  }

  add(one: T): void {
    this.#kept.add(one);
    this.#idleCheck ??= runOutside(() => setInterval(() => this.closeIdle(), IDLE_MS).unref());
  }

  close(one: T): void {
    this.#kept.delete(one);
    one.close();
    if (this.#kept.size > 0) return;
    clearInterval(this.#idleCheck);
    this.#idleCheck = undefined;
  }

  /** Closes what no request has asked for since the last call. */
  closeIdle(): void {
    for (const one of this.#kept) if (!one.takeUse()) this.close(one);
  }

  closeAll(): void {
    for (const one of this.#kept) this.close(one);
  }
}
