// The end of jobs that have run under a lease: one commit of what they changed, and which of them must run again where it is refused.

import { type ErrorCode, isCode, SessionError } from "../../protocol/errors.ts";
import { type Calls, endOf, type Grant } from "./calls.ts";
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

/**
 * Never rejects: each job that is done has its answer.
 *
 * @returns the jobs that must run again; undefined when all are committed.
 */
export async function commitJobs<H extends Inside>(
  calls: Calls,
  { grant, ran, unsaved, keepsLease }: JobCommit<H>,
): Promise<Job<H>[] | undefined> {
  try {
    if (unsaved === undefined && ran.length > 0 && !grant.isSure) await calls.confirm(grant);
    const isThere = unsaved === undefined || (await apply(calls, { grant, ran, unsaved, keepsLease }));
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

/** Returns false where the session is not there any more: the answer to a commit that was done before is what there is now. */
async function apply<H extends Inside>(
  calls: Calls,
  { grant, ran, unsaved, keepsLease }: JobCommit<H> & { readonly unsaved: Unsaved },
): Promise<boolean> {
  const { id, contents: base, fence } = grant;
  const contents = await calls.apply({ id, base, unsaved, fence, keepsLease });
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
  const guilty = isCode(error, "ERR_LEASE_LOST") ? jobs.splice(-1) : jobs.splice(0);
  for (const job of guilty) fail(job, error);
  return jobs;
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
