// The visits of programs: of every one the look at which it was not there yet, and of those that have left the look at which they were gone.
// Made of looks alone and told the time of each, so it knows no clock and no file. Bounded; a visit it does not know of may have been.
//
// Both times are on the safe side: a program came after the one and left before the other. So a yes may be wrong, a no never is.

/** Programs that leave within this time count as one: there may be hundreds a second. */
const TOGETHER_MS = 50;
const MAX_LEFT = 4096;

/** Programs that left about the same time: when the first of them came, at the earliest, and when the last had left, at the latest. */
interface Left {
  cameMs: number;
  readonly firstLeftMs: number;
  leftMs: number;
}

export class Visits {
  /** Name -> the last look at which it was not there. */
  readonly #there = new Map<string, number>();
  /** In the order in which they left. */
  readonly #left: Left[] = [];
  /** Visits before this are not known. */
  #sinceMs = Number.POSITIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;

  get there(): Iterable<string> {
    return this.#there.keys();
  }

  /** A look that began and ended then found these and nobody else. Returns whether anybody had come or left. */
  note(names: ReadonlySet<string>, beganMs: number, endedMs: number): boolean {
    this.#sinceMs = Math.min(this.#sinceMs, beganMs);
    let cameMs = Number.POSITIVE_INFINITY;
    for (const [name, came] of this.#there) {
      if (names.has(name)) continue;
      this.#there.delete(name);
      cameMs = Math.min(cameMs, came);
    }
    if (cameMs < Number.POSITIVE_INFINITY) this.#noteLeft(cameMs, endedMs);
    let hasCome = false;
    for (const name of names) {
      if (this.#there.has(name)) continue;
      this.#there.set(name, this.#lookedMs);
      hasCome = true;
    }
    this.#lookedMs = beganMs;
    return hasCome || cameMs < Number.POSITIVE_INFINITY;
  }

  /** A look found that nobody had come or left. */
  noteSame(beganMs: number): void {
    this.#lookedMs = beganMs;
  }

  /** Nothing could be seen: earlier visits are not known any more. */
  noteBlind(): void {
    this.#there.clear();
    this.#left.length = 0;
    this.#sinceMs = Number.POSITIVE_INFINITY;
    this.#lookedMs = Number.NEGATIVE_INFINITY;
  }

  /** False where somebody may have been there that is not known of. */
  isKnown(whenMs: number): boolean {
    return whenMs >= this.#sinceMs;
  }

  /** Those there now that may have been there at that time. */
  thereSince(whenMs: number): string[] {
    return [...this.#there].filter(([, cameMs]) => cameMs < whenMs).map(([name]) => name);
  }

  /** Whether one that may have been there at that time has left meanwhile, and may have been there still at `untilMs`. */
  hasLeft(whenMs: number, untilMs: number): boolean {
    for (let at = this.#left.length - 1; at >= 0; at--) {
      const left = this.#left[at];
      if (left === undefined || left.leftMs < untilMs) return false;
      if (left.cameMs < whenMs) return true;
    }
    return false;
  }

  #noteLeft(cameMs: number, leftMs: number): void {
    const last = this.#left.at(-1);
    if (last !== undefined && leftMs - last.firstLeftMs < TOGETHER_MS) {
      last.cameMs = Math.min(last.cameMs, cameMs);
      last.leftMs = leftMs;
      return;
    }
    this.#left.push({ cameMs, firstLeftMs: leftMs, leftMs });
    const forgotten = this.#left.length > MAX_LEFT ? this.#left.shift() : undefined;
    if (forgotten !== undefined) this.#sinceMs = forgotten.leftMs;
  }
}
