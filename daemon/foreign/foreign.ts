// The door to everything about foreign writers: the programs that share the store, the values that commits of ours replaced and a stale save
// of theirs may bring back, and the changes of the daemon before. One object for all sessions; each session has its `Encounters`.

import type { Dialect } from "../../protocol/image/image.ts";
import type { Log } from "../report/log.ts";
import type { Attendance, Clock, ForeignPrograms } from "../store/store.ts";
import { Encounters, type Known, type Neighbourhood } from "./encounters.ts";
import { type EarlierCommit, type InheritedChange, InheritedChanges } from "./inherited-changes.ts";
import { NOBODY } from "./nobody.ts";
import type { ChangedValues } from "./prints.ts";
import { RecentValues } from "./recent-values.ts";
import { type ForeignSave, findRepairs, type RepairParts } from "./repair.ts";

export { type Encounters, GAP_MS, type Known } from "./encounters.ts";
export type { EarlierCommit } from "./inherited-changes.ts";
export { type ChangedValues, changedValues, type Prints } from "./prints.ts";
export type { Fingerprint } from "./recent-values.ts";
export { Reconcile } from "./reconcile.ts";

export interface ForeignParts {
  /** Undefined: no program but ours can read or write the store. */
  readonly programs: ForeignPrograms | undefined;
  /** Replaced values that are remembered, and for how long. */
  readonly maxReplacedValues: number;
  readonly repairSeconds: number;
  /** The clock of looks and ages: nobody sets it, and when the process begins it is the system's. */
  readonly steadyMs: Clock;
  readonly log: Pick<Log, "info">;
  readonly metrics: { repairs: number; foreignSaves: number };
  /** The commits of the daemon before this one, from the journal. */
  readonly earlier: readonly EarlierCommit[];
}

export class ForeignWriters implements Neighbourhood {
  readonly #parts: RepairParts;
  readonly #metrics: ForeignParts["metrics"];
  readonly #inherited: InheritedChanges;
  readonly #isAlone: boolean;
  #attendance: Attendance;

  constructor({ programs = NOBODY, maxReplacedValues, repairSeconds, steadyMs, log, metrics, earlier }: ForeignParts) {
    this.#isAlone = programs === NOBODY;
    this.#metrics = metrics;
    this.#parts = {
      programs,
      replaced: new RecentValues(maxReplacedValues, repairSeconds),
      committed: new RecentValues(maxReplacedValues, repairSeconds),
      repairSeconds,
      steadyMs,
      log,
      metrics,
      dialect: () => programs.dialect,
    };
    this.#attendance = programs.look(steadyMs);
    this.#inherited = new InheritedChanges(earlier, repairSeconds * 1000);
    this.prune();
    this.#recall(earlier);
  }

  /** Dialect of an image that gets its first reference now. May take a look at the store. */
  get dialect(): () => Dialect {
    return this.#parts.dialect;
  }

  /** The programs that were there at the last look. */
  get attendance(): Attendance {
    return this.#attendance;
  }

  get steadyMs(): Clock {
    return this.#parts.steadyMs;
  }

  /** A session written since then may still be undone: the cache must not forget it. */
  get neededSinceMs(): number {
    return this.#parts.steadyMs() - this.#parts.repairSeconds * 1000;
  }

  /** Looks which programs are there: just before commits become visible, and a few times a second, to know soon that one has left. */
  look(): Attendance {
    this.#attendance = this.#parts.programs.look(this.#parts.steadyMs);
    return this.#attendance;
  }

  /** The encounters of one session. */
  of(id: string, known: Known | undefined): Encounters {
    return new Encounters(id, this, known);
  }

  /** Forgets changes of the daemon before that are too old to matter. */
  prune(): void {
    this.#inherited.prune(this.#parts.steadyMs());
  }

  remember({ prints }: ChangedValues, atMs: number): void {
    if (this.#isAlone) return;
    for (const { old, young } of prints) {
      this.#parts.replaced.add(old, atMs);
      this.#parts.committed.add(young, atMs);
    }
  }

  noteSave(image: Buffer): void {
    this.#parts.programs.noteSave(image);
    this.#metrics.foreignSaves += 1;
  }

  inherited(id: string): InheritedChange | undefined {
    return this.#inherited.find(id, this.#parts.steadyMs());
  }

  forgetInherited(id: string): void {
    this.#inherited.forget(id);
  }

  repair(save: ForeignSave): Buffer | undefined {
    return findRepairs(this.#parts, save);
  }

  /** Remembers values that the daemon before replaced as if this one had done so. */
  #recall(earlier: readonly EarlierCommit[]): void {
    const nowMs = this.#parts.steadyMs();
    const oldestMs = this.neededSinceMs;
    for (const { change } of earlier) {
      if (change !== undefined && change.whenMs > oldestMs) this.remember(change, Math.min(change.whenMs, nowMs));
    }
  }
}
