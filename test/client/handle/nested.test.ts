// What the function of a transaction stores in other sessions: not before all that it saw is stored, and at no cost where that is known.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client, Handle } from "../../../client/index.ts";
import type { OperationName } from "../../../protocol/wire/operations.ts";
import { Interposer } from "../../support/daemon/interposer.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { describeSqlite } from "../../support/sqlite.ts";

/** Longer than any test runs. */
const LEASE = { leaseMs: 60_000 };

function tests(type: "file" | "sqlite"): void {
  let house: SessionHouse;
  let interposer: Interposer;
  let anna: Client;
  let id: string;
  let other: Handle;
  /** What was asked of the daemon. */
  let frames: OperationName[];

  beforeAll(async () => {
    house = await SessionHouse.open({ type, maxSessionBytes: 100_000 });
    const { socket } = house.worker({ type }).places;
    interposer = await Interposer.open(`${house.root}/between.sock`, socket);
    anna = house.worker({ type, socket: interposer.socket });
    await anna.ready();
  });
  afterAll(async () => {
    await interposer.close();
    await house.close();
  });
  beforeEach(async () => {
    [id, other] = [(await make()).id as string, await make()];
    frames = [];
    interposer.judge = (name) => {
      frames.push(name);
      return "pass";
    };
  });

  async function make(): Promise<Handle> {
    const made = anna.create({ prefix: "nested" });
    made.set("n", 0);
    await made.save();
    return made as Handle;
  }

  /** All ways to store something, with the calls they have always been. */
  const ways: [string, OperationName[], () => Promise<unknown>][] = [
    ["a transaction", ["lease", "commit"], () => other.transaction((session) => session.set("m", 1))],
    [
      "a save",
      ["commit"],
      () => {
        other.set("m", 1);
        return other.save();
      },
    ],
    ["a new session", ["commit"], make],
    ["a new id", ["commit"], () => other.regenerate()],
    ["an end", ["abandon"], () => other.abandon()],
  ];

  it.each(ways)("costs no call more: %s", async (_what, calls, store) => {
    const handle = (await anna.open(id)) as Handle;
    frames = [];
    await handle.transaction(async (session) => {
      await store();
      session.set("n", 1);
    });
    expect(frames).toEqual(["lease", ...calls, "commit"]);
  });

  it.each(ways)("waits for what ran before it under the same lease: %s", async (_what, _calls, store) => {
    const handle = (await anna.open(id)) as Handle;
    const [held, letGo] = [deferred(), deferred()];
    const holding = handle.transaction(() => {
      held.resolve();
      return letGo.promise;
    }, LEASE);
    await held.promise;
    // They wait at the same time, and share a lease. What the first changes is refused.
    const refused = anna.transaction(
      id,
      (session) => {
        session.set("n", 1);
        session.set("long", "x".repeat(200_000));
      },
      LEASE,
    );
    const stored: unknown[] = [];
    const nested = anna.transaction(
      id,
      async (session) => {
        const n = session.get("n");
        await store();
        stored.push(n);
      },
      LEASE,
    );
    letGo.resolve();
    await holding;
    await expect(refused).rejects.toMatchObject({ code: "ERR_TOO_LARGE" });
    await nested;
    expect(stored).toEqual([0]);
  });
}

describe("a call inside a transaction, with files,", () => tests("file"));
describeSqlite("a call inside a transaction, with databases,", () => tests("sqlite"));
