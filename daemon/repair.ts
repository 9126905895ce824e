// Remembers what our commits replaced, recognises what a stale whole-file save of another program undid, and builds the contents with
// ours put back (ARCHITECTURE.md, "Foreign writers").
//
// A Gambas program writes back everything it loaded (GAMBAS.md 4.5). Where its save puts, in the place of a value that a commit of ours
// had put there, exactly one that had been replaced before, it wrote a copy from before that commit. Any other value is a change of its own.
// One doubt remains: it may have loaded ours and set the old value on purpose. Two things tell. The access time of our last revision:
// nobody read it means stale. And who was running when we wrote it: if nobody was and somebody came since, he can only have loaded ours.
// What is left in doubt counts as stale for some seconds after our commit, and as on purpose later.

import {
  applyDelta,
  encodeDelta,
  keyBytes,
  layoutOf,
  type Replacement,
  splitDelta,
  startupMs,
  valueOf as storedValue,
} from "../protocol/image.ts";
import { type Fingerprint, Fingerprinter, runOf, seedOf } from "./recent-values.ts";
import type { Surroundings } from "./sessions.ts";
import type { Revision } from "./store/store.ts";

/** Written by Gambas itself at every load; nobody's data (GAMBAS.md 3.9). */
const COOKIE_PATH_KEY = "_";
/** Within this time of a commit an old value counts as stale where nothing tells. */
const DOUBT_MS = 10_000;

/** A commit: what it was applied to, and what it replaced there (undefined where references make that no question of places). */
export interface Step {
  readonly base: Buffer;
  readonly delta: Buffer;
  /** When it was applied (Unix ms). */
  readonly nowMs: number;
  readonly replacements: readonly Replacement[] | undefined;
}

export interface ForeignSave {
  readonly id: string;
  readonly ours: { readonly image: Buffer; readonly revision: Revision };
  readonly theirs: Buffer;
  /** When our revision was written (Unix ms), and whether another program that could hold an older one was running then. */
  readonly writtenMs: number;
  readonly mayBeHeld: boolean;
}

/** Of one key that a commit changed the value before and the new one. */
export interface Prints {
  readonly old: Fingerprint;
  readonly young: Fingerprint;
}

type RecentChanges = Pick<Surroundings, "replaced" | "committed">;

/** Remembers what our commits replaced, in case a Gambas program that loaded it before saves it again. */
export function noteReplaced({ replaced, committed }: RecentChanges, prints: readonly Prints[], nowMs: number): void {
  for (const { old, young } of prints) {
    replaced.add(old, nowMs);
    committed.add(young, nowMs);
  }
}

export function printsOf(id: string, { base, delta: bytes, replacements }: Step): readonly Prints[] {
  if (replacements === undefined) return printsByKey(id, base, bytes);
  const seed = seedOf(id);
  return replacements.map(({ changed, oldFrom, oldTo }) => {
    const { keyFrom, keyTo, valueAt, valueEnd } = changed;
    const prints = new Fingerprinter(id, { bytes, from: keyFrom, to: keyTo }, seed);
    const old = prints.of(oldFrom === oldTo ? undefined : { bytes: base, from: oldFrom, to: oldTo });
    return { old, young: prints.of(valueAt === valueEnd ? undefined : { bytes, from: valueAt, to: valueEnd }) };
  });
}

/** A value with references counts as what it is by itself. */
function printsByKey(id: string, base: Buffer, delta: Buffer): readonly Prints[] {
  const layout = layoutOf(base);
  return [...splitDelta(delta)].map(([key, value]) => {
    const prints = new Fingerprinter(id, runOf(keyBytes(key)));
    const old = storedValue(base, layout, key);
    return { old: prints.of(old && runOf(old)), young: prints.of(value && runOf(value)) };
  });
}

/** The contents as they should be, or undefined when nothing of ours was undone. */
export function findRepairs(house: Surroundings, save: ForeignSave): Buffer | undefined {
  const undone = findUndone(house, save);
  if (undone.size === 0) return undefined;
  house.metrics.repairs += undone.size;
  house.log.info("stale-save-repaired", { session: save.id, keys: [...undone.keys()] });
  const nowMs = Math.max(startupMs(save.theirs), startupMs(save.ours.image));
  return applyDelta(save.theirs, { delta: encodeDelta(undone), nowMs });
}

function findUndone(house: Surroundings, save: ForeignSave): Map<string, Buffer | undefined> {
  const ours = layoutOf(save.ours.image);
  const theirs = layoutOf(save.theirs);
  const undone = new Map<string, Buffer | undefined>();
  const staleForMs = howLongStale(house, save);
  for (const key of new Set([...ours.entries.keys(), ...theirs.entries.keys()])) {
    if (key === COOKIE_PATH_KEY) continue;
    const our = storedValue(save.ours.image, ours, key);
    const their = storedValue(save.theirs, theirs, key);
    if (isEqual(our, their)) continue;
    const prints = new Fingerprinter(save.id, runOf(keyBytes(key)));
    const ourPrint = prints.of(our && runOf(our));
    const isOurs = house.committed.lastNotedMs(ourPrint) !== undefined;
    const replacedMs = isOurs ? house.replaced.lastNotedMs(prints.of(their && runOf(their))) : undefined;
    if (replacedMs !== undefined && house.now() - replacedMs < staleForMs) undone.set(key, our);
    // What their save replaced may come back by a copy that is older still.
    else house.replaced.add(ourPrint, house.now());
  }
  return undone;
}

/** For how long after our commit the value it replaced counts as stale. */
function howLongStale({ store }: Surroundings, { id, ours, writtenMs, mayBeHeld }: ForeignSave): number {
  if (store.wasRead(id, ours.revision) === false) return Number.POSITIVE_INFINITY;
  return !mayBeHeld && store.hadForeignersSince(writtenMs) ? 0 : DOUBT_MS;
}

function isEqual(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
