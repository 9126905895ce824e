// The encounters of one session with foreign writers: when we last wrote it, whether one of them may hold an older revision, whether one
// wants its lock, and how a save of theirs is judged. Knows neither files nor turns.

import { applyChange, startupMs } from "../../protocol/image/image.ts";
import type { Attendance, Clock, Loaded, Revision } from "../store/store.ts";
import type { InheritedChange } from "./inherited-changes.ts";
import { LockGaps } from "./lock-gaps.ts";
import type { ChangedValues } from "./prints.ts";
import type { ForeignSave } from "./repair.ts";

export { GAP_MS } from "./lock-gaps.ts";

/** Known of a session that was at rest, before its first look. */
export interface Known {
  /** When we last wrote it, by the clock of looks; 0 for never. */
  readonly writtenMs: number;
  /** A program was running then that could hold an older revision. */
  readonly mayBeHeld: boolean;
}

/** The knowledge that all sessions share. */
export interface Neighbourhood {
  readonly attendance: Attendance;
  readonly steadyMs: Clock;
  remember(change: ChangedValues, atMs: number): void;
  noteSave(image: Buffer): void;
  inherited(id: string): InheritedChange | undefined;
  forgetInherited(id: string): void;
  repair(save: ForeignSave): Buffer | undefined;
}

interface Ours {
  readonly image: Buffer;
  readonly revision: Revision;
}

export class Encounters {
  readonly #id: string;
  readonly #around: Neighbourhood;
  /** From when another program was met here for the first time. */
  #gaps: LockGaps | undefined;
  #writtenMs: number;
  #mayBeHeld: boolean;

  constructor(id: string, around: Neighbourhood, known: Known | undefined) {
    this.#id = id;
    this.#around = around;
    this.#writtenMs = known?.writtenMs ?? 0;
    this.#mayBeHeld = known?.mayBeHeld ?? false;
  }

  /** By the clock of looks; 0 for never. */
  get writtenMs(): number {
    return this.#writtenMs;
  }

  get mayBeHeld(): boolean {
    return this.#mayBeHeld;
  }

  /** We have not written it, and no program has been met. */
  get hasNone(): boolean {
    return this.#writtenMs === 0 && this.#gaps === undefined;
  }

  /** A write of ours is visible, with the changes of these commits in it. The look just before told which programs were there. */
  noteWritten(changes: readonly ChangedValues[]): void {
    const { atMs, isAnybodyThere } = this.#around.attendance;
    for (const change of changes) this.#around.remember(change, atMs);
    this.#writtenMs = atMs;
    this.#mayBeHeld = isAnybodyThere;
  }

  /**
   * Another program has saved, or somebody put a file there: the contents as they should be, with back in them the values that a stale save
   * undid. Undefined: theirs stand.
   */
  judge(theirs: Loaded, ours: Ours, nowMs: number): Buffer | undefined {
    this.noteMet(nowMs);
    this.#around.noteSave(theirs.image);
    return this.#repair(theirs, ours, startupMs(ours.image));
  }

  /**
   * The same for the first look at a session. Nothing is known of it, unless by the daemon before us, whose last commits a stale save may
   * have undone since.
   */
  judgeFirst(theirs: Loaded): Buffer | undefined {
    const inherited = this.#around.inherited(this.#id);
    if (inherited === undefined) return undefined;
    this.#writtenMs = Math.min(inherited.writtenMs, this.#around.steadyMs());
    this.#mayBeHeld = true;
    const nowMs = startupMs(theirs.image);
    const { image } = applyChange(theirs.image, { delta: inherited.delta, nowMs });
    const repaired = this.#repair(theirs, { image, revision: theirs.revision }, inherited.writtenMs);
    if (repaired === undefined) this.#around.forgetInherited(this.#id);
    return repaired;
  }

  /** Contents with back in them the values that a stale save undid are visible. */
  noteRepaired(): void {
    this.#around.forgetInherited(this.#id);
  }

  // -- the lock

  /** Another program had the lock, or has saved. */
  noteMet(nowMs: number): void {
    this.#gaps ??= new LockGaps();
    this.#gaps.noteMet(nowMs);
  }

  noteLockTaken(): void {
    this.#gaps?.noteTaken();
  }

  noteLockReleased(): void {
    this.#gaps?.noteReleased();
  }

  /** The lock is left free for another program now. */
  isGapOwed(nowMs: number): boolean {
    return this.#gaps?.isOwed(nowMs) === true;
  }

  /** Whether another program may want the lock. */
  mayWantLock(nowMs: number): boolean {
    return this.#around.attendance.isAnybodyThere || this.#gaps?.wasMetLately(nowMs) === true;
  }

  #repair(theirs: Loaded, ours: Ours, stampedMs: number): Buffer | undefined {
    return this.#around.repair({ id: this.#id, ours, stampedMs, theirs, writtenMs: this.#writtenMs });
  }
}
