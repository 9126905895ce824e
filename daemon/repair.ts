// Recognises what a stale whole-file save of another program undid, and builds the contents with ours put back (DESIGN 6).
//
// A Gambas program writes back everything it loaded (REFERENCE 4.5). Where its save brings a key back to exactly the bytes that a commit
// of ours had replaced, it wrote a copy from before that commit. A value that is neither ours nor one of those is a change of its own.
// One doubt remains: it may have loaded ours and set the old value on purpose. Whether anybody has read our last revision at all, its
// access time tells: nobody did means stale. Somebody did and the commit is not recent means on purpose.

import { applyDelta, encodeDelta, layoutOf, startupMs, valueOf as storedValue } from "../protocol/image.ts";
import type { Surroundings } from "./sessions.ts";
import type { Revision } from "./store/store.ts";

/** Written by Gambas itself at every load; nobody's data (REFERENCE 3.9). */
const COOKIE_PATH_KEY = "_";
/** Within this time of a commit an old value counts as stale, even if our revision has been read since. */
const DOUBT_MS = 10_000;

export interface ForeignSave {
  readonly id: string;
  readonly ours: { readonly image: Buffer; readonly revision: Revision };
  readonly theirs: Buffer;
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
  const doubtMs = house.store.wasRead(save.id, save.ours.revision) === false ? Number.POSITIVE_INFINITY : DOUBT_MS;
  for (const key of new Set([...ours.entries.keys(), ...theirs.entries.keys()])) {
    if (key === COOKIE_PATH_KEY) continue;
    const our = storedValue(save.ours.image, ours, key);
    const their = storedValue(save.theirs, theirs, key);
    if (isEqual(our, their)) continue;
    const replacedMs = house.replaced.lastReplacedMs(save.id, key, their);
    if (replacedMs !== undefined && house.now() - replacedMs < doubtMs) undone.set(key, our);
  }
  return undone;
}

function isEqual(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
