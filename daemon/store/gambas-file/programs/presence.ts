// Which Gambas programs are running, and which may have made a save. Every interpreter makes a directory of its own in the root before it
// does anything else, named by its pid, and removes it at its end (GAMBAS.md 2.1); so the root's modification time tells whether one came
// or went, and its entries which are there.
//
// An interpreter makes the file that it saves in that directory and moves it from there (GAMBAS.md 4.2): without the directory it cannot save,
// and while the directory stays as it is it saves nothing. That holds in another pid namespace too, and for a directory that a crash has left.

import { existsSync, readdirSync, type Stats, statSync } from "node:fs";
import type { Attendance, Clock, Saver } from "../../store.ts";
import { Visits } from "./visits.ts";

const PID = /^[1-9]\d*$/;
/** Stays in the directory of a program that has begun a task: a fork, with a directory of its own, that has loaded its parent's sessions. */
const TASKS = "task";
/** After a crash a directory stays. One whose process cannot be seen (another pid namespace, say) is believed for so long. */
const BELIEVED_MS = 300_000;
/** A crash changes nothing in the root: it is looked for so often. */
const ALIVE_CHECK_MS = 1000;
/** A time stamp younger than this may stand for more than one change: kernels before 6.13 stamp by a coarse clock. */
const COARSE_MS = 20;
/** So many longer where the file system keeps whole seconds, as ext4 with small inodes does, or every other one. */
const COARSEST_MS = 2_000;
/** Between two looks the system's clock may drift from the steady one by so much without having been set. */
const DRIFT_MS = 10;
/** A comparison of the two that took longer is too coarse for later ones to go by. */
const AT_ONCE_MS = 1;
/** The system's clock is read in whole milliseconds. */
const ROUNDING_MS = 2;

/** A time by the system's clock, as those of files are, and by that of looks. */
interface Since {
  readonly fileMs: number;
  readonly lookMs: number;
}

const UNKNOWN: Since = { fileMs: Number.NEGATIVE_INFINITY, lookMs: Number.NEGATIVE_INFINITY };

export class Presence {
  readonly #root: string;
  readonly #visits = new Visits();
  /** The root's modification time at the last look, and whether it can stand for no other change than those seen. */
  #mtimeMs = Number.NaN;
  #isSettled = false;
  /** When a look last found that somebody came or left, or may have. */
  #movedMs = Number.NEGATIVE_INFINITY;
  #isAnybodyAlive = false;
  #checkedMs = Number.NEGATIVE_INFINITY;
  /** How far the system's clock is ahead of the steady one, and since when it has not been set. */
  #aheadMs = Number.NaN;
  #unsetSinceMs = Number.POSITIVE_INFINITY;

  constructor(root: string) {
    this.#root = root;
  }

  /** Whether at least one Gambas program may be running. One stat when nothing has changed. Where nothing can be seen, one may be. */
  look(clock: Clock): Attendance {
    const atMs = clock();
    this.#compareClocks(atMs);
    try {
      const root = statSync(this.#root, { throwIfNoEntry: false });
      const hasChanged = root === undefined || !this.#isSettled || root.mtimeMs !== this.#mtimeMs;
      if (hasChanged) this.#lookInside(root, atMs, clock);
      else this.#visits.noteSame(atMs);
      if (hasChanged || atMs - this.#checkedMs >= ALIVE_CHECK_MS) this.#checkAlive(atMs);
    } catch {
      // Any system error: a guess in this direction costs a doubt, in the other one a write.
      this.#visits.noteBlind();
      this.#isSettled = false;
      this.#isAnybodyAlive = true;
    }
    return { atMs, isAnybodyThere: this.#isAnybodyAlive };
  }

  /** The programs that may have saved a session since then (Unix ms, by the system's clock), as of a look now. */
  whoSavedSince(sinceMs: number, clock: Clock): Saver {
    const { atMs } = this.look(clock);
    const agoMs = Date.now() - sinceMs;
    // A time that is to come yet was before the clock was set back.
    const since = agoMs > -ROUNDING_MS ? { fileMs: sinceMs, lookMs: atMs - agoMs - ROUNDING_MS } : UNKNOWN;
    return {
      mayHaveRunAt: (whenMs) => this.#mayHaveSaved(whenMs, whenMs >= this.#unsetSinceMs ? since : UNKNOWN),
      mayHaveComeSince: (whenMs) => this.#movedMs > whenMs,
    };
  }

  /** Whether a program that may have been there at `whenMs` may have saved a session after that and since `since`. */
  #mayHaveSaved(whenMs: number, since: Since): boolean {
    if (!this.#visits.isKnown(whenMs)) return true;
    if (this.#visits.hasLeft(whenMs, Math.max(whenMs, since.lookMs))) return true;
    return this.#visits.thereSince(whenMs).some((name) => this.#mayBeFrom(`${this.#root}/${name}`, since.fileMs));
  }

  /** Whether anything was made in this directory of a program, or moved out of it, since then; or a task may have saved for it. */
  #mayBeFrom(directory: string, sinceMs: number): boolean {
    try {
      return latestMs(statSync(directory).mtimeMs) >= sinceMs || existsSync(`${directory}/${TASKS}`);
    } catch {
      // Any system error: as a rule the program has left this very moment.
      return true;
    }
  }

  #lookInside(root: Stats | undefined, atMs: number, clock: Clock): void {
    const mtimeMs = root?.mtimeMs ?? 0;
    const names = root === undefined ? [] : readdirSync(this.#root).filter((name) => PID.test(name));
    const haveMoved = this.#visits.note(new Set(names), atMs, clock());
    if (haveMoved || mtimeMs !== this.#mtimeMs) this.#movedMs = atMs;
    this.#mtimeMs = mtimeMs;
    this.#isSettled = Date.now() - latestMs(mtimeMs) >= COARSE_MS;
  }

  #checkAlive(atMs: number): void {
    this.#checkedMs = atMs;
    this.#isAnybodyAlive = false;
    for (const name of this.#visits.there) {
      if (!this.#isAlive(name)) continue;
      this.#isAnybodyAlive = true;
      return;
    }
  }

  #isAlive(pid: string): boolean {
    if (statSync(`/proc/${pid}`, { throwIfNoEntry: false }) !== undefined) return true;
    const stat = statSync(`${this.#root}/${pid}`, { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.ctimeMs < BELIEVED_MS;
  }

  /** The system's clock is read between two readings of the steady one. However long that took: if it is ahead by more or less now, it was set. */
  #compareClocks(atMs: number): void {
    const beganMs = performance.now();
    const nowMs = Date.now();
    const endedMs = performance.now();
    const [leastMs, mostMs] = [nowMs - endedMs - DRIFT_MS, nowMs - beganMs + DRIFT_MS];
    const wasSet = !(this.#aheadMs > leastMs && this.#aheadMs < mostMs);
    if (wasSet) this.#unsetSinceMs = atMs;
    if (wasSet || endedMs - beganMs <= AT_ONCE_MS) this.#aheadMs = nowMs - beganMs;
  }
}

/** The last moment that a time of a file may stand for: a whole second may be one of a file system that knows no others. */
function latestMs(mtimeMs: number): number {
  return mtimeMs % 1000 === 0 ? mtimeMs + COARSEST_MS : mtimeMs;
}
