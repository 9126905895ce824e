// What a turn makes of the calls that are due: the value to be stored, the calls to be answered then, those that were carried out before, those that
// are refused, and what comes last. Pure. Commits and touches of one turn are stored together; a lease, an end and a successor as for files
// (`sessions/plan.ts`): the first and the last begin with a value that is stored, and nobody comes after the last two.

import type { SessionError } from "../../../protocol/errors.ts";
import { applyChange, newImage, startupBytes, startupMs, timeoutSeconds } from "../../../protocol/image/image.ts";
import { TOUCH_AFTER_MS } from "../../../protocol/places.ts";
import type { CommitTurn, Ending, EndTurn, LeaseTurn, TouchTurn, Turn } from "../../turns/turns.ts";
import { endsLease, gone, idTaken, isLate, isSuccession, leaseLost, overtaken, storeError } from "../../turns/turns.ts";
import type { Order } from "../calls/calls.ts";
import {
  appended,
  isMarked,
  type Mark,
  mayAppend,
  readValue,
  type Stored,
  sessionValue,
  withMark,
} from "../value/value.ts";

/** Images of one turn that are kept for the patches of an append: each has all bytes of the session. */
const MAX_IMAGES = 8;

/** What is stored of a session when its turn begins. */
export interface Standing {
  readonly id: string;
  /** Undefined: there is none, or its time is over. */
  readonly image: Buffer | undefined;
  /** The version of the image as a number. */
  readonly name: number;
  /** Those of the value that is there, whatever it is. */
  readonly marks: Buffer;
  /** There is a value under the key. */
  readonly isTaken: boolean;
  readonly ending: Ending | undefined;
  readonly due: readonly Turn[];
  readonly lease: { readonly fence: number } | undefined;
  /** Redis' clock, in Unix ms. */
  readonly nowMs: number;
}

export interface Limits {
  readonly maxSessionBytes: number;
  /** Life time of a session created without one. */
  readonly timeoutSeconds: number;
}

interface Refusal {
  readonly turn: Turn;
  readonly problem: SessionError;
}

export interface Plan {
  /** To be stored where it is another one than before. */
  image: Buffer | undefined;
  /** What commits made of the image, one after the other (`keepImage`). */
  readonly images: Buffer[];
  marks: Buffer;
  /** How many of those that are due have their turn. */
  taken: number;
  /** Answered when the image is stored, in this order. */
  readonly turns: (CommitTurn | TouchTurn)[];
  /** Those that are in the value already. */
  readonly repeated: CommitTurn[];
  readonly refused: Refusal[];
  last: CommitTurn | EndTurn | LeaseTurn | undefined;
  /** The stamp is old enough for a new one, and somebody asked for that. */
  isTouched: boolean;
}

export function planTurn(standing: Standing, limits: Limits): Plan {
  const { image, marks, due, lease } = standing;
  const plan: Plan = {
    image,
    images: [],
    marks,
    taken: 0,
    turns: [],
    repeated: [],
    refused: [],
    last: undefined,
    isTouched: false,
  };
  // What is known of the session was looked at for the first one. Its version is another one when something of this turn is stored.
  const mayBeLate = isLate(due[0]);
  for (const turn of due) {
    if (turn.type === "commit" && isMarked(plan.marks, markOf(turn))) {
      plan.taken += 1;
      plan.repeated.push(turn);
      if (endsLease(turn, lease)) break;
      continue;
    }
    const isOfStored = turn.type === "lease" || isSuccession(turn);
    if ((isOfStored && plan.turns.length > 0) || (isLate(turn) && !(mayBeLate && plan.turns.length === 0))) break;
    plan.taken += 1;
    const refusal = isLate(turn) ? lateness(turn, standing) : undefined;
    if (refusal !== undefined) {
      plan.refused.push({ turn, problem: refusal });
      continue;
    }
    if (turn.type === "end" || (isOfStored && image !== undefined)) {
      if (turn.type !== "touch") plan.last = turn;
      break;
    }
    const problem = take(turn, plan, standing, limits);
    if (problem !== undefined) plan.refused.push({ turn, problem });
    // The rest of a lease that this commit was to end is nobody's.
    if (endsLease(turn, lease)) break;
  }
  return plan;
}

/** Why a commit is not carried out without its lease: its holder has not said what he saw, or that is not there any more. */
function lateness({ seen }: CommitTurn, { id, image, name }: Standing): SessionError | undefined {
  if (seen === 0) return leaseLost(id);
  return image !== undefined && seen !== name ? overtaken(id) : undefined;
}

/** How a change gets into Redis, and what is there then. */
export interface Storing {
  readonly order: Pick<Order, "what" | "bytes" | "number">;
  readonly stored: Stored;
}

export interface Before {
  readonly id: string;
  /** The session for which the plan was made; undefined: it makes one. */
  readonly stored: Stored | undefined;
  /** Our lease, which is to go on lying in the value. */
  readonly lease: Buffer | undefined;
  readonly nowMs: number;
}

/** Of a large session what was changed is appended to the value, until that is so much that the value is written anew. */
export function storingOf({ images, image, turns, marks }: Plan, { id, stored, lease, nowMs }: Before): Storing {
  if (image === undefined) throw gone(id);
  const number = forgetAt(image);
  if (stored?.kind === "session" && mayAppend(stored.layout, 0)) {
    const commits = turns.filter((turn) => turn.type === "commit").map(markOf);
    const addition = appended(stored, { images, commits, seconds: Math.floor(nowMs / 1000), marks, lease });
    if (addition !== undefined) return { order: { what: "a", bytes: addition.bytes, number }, stored: addition.stored };
  }
  const value = sessionValue(image, { marks, lease });
  return { order: { what: "c", bytes: value, number }, stored: readValue(id, value) };
}

/** Adds what one more commit has made of the image. Where there are many, the last patches are of several commits. */
export function keepImage(images: Buffer[], image: Buffer): void {
  if (images.length >= MAX_IMAGES) images.pop();
  images.push(image);
}

export function markOf({ caller, sequence, floor }: CommitTurn): Mark {
  return { client: caller.client, sequence, floor: floor ?? 0 };
}

/** Returns why it is refused. */
function take(turn: Turn, plan: Plan, standing: Standing, limits: Limits): SessionError | undefined {
  const { id, ending, nowMs } = standing;
  try {
    if (turn.type === "commit" && !isSuccession(turn)) takeCommit(turn, plan, standing, limits);
    else if (turn.type === "touch" && plan.image !== undefined) {
      if (nowMs - startupMs(plan.image) > TOUCH_AFTER_MS) plan.isTouched = true;
      plan.turns.push(turn);
    } else return gone(id, ending);
    return undefined;
  } catch (error) {
    return storeError(id, error);
  }
}

function takeCommit(turn: CommitTurn, plan: Plan, { id, isTaken, ending, nowMs }: Standing, limits: Limits): void {
  const isNew = turn.options.create === true;
  if (isNew && (plan.image !== undefined || isTaken)) throw idTaken(id);
  const base = isNew ? emptyImage(turn, nowMs, limits) : plan.image;
  if (base === undefined) throw gone(id, ending);
  plan.image = imageAfter(turn, base, nowMs, limits);
  keepImage(plan.images, plan.image);
  plan.marks = withMark(plan.marks, markOf(turn), Math.floor(nowMs / 1000));
  plan.turns.push(turn);
}

/** @throws SessionError ERR_TOO_LARGE, ERR_BAD_VALUE, ERR_UNREADABLE. */
function imageAfter(turn: CommitTurn, base: Buffer, nowMs: number, { maxSessionBytes: maxBytes }: Limits): Buffer {
  const { delta, parsed, options } = turn;
  const { timeoutSeconds, cookiePath, shares } = options;
  return applyChange(base, { delta, parsed, nowMs, maxBytes, timeoutSeconds, cookiePath, shares }).image;
}

function emptyImage({ options }: CommitTurn, nowMs: number, limits: Limits): Buffer {
  return newImage({ nowMs, timeoutSeconds: options.timeoutSeconds ?? limits.timeoutSeconds });
}

/** The image of a session that goes on under another id: every byte as it was but for the stamp, where nothing came with the call. */
export function successorImage(turn: CommitTurn, image: Buffer, nowMs: number, limits: Limits): Buffer {
  const { parsed, options } = turn;
  const isPlain =
    parsed.entries.length === 0 && options.timeoutSeconds === undefined && options.cookiePath === undefined;
  if (!isPlain) return imageAfter(turn, image, nowMs, limits);
  const copy = Buffer.from(image);
  startupBytes(nowMs).copy(copy);
  return copy;
}

/** Redis keeps a session a little longer than it lives: whether its time is over says its own header. */
const GRACE_MS = 60_000;
/** The last number of ms that a script is given. */
const LAST_MS = 10 ** 15 - 1;

/** When Redis may forget a session of this header, in ms of its clock. */
export function forgetAt(image: Buffer): number {
  const ms = Math.ceil(startupMs(image) + 1000 * timeoutSeconds(image)) + GRACE_MS;
  return Number.isNaN(ms) ? 1 : Math.max(1, Math.min(ms, LAST_MS));
}
