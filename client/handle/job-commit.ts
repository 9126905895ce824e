// The end of jobs that have run under a lease: one commit of what they changed, and which of them must run again where it is refused.

import { type ErrorCode, isCode, SessionError } from "../../protocol/errors.ts";
import type { Contents } from "../copies/cache.ts";
import { type Calls, changedBefore, confirm, confirmForError, endOf, type Grant, whenAsked } from "./calls.ts";
import { fail, type Inside, type Job, type Ran, settle, settleBeforeEnd } from "./job.ts";
import type { Unsaved } from "./unsaved.ts";

/** A Gambas program that saves all the time does so for ever: somebody has to be told. */
const MAX_CONFLICTS = 10;
/** Says that what was sent can never be written. Nothing of it was. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["ERR_TOO_LARGE", "ERR_BAD_KEY", "ERR_BAD_VALUE", "ERR_BAD_OPTION"]);

export interface JobCommit<H extends Inside> {
  readonly grant: Grant;
  readonly ran: readonly Ran<H>[];
  /** What all of them have changed, as one change; undefined: nothing. */
  readonly unsaved: Unsaved | undefined;
  readonly keepsLease: boolean;
}

interface Commit<H extends Inside> extends JobCommit<H> {
  readonly unsaved: Unsaved;
}

/**
 * Never rejects: each job that is done has its answer.
 *
 * @returns the jobs that must run again; undefined when all are committed.
 */
export async function commitJobs<H extends Inside>(
  calls: Calls,
  { grant, ran, unsaved, keepsLease }: JobCommit<H>,
): Promise<Job<H>[] | undefined> {
  const ask = ran.every(({ failure }) => failure !== undefined) ? confirmForError : confirm;
  try {
    // What was begun inside, and not awaited, may be asking what this commit would change.
    if (grant.asked !== undefined) await whenAsked(grant);
    if (grant.isOvertaken) throw changedBefore(grant);
    if (unsaved === undefined && !grant.isSure) await ask(calls, grant);
    const isThere = unsaved === undefined || (await begin(calls, { grant, ran, unsaved, keepsLease }));
    const error = isThere ? undefined : await endOf(calls, grant.id);
    for (const one of ran) {
      if (isThere) settle(one);
      else settleBeforeEnd(one, error);
    }
    return undefined;
  } catch (error) {
    for (const { job, handle } of ran) job.request.outer.adoptStrays(handle);
    return jobsAfter(error, ran, { isLeaseGone: !calls.isInForce(grant) });
  }
}

/** Where it is not known whether what was granted is the newest, this tells, and whoever asks for that waits for it. */
function begin<H extends Inside>(calls: Calls, commit: Commit<H>): Promise<boolean> {
  const { grant } = commit;
  const { isSure } = grant;
  const applied = apply(calls, commit);
  if (!isSure) grant.asked = applied;
  return applied;
}

/** Returns false where the session is not there any more: the answer to a commit that was done before is what there is now. */
async function apply<H extends Inside>(calls: Calls, { grant, ran, unsaved, keepsLease }: Commit<H>): Promise<boolean> {
  const { id, contents: base, fence } = grant;
  let contents: Contents | undefined;
  try {
    contents = await calls.apply({ id, base, unsaved, fence, keepsLease });
  } catch (error) {
    grant.isOvertaken = isCode(error, "ERR_CONFLICT");
    throw error;
  }
  if (!keepsLease) grant.isOver = true;
  if (contents === undefined) return false;
  grant.contents = contents;
  grant.isSure = true;
  for (const one of ran) one.handle.noteSaved(contents, one.unsaved);
  return true;
}

function jobsAfter<H extends Inside>(
  error: unknown,
  ran: readonly Ran<H>[],
  { isLeaseGone }: { readonly isLeaseGone: boolean },
): Job<H>[] {
  const jobs = ran.map(({ job }) => job);
  // The lease ended with its daemon: that was nobody's fault, and what holds the next one up ends in an error of its own.
  if (isCode(error, "ERR_LEASE_LOST") && isLeaseGone) return jobs;
  // Another program saved: again on its contents, but not for ever.
  if (isCode(error, "ERR_CONFLICT")) return jobs.filter((job) => mayRunAgain(job, error));
  // Whose fault it was shows when each runs by itself.
  if (isRefusal(error) && jobs.length > 1) {
    for (const job of jobs) job.isAlone = true;
    return jobs;
  }
  // A lease is shared for a few milliseconds only: the job that outlived it was the last.
  const first = isCode(error, "ERR_LEASE_LOST") ? ran.length - 1 : 0;
  // Nothing of one that had failed was to be saved: that it could not be is no news to its caller.
  for (const { job, failure } of ran.slice(first)) fail(job, failure === undefined ? error : failure.error);
  return jobs.slice(0, first);
}

/** False, and the job rejected, when it has met other programs often enough. */
function mayRunAgain<H extends Inside>(job: Job<H>, error: unknown): boolean {
  job.conflicts += 1;
  if (job.conflicts < MAX_CONFLICTS) return true;
  fail(job, error);
  return false;
}

function isRefusal(error: unknown): boolean {
  return error instanceof SessionError && REFUSALS.has(error.code);
}
