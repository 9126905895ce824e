// Recognises what a stale whole-file save of another program undid, and builds the contents with ours put back (README.md).
// Keeps nothing: the values that commits replaced are in `recent-values.ts`.
//
// A Gambas program writes back everything it loaded (GAMBAS.md 4.5). Where its save puts, in the place of a value that a commit of ours
// had put there, exactly one that had been replaced before, it wrote a copy from before that commit. Any other value is a change of its own.
// One doubt remains: it may have loaded ours and set the old value on purpose. In this order,
//   1. a file saved before ours and put there later, or written into our file, comes from no program: somebody has put it back, and wins;
//   2. nobody has read our last revision, by its access time: stale;
//   3. no program that ran at our commit can have made this save, and one came since: it can only have loaded ours, and wins;
//   4. a save left in doubt counts as stale for `repairSeconds` after our commit, and as on purpose later.

import {
  applyDelta,
  COOKIE_PATH_KEY,
  copyTimeout,
  type Dialect,
  encodeDelta,
  keyBytes,
  layoutOf,
  startupMs,
  valueOf as storedValue,
} from "../../protocol/image/image.ts";
import type { Log } from "../report/report.ts";
import type { Clock, ForeignPrograms, Loaded, Revision } from "../store/store.ts";
import { propertyOf, TIMEOUT_KEY } from "./prints.ts";
import { Fingerprinter, type RecentValues, type Run, runOf } from "./recent-values.ts";

/** A program stamps what it saves, waits a second at most for the lock, and gives it its name, however slow the machine is. */
const SAVE_MS = 10_000;
/** Enough where no program is known that could have done so. */
const SOON_MS = 1_000;

export interface ForeignSave {
  readonly id: string;
  readonly ours: { readonly image: Buffer; readonly revision: Revision };
  /** When ours was stamped (Unix ms, by the system's clock). */
  readonly stampedMs: number;
  readonly theirs: Loaded;
  /** When we last wrote, by the clock of looks; 0 where that is not known. */
  readonly writtenMs: number;
}

/** The knowledge that a repair is decided by. */
export interface RepairParts {
  readonly programs: ForeignPrograms;
  /** Values that a commit of ours or another program's save replaced. */
  readonly replaced: RecentValues;
  /** Values that commits of ours put there. */
  readonly committed: RecentValues;
  readonly repairSeconds: number;
  readonly steadyMs: Clock;
  readonly log: Pick<Log, "info">;
  readonly metrics: { repairs: number };
  /** Dialect of an image that gets its first reference now. */
  readonly dialect: () => Dialect;
}

/** The contents as they should be, or undefined when nothing of ours was undone. */
export function findRepairs(parts: RepairParts, save: ForeignSave): Buffer | undefined {
  const { ours } = save;
  const theirs = save.theirs.image;
  const isStale = staleness(parts, save);
  const undone = findUndone(save, isStale);
  const [hasTimeout, hasPath] = [TIMEOUT_KEY, COOKIE_PATH_KEY].map((key) =>
    isStale(key, propertyOf(ours.image, key), propertyOf(theirs, key)),
  );
  const count = undone.size + Number(hasTimeout) + Number(hasPath);
  if (count === 0) return undefined;
  parts.metrics.repairs += count;
  parts.log.info("stale-save-repaired", { session: save.id, keys: [...undone.keys()], hasTimeout, hasPath });
  const nowMs = Math.max(startupMs(theirs), startupMs(ours.image));
  const cookiePath = hasPath === true ? layoutOf(ours.image).cookiePath : undefined;
  const delta = encodeDelta(undone, movedSince(save, undone));
  const repaired = applyDelta(theirs, { delta, nowMs, cookiePath, dialect: parts.dialect });
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

/** Of the keys put back those that moved: in ours they stand behind keys that follow them in theirs, so we had removed and set them again. */
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

function staleness(parts: RepairParts, save: ForeignSave): IsStale {
  const nowMs = parts.steadyMs();
  let isFromBefore: ((replacedMs: number) => boolean) | undefined;
  return (key, our, their) => {
    if (isEqual(our, their)) return false;
    const prints = new Fingerprinter(save.id, runOf(key === TIMEOUT_KEY ? Buffer.alloc(0) : keyBytes(key)));
    const ourPrint = prints.of(our);
    const isOurs = parts.committed.notedByMs(ourPrint) !== undefined;
    const replacedMs = isOurs ? parts.replaced.notedByMs(prints.of(their)) : undefined;
    if (replacedMs !== undefined) {
      isFromBefore ??= originOf(parts, save, nowMs);
      if (isFromBefore(replacedMs)) return true;
    }
    // The value that their save replaced may come back by a copy that is older still.
    parts.replaced.add(ourPrint, nowMs);
    return false;
  };
}

/** Whether their save is from before a commit of ours, made at `replacedMs` at the latest, as far as that is to be believed. */
function originOf(parts: RepairParts, save: ForeignSave, nowMs: number): (replacedMs: number) => boolean {
  const { programs, repairSeconds } = parts;
  const writtenMs = save.writtenMs === 0 ? nowMs : save.writtenMs;
  const saver = programs.whoReplaced(save.id, save.ours.revision, parts.steadyMs);
  if (wasPutBack(parts, save, saver.mayHaveRunAt(writtenMs))) return () => false;
  const isUnread = programs.wasRead(save.id, save.ours.revision) === false;
  return (replacedMs) => {
    const committedMs = Math.min(replacedMs, writtenMs);
    // An unread revision tells nothing of earlier commits: the program may have read theirs.
    if (isUnread && committedMs === writtenMs) return true;
    if (!saver.mayHaveRunAt(committedMs) && saver.mayHaveComeSince(committedMs)) return false;
    return nowMs - committedMs < repairSeconds * 1000;
  };
}

/** A program makes a new file and stamps it with the time of the save. */
function wasPutBack({ programs, log }: RepairParts, save: ForeignSave, mayBeProgram: boolean): boolean {
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
