// Transactions that wait for the session at the same time.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { deferred } from "../../support/deferred.ts";
import { codeOf, house, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

describe("transactions that wait for the session at the same time", () => {
  const transact = <T>(id: string, fn: () => T | Promise<T>): Promise<T> =>
    Session.Run({ id }, () => Session.Transaction(fn));

  /** Those that come while another one keeps the session: they share the next lease. */
  async function together(id: string, ...fns: (() => unknown)[]): Promise<PromiseSettledResult<unknown>[]> {
    const [held, letGo] = [deferred(), deferred()];
    const first = transact(id, () => {
      held.resolve();
      return letGo.promise;
    });
    await held.promise;
    const outcomes = Promise.allSettled(fns.map((fn) => transact(id, fn)));
    letGo.resolve();
    await first;
    return outcomes;
  }

  const [before, after] = [() => Session.set("before", 1), () => Session.set("after", 1)];

  it("do not wait for one that comes after them and takes its time", async () => {
    const id = await makeSession({ n: 1 });
    const [held, letGo] = [deferred(), deferred()];
    const first = transact(id, () => held.promise);
    const fast = transact(id, () => Session.set("fast", 1));
    const slow = transact(id, async () => {
      const saw = Session.fast;
      await letGo.promise;
      Session.set("slow", saw);
      return Session.n;
    });
    const last = transact(id, () => Session.set("last", Session.slow));
    held.resolve();
    await Promise.all([first, fast]);
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, fast: 1 }));
    letGo.resolve();
    expect(await slow).toBe(1);
    await last;
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, fast: 1, slow: 1, last: 1 }));
  });

  it("Load does not take back what one before them has done", async () => {
    const id = await makeSession({ n: 0 });
    const count = (): unknown => Session.set("n", (Session.n as number) + 1);
    const reload = async (): Promise<void> => {
      Session.n = 100;
      await Session.Load();
      count();
    };
    const outcomes = await together(id, count, reload, count, reload);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(4).fill("fulfilled"));
    expect(await Session.Run({ id }, () => Session.n)).toBe(4);
  });

  it("run again where what they had seen of those before them could not be written", async () => {
    const id = await makeSession({ n: 1 });
    let runs = 0;
    const outcomes = await together(
      id,
      () => Session.set("big", "x".repeat(4_000_000)),
      async () => {
        runs += 1;
        Session.set("saw", Session.Exist("big"));
        await new Promise((resolve) => setImmediate(resolve));
      },
    );
    expect(outcomes).toMatchObject([
      { status: "rejected", reason: { code: "ERR_TOO_LARGE" } },
      { status: "fulfilled" },
    ]);
    // Once where a slow machine had each of them run under a lease of its own.
    expect([1, 2]).toContain(runs);
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, saw: false }));
  });

  it("do not share the fate of one that is too large", async () => {
    const id = await makeSession({ n: 1 });
    const outcomes = await together(id, before, () => Session.set("big", "x".repeat(4_000_000)), after);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "ERR_TOO_LARGE" } });
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 1, before: 1, after: 1 }));
  });

  it.each([
    ["", () => Session.Abandon(), "fulfilled"],
    [" and then fails", () => Session.Abandon().then(() => Promise.reject(new Error("on purpose"))), "rejected"],
  ])("came before one that ends the session%s, or find that it is gone", async (_what, end, status) => {
    const id = await makeSession({ n: 1 });
    const outcomes = await together(id, before, end, after);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", status, "rejected"]);
    expect(outcomes[2]).toMatchObject({ reason: { code: "ERR_SESSION_GONE" } });
    expect(house.has(id)).toBe(false);
  });

  it("do not pretend to have saved a part that was not awaited and outlived them", async () => {
    const id = await makeSession({ n: 1 });
    const letGo = deferred();
    let late: Promise<unknown> | undefined;
    await transact(id, () => {
      late = Session.Run({ id }, async () => {
        await letGo.promise;
        Session.set("late", 1);
      });
      Session.set("n", 2);
    });
    letGo.resolve();
    expect(await codeOf(() => late)).toBe("ERR_LEASE_LOST");
    await Session.Run({ id }, () => expect({ ...Session }).toEqual({ n: 2 }));
  });

  it("leave no dead session behind where one has ended it and failed", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(async () => {
        await Session.Abandon();
        throw new Error("on purpose");
      });
      await expect(failing).rejects.toThrow("on purpose");
      expect([Session.Id, Session.n]).toEqual([null, undefined]);
    });
  });
});
