// One transaction that waits for its turn: runs its function under a lease, and tells whoever asked for it how that came out.

import { isCode, SessionError } from "../../protocol/errors.ts";
import { msLeft } from "../../protocol/places.ts";
import type { Contents } from "../copies/cache.ts";
import { type Held, runHolding, type Scope } from "../scope.ts";
import type { Grant } from "./calls.ts";
import type { Unsaved } from "./unsaved.ts";

/** What is over when a transaction is. */
export const A_TRANSACTION = "the transaction";

/** The handle that the function of a transaction is given, as far as the transaction needs it. */
export interface Inside {
  /** The sessions that were ended through it. */
  readonly ended: readonly unknown[];
  readonly isBusy: boolean;
  finishTransaction(): Promise<void> | undefined;
  loseTransaction(reason: Error): Error;
  unsaved(): Unsaved | undefined;
  noteSaved(contents: Contents, unsaved: Unsaved | undefined): void;
  save(): Promise<void>;
  /** Nothing that is not saved by now ever will be. */
  endInVain(what: string): void;
}

/** The handle that a transaction was begun with: it goes on with what the transaction leaves. */
export interface Outside<H extends Inside> {
  begin(id: string, contents: Contents, endLease: () => Promise<void>): H;
  adopt(id: string, inner: H): void;
  adoptStrays(inner: H): void;
  /** @param error how that was heard. */
  noteGone(id: string, error?: unknown): void;
}

export interface TransactionRequest<H extends Inside, T = unknown> {
  readonly id: string;
  readonly fn: (session: H) => T | Promise<T>;
  /** 0: the daemon's default. */
  readonly leaseMs: number;
  readonly outer: Outside<H>;
}

export interface Job<H extends Inside> {
  readonly request: TransactionRequest<H>;
  /** The scope in which the transaction was asked for, whatever code happens to run it. */
  readonly scope: Scope | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  conflicts: number;
  /** A commit that the job was part of was refused, for its sake or another's: it shares no lease any more. */
  isAlone: boolean;
}

/** The function of a job has returned, or has failed, and nothing is committed yet. */
export interface Ran<H extends Inside> {
  readonly kind: "ran";
  readonly job: Job<H>;
  readonly value: unknown;
  readonly handle: H;
  readonly unsaved: Unsaved | undefined;
  /** It has failed: that is told when what it saw is known to be there, or cannot be found out. */
  readonly failure?: { readonly error: unknown };
}

/** Whoever asked for the job has an answer in all cases but `ran`, `overtaken`, and `ended` with a `last`. */
export type Outcome<H extends Inside> =
  | Ran<H>
  /** The session has ended, and its lease with it. `last`: what the function that ended it has returned; undefined: it has failed after that. */
  | { readonly kind: "ended"; readonly last: Ran<H> | undefined }
  /** It was to end the session, and had not seen the newest of it: it runs again. */
  | { readonly kind: "overtaken"; readonly job: Job<H> }
  /** Nothing of the job is committed, and the lease is over. */
  | { readonly kind: "stalled" };

const STALLED = { kind: "stalled" } as const;
const FAILED_AFTER_END = { kind: "ended", last: undefined } as const;

/** A lease, and the contents under it by now. */
export interface Ground {
  readonly grant: Grant;
  readonly contents: Contents;
  /** Gives the lease back, for a job that ends the session. */
  readonly endLease: () => Promise<void>;
  /** As `Held.confirm`. */
  readonly confirm: () => Promise<void> | undefined;
}

/** What a function has begun. */
interface Begun<H extends Inside> {
  readonly job: Job<H>;
  readonly value: unknown;
  readonly handle: H;
}

/** A promise only where the function gives one, or leaves something to wait for. Never throws, never rejects. */
export function runJob<H extends Inside>(job: Job<H>, ground: Ground): Outcome<H> | Promise<Outcome<H>> {
  const { grant, contents, endLease, confirm } = ground;
  const { id, fn, outer } = job.request;
  const handle = outer.begin(id, contents, endLease);
  const held: Held = { grant, handle: outer, outer: job.scope?.held, confirm };
  try {
    const value = runHolding(held, job.scope, fn, handle);
    if (isThenable(value) || handle.isBusy) return awaitJob({ job, value, handle }, grant);
    void handle.finishTransaction();
    return outcomeOf({ job, value, handle }, grant);
  } catch (error) {
    return afterError(job, handle, { error, grant });
  }
}

async function awaitJob<H extends Inside>({ job, value, handle }: Begun<H>, grant: Grant): Promise<Outcome<H>> {
  try {
    const result = await inTime(value, grant.deadlineMs);
    const end = result === TOO_LATE ? TOO_LATE : await inTime(handle.finishTransaction(), grant.deadlineMs);
    if (end === TOO_LATE) throw handle.loseTransaction(stalled(job.request.id));
    return outcomeOf({ job, value: result, handle }, grant);
  } catch (error) {
    return afterError(job, handle, { error, grant });
  }
}

function outcomeOf<H extends Inside>({ job, value, handle }: Begun<H>, grant: Grant): Outcome<H> {
  if (grant.isOvertaken) return overtaken(job, handle);
  const ran: Ran<H> = { kind: "ran", job, value, handle, unsaved: handle.unsaved() };
  return handle.ended.length > 0 ? { kind: "ended", last: ran } : ran;
}

/** An end of the session cannot be taken back, whatever has failed after it. */
function afterError<H extends Inside>(
  job: Job<H>,
  handle: H,
  { error, grant }: { readonly error: unknown; readonly grant: Grant },
): Outcome<H> {
  if (grant.isOvertaken) return overtaken(job, handle);
  const hasEnded = handle.ended.length > 0;
  const isStalled = isCode(error, "ERR_LEASE_LOST");
  if (!hasEnded && !isStalled)
    return { kind: "ran", job, value: undefined, handle, unsaved: undefined, failure: { error } };
  if (hasEnded) endWithSession(job, handle);
  fail(job, error);
  return hasEnded ? FAILED_AFTER_END : STALLED;
}

/** Whatever its function has made of that. */
function overtaken<H extends Inside>(job: Job<H>, handle: H): Outcome<H> {
  job.request.outer.adoptStrays(handle);
  job.conflicts += 1;
  return { kind: "overtaken", job };
}

// -- answers

/** Tells what has become of it, now that what it has changed is saved. */
export function settle<H extends Inside>({ job, value, handle, failure }: Ran<H>): void {
  const { id, outer } = job.request;
  if (failure !== undefined) {
    outer.adoptStrays(handle);
    fail(job, failure.error);
    return;
  }
  try {
    outer.adopt(id, handle);
    job.resolve(value);
  } catch (error) {
    job.reject(error);
  }
}

/** The session has ended, and what the function has changed in it with it. @param error how that was heard. */
export function endWithSession<H extends Inside>({ request }: Job<H>, handle: H, error?: unknown): void {
  request.outer.noteGone(request.id, error);
  handle.endInVain(A_TRANSACTION);
}

/** As `settle`, where the session has ended since: what it has changed was there until then. @param error how that was heard. */
export function settleBeforeEnd<H extends Inside>({ job, value, handle, failure }: Ran<H>, error?: unknown): void {
  endWithSession(job, handle, error);
  if (failure === undefined) job.resolve(value);
  else fail(job, failure.error);
}

export function fail<H extends Inside>({ request, reject }: Job<H>, error: unknown): void {
  if (isCode(error, "ERR_SESSION_GONE")) request.outer.noteGone(request.id, error);
  reject(error);
}

/** Keys that the function has set after it had ended the session are a session of their own, which is saved here. */
export async function settleAfterEnd<H extends Inside>(last: Ran<H> | undefined): Promise<void> {
  if (last === undefined) return;
  try {
    await last.handle.save();
    settle(last);
  } catch (error) {
    fail(last.job, error);
  }
}

// -- time

const TOO_LATE = Symbol("the lease is over");

/** What `result` resolves to, or TOO_LATE when the deadline (performance.now()) passes before: then nobody waits for it any longer. */
async function inTime(result: unknown, deadlineMs: number): Promise<unknown> {
  if (!isThenable(result)) return result;
  let timer: NodeJS.Timeout | undefined;
  const lateness = new Promise((resolve) => {
    timer = setTimeout(resolve, msLeft(deadlineMs, performance.now()), TOO_LATE);
  });
  try {
    return await Promise.race([result, lateness]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise, or what a library has instead: then, too, the function is not done yet. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveMembers = (typeof value === "object" && value !== null) || typeof value === "function";
  return canHaveMembers && "then" in value && typeof value.then === "function";
}

function stalled(id: string): SessionError {
  return new SessionError(
    "ERR_LEASE_LOST",
    `The transaction on session ${id} took longer than its lease; nothing of it was written.`,
  );
}
