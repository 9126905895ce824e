// Whether Gambas programs are running. Every interpreter makes a directory of its own in the root, named by its pid, and removes it at
// its end (GAMBAS.md 2.1); so the root's modification time tells whether one came or went, and its entries which are there.
//
// Only a program that was running when we replaced a value can hold the one before: this tells stale saves from those on purpose.

import { readdirSync, statSync } from "node:fs";

const PID = /^[1-9]\d*$/;
/** After a crash a directory stays. One whose process cannot be seen (another pid namespace, say) is believed for so long. */
const BELIEVED_MS = 300_000;
/** A time stamp younger than this may stand for more than one change: kernels before 6.13 stamp by a coarse clock. */
const COARSE_MS = 20;

export class Presence {
  readonly #root: string;
  #seenMs = Number.NaN;
  #areThereAny = false;

  constructor(root: string) {
    this.#root = root;
  }

  /** True while at least one Gambas program may be running. One stat when nothing has changed. Where nothing can be seen, one may be. */
  get isAnybodyThere(): boolean {
    const changedMs = this.changedMs;
    if (changedMs !== this.#seenMs || this.#areThereAny) {
      this.#areThereAny = this.#look();
      this.#seenMs = Date.now() - changedMs < COARSE_MS ? Number.NaN : changedMs;
    }
    return this.#areThereAny;
  }

  /** When one came or went last, at the latest (Unix ms). */
  get changedMs(): number {
    try {
      return statSync(this.#root, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    } catch {
      // Whatever the system error: it may be this very moment.
      return Date.now();
    }
  }

  #look(): boolean {
    try {
      return readdirSync(this.#root).some((name) => PID.test(name) && this.#isAlive(name));
    } catch {
      // Whatever the system error: a guess in this direction costs a doubt, in the other one a write.
      return true;
    }
  }

  #isAlive(pid: string): boolean {
    if (statSync(`/proc/${pid}`, { throwIfNoEntry: false }) !== undefined) return true;
    const stat = statSync(`${this.#root}/${pid}`, { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.ctimeMs < BELIEVED_MS;
  }
}
