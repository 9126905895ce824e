// Walks the error table: whatever a transaction meets, at its lease, its commit or its release, alone or with others, a second writer gets
// its turn at once. An error nobody has decided about fails here.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client, Handle } from "../../../client/index.ts";
import { ERRORS, type ErrorCode } from "../../../protocol/errors.ts";
import { Interposer } from "../../support/daemon/interposer.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";

/** Longer than any test runs: whoever waits for its end fails. */
const LEASE = { leaseMs: 60_000 };

const OPERATIONS = ["lease", "commit", "release"] as const;
type Place = (typeof OPERATIONS)[number];

/** Thrown in the worker, before anything is sent: tried as an error of the transaction's function. */
const OF_WORKER = "only a worker throws it";
/** Tried as an answer all the same: a daemon may say whatever it likes. */
const NOT_OF_THIS = "no daemon of ours answers it there";

/** Where an error can come up: the places by default, or why it cannot. */
const DECISIONS: Readonly<Record<ErrorCode, "everywhere" | typeof OF_WORKER | typeof NOT_OF_THIS>> = {
  ERR_NO_SESSION_CONTEXT: OF_WORKER,
  ERR_HEADERS_SENT: OF_WORKER,
  ERR_NOT_SAVED: OF_WORKER,
  ERR_STALE_OBJECT: OF_WORKER,
  ERR_TWO_VERSIONS: OF_WORKER,
  ERR_BAD_KEY: "everywhere",
  ERR_BAD_VALUE: "everywhere",
  ERR_BAD_OPTION: "everywhere",
  ERR_BAD_ADDRESS: OF_WORKER,
  ERR_BAD_ID: "everywhere",
  ERR_ID_TAKEN: "everywhere",
  ERR_UNREADABLE: "everywhere",
  ERR_SESSION_GONE: "everywhere",
  ERR_SESSION_BUSY: "everywhere",
  ERR_LEASE_LOST: "everywhere",
  ERR_DEADLOCK: "everywhere",
  ERR_CONFLICT: "everywhere",
  ERR_TOO_LARGE: "everywhere",
  ERR_STORE: "everywhere",
  ERR_BAD_ROOT: NOT_OF_THIS,
  ERR_BAD_REDIS: NOT_OF_THIS,
  ERR_SOCKET_PATH: NOT_OF_THIS,
  ERR_DAEMON_UNAVAILABLE: "everywhere",
  ERR_DAEMON_RUNNING: NOT_OF_THIS,
  ERR_PROTOCOL_VERSION: "everywhere",
  ERR_PROTOCOL: "everywhere",
  ERR_OVERLOADED: "everywhere",
  ERR_CLOSED: OF_WORKER,
  ERR_INTERNAL: "everywhere",
};

const codes = Object.keys(ERRORS) as ErrorCode[];

let house: SessionHouse;
let interposer: Interposer;
let anna: Client;
let bert: Client;
let id: string;

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 100_000 });
  interposer = await Interposer.open(`${house.root}/between.sock`, `${house.root}/sessiond.sock`);
  anna = house.worker({ socket: interposer.socket });
  bert = house.worker();
  await Promise.all([anna.ready(), bert.ready()]);
});
afterAll(async () => {
  await interposer.close();
  await house.close();
});
beforeEach(async () => {
  interposer.judge = () => "pass";
  const session = bert.create({ prefix: "leases" });
  session.set("n", 0);
  await session.save();
  id = session.id as string;
});

/** The first call of this name meets it, and then everything passes. */
function once(place: string, verdict: string): void {
  let isDue = true;
  interposer.judge = (name) => {
    if (name !== place || !isDue) return "pass";
    isDue = false;
    return verdict;
  };
}

function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (error) => error.code ?? error.message,
  );
}

/** What libraries have instead of promises. */
function thenable(then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void): object {
  return { then };
}

const write = (session: Handle): void => session.set("n", 1);
const look = (session: Handle): unknown => session.get("n");

/** The second writer: it must not have to wait for the end of a lease. */
async function secondWriter(): Promise<void> {
  await bert.transaction(id, (session) => session.set("second", 1), LEASE);
  const other = await bert.open(id);
  other?.set("plain", 1);
  await other?.save();
}

it("every error of the table is decided about", () => {
  expect(Object.keys(DECISIONS).sort()).toEqual([...codes].sort());
});

describe.each(codes.filter((code) => DECISIONS[code] !== OF_WORKER))("%s", (code) => {
  it.each(OPERATIONS)("at the %s keeps nobody waiting", async (place) => {
    once(place, code);
    const first = outcomeOf(anna.transaction(id, place === "release" ? look : write, LEASE));
    await secondWriter();
    // A conflict is tried again, and a release is the transaction's affair no more.
    const isTriedAgain = place === "commit" && code === "ERR_CONFLICT";
    expect(await first).toBe(isTriedAgain || place === "release" ? "done" : code);
  });

  it("at the commit of several that share a lease keeps nobody waiting, and each is answered", async () => {
    const handle = await anna.open(id);
    const [held, letGo] = [deferred(), deferred()];
    const before = anna.transaction(
      id,
      () => {
        held.resolve();
        return letGo.promise;
      },
      LEASE,
    );
    await held.promise;
    const several = [write, look, write, (session: Handle) => Promise.resolve(write(session))].map(async (fn) =>
      outcomeOf(anna.transaction(id, fn, LEASE)),
    );
    await handle?.load();
    once("commit", code);
    letGo.resolve();
    await before;
    await secondWriter();
    for (const outcome of await Promise.all(several)) expect(["done", code]).toContain(outcome);
  });
});

describe.each(codes)("%s thrown", (code) => {
  const problem = Object.assign(new Error("mine"), { code });
  const fns: [string, (session: Handle) => unknown][] = [
    [
      "at once",
      () => {
        throw problem;
      },
    ],
    ["as a rejection", () => Promise.reject(problem)],
    ["by a promise of another kind", () => thenable((_, reject) => reject(problem))],
  ];
  it.each(fns)("%s in the function keeps nobody waiting", async (_how, fn) => {
    const first = outcomeOf(anna.transaction(id, (session) => [write(session), fn(session)][1], LEASE));
    await secondWriter();
    expect(await first).toBe(code);
  });
});

describe("a connection that is lost", () => {
  const moments = OPERATIONS.flatMap((place): [string, Place, string][] => [
    [`before the ${place} arrives`, place, "cut"],
    [`when the ${place} was carried out`, place, "cut after"],
  ]);
  it.each(moments)("%s keeps nobody waiting", async (_when, place, verdict) => {
    once(place, verdict);
    const first = outcomeOf(anna.transaction(id, place === "release" ? look : write, LEASE));
    expect(await first).toBe("done");
    await secondWriter();
  });

  it("while the function runs keeps nobody waiting", async () => {
    let runs = 0;
    const first = anna.transaction(
      id,
      async (session) => {
        runs += 1;
        if (runs > 1) return;
        once("status", "cut");
        await anna.status();
        await secondWriter();
        session.set("n", 5);
      },
      LEASE,
    );
    expect(await outcomeOf(first)).toBe("done");
    expect(runs).toBe(2);
  });

  it("for good, with the client, keeps nobody waiting", async () => {
    const carl = house.worker();
    const held = deferred();
    const first = outcomeOf(
      carl.transaction(
        id,
        (session) => {
          held.resolve();
          write(session);
          return new Promise(() => undefined);
        },
        { leaseMs: 500 },
      ),
    );
    await held.promise;
    carl.close();
    await secondWriter();
    expect(await first).toMatch(/^ERR_/);
  });
});

describe("what never gets as far as the daemon keeps nobody waiting:", () => {
  const long = (bytes: number): string => "x".repeat(bytes);
  const cases: [string, string, (session: Handle) => unknown][] = [
    ["a change that is too large", "ERR_TOO_LARGE", (session) => session.set("long", long(200_000))],
    [
      "objects shared by more keys than a frame holds",
      "ERR_TOO_LARGE",
      (session) => {
        const shared = Array.from({ length: 1_000 }, () => ({}));
        for (let key = 0; key < 4; key++) session.set(`${long(100)}${key}`, [...shared]);
      },
    ],
    [
      "an object that has become what cannot be stored",
      "ERR_BAD_VALUE",
      (session) => {
        const list: unknown[] = [];
        session.set("list", list);
        list.push(() => 1);
      },
    ],
  ];
  it.each(cases)("%s", async (_what, code, fn) => {
    const first = outcomeOf(anna.transaction(id, fn, LEASE));
    await secondWriter();
    expect(await first).toBe(code);
    expect(await outcomeOf(anna.transaction(id, write, LEASE))).toBe("done");
  });

  it("a function that ends the session", async () => {
    const first = outcomeOf(anna.transaction(id, (session) => session.abandon(), LEASE));
    expect(await first).toBe("done");
    expect(await outcomeOf(bert.transaction(id, write, LEASE))).toBe("ERR_SESSION_GONE");
  });

  it("a function that waits for something of its own that never ends, when its time is over", async () => {
    const never = anna.transaction(id, () => new Promise(() => undefined), { leaseMs: 50 });
    expect(await outcomeOf(never)).toBe("ERR_LEASE_LOST");
    await secondWriter();
  });
});
