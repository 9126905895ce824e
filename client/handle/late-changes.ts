// Changes that nobody will save any more: made when the response, the transaction or the Run whose end would have saved them was over.
//
// They may still be saved by hand, so each is looked at a moment later, and only what is not saved by then is told. Objects that are changed in
// place say nothing: handles that have handed some out are looked at twice after their end, as many as cost nothing.

import { SessionError } from "../../protocol/errors.ts";

/** A handle, as it is looked at. */
export interface Watched {
  /** A save is under way: what is not saved yet may be in a moment. */
  readonly isBusy: boolean;
  /** Keys and properties that were changed and not saved; those told already are left out. */
  takeUnsaved(): readonly string[];
  /** What was over, for who reads it: "the response (GET /cart)". */
  readonly endedAs: string;
}

/** A Save that follows the change, in the same function say, is under way by then. */
const PAUSE_MS = 100;
/** Looks at a handle that may still be saved by who changed it. */
const LAST_LOOK = 10;
/** Of the handles that end, so many at a time are looked at for objects that were changed in place. */
const MAX_WATCHED = 256;
const MAX_WARNINGS = 100;
const WARNINGS_MS = 60_000;

const late = new Set<Watched>();
let watched = new Map<Watched, number>();
let warnings = 0;
let suppressed = 0;
let countedFromMs = Number.NEGATIVE_INFINITY;

/** Something was changed through it after its end. A process that would end now waits for the look. */
export function noteLate(handle: Watched): void {
  if (late.has(handle)) return;
  late.add(handle);
  setTimeout(lookAtLate, PAUSE_MS, handle);
}

function lookAtLate(handle: Watched): void {
  late.delete(handle);
  tell(handle);
}

/** It has ended, and objects of it are out. */
export function watch(handle: Watched): void {
  if (watched.size >= MAX_WATCHED) return;
  if (watched.size === 0) schedule();
  watched.set(handle, 0);
}

function schedule(): void {
  setTimeout(look, PAUSE_MS).unref();
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

/** A fault of a busy page comes up with every request. */
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
