// The transactions of one worker: those of a session wait in a queue, get its lease, run, and run again where that is nobody's fault.

import { confirmAround, currentScope, runOutside, transactionsAround } from "../scope.ts";
import { type Calls, confirm, endLease, type Grant, isKnown } from "./calls.ts";
import { fail, type Inside, type Job, runJob, settleAfterEnd, type TransactionRequest } from "./job.ts";
import { commitJobs } from "./job-commit.ts";
import { LeaseShare, takeSharing } from "./lease-share.ts";

const NONE: readonly never[] = [];

export class Transactions<H extends Inside> {
  readonly #calls: Calls;
  /** By session id. A queue is here as long as it is driven, which is no affair of the request that has begun it. */
  readonly #queues = new Map<string, Job<H>[]>();

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  run<T>(request: TransactionRequest<H, T>): Promise<T> {
    const confirmed = confirmAround();
    return confirmed === undefined ? this.#run(request) : confirmed.then(() => this.#run(request));
  }

  #run<T>(request: TransactionRequest<H, T>): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      const job: Job<H> = { request, resolve, reject, scope: currentScope(), conflicts: 0, isAlone: false };
      // Inside of another transaction each asks for itself: the daemon must know which transaction waits for which.
      if (transactionsAround().length > 0) void this.#drive(request.id, [job]);
      else this.#enqueue(job);
    }) as Promise<T>;
  }

  #enqueue(job: Job<H>): void {
    const { id } = job.request;
    const queue = this.#queues.get(id);
    if (queue !== undefined) {
      queue.push(job);
      return;
    }
    const jobs = [job];
    this.#queues.set(id, jobs);
    void runOutside(() => this.#drive(id, jobs));
  }

  async #drive(id: string, queue: Job<H>[]): Promise<void> {
    for (;;) {
      // Not in the head of the loop: V8 keeps what such a variable began with for as long as the loop goes on.
      const first = queue[0];
      if (first === undefined) break;
      const { leaseMs } = first.request;
      try {
        // What has met another host once is not to meet it again for want of a look.
        const mustBeSure = queue.some(({ conflicts }) => conflicts > 0);
        const grant = await this.#calls.lease(id, leaseMs, mustBeSure);
        const jobs = first.isAlone ? queue.splice(0, 1) : takeSharing(queue);
        queue.unshift(...(await this.#useLease(grant, jobs)));
      } catch (error) {
        // Whoever asked for the same lease would get the same answer.
        for (const job of queue.filter(({ request }) => request.leaseMs === leaseMs)) fail(job, error);
        queue.splice(0, queue.length, ...queue.filter(({ request }) => request.leaseMs !== leaseMs));
      }
    }
    if (this.#queues.get(id) === queue) this.#queues.delete(id);
  }

  /** Resolves to the jobs that must run (again). However it ends, the lease is given back, and no job is left without an answer. */
  async #useLease(grant: Grant, jobs: readonly Job<H>[]): Promise<readonly Job<H>[]> {
    const [job, ...others] = jobs;
    try {
      if (job !== undefined && others.length === 0) return await this.#runAlone(grant, job);
      return await new LeaseShare(this.#calls, grant, jobs).run();
    } catch (error) {
      // Nothing of ours throws here. If it does, that may not cost more than these.
      for (const one of jobs) fail(one, error);
      return NONE;
    } finally {
      // Whatever its jobs have left going on is no part of them any more.
      grant.isOvertaken = false;
      await this.#calls.release(grant);
    }
  }

  async #runAlone(grant: Grant, job: Job<H>): Promise<readonly Job<H>[]> {
    const ground = {
      grant,
      contents: grant.contents,
      endLease: () => endLease(this.#calls, grant),
      confirm: () => (isKnown(grant) ? undefined : confirm(this.#calls, grant)),
    };
    const begun = runJob(job, ground);
    const outcome = begun instanceof Promise ? await begun : begun;
    switch (outcome.kind) {
      case "ran": {
        const commit = { grant, ran: [outcome], unsaved: outcome.unsaved, keepsLease: false };
        return (await commitJobs(this.#calls, commit)) ?? NONE;
      }
      case "ended":
        await settleAfterEnd(outcome.last);
        return NONE;
      case "overtaken":
        return [outcome.job];
      case "stalled":
        return NONE;
    }
  }
}
