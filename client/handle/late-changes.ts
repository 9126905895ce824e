// Warns of late changes: the application made them when the response, the transaction or the Run whose end would have
// saved them was over.
//
// The application may still save a late change itself, so the handle is looked at a moment later, and only a change
// that is not saved by then is told. An object that is changed in place does not report it: so a handle that has handed
// out objects is looked at twice after its end, as long as few enough handles are watched to cost nothing.

import { SessionError } from "../../protocol/errors.ts";
import { runOutside } from "../scope.ts";

/** A handle that is looked at for late changes. */
export interface Watched {
  /** Whether a save is under way: a change that is not saved yet may be saved in a moment. */
  readonly isBusy: boolean;
  /** Keys and properties that were changed and not saved, without those of an earlier call. */
  takeUnsaved(): readonly string[];
  /** The scope whose end would have saved the change, in words for a reader: "the response (GET /cart)". */
  readonly endedAs: string;
}

/** From a late change to the look: a Save that follows the change, in the same function say, is under way by then. */
const PAUSE_MS = 100;
/** The number of the second and last look, in pauses after the first: the application may still save until then. */
const LAST_LOOK = 10;
/**
 * Handles watched at a time for objects that are changed in place: a busy server must not keep all handles that end.
 */
const MAX_WATCHED = 256;
const MAX_WARNINGS = 100;
const WARNINGS_MS = 60_000;

const late = new Set<Watched>();
let watched = new Map<Watched, number>();
let warnings = 0;
let suppressed = 0;
let countedFromMs = Number.NEGATIVE_INFINITY;

/**
 * The application has changed something through a handle after its end. A process that would end now waits for the
 * look.
 */
export function noteLate(handle: Watched): void {
  if (late.has(handle)) return;
  late.add(handle);
  setTimeout(lookAtLate, PAUSE_MS, handle);
}

function lookAtLate(handle: Watched): void {
  late.delete(handle);
  tell(handle);
}

/** A handle has ended, and the application still has objects of it. */
export function watch(handle: Watched): void {
  if (watched.size >= MAX_WATCHED) return;
  if (watched.size === 0) schedule();
  watched.set(handle, 0);
}

function schedule(): void {
  runOutside(() => setTimeout(look, PAUSE_MS).unref());
}

function look(): void {
  const before = watched;
  watched = new Map();
  for (const [handle, looks] of before) {
    if (looks === 0 || looks === LAST_LOOK) tell(handle);
    if (looks < LAST_LOOK) watched.set(handle, looks + 1);
  }
  if (watched.size > 0) schedule();
}

function tell(handle: Watched): void {
  if (handle.isBusy) {
    noteLate(handle);
    return;
  }
  for (const name of handle.takeUnsaved()) warn(unsaved(name, handle.endedAs));
}

/** Bounded, since a fault of a busy page comes up with every request. */
function warn(warning: SessionError): void {
  const nowMs = performance.now();
  if (nowMs - countedFromMs > WARNINGS_MS) {
    if (suppressed > 0) process.emitWarning(`${suppressed} more changes of sessions were made too late to be saved.`);
    warnings = 0;
    suppressed = 0;
    countedFromMs = nowMs;
  }
  warnings += 1;
  if (warnings <= MAX_WARNINGS) process.emitWarning(warning);
  else suppressed += 1;
}

function unsaved(name: string, endedAs: string): SessionError {
  const member = /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name) ? `Session.${name}` : `Session[${JSON.stringify(name)}]`;
  return new SessionError("ERR_NOT_SAVED", `${member} was changed after ${endedAs} was over; nobody saves it.`);
}
