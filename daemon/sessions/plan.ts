// The plan of a turn, made of the calls that are due: the contents to be written, the calls to be answered then, the calls refused, and the
// lease or end that comes last. Pure: no clock, no store, no promise, and the same for every engine.
//
// Commits and touches of one turn are written together. A lease begins a turn of its own, since its holder is given contents that are
// written; an end is the last of its turn, since nobody after it finds a session. So is a commit by which the session goes on under another id,
// and it is the only one of its turn: what is to go along is written. Of very many commits, or to a very large session, some come in the next turn.

import type { SessionError } from "../../protocol/errors.ts";
import {
  applyChange,
  type Dialect,
  isSameButStamp,
  newImage,
  startupBytes,
  startupMs,
} from "../../protocol/image/image.ts";
import { TOUCH_AFTER_MS } from "../../protocol/places.ts";
import type { CommitOptions } from "../../protocol/wire/wire.ts";
import { type ChangedValues, changedValues } from "../foreign/foreign.ts";
import type { Contents } from "../memory/cache.ts";
import type { CommitTurn, Ending, Origin, TouchTurn, Turn } from "../turns/turns.ts";
import { endsLease, gone, idTaken, isSuccession, storeError } from "../turns/turns.ts";

/**
 * Each commit makes an image anew: a turn takes no more of them than make so many bytes together, and one at least. Others have their turn then, and the next
 * commits theirs behind them: 10,000 may wait for the end of one transaction. A small image counts as so many bytes, for what else a commit takes.
 */
const MAX_MADE_BYTES = 16 * 1024 * 1024;
const LEAST_MADE_BYTES = 64 * 1024;

/** Where a session stands when its turn begins. */
export interface Standing {
  readonly id: string;
  readonly contents: Contents | undefined;
  /** The bytes that the store should hold: other ones than `contents.image` where a repair is due. */
  readonly image: Buffer | undefined;
  readonly due: readonly Turn[];
  /** The lease in force, whose turns are due. */
  readonly lease: { readonly fence: number } | undefined;
  /** There was a session of this id, and it has ended; undefined: there is one, or never was. */
  readonly ending: Ending | undefined;
  /** The clock, in Unix ms. */
  readonly nowMs: number;
}

export interface Limits {
  readonly maxSessionBytes: number;
  /** Life time of a session created without one. */
  readonly timeoutSeconds: number;
  /** Asked for an image that gets its first reference. */
  readonly dialect: () => Dialect;
}

interface Refusal {
  readonly turn: Turn;
  readonly problem: SessionError;
}

export interface Plan {
  /** The bytes that are to be in the store: to be written where they are other ones than `contents.image`. */
  image: Buffer | undefined;
  /** How many of those that are due have their turn. */
  taken: number;
  /** Answered when the image is in the store, in this order. */
  readonly turns: (CommitTurn | TouchTurn)[];
  /** The changes of each commit among them, in the same order. */
  readonly changes: ChangedValues[];
  readonly refused: Refusal[];
  /** A lease to be granted, the end of the session, or a commit by which it goes on under another id. */
  last: Exclude<Turn, TouchTurn> | undefined;
  /** The session whose place this one takes. */
  origin: Origin | undefined;
  /** The stamp is old enough for a new one, and somebody asked for that. */
  isTouched: boolean;
  /** The image has values back in it that a stale save undid. */
  readonly isRepair: boolean;
}

export function planTurn(standing: Standing, limits: Limits): Plan {
  const { image, contents, due } = standing;
  const isRepair = image !== contents?.image;
  const plan: Plan = {
    image,
    taken: 0,
    turns: [],
    changes: [],
    refused: [],
    last: undefined,
    origin: undefined,
    isTouched: false,
    isRepair,
  };
  let madeBytes = 0;
  for (const turn of due) {
    if (madeBytes >= MAX_MADE_BYTES) break;
    const isOfWritten = turn.type === "lease" || isSuccession(turn);
    // Its holder, or the session that follows, is to be given contents that are written.
    if (isOfWritten && (plan.image !== contents?.image || plan.turns.length > 0)) break;
    plan.taken += 1;
    if (turn.type !== "touch" && (turn.type === "end" || (isOfWritten && contents !== undefined))) {
      plan.last = turn;
      break;
    }
    const problem = take(turn, plan, standing, limits);
    if (turn.type === "commit") madeBytes += Math.max(LEAST_MADE_BYTES, plan.image?.length ?? 0);
    if (problem === undefined) continue;
    plan.refused.push({ turn, problem });
    // The rest of a lease that this commit was to end is nobody's.
    if (endsLease(turn, standing.lease)) break;
  }
  return plan;
}

/** Whether somebody changed the session under a lease: a commit under it is for the contents that its holder saw. */
export function isOvertaken(lease: { readonly image: Buffer }, image: Buffer | undefined): boolean {
  return image !== undefined && !isSameButStamp(lease.image, image);
}

/** Returns why it is refused. */
function take(turn: Turn, plan: Plan, standing: Standing, limits: Limits): SessionError | undefined {
  try {
    if (isSuccession(turn)) return gone(standing.id, standing.ending);
    if (turn.type === "commit") takeCommit(turn, plan, standing, limits);
    else if (turn.type === "touch") takeTouch(turn, plan, standing);
    else return gone(standing.id, standing.ending);
    return undefined;
  } catch (error) {
    return storeError(standing.id, error);
  }
}

function takeCommit(turn: CommitTurn, plan: Plan, { id, nowMs, ending }: Standing, limits: Limits): void {
  const { delta, parsed, options, origin } = turn;
  const isNew = options.create === true;
  if (isNew && (plan.image !== undefined || ending !== undefined)) throw idTaken(id);
  if (origin !== undefined) {
    takeOver(turn, origin, plan, { nowMs, limits });
    return;
  }
  const base = isNew ? emptyImage(options, nowMs, limits) : plan.image;
  if (base === undefined) throw gone(id, ending);
  const { timeoutSeconds, cookiePath, shares } = options;
  const { maxSessionBytes: maxBytes, dialect } = limits;
  const change = { delta, parsed, nowMs, maxBytes, timeoutSeconds, cookiePath, shares, dialect };
  const { image, replacements } = applyChange(base, change);
  const hasProperties = timeoutSeconds !== undefined || cookiePath !== undefined;
  const after = hasProperties && !isNew ? image : undefined;
  plan.image = image;
  plan.turns.push(turn);
  plan.changes.push(changedValues(id, { base, delta, nowMs, replacements, after }));
}

/** Nobody can hold older contents of a session that begins, whatever it begins with: no save of another program can bring any back. */
function takeOver(
  turn: CommitTurn,
  origin: Origin,
  plan: Plan,
  { nowMs, limits }: { readonly nowMs: number; readonly limits: Limits },
): void {
  const { delta, parsed, options } = turn;
  const { timeoutSeconds, cookiePath, shares } = options;
  const { maxSessionBytes: maxBytes, dialect } = limits;
  const isPlain = parsed.entries.length === 0 && timeoutSeconds === undefined && cookiePath === undefined;
  plan.image = isPlain
    ? stamped(origin.image, nowMs)
    : applyChange(origin.image, { delta, parsed, nowMs, maxBytes, timeoutSeconds, cookiePath, shares, dialect }).image;
  plan.origin = origin;
  plan.turns.push(turn);
  plan.changes.push({ whenMs: nowMs, delta, prints: [] });
}

/** The same bytes but for the time. */
function stamped(image: Buffer, nowMs: number): Buffer {
  const copy = Buffer.from(image);
  startupBytes(nowMs).copy(copy);
  return copy;
}

function emptyImage({ timeoutSeconds }: CommitOptions, nowMs: number, limits: Limits): Buffer {
  return newImage({ nowMs, timeoutSeconds: timeoutSeconds ?? limits.timeoutSeconds });
}

function takeTouch(turn: TouchTurn, plan: Plan, { id, nowMs, ending }: Standing): void {
  if (plan.image === undefined) throw gone(id, ending);
  // Several workers may have found the same old stamp: once is enough (GAMBAS.md 4.3).
  if (nowMs - startupMs(plan.image) > TOUCH_AFTER_MS) plan.isTouched = true;
  plan.turns.push(turn);
}
