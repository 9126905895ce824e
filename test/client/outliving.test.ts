// What outlives the code that happens to begin it (a connection, a timer that many requests share) belongs to no request: it would keep that one, with all
// that an application hangs on it, in memory for months, and what it calls would find the session of a stranger.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { GambasStore } from "../../client/adapters/store.ts";
import { KeptOpen } from "../../client/copies/kept-open.ts";
import { watch } from "../../client/handle/late-changes.ts";
import { currentScope, runInScope } from "../../client/scope.ts";
import { deferred } from "../support/deferred.ts";
import { SessionHouse } from "../support/session-house.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
/** Whatever is free is gone after a few. */
const COLLECTIONS = 50;

/** Of a request. */
const SCOPE = { handle: {} };

let house: SessionHouse;
beforeEach(async () => {
  house = await SessionHouse.open();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await house.close();
});

/** The scopes in which intervals are begun from now on. */
function scopesOfIntervals(): unknown[] {
  const scopes: unknown[] = [];
  const { setInterval } = globalThis;
  vi.spyOn(globalThis, "setInterval").mockImplementation(((...args: Parameters<typeof setInterval>) => {
    scopes.push(currentScope());
    return setInterval(...args);
  }) as typeof setInterval);
  return scopes;
}

async function replaceDaemon(): Promise<void> {
  await house.stopDaemon();
  await house.startDaemon();
}

it.each([
  ["the first", async () => undefined],
  ["the next, to a daemon that has taken another one's place", replaceDaemon],
])("a connection: %s", async (_, prepare) => {
  const worker = house.worker();
  if (prepare === replaceDaemon) await worker.ready();
  await prepare();
  // It begins one when the daemon has answered: whatever is called then is called in its scope.
  const scopes = scopesOfIntervals();
  await runInScope(SCOPE, () => worker.status());
  expect(scopes).toEqual([undefined]);
});

it("the look at what is kept open", () => {
  const scopes = scopesOfIntervals();
  const kept = new KeptOpen(1);
  runInScope(SCOPE, () => kept.add({ takeUse: () => true, close: () => undefined }));
  kept.closeAll();
  expect(scopes).toEqual([undefined]);
});

it("the look for late changes", async () => {
  const looked = deferred<unknown>();
  const takeUnsaved = (): string[] => {
    looked.resolve(currentScope());
    return [];
  };
  runInScope(SCOPE, () => watch({ isBusy: false, endedAs: "", takeUnsaved }));
  expect(await looked.promise).toBeUndefined();
});

it("the queue of a session's transactions, which may never be empty", async () => {
  const worker = house.worker();
  const scopes: unknown[] = [];
  const { lease } = worker;
  vi.spyOn(worker, "lease").mockImplementation((...args) => {
    scopes.push(currentScope());
    return lease.apply(worker, args);
  });
  const id = await house.make({ n: 1 });
  const inside = await runInScope(SCOPE, () => worker.transaction(id, () => currentScope()));
  expect([scopes, inside]).toEqual([[undefined], expect.objectContaining(SCOPE)]);
});

it("the queue forgets a transaction that is over, as long as there are others", async () => {
  const worker = house.worker();
  const id = await house.make({ n: 1 });
  // Two lengths in turn: none shares its lease, so that there always is one in the queue.
  const begin = (leaseMs: number): Promise<unknown> =>
    worker.transaction(id, () => new Promise(setImmediate), { leaseMs });
  let marker: object | undefined = {};
  const isThere = new WeakRef(marker);
  let before: Promise<unknown> = runInScope({ handle: marker }, () => begin(1_000));
  marker = undefined;
  for (let n = 0; n < COLLECTIONS && isThere.deref() !== undefined; n++) {
    const next = begin(n % 2 === 0 ? 2_000 : 1_000);
    await before;
    before = next;
    collectGarbage();
  }
  expect(isThere.deref()).toBeUndefined();
  await before;
});

it("the events of a store", async () => {
  const store = new GambasStore({ ...house.options, waitMs: 1 });
  const scopes: unknown[] = [];
  const note = (): unknown => scopes.push(currentScope());
  const connected = (): Promise<unknown> => new Promise((resolve) => store.once("connect", resolve));
  await connected();
  store.on("disconnect", note).on("connect", note);
  await house.stopDaemon();
  const failed = new Promise((resolve) => runInScope(SCOPE, () => store.get("a", resolve)));
  expect(await failed).toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" });
  const again = connected();
  await house.startDaemon();
  await again;
  store.close();
  expect(scopes).toEqual([undefined, undefined]);
});
