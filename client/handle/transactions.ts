// Transactions of one worker: waits for the session's lease, runs what waits for it, commits, and runs again what must.
//
// Those of one worker on one session that wait at the same time share a lease: they run one after the other, each on what the one before
// left, and are committed together. Nobody sees the steps in between, so each of them still was alone; and one that fails leaves nothing.

import { SessionError } from "../../protocol/errors.ts";
import type { Contents } from "../copies/contents.ts";
import type { Client, Grant } from "../link/client.ts";
import { A_TRANSACTION, Handle } from "./handle.ts";
import { currentScope, type Held, runHolding, type Scope, transactionsAround } from "./scope.ts";
import { mergeUnsaved, type Unsaved } from "./unsaved.ts";

export interface TransactionRequest<T> {
  readonly id: string;
  readonly fn: (session: Handle) => T | Promise<T>;
  /** 0: the daemon's default. */
  readonly leaseMs: number;
  /** Whose transaction it is: goes on with what it leaves. */
  readonly outer: Handle;
}

interface Job {
  /** Of who asked for it: not of who happens to run it. */
  readonly scope: Scope | undefined;
  readonly request: TransactionRequest<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  conflicts: number;
  /** It was part of a commit that was refused, for its sake or another's: it shares no lease any more. */
  isAlone: boolean;
}

/** A job that has run under a lease and is not committed yet. */
interface Ran {
  readonly job: Job;
  readonly value: unknown;
  readonly handle: Handle;
  readonly unsaved: Unsaved | undefined;
}

/** "stalled": its lease is over. "ended": it has failed after it had ended the session. */
type Outcome = Ran | "failed" | "stalled" | "ended";

/** The jobs that share one lease. */
interface Shared {
  readonly id: string;
  readonly grant: Grant;
  readonly jobs: readonly Job[];
  /** Under way: the commit of those that ran before one that takes its time. */
  ahead: Promise<unknown> | undefined;
  /** A job has given the lease back. */
  isOver: boolean;
}

const MAX_CONFLICTS = 10;
/** Others wait for the session too: after so many jobs, or so long, the lease is given back. */
const MAX_JOBS = 64;
const MAX_SHARED_MS = 10;
/** Says that what was sent can never be written. Nothing of it was. */
const REFUSALS: ReadonlySet<string> = new Set(["ERR_TOO_LARGE", "ERR_BAD_KEY", "ERR_BAD_VALUE", "ERR_BAD_OPTION"]);

export class Transactions {
  readonly #client: Client;
  readonly #queues = new Map<string, Job[]>();

  constructor(client: Client) {
    this.#client = client;
  }

  run<T>(request: TransactionRequest<T>): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      const job: Job = { request, resolve, reject, scope: currentScope(), conflicts: 0, isAlone: false };
      // Inside of another transaction each asks for itself: the daemon must know which transaction waits for which.
      if (transactionsAround().length > 0) void this.#drive(request.id, [job]);
      else this.#enqueue(job);
    }) as Promise<T>;
  }

  #enqueue(job: Job): void {
    const { id } = job.request;
    const queue = this.#queues.get(id);
    if (queue !== undefined) {
      queue.push(job);
      return;
    }
    const jobs = [job];
    this.#queues.set(id, jobs);
    void this.#drive(id, jobs);
  }

  async #drive(id: string, queue: Job[]): Promise<void> {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const { leaseMs } = first.request;
      const hasSameLease = ({ request }: Job): boolean => request.leaseMs === leaseMs;
      const maySharePlace = (job: Job): boolean => hasSameLease(job) && !job.isAlone;
      try {
        const grant = await this.#client.lease(id, leaseMs);
        const jobs = first.isAlone ? queue.splice(0, 1) : takeFrom(queue, maySharePlace, MAX_JOBS);
        queue.unshift(...(await this.#useLease({ id, grant, jobs, ahead: undefined, isOver: false })));
      } catch (error) {
        for (const job of takeFrom(queue, hasSameLease, queue.length)) fail(job, error);
      }
    }
    if (this.#queues.get(id) === queue) this.#queues.delete(id);
  }

  /** Returns the jobs that must run (again). However it ends, the lease is given back, and no job is left without an answer. */
  async #useLease(shared: Shared): Promise<Job[]> {
    try {
      return await this.#runJobs(shared);
    } catch (error) {
      // Nothing of ours throws here. If it does, that may not cost more than these.
      for (const job of shared.jobs) fail(job, error);
      return [];
    } finally {
      await this.#client.release(shared.grant);
    }
  }

  async #runJobs(shared: Shared): Promise<Job[]> {
    const { grant, jobs } = shared;
    const ran: Ran[] = [];
    let contents: Contents | undefined = grant.contents;
    let next = 0;
    const beganMs = performance.now();
    for (const job of jobs) {
      next += 1;
      const outcome = this.#runJob(job, shared, contents);
      if (outcome instanceof Promise && ran.length > 0 && !shared.isOver) {
        // What came before does not wait for it.
        const ahead = this.#commit(shared, ran.splice(0), true);
        shared.ahead = ahead;
        const again = await ahead;
        if (again !== undefined) {
          await this.#client.release(grant);
          // It began on what was not written after all.
          const vain = await outcome;
          return [...again, ...(isRan(vain) ? await this.#runAgain(vain) : []), ...jobs.slice(next)];
        }
      }
      const one = outcome instanceof Promise ? await outcome : outcome;
      if (one === "stalled") return [...ran.map((earlier) => earlier.job), ...jobs.slice(next)];
      if (one === "ended") {
        for (const earlier of ran) succeedBeforeEnd(earlier);
        return jobs.slice(next);
      }
      if (one !== "failed") {
        ran.push(one);
        // Ended by its own transaction: the lease is gone with the session.
        if (one.handle.ended.length > 0) {
          await this.#settleEnded(ran);
          return jobs.slice(next);
        }
        contents = one.unsaved === undefined ? contents : contents.changedBy(one.unsaved);
        if (one.unsaved?.isApart === true) break;
      }
      if (performance.now() - beganMs > MAX_SHARED_MS) break;
    }
    return [...((await this.#commit(shared, ran, false)) ?? []), ...jobs.slice(next)];
  }

  /** An end cannot be taken back, though. */
  async #runAgain(one: Ran): Promise<Job[]> {
    if (one.handle.ended.length === 0) return [one.job];
    await this.#settleEnded([one]);
    return [];
  }

  /** A promise only where the function gives one, or leaves something to wait for. */
  #runJob(job: Job, shared: Shared, contents: Contents): Outcome | Promise<Outcome> {
    const { id, grant } = shared;
    const { fn, outer } = job.request;
    const handle = new Handle(this.#client, { id, contents }, outer);
    handle.beginTransaction(() => this.#endLease(shared));
    const held: Held = { grant, handle: outer, outer: job.scope?.held };
    try {
      const value = runHolding(held, job.scope, fn, handle);
      if (isThenable(value) || handle.isBusy) return this.#awaitJob({ job, value, handle }, grant);
      return finish({ job, value, handle });
    } catch (error) {
      return afterError({ job, handle }, error);
    }
  }

  async #endLease(shared: Shared): Promise<void> {
    shared.isOver = true;
    await shared.ahead;
    await this.#client.release(shared.grant);
  }

  async #awaitJob({ job, value, handle }: Omit<Ran, "unsaved">, grant: Grant): Promise<Outcome> {
    try {
      const result = await inTime(value, grant.deadlineMs);
      const end = result === TOO_LATE ? TOO_LATE : await inTime(handle.finishTransaction(), grant.deadlineMs);
      if (end === TOO_LATE) throw handle.loseTransaction(stalled(job.request.id));
      return { job, value: result, handle, unsaved: handle.unsaved() };
    } catch (error) {
      return afterError({ job, handle }, error);
    }
  }

  /** What the last one set after it had ended the session is a session of its own. */
  async #settleEnded(ran: Ran[]): Promise<void> {
    const last = ran.pop();
    for (const earlier of ran) succeedBeforeEnd(earlier);
    try {
      await last?.handle.save();
      if (last !== undefined) succeed(last);
    } catch (error) {
      if (last !== undefined) fail(last.job, error);
    }
  }

  /** @returns the jobs that must run again; undefined when all are committed. */
  async #commit({ id, grant }: Shared, ran: readonly Ran[], keepsLease: boolean): Promise<Job[] | undefined> {
    const merged = mergeUnsaved(ran.map(({ unsaved }) => unsaved));
    try {
      if (merged === undefined) {
        for (const one of ran) succeed(one);
        return undefined;
      }
      const { entries, moved, shares, isUnique, properties } = merged;
      const request = {
        id,
        base: grant.contents,
        isNew: false,
        isUnique,
        entries,
        moved,
        shares,
        fence: grant.fence,
        keepsLease,
        ...properties,
      };
      const contents = await this.#client.apply(request);
      if (!keepsLease) grant.isOver = true;
      for (const one of ran) {
        if (contents !== undefined) one.handle.noteSaved(contents, one.unsaved);
        succeed(one);
      }
      return undefined;
    } catch (error) {
      for (const { job, handle } of ran) job.request.outer.adoptStrays(handle);
      return this.#afterFailure(error, grant, ran);
    }
  }

  #afterFailure(error: unknown, grant: Grant, ran: readonly Ran[]): Job[] {
    const jobs = ran.map(({ job }) => job);
    // The lease ended with its daemon: that was nobody's fault, and what holds the next one up ends in an error of its own.
    if (isCode(error, "ERR_LEASE_LOST") && !this.#client.isInForce(grant)) return jobs;
    // Another program saved: again on its contents, but not for ever.
    if (isCode(error, "ERR_CONFLICT")) return jobs.filter((job) => mayRunAgain(job, error));
    // Whose fault it was shows when each runs by itself.
    if (isRefusal(error) && jobs.length > 1) {
      for (const job of jobs) job.isAlone = true;
      return jobs;
    }
    // A lease is shared for a few milliseconds only: whoever outlived it was the last.
    const guilty = isCode(error, "ERR_LEASE_LOST") ? jobs.splice(-1) : jobs.splice(0);
    for (const job of guilty) fail(job, error);
    return jobs;
  }
}

/** A promise, or what a library has instead: then, too, the function is not done yet. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveMembers = (typeof value === "object" && value !== null) || typeof value === "function";
  return canHaveMembers && "then" in value && typeof value.then === "function";
}

const TOO_LATE = Symbol("the lease is over");

/** What `result` resolves to, or TOO_LATE when the deadline (performance.now()) passes before: then nobody waits for it any longer. */
async function inTime(result: unknown, deadlineMs: number): Promise<unknown> {
  if (!isThenable(result)) return result;
  let timer: NodeJS.Timeout | undefined;
  const lateness = new Promise((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadlineMs - performance.now()), TOO_LATE);
  });
  try {
    return await Promise.race([result, lateness]);
  } finally {
    clearTimeout(timer);
  }
}

function finish({ job, value, handle }: Omit<Ran, "unsaved">): Ran {
  void handle.finishTransaction();
  return { job, value, handle, unsaved: handle.unsaved() };
}

/** Nothing of it is committed; the others go on, if there is still a lease. */
function afterError({ job, handle }: Pick<Ran, "job" | "handle">, error: unknown): Outcome {
  // An end cannot be taken back.
  const hasEnded = handle.ended.length > 0;
  const isStalled = isCode(error, "ERR_LEASE_LOST");
  if (hasEnded) {
    job.request.outer.noteGone(job.request.id);
    handle.endInVain(A_TRANSACTION);
  } else if (!isStalled) job.request.outer.adoptStrays(handle);
  fail(job, error);
  if (hasEnded) return "ended";
  return isStalled ? "stalled" : "failed";
}

function succeed({ job, value, handle }: Ran): void {
  const { id, outer } = job.request;
  try {
    outer.adopt(id, handle);
    job.resolve(value);
  } catch (error) {
    job.reject(error);
  }
}

/** It came before the one that has ended the session: what it changed was there until then. */
function succeedBeforeEnd({ job, value, handle }: Ran): void {
  job.request.outer.noteGone(job.request.id);
  handle.endInVain(A_TRANSACTION);
  job.resolve(value);
}

function fail({ request, reject }: Job, error: unknown): void {
  if (isCode(error, "ERR_SESSION_GONE")) request.outer.noteGone(request.id);
  reject(error);
}

function stalled(id: string): SessionError {
  return new SessionError(
    "ERR_LEASE_LOST",
    `The transaction on session ${id} took longer than its lease; nothing of it was written.`,
  );
}

function takeFrom(queue: Job[], isWanted: (job: Job) => boolean, max: number): Job[] {
  const taken: Job[] = [];
  const left: Job[] = [];
  for (const job of queue) (taken.length < max && isWanted(job) ? taken : left).push(job);
  queue.splice(0, queue.length, ...left);
  return taken;
}

function isRan(outcome: Outcome): outcome is Ran {
  return typeof outcome === "object";
}

function isRefusal(error: unknown): boolean {
  return error instanceof SessionError && REFUSALS.has(error.code);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof SessionError && error.code === code;
}

/** False, and the job rejected, when it has met other programs often enough. */
function mayRunAgain(job: Job, error: unknown): boolean {
  job.conflicts += 1;
  if (job.conflicts < MAX_CONFLICTS) return true;
  fail(job, error);
  return false;
}
