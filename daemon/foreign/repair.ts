// Remembers what our commits replaced, recognises what a stale whole-file save of another program undid, and builds the contents with
// ours put back (ARCHITECTURE.md, "Foreign writers").
//
// A Gambas program writes back everything it loaded (GAMBAS.md 4.5). Where its save puts, in the place of a value that a commit of ours
// had put there, exactly one that had been replaced before, it wrote a copy from before that commit. Any other value is a change of its own.
// One doubt remains: it may have loaded ours and set the old value on purpose. In this order,
//   1. what was saved before ours and put there later, or written into our file, no program has saved: somebody has put it back, and wins;
//   2. nobody has read our last revision, by its access time: stale;
//   3. nobody who was running at our commit can have made this save, and somebody came since: he can only have loaded ours, and wins;
//   4. what is left in doubt counts as stale for `repairSeconds` after our commit, and as on purpose later.

import {
  applyDelta,
  COOKIE_PATH_KEY,
  copyTimeout,
  encodeDelta,
  keyBytes,
  layoutOf,
  type Replacement,
  splitDelta,
  startupMs,
  valueOf as storedValue,
  timeoutBytes,
} from "../../protocol/image/image.ts";
import type { Surroundings } from "../sessions/sessions.ts";
import type { Loaded, Revision } from "../store/store.ts";
import { type Fingerprint, Fingerprinter, type Run, runOf, seedOf } from "./recent-values.ts";

/** Stands for the life time, where values are known by their keys: no key is empty. */
const TIMEOUT_KEY = "";
/** A program stamps what it saves, waits a second at most for the lock, and gives it its name, however slow the machine is. */
const SAVE_MS = 10_000;
/** Enough where no program is known that could have done so. */
const SOON_MS = 1_000;

/** A commit: what it was applied to, and what it replaced there (undefined where references make that no question of places). */
export interface Step {
  readonly base: Buffer;
  readonly delta: Buffer;
  /** When it was applied (Unix ms). */
  readonly nowMs: number;
  readonly replacements: readonly Replacement[] | undefined;
  /** What it made of it, where it changed the life time or the path of the cookie. */
  readonly after?: Buffer | undefined;
}

export interface ForeignSave {
  readonly id: string;
  readonly ours: { readonly image: Buffer; readonly revision: Revision };
  /** When ours was stamped (Unix ms, by the system's clock). */
  readonly stampedMs: number;
  readonly theirs: Loaded;
  /** When we last wrote, by the clock of looks; 0 where that is not known. */
  readonly writtenMs: number;
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

export function printsOf(id: string, step: Step): readonly Prints[] {
  const { base, after } = step;
  return after === undefined
    ? printsOfValues(id, step)
    : [...printsOfValues(id, step), ...printsOfProperties(id, base, after)];
}

function printsOfProperties(id: string, before: Buffer, after: Buffer): readonly Prints[] {
  return [TIMEOUT_KEY, COOKIE_PATH_KEY].map((key) => {
    const prints = new Fingerprinter(id, runOf(Buffer.from(key)));
    return { old: prints.of(propertyOf(before, key)), young: prints.of(propertyOf(after, key)) };
  });
}

function propertyOf(image: Buffer, key: string): Run | undefined {
  if (key === TIMEOUT_KEY) return runOf(timeoutBytes(image));
  return runOf(Buffer.from(layoutOf(image).cookiePath));
}

function printsOfValues(id: string, { base, delta: bytes, replacements }: Step): readonly Prints[] {
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
  const { ours } = save;
  const theirs = save.theirs.image;
  const isStale = staleness(house, save);
  const undone = findUndone(save, isStale);
  const [hasTimeout, hasPath] = [TIMEOUT_KEY, COOKIE_PATH_KEY].map((key) =>
    isStale(key, propertyOf(ours.image, key), propertyOf(theirs, key)),
  );
  const count = undone.size + Number(hasTimeout) + Number(hasPath);
  if (count === 0) return undefined;
  house.metrics.repairs += count;
  house.log.info("stale-save-repaired", { session: save.id, keys: [...undone.keys()], hasTimeout, hasPath });
  const nowMs = Math.max(startupMs(theirs), startupMs(ours.image));
  const cookiePath = hasPath === true ? layoutOf(ours.image).cookiePath : undefined;
  const delta = encodeDelta(undone, movedSince(save, undone));
  const repaired = applyDelta(theirs, { delta, nowMs, cookiePath, dialect: house.dialect });
  if (hasTimeout === true) copyTimeout(ours.image, repaired);
  return repaired;
}

function findUndone({ ours, theirs }: ForeignSave, isStale: IsStale): Map<string, Buffer | undefined> {
  const [from, to] = [layoutOf(ours.image), layoutOf(theirs.image)];
  const undone = new Map<string, Buffer | undefined>();
  for (const key of new Set([...from.entries.keys(), ...to.entries.keys()])) {
    if (key === COOKIE_PATH_KEY) continue;
    const our = storedValue(ours.image, from, key);
    const their = storedValue(theirs.image, to, key);
    if (isStale(key, our && runOf(our), their && runOf(their))) undone.set(key, our);
  }
  return undone;
}

/** Of what is put back those keys that ours has behind others that are still behind them in theirs: we had removed and set them again. */
function movedSince({ ours, theirs }: ForeignSave, undone: ReadonlyMap<string, Buffer | undefined>): Set<string> {
  const places = new Map([...layoutOf(theirs.image).entries.keys()].map((key, place) => [key, place]));
  const moved = new Set<string>();
  let last = -1;
  for (const key of layoutOf(ours.image).entries.keys()) {
    const place = places.get(key) ?? -1;
    if (place > last) last = place;
    else if (place >= 0 && undone.has(key)) moved.add(key);
  }
  return moved;
}

/** Whether `their` is an older value, saved in the place of `our` without knowing it. */
type IsStale = (key: string, our: Run | undefined, their: Run | undefined) => boolean;

function staleness(house: Surroundings, save: ForeignSave): IsStale {
  const nowMs = house.steadyMs();
  let isFromBefore: ((replacedMs: number) => boolean) | undefined;
  return (key, our, their) => {
    if (isEqual(our, their)) return false;
    const prints = new Fingerprinter(save.id, runOf(key === TIMEOUT_KEY ? Buffer.alloc(0) : keyBytes(key)));
    const ourPrint = prints.of(our);
    const isOurs = house.committed.notedByMs(ourPrint) !== undefined;
    const replacedMs = isOurs ? house.replaced.notedByMs(prints.of(their)) : undefined;
    if (replacedMs !== undefined) {
      isFromBefore ??= originOf(house, save, nowMs);
      if (isFromBefore(replacedMs)) return true;
    }
    // What their save replaced may come back by a copy that is older still.
    house.replaced.add(ourPrint, nowMs);
    return false;
  };
}

/** Whether their save is from before a commit of ours, made at `replacedMs` at the latest, as far as that is to be believed. */
function originOf(house: Surroundings, save: ForeignSave, nowMs: number): (replacedMs: number) => boolean {
  const { programs, config } = house;
  const writtenMs = save.writtenMs === 0 ? nowMs : save.writtenMs;
  const saver = programs.whoReplaced(save.id, save.ours.revision, house.steadyMs);
  if (wasPutBack(house, save, saver.mayHaveRunAt(writtenMs))) return () => false;
  const isUnread = programs.wasRead(save.id, save.ours.revision) === false;
  return (replacedMs) => {
    const committedMs = Math.min(replacedMs, writtenMs);
    // Of earlier commits it tells nothing: he may have read what they had written.
    if (isUnread && committedMs === writtenMs) return true;
    if (!saver.mayHaveRunAt(committedMs) && saver.mayHaveComeSince(committedMs)) return false;
    return nowMs - committedMs < config.repairSeconds * 1000;
  };
}

/** A program makes a new file and stamps it with the time of the save. */
function wasPutBack({ programs, log }: Surroundings, save: ForeignSave, mayBeProgram: boolean): boolean {
  const { id, theirs, stampedMs } = save;
  const savedMs = startupMs(theirs.image);
  const isOlder = savedMs < stampedMs && savedMs < theirs.changedMs - (mayBeProgram ? SAVE_MS : SOON_MS);
  if (!isOlder && !programs.isOurFile(id, theirs.revision)) return false;
  log.info("file-put-back", { session: id });
  return true;
}

function isEqual(a: Run | undefined, b: Run | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.compare(a.bytes.subarray(a.from, a.to), b.bytes.subarray(b.from, b.to)) === 0;
}
