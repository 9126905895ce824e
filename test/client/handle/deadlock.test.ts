// Transactions that ask for each other's session: one of them is refused at once, and whoever has nothing to do with it is not.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";

/** Longer than any test runs. */
const LEASE = { leaseMs: 60_000 };

let house: SessionHouse;
let ids: string[];
/** That of `Session.Run`. */
let client: Awaited<ReturnType<typeof connect>>;

beforeAll(async () => {
  house = await SessionHouse.open();
  client = await connect(house.options);
});
afterAll(() => house.close());
beforeEach(async () => {
  ids = [];
  for (let n = 0; n < 3; n++) ids.push(await makeSession());
});

async function makeSession(): Promise<string> {
  return Session.Run({ remoteAddress: "10.0.0.1" }, () => {
    Session.n = 0;
    return Session.Id as string;
  });
}

function idOf(index: number): string {
  return ids[index % ids.length] as string;
}

function increment(): void {
  Session.n = Number(Session.n) + 1;
}

/** How it ended. A deadlock names the sessions. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (error instanceof SessionError) return error.code;
    throw error;
  }
}

type Ask = (theirs: string) => Promise<unknown>;

/** Each keeps its own session until all have one, and then asks for the next one's. */
function ring(size: number, ask: Ask): Promise<string[]> {
  const all = Array.from({ length: size }, () => deferred());
  const hold = (index: number): Promise<string> =>
    outcomeOf(
      Session.Run({ id: idOf(index) }, () =>
        Session.Transaction(async () => {
          increment();
          all[index]?.resolve();
          await Promise.all(all.map(({ promise }) => promise));
          await ask(ids[(index + 1) % size] as string);
        }, LEASE),
      ),
    );
  return Promise.all(all.map((_, index) => hold(index)));
}

const ASKS: [string, Ask][] = [
  ["transactions", (id) => Session.Run({ id }, () => Session.Transaction(increment))],
  ["changes that are saved at the end", (id) => Session.Run({ id }, () => Session.set("other", 1))],
  [
    "saves",
    (id) =>
      Session.Run({ id }, async () => {
        Session.other = 1;
        await Session.Save();
      }),
  ],
];

describe("of transactions in a ring exactly one is refused, and the others go on:", () => {
  it.each(ASKS)("two that ask by %s", async (_what, ask) => {
    expect((await ring(2, ask)).sort()).toEqual(["ERR_DEADLOCK", "done"]);
  });

  it.each(ASKS)("three that ask by %s", async (_what, ask) => {
    expect((await ring(3, ask)).sort()).toEqual(["ERR_DEADLOCK", "done", "done"]);
  });

  it("two of two workers", async () => {
    const [anna, bert] = [house.worker(), house.worker()];
    const [a, b] = [idOf(0), idOf(1)];
    const both = [deferred(), deferred()];
    const cross = (worker: typeof anna, mine: string, theirs: string, index: number): Promise<string> =>
      outcomeOf(
        worker.transaction(
          mine,
          async (session) => {
            session.set("mine", index);
            both[index]?.resolve();
            await Promise.all(both.map(({ promise }) => promise));
            await worker.transaction(theirs, (other) => other.set("theirs", index), LEASE);
          },
          LEASE,
        ),
      );
    expect((await Promise.all([cross(anna, a, b, 0), cross(bert, b, a, 1)])).sort()).toEqual(["ERR_DEADLOCK", "done"]);
    const values = await Promise.all([a, b].map(async (id) => (await anna.open(id))?.keys));
    expect(values.map((keys) => keys?.includes("mine")).sort()).toEqual([false, true]);
  });
});

it("the error names both sessions, and the one that is refused leaves nothing", async () => {
  const [a, b] = [idOf(0), idOf(1)];
  const [asked, held] = [deferred(), deferred()];
  const first = Session.Run({ id: a }, () =>
    Session.Transaction(async () => {
      await held.promise;
      const waiting = Session.Run({ id: b }, () => Session.Transaction(increment));
      asked.resolve();
      await waiting;
    }, LEASE),
  );
  const second = Session.Run({ id: b }, () =>
    Session.Transaction(async () => {
      increment();
      held.resolve();
      await asked.promise;
      await Session.Run({ id: a }, increment);
    }, LEASE),
  );
  await expect(second).rejects.toMatchObject({ code: "ERR_DEADLOCK", isRetryable: true });
  await expect(second).rejects.toThrow(new RegExp(`${b} .*${a}`));
  await first;
  expect(await Session.Run({ id: b }, () => Session.n)).toBe(1);
});

describe("a transaction that waits for itself is refused:", () => {
  it("by another transaction on its session, through a client", async () => {
    const worker = house.worker();
    const inside = worker.transaction(idOf(0), () => worker.transaction(idOf(0), () => 1), LEASE);
    expect(await outcomeOf(inside)).toBe("ERR_DEADLOCK");
  });

  it("by a Run in a function that is not asynchronous", async () => {
    const change = (): void => Session.set("n", 1);
    const inside = client.transaction(idOf(0), () => Session.Run({ id: idOf(0) }, change), LEASE);
    expect(await outcomeOf(inside)).toBe("ERR_DEADLOCK");
  });

  it.each(["save", "load", "abandon"] as const)("by %s of the handle it was begun with", async (name) => {
    const handle = await house.worker().open(idOf(0));
    const inside = handle?.transaction(async (session) => {
      session.set("n", 1);
      handle.set("m", 1);
      await handle[name]();
    }, LEASE);
    expect(await outcomeOf(inside as Promise<unknown>)).toBe("ERR_DEADLOCK");
  });
});

describe("nobody is refused who is in no ring:", () => {
  it("other work of the same worker", async () => {
    const [a, b] = [idOf(0), idOf(1)];
    const [held, letGo] = [deferred(), deferred()];
    const slow = Session.Run({ id: a }, () =>
      Session.Transaction(async () => {
        held.resolve();
        await letGo.promise;
        await Session.Run({ id: b }, () => Session.Transaction(increment));
      }, LEASE),
    );
    await held.promise;
    const others = [a, b, a, b].map((id) => Session.Run({ id }, () => Session.Transaction(increment)));
    const crossing = Session.Run({ id: b }, () =>
      Session.Transaction(async () => {
        letGo.resolve();
        await Session.Run({ id: idOf(2) }, () => Session.Transaction(increment));
      }, LEASE),
    );
    await Promise.all([slow, crossing, ...others]);
    expect(await Promise.all([a, b].map((id) => Session.Run({ id }, () => Session.n)))).toEqual([2, 3]);
  });

  it("many that take two sessions in the same order", async () => {
    const [a, b] = [idOf(0), idOf(1)];
    const both = (): Promise<unknown> =>
      Session.Run({ id: a }, () =>
        Session.Transaction(async () => {
          increment();
          await Session.Run({ id: b }, () => Session.Transaction(increment));
        }),
      );
    await Promise.all(Array.from({ length: 20 }, both));
    expect(await Promise.all([a, b].map((id) => Session.Run({ id }, () => Session.n)))).toEqual([20, 20]);
  });

  it("work that goes on after its transaction", async () => {
    const [a, b] = [idOf(0), idOf(1)];
    const over = deferred();
    let late: Promise<unknown> | undefined;
    await Session.Run({ id: a }, () =>
      Session.Transaction(() => {
        late = over.promise.then(() => Session.Run({ id: b }, () => Session.Transaction(increment)));
      }),
    );
    await Session.Run({ id: b }, () =>
      Session.Transaction(async () => {
        over.resolve();
        await Session.Run({ id: a }, () => Session.Transaction(increment));
      }, LEASE),
    );
    await late;
    expect(await Session.Run({ id: b }, () => Session.n)).toBe(1);
  });

  it("who only reads the other's session", async () => {
    for (const index of [0, 1]) house.makeOlder(idOf(index), 5_000);
    const outcomes = await ring(2, (id) => Session.Run({ id }, () => Session.n));
    expect(outcomes).toEqual(["done", "done"]);
  });
});
