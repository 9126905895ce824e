// When the lock of one session, which another program wants too, is left free for it. Knows no lock: it is told when ours is taken and given back.
//
// Gambas polls for its lock ten times, 0.1 s apart: it misses us all those times only if we hold the lock most of the time. Where it was
// met lately we leave it a gap of that length now and then.

const MAX_STREAK_MS = 200;
export const GAP_MS = 110;
const MEMORY_MS = 60_000;

/** Times are performance.now(), but for `nowMs`, which is the clock (Unix ms). */
export class LockGaps {
  #metMs = 0;
  /** Since our last long pause: when we first held the lock, and for how long in all. */
  #streakBeganMs = 0;
  #heldMs = 0;
  /** While the lock is ours: since when. */
  #takenMs: number | undefined;
  #releasedMs = 0;

  /** The other program had the lock, or has saved. */
  noteMet(nowMs: number): void {
    this.#metMs = nowMs;
  }

  wasMetLately(nowMs: number): boolean {
    return nowMs - this.#metMs <= MEMORY_MS;
  }

  isOwed(nowMs: number): boolean {
    if (!this.wasMetLately(nowMs) || this.#heldMs < MAX_STREAK_MS) return false;
    const sinceMs = performance.now();
    return sinceMs - this.#releasedMs < GAP_MS && this.#heldMs > (sinceMs - this.#streakBeganMs) / 2;
  }

  noteTaken(): void {
    const takenMs = performance.now();
    this.#takenMs = takenMs;
    if (takenMs - this.#releasedMs < GAP_MS) return;
    this.#streakBeganMs = takenMs;
    this.#heldMs = 0;
  }

  /** A gap is counted from when we really had the lock: looks that found none to give back would put its end off for ever. */
  noteReleased(): void {
    if (this.#takenMs === undefined) return;
    this.#releasedMs = performance.now();
    this.#heldMs += this.#releasedMs - this.#takenMs;
    this.#takenMs = undefined;
  }
}
