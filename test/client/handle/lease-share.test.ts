// Jobs that share a lease, with handles and calls that only write down what is asked of them.
import { AsyncResource } from "node:async_hooks";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Calls, CommitRequest, Grant } from "../../../client/handle/calls.ts";
import type { Inside, Job, Outside } from "../../../client/handle/job.ts";
import { LeaseShare, takeSharing } from "../../../client/handle/lease-share.ts";
import { Transactions } from "../../../client/handle/transactions.ts";
import { NONE_MOVED, type Unsaved } from "../../../client/handle/unsaved.ts";
import { carryOn, confirmAround } from "../../../client/scope.ts";
import { type ErrorCode, SessionError } from "../../../protocol/errors.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import { contentsOf } from "../../support/contents.ts";
import { deferred } from "../../support/deferred.ts";

/** The handle of one job: what it sets is a change of one key. */
class Toy implements Inside {
  readonly ended: string[] = [];
  readonly isBusy = false;
  readonly seen: unknown;
  isApart = false;
  readonly #endLease: () => Promise<void>;
  #n: number | undefined;

  constructor(seen: unknown, endLease: () => Promise<void>) {
    this.seen = seen;
    this.#endLease = endLease;
  }

  /** Ends the session. */
  async end(): Promise<string> {
    this.ended.push("s");
    await this.#endLease();
    return "ended";
  }

  set(n: number): void {
    this.#n = n;
  }

  unsaved(): Unsaved | undefined {
    if (this.#n === undefined) return undefined;
    const entries = new Map([["n", encodeValue(this.#n, "n").bytes]]);
    const { isApart } = this;
    const rest = { shares: [], isUnique: false, successor: undefined, properties: {}, changes: new Map() };
    return { entries, moved: NONE_MOVED, isApart, ...rest };
  }

  finishTransaction(): undefined {
    return undefined;
  }

  loseTransaction(reason: Error): Error {
    return reason;
  }

  noteSaved(): void {}
  endInVain(): void {}
  async save(): Promise<void> {}
}

const outer: Outside<Toy> = {
  begin: (_id, contents, endLease) => new Toy(contents.value("n"), endLease),
  adopt: () => undefined,
  adoptStrays: () => undefined,
  noteGone: () => undefined,
};

let commits: CommitRequest[];
let refusal: ErrorCode | undefined;
/** How often it was asked whether what was granted is the newest. */
let confirmed: number;
/** It is not. */
let isOvertaken: boolean;
let isSure: boolean;
/** Nobody can be asked. */
let isAway: boolean;
const calls: Calls = {
  type: "memory",
  pathOf: () => null,
  load: async () => undefined,
  apply: async (request) => {
    commits.push(request);
    if (refusal !== undefined) throw new SessionError(refusal);
    return contentsOf({ n: 0 }, 2);
  },
  renew: async () => undefined,
  end: async () => undefined,
  lease: () => Promise.reject(new Error("there is a lease already")),
  isNewest: async () => {
    confirmed += 1;
    if (isAway) throw new SessionError("ERR_STORE");
    return !isOvertaken;
  },
  release: async (grant) => void Object.assign(grant, { isOver: true }),
  isInForce: () => true,
};

function raise(): never {
  throw new Error("a promise calls its executor at once");
}

type Asked = Job<Toy> & { readonly answer: Promise<unknown> };

function job(fn: (own: Toy) => unknown): Asked {
  let made: Job<Toy> | undefined;
  const answer = new Promise<unknown>((resolve, reject) => {
    const request = { id: "s", fn, leaseMs: 0, outer };
    made = { request, scope: undefined, resolve, reject, conflicts: 0, isAlone: false };
  });
  answer.catch(() => undefined);
  return Object.assign(made ?? raise(), { answer });
}

const plus = (own: Toy): unknown => {
  own.set(Number(own.seen) + 1);
  return own.seen;
};

function grant(isKnown: boolean): Grant {
  const lease = { id: "s", fence: 1, life: 1, isOver: false, deadlineMs: performance.now() + 60_000 };
  return { ...lease, isSure: isKnown, isOvertaken: false, contents: contentsOf({ n: 0 }) };
}

function share(...jobs: readonly Asked[]): Promise<readonly Job<Toy>[]> {
  return new LeaseShare<Toy>(calls, grant(isSure), jobs).run();
}

const answersOf = (jobs: readonly Asked[]): Promise<unknown[]> =>
  Promise.all(jobs.map(({ answer }) => answer.catch((error: unknown) => error)));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
  commits = [];
  refusal = undefined;
  [confirmed, isOvertaken, isSure, isAway] = [0, false, true, false];
});

afterEach(() => vi.useRealTimers());

describe("jobs under one lease", () => {
  it("each see what the one before has left, and are one commit", async () => {
    const jobs = [job(plus), job(plus), job(plus)];
    expect(await share(...jobs)).toEqual([]);
    expect(await answersOf(jobs)).toEqual([0, 1, 2]);
    expect(commits.map(({ keepsLease, unsaved }) => [keepsLease, unsaved.entries.get("n")])).toEqual([
      [false, encodeValue(3, "n").bytes],
    ]);
  });

  it("leave nothing of one that fails, and go on", async () => {
    const error = new Error("no");
    const jobs = [
      job(plus),
      job((own) => {
        own.set(100);
        throw error;
      }),
      job(plus),
    ];
    expect(await share(...jobs)).toEqual([]);
    expect(await answersOf(jobs)).toEqual([0, error, 1]);
    expect(commits).toHaveLength(1);
  });

  it("run again, all but the one that has stalled, when the lease is over", async () => {
    const stall = job(() => {
      throw new SessionError("ERR_LEASE_LOST");
    });
    const [before, after] = [job(plus), job(plus)];
    expect(await share(before, stall, after)).toEqual([before, after]);
    expect(await stall.answer.catch((error: unknown) => error)).toMatchObject({ code: "ERR_LEASE_LOST" });
    expect(commits).toEqual([]);
  });

  it("are done when one has ended the session, and those after it ask for themselves", async () => {
    const end = job((own) => own.end());
    const [before, after] = [job(plus), job(plus)];
    expect(await share(before, end, after)).toEqual([after]);
    expect(await answersOf([before, end])).toEqual([0, "ended"]);
    expect(commits.map(({ keepsLease }) => keepsLease)).toEqual([true]);
  });

  it("are told nothing that is not so, where one was to end the session and that has failed", async () => {
    const error = new SessionError("ERR_STORE");
    const end = job(async (own) => {
      await own.end();
      throw error;
    });
    const [before, after] = [job(plus), job(plus)];
    expect(await share(before, end, after)).toEqual([after]);
    expect(await answersOf([before, end])).toEqual([0, error]);
    expect(commits.map(({ unsaved }) => unsaved.entries.get("n"))).toEqual([encodeValue(1, "n").bytes]);
  });

  it("that have failed are told their own error, also where what the others changed could not be committed", async () => {
    refusal = "ERR_STORE";
    const error = new Error("no");
    const jobs = [
      job(plus),
      job(() => {
        throw error;
      }),
    ];
    expect(await share(...jobs)).toEqual([]);
    expect(await answersOf(jobs)).toEqual([expect.objectContaining({ code: "ERR_STORE" }), error]);
  });

  it("stop after one that must be committed apart", async () => {
    const apart = job((own) => {
      own.isApart = true;
      return plus(own);
    });
    const after = job(plus);
    expect(await share(apart, after)).toEqual([after]);
    expect(commits).toHaveLength(1);
  });

  it("stop when others have waited long enough", async () => {
    const long = job((own) => {
      vi.advanceTimersByTime(11);
      return plus(own);
    });
    const after = job(plus);
    expect(await share(long, after)).toEqual([after]);
    expect(commits).toHaveLength(1);
  });

  it("run each by itself where their commit is refused", async () => {
    refusal = "ERR_TOO_LARGE";
    const jobs = [job(plus), job(plus)];
    expect(await share(...jobs)).toEqual(jobs);
    expect(jobs.map(({ isAlone }) => isAlone)).toEqual([true, true]);
  });

  it("are not told of a conflict before it has come ten times", async () => {
    refusal = "ERR_CONFLICT";
    const one = job(plus);
    for (let times = 1; times < 10; times++) expect(await share(one)).toEqual([one]);
    expect(await share(one)).toEqual([]);
    expect(await one.answer.catch((error: unknown) => error)).toMatchObject({ code: "ERR_CONFLICT" });
  });
});

describe("jobs on contents of which nobody knows whether they are the newest", () => {
  const error = new Error("no");
  const read = (own: Toy): unknown => own.seen;
  const refuse = (): never => {
    throw error;
  };

  beforeEach(() => {
    isSure = false;
  });

  it("are sure of them when what they changed is committed", async () => {
    const jobs = [job(read), job(plus), job(refuse)];
    expect(await share(...jobs)).toEqual([]);
    expect(await answersOf(jobs)).toEqual([0, 0, error]);
    expect([commits.length, confirmed]).toEqual([1, 0]);
  });

  it("ask before they tell what they saw, where they have nothing to commit", async () => {
    const jobs = [job(read), job(refuse)];
    expect(await share(...jobs)).toEqual([]);
    expect(await answersOf(jobs)).toEqual([0, error]);
    expect([commits.length, confirmed]).toEqual([0, 1]);
  });

  it("tell their own error where nobody can be asked, and else that", async () => {
    isAway = true;
    const jobs = [job(refuse), job(read)];
    expect(await share(...jobs)).toEqual([]);
    expect(await answersOf(jobs)).toEqual([error, expect.objectContaining({ code: "ERR_STORE" })]);
  });

  it("tell their own error soon where nobody answers, and the lease is given back; whatever the answer is, it comes too late", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    const { promise: away, resolve: comeBack } = deferred<boolean>();
    const asked = deferred<void>();
    const granted = grant(false);
    const isNewest = (): Promise<boolean> => {
      asked.resolve();
      return away;
    };
    const transactions = new Transactions<Toy>({ ...calls, lease: async () => granted, isNewest });
    const run = expect(transactions.run(job(refuse).request)).rejects.toBe(error);
    await asked.promise;
    expect(granted.isOver).toBe(false);
    vi.advanceTimersByTime(1_000);
    await run;
    await vi.waitFor(() => expect(granted.isOver).toBe(true));
    comeBack(false);
    await away;
    expect(granted.isOvertaken).toBe(false);
  });

  it("hold back what others saw with them until that is known, though they have failed", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    const { promise: away, resolve: comeBack } = deferred<boolean>();
    const jobs = [job(read), job(refuse)];
    const done = new LeaseShare<Toy>({ ...calls, isNewest: () => away }, grant(false), jobs).run();
    await vi.advanceTimersByTimeAsync(5_000);
    comeBack(false);
    expect(await done).toEqual(jobs);
  });

  it("run again where they are not", async () => {
    isOvertaken = true;
    const jobs = [job(read), job(refuse)];
    expect(await share(...jobs)).toEqual(jobs);
    expect(jobs.map(({ conflicts }) => conflicts)).toEqual([1, 1]);
  });

  it("run again where a commit says so, and with them what has failed on what that was to save", async () => {
    refusal = "ERR_CONFLICT";
    const jobs = [job(plus), job(refuse)];
    expect(await share(...jobs)).toEqual(jobs);
  });
});

describe("a job that takes its time", () => {
  it("keeps nobody waiting: what ran before it is committed, and the lease goes on", async () => {
    const { promise, resolve } = deferred<void>();
    const before = job(plus);
    const slow = job(async (own) => {
      await promise;
      return plus(own);
    });
    const done = share(before, slow);
    expect(await before.answer).toBe(0);
    expect(commits.map(({ keepsLease }) => keepsLease)).toEqual([true]);
    resolve();
    expect(await done).toEqual([]);
    expect(await slow.answer).toBe(1);
    expect(commits.map(({ keepsLease }) => keepsLease)).toEqual([true, false]);
  });

  it("runs again where what it began on was not written", async () => {
    refusal = "ERR_CONFLICT";
    const [before, slow, after] = [job(plus), job(async (own) => plus(own)), job(plus)];
    expect(await share(before, slow, after)).toEqual([before, slow, after]);
    expect(commits).toHaveLength(1);
  });

  it.each(["ERR_CONFLICT", "ERR_STORE"] as const)(
    "runs again before it ends the session, if what it began on was not written: %s",
    async (code) => {
      refusal = code;
      let hasEnded = false;
      const end = job(async (own) => {
        await own.end();
        hasEnded = true;
      });
      const before = job(plus);
      expect(await share(before, end)).toEqual(code === "ERR_CONFLICT" ? [before, end] : [end]);
      expect(hasEnded).toBe(false);
    },
  );
});

describe("work that goes on after a transaction", () => {
  /** Asks what a call in it would have to wait for. */
  let later: () => unknown;
  const leave = (): void => {
    later = carryOn(() => AsyncResource.bind(confirmAround));
  };

  it("waits for nothing, and commits nothing, where that was to run again", async () => {
    const stall = job(() => {
      leave();
      throw new SessionError("ERR_LEASE_LOST");
    });
    const before = job(plus);
    expect(await share(before, stall)).toEqual([before]);
    expect([await later(), commits]).toEqual([undefined, []]);
  });

  /** The first run of `slow` leaves some. Resolves to how often that has run, and what the work waits for. */
  async function runAgain(fns: readonly ((own: Toy) => unknown)[], lease: Calls["lease"]): Promise<unknown> {
    const transactions = new Transactions<Toy>({ ...calls, lease });
    let runs = 0;
    const slow = async (): Promise<void> => {
      runs += 1;
      if (runs === 1) leave();
    };
    await Promise.all([...fns, slow].map((fn) => transactions.run({ id: "s", fn, leaseMs: 0, outer })));
    return [runs, await later()];
  }

  it("waits for nothing where that has run again, as what it began on was not written", async () => {
    refusal = "ERR_CONFLICT";
    let runs = 0;
    const before = (own: Toy): void => {
      runs += 1;
      if (runs > 1) refusal = undefined;
      plus(own);
    };
    expect(await runAgain([before], async () => grant(true))).toEqual([2, undefined]);
  });

  it("waits for nothing where that has run again, as what it began on was not the newest", async () => {
    isOvertaken = true;
    expect(await runAgain([], async (_id, _ms, mustBeSure) => grant(mustBeSure))).toEqual([2, undefined]);
  });
});

it("a lease is shared by those that ask for the same one, but for jobs that are alone", () => {
  const [first, other, alone, last] = [job(plus), job(plus), job(plus), job(plus)];
  Object.assign(other, { request: { ...other.request, leaseMs: 9 } });
  alone.isAlone = true;
  const queue: Job<Toy>[] = [first, other, alone, last];
  expect(takeSharing(queue)).toEqual([first, last]);
  expect(queue).toEqual([other, alone]);
});
