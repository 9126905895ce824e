// For speed only: jobs of one worker on one session that wait at the same time share a lease. They run one after the other, each on what the
// one before has left, and are committed together. Nobody sees the steps in between, so each of them still is alone; and one that fails
// leaves nothing, and is told that with the others: what it saw may be what they are about to save. Without this file every job is one of its
// own, as `transactions.ts` runs those that are alone already; with sixteen at once on one session (`increment`) a job then takes ten times as long.
//
// A job whose function gives a promise makes nobody wait for it:
//
//   1. jobs A and B have run, and are not committed
//   2. job C begins on what B has left, and gives a promise
//   3. A and B are committed while C goes on, and the lease is kept
//   4. committed: C goes on to its own end, and may be committed under the same lease
//      refused:   C has begun on what was not written. It is waited for, and runs again with the others
//
// Before a job stores anything elsewhere, or ends the session, what ran before it is committed too.

import type { Contents } from "../copies/cache.ts";
import { type Calls, changedBefore, confirm, endLease, type Grant, isKnown } from "./calls.ts";
import type { Inside, Job, Outcome, Ran } from "./job.ts";
import { runJob, settleAfterEnd } from "./job.ts";
import { commitJobs } from "./job-commit.ts";
import type { Properties } from "./properties.ts";
import type { Unsaved } from "./unsaved.ts";

/** Others wait for the session too: after so many jobs, or so long, the lease is given back. */
const MAX_JOBS = 64;
const MAX_SHARED_MS = 10;

/** Takes the jobs that may run under one lease out of the queue. The first of them is there. */
export function takeSharing<H extends Inside>(queue: Job<H>[]): readonly Job<H>[] {
  const taken: Job<H>[] = [];
  const left: Job<H>[] = [];
  const leaseMs = queue[0]?.request.leaseMs;
  for (const job of queue) {
    const mayShare = taken.length < MAX_JOBS && !job.isAlone && job.request.leaseMs === leaseMs;
    (mayShare ? taken : left).push(job);
  }
  queue.splice(0, queue.length, ...left);
  return taken;
}

export class LeaseShare<H extends Inside> {
  readonly #calls: Calls;
  readonly #grant: Grant;
  readonly #jobs: readonly Job<H>[];
  /** The jobs that have begun are the first of `#jobs`. */
  #begun = 0;
  /** Those that have run and are not committed. */
  #ran: Ran<H>[] = [];
  /** What they have left. */
  #contents: Contents;
  /** Of those that ran before the job that runs: their commit is under way, or was refused. */
  #ahead: Promise<readonly Job<H>[] | undefined> | undefined;

  constructor(calls: Calls, grant: Grant, jobs: readonly Job<H>[]) {
    this.#calls = calls;
    this.#grant = grant;
    this.#contents = grant.contents;
    this.#jobs = jobs;
  }

  /** Resolves to the jobs that must run (again). */
  async run(): Promise<readonly Job<H>[]> {
    try {
      return await this.#runAll();
    } finally {
      // Whatever they have left going on is no part of them any more.
      this.#ran = [];
      this.#ahead = undefined;
    }
  }

  async #runAll(): Promise<readonly Job<H>[]> {
    const endMs = performance.now() + MAX_SHARED_MS;
    for (const job of this.#jobs) {
      this.#begun += 1;
      const begun = this.#begin(job);
      if (begun instanceof Promise) this.#commitAhead();
      const again = this.#ahead && (await this.#ahead);
      if (again !== undefined) return [...again, ...(await takeBack(await begun)), ...this.#waiting];
      this.#ahead = undefined;
      const outcome = begun instanceof Promise ? await begun : begun;
      switch (outcome.kind) {
        case "stalled":
          return [...this.#ran.map((earlier) => earlier.job), ...this.#waiting];
        case "overtaken":
          return [...this.#ran.map((earlier) => earlier.job), outcome.job, ...this.#waiting];
        case "ended":
          await settleAfterEnd(outcome.last);
          return this.#waiting;
        case "ran":
          this.#note(outcome);
      }
      if (isApart(outcome) || performance.now() > endMs) break;
    }
    return [...((await this.#commit({ keepsLease: false })) ?? []), ...this.#waiting];
  }

  get #waiting(): readonly Job<H>[] {
    return this.#jobs.slice(this.#begun);
  }

  #begin(job: Job<H>): Outcome<H> | Promise<Outcome<H>> {
    const [grant, contents, calls] = [this.#grant, this.#contents, this.#calls];
    const confirm = (): Promise<void> | undefined => (this.#isKnown ? undefined : this.#confirm());
    const giveBack = (): Promise<void> => this.#confirm().then(() => endLease(calls, grant));
    return runJob(job, { grant, contents, endLease: giveBack, confirm });
  }

  #note(ran: Ran<H>): void {
    this.#ran.push(ran);
    if (ran.unsaved !== undefined) this.#contents = this.#contents.changedBy(ran.unsaved);
  }

  /** Nothing of what the job that runs has begun on is to be found out, or to be committed. */
  get #isKnown(): boolean {
    return this.#ran.length === 0 && this.#ahead === undefined && isKnown(this.#grant);
  }

  /** What the job that runs has begun on is stored then. @throws SessionError ERR_CONFLICT: it is not, and the job runs again. */
  async #confirm(): Promise<void> {
    this.#commitAhead();
    if ((await this.#ahead) !== undefined) throw changedBefore(this.#grant);
    await confirm(this.#calls, this.#grant);
  }

  #commitAhead(): void {
    if (this.#ran.length > 0) this.#ahead = this.#commitKeeping();
  }

  /** @returns the jobs that must run again, after the lease was given back; undefined when all are committed. */
  async #commitKeeping(): Promise<readonly Job<H>[] | undefined> {
    const again = await this.#commit({ keepsLease: true });
    if (again === undefined) return undefined;
    this.#grant.isOvertaken = true;
    await this.#calls.release(this.#grant);
    return again;
  }

  #commit({ keepsLease }: { readonly keepsLease: boolean }): Promise<readonly Job<H>[] | undefined> {
    const ran = this.#ran;
    this.#ran = [];
    const unsaved = mergeUnsaved(ran.map((one) => one.unsaved));
    return commitJobs(this.#calls, { grant: this.#grant, ran, unsaved, keepsLease });
  }
}

/** It has begun on what was not written: it runs again, unless it has an answer, or has ended the session, which nothing takes back. */
async function takeBack<H extends Inside>(outcome: Outcome<H>): Promise<readonly Job<H>[]> {
  if (outcome.kind === "ran" || outcome.kind === "overtaken") return [outcome.job];
  if (outcome.kind === "ended") await settleAfterEnd(outcome.last);
  return [];
}

function isApart<H extends Inside>(outcome: Outcome<H>): boolean {
  return outcome.kind === "ran" && outcome.unsaved?.isApart === true;
}

/** What all of them changed, as one change; of one key the last value counts. */
export function mergeUnsaved(all: readonly (Unsaved | undefined)[]): Unsaved | undefined {
  let last: Unsaved | undefined;
  let merged: Merged | undefined;
  for (const unsaved of all) {
    if (unsaved === undefined) continue;
    if (last !== undefined) {
      merged ??= { entries: new Map(last.entries), moved: new Set(last.moved), properties: last.properties };
      addEntries(merged, unsaved);
      if (unsaved.properties !== merged.properties) merged.properties = { ...merged.properties, ...unsaved.properties };
    }
    last = unsaved;
  }
  return last && { ...last, ...merged };
}

interface Merged {
  readonly entries: Map<string, Buffer | undefined>;
  readonly moved: Set<string>;
  properties: Properties;
}

function addEntries({ entries, moved }: Merged, later: Unsaved): void {
  for (const [key, bytes] of later.entries) {
    const wasRemoved = entries.has(key) && entries.get(key) === undefined;
    // Removed and set again: the key moves to the end, as it would have one by one.
    if (bytes !== undefined && (wasRemoved || later.moved.has(key))) {
      entries.delete(key);
      moved.add(key);
    }
    entries.set(key, bytes);
  }
}
