// Sessions that rest on the shelf behave as those that are awake; only the memory they take differs.

import { readdirSync, unlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ForeignWriters } from "../../../daemon/foreign/foreign.ts";
import { Log } from "../../../daemon/report/log.ts";
import type { Surroundings } from "../../../daemon/sessions/look.ts";
import { Session } from "../../../daemon/sessions/session.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { type RawWorker, valuesOf } from "../../support/daemon/raw-worker.ts";
import { until } from "../../support/processes.ts";

/** So that a hundred sessions are too many to be awake. */
const CACHE_BYTES = 256 * 1024;
const CROWD = 160;

let lab: Lab;
let anna: RawWorker;
let bert: RawWorker;
let id: string;

beforeEach(async () => {
  lab = await Lab.open({ cacheBytes: CACHE_BYTES, reconcileMs: 100 });
  [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
  id = newId();
});

afterEach(() => lab.close());

/** Not all at once: those that wait for their turns are all awake. */
async function inBatches<T, R>(all: readonly T[], action: (one: T, n: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < all.length; at += 20) {
    results.push(...(await Promise.all(all.slice(at, at + 20).map((one, n) => action(one, at + n)))));
  }
  return results;
}

/** So many others are used that whatever was used before has gone to rest. */
async function crowd(): Promise<void> {
  const others = Array.from({ length: CROWD }, () => newId("10.0.0.9"));
  await inBatches(others, (other, n) => bert.create(other, { n }));
  const { sessionsCached = 0, sessionsAwake = CROWD } = await bert.status();
  expect(sessionsCached).toBeGreaterThan(CROWD);
  expect(sessionsAwake).toBeLessThan((CROWD * 2) / 3);
}

/** As a file that was saved long ago. */
function saveLongAgo(one: string, values: Readonly<Record<string, unknown>>): void {
  lab.saveAsGambas(one, lab.newImage(values));
  utimesSync(lab.path(one), 1_600_000_000, 1_600_000_000);
}

describe("a session that was only read", () => {
  test("rests at once and is read from memory", async () => {
    saveLongAgo(id, { n: 1 });
    expect(await anna.values(id)).toEqual({ n: 1 });
    expect(await anna.status()).toMatchObject({ sessionsCached: 1, sessionsAwake: 0, hits: 0 });
    expect(await bert.values(id)).toEqual({ n: 1 });
    expect(await anna.status()).toMatchObject({ sessionsCached: 1, sessionsAwake: 0, hits: 1 });
  });

  test("keeps no file open", async () => {
    const openFiles = (): number => readdirSync("/proc/self/fd").length;
    saveLongAgo(id, { n: 1 });
    await anna.settle();
    const before = openFiles();
    await anna.values(id);
    expect(openFiles()).toBe(before);
  });

  test("is no more there when its file was not", async () => {
    expect(await anna.values(id)).toBeUndefined();
    expect(await anna.status()).toMatchObject({ sessionsCached: 0, sessionsAwake: 0 });
  });
});

describe("a session at rest", () => {
  beforeEach(async () => {
    await anna.create(id, { a: 1, b: 1 });
    await crowd();
  });

  test("is read from memory, and not sent to who has it", async () => {
    const before = await anna.status();
    const state = await anna.open(id);
    expect(state.kind).toBe(KIND.contents);
    expect((await anna.open(id, state.mtimeMs)).kind).toBe(KIND.same);
    expect(((await anna.status()).hits ?? 0) - (before.hits ?? 0)).toBe(2);
  });

  test("takes commits, and keeps what they did not name", async () => {
    await anna.commit(id, { b: 2 });
    await crowd();
    await anna.commit(id, { c: 3 });
    expect(await bert.values(id)).toEqual({ a: 1, b: 2, c: 3 });
    expect(lab.values(id)).toEqual({ a: 1, b: 2, c: 3 });
  });

  test("gives a lease on its contents", async () => {
    const { fence } = await anna.lease(id);
    await crowd();
    await anna.commitLeased(id, { a: 2 }, fence);
    expect(await bert.values(id)).toEqual({ a: 2, b: 1 });
  });

  test("is touched in its file", async () => {
    const before = await anna.open(id);
    lab.saveAsGambas(id, lab.newImage({ a: 1, b: 1 }, 86_400, Date.now() - 10_000));
    await anna.open(id);
    await crowd();
    const after = await anna.call("touch", id, 0);
    expect(after.mtimeMs).toBeGreaterThan(before.mtimeMs);
    expect(Date.now() - after.startupMs).toBeLessThan(5_000);
    expect(await bert.values(id)).toEqual({ a: 1, b: 1 });
  });

  test("ends, and does not come back", async () => {
    const loaded = lab.image(id);
    await anna.abandon(id);
    expect(lab.hasFile(id)).toBe(false);
    lab.saveAsGambas(id, loaded);
    expect(await bert.values(id)).toBeUndefined();
    expect(await codeOf(anna.create(id, { n: 1 }))).toBe("ERR_ID_TAKEN");
  });

  test("ends when its time is over, whether somebody reads it or not", async () => {
    const [asked, unasked] = [newId(), newId()];
    for (const one of [asked, unasked]) await anna.create(one, { n: 1 }, { timeoutSeconds: 1 });
    await crowd();
    while ((await anna.values(asked)) !== undefined);
    expect(lab.hasFile(asked)).toBe(false);
    await until(() => !lab.hasFile(unasked));
  });

  test("is what another program has saved meanwhile", async () => {
    lab.saveAsGambas(id, lab.changed(lab.image(id), { a: 5 }));
    expect(await bert.values(id)).toEqual({ a: 5, b: 1 });
    await anna.commit(id, { b: 6 });
    expect(lab.values(id)).toEqual({ a: 5, b: 6 });
  });

  test("is gone when another program has ended it", async () => {
    lab.saveAsGambas(id, lab.image(id));
    await anna.open(id);
    unlinkSync(lab.path(id));
    expect(await bert.values(id)).toBeUndefined();
  });

  test("is answered to who sends its creation again, be it alone of its prefix or not", async () => {
    const unique = newId("10.0.0.7");
    const again = { sequence: 7, options: { create: true, unique: true } };
    await anna.commit(unique, { mine: "x".repeat(200) }, again);
    await crowd();
    const [state] = await Promise.all([anna.commit(unique, { mine: "y" }, again), crowd()]);
    expect(valuesOf(state)).toEqual({ mine: "x".repeat(200) });
  });

  test("is what it was for the next daemon", async () => {
    await anna.commit(id, { b: 2 });
    await crowd();
    await lab.stop();
    await lab.start();
    const carl = await lab.worker("carl");
    expect(await carl.values(id)).toEqual({ a: 1, b: 2 });
  });
});

describe("a stale save of a session at rest", () => {
  let loaded: Buffer;

  beforeEach(async () => {
    await anna.create(id, { a: 1, b: 1 });
    loaded = lab.image(id);
    await anna.commit(id, { a: 2 });
    await crowd();
    lab.saveAsGambas(id, lab.changed(loaded, { b: 5 }));
  });

  test("undoes nothing for the next reader", async () => {
    expect(await bert.values(id)).toEqual({ a: 2, b: 5 });
    expect((await bert.status()).repairs).toBe(1);
  });

  test("undoes nothing for the next commit", async () => {
    await bert.commit(id, { c: 3 });
    expect(lab.values(id)).toEqual({ a: 2, b: 5, c: 3 });
  });

  test("is repaired when nobody asks", async () => {
    await until(() => lab.hasFile(id) && lab.values(id).a === 2);
    expect(lab.values(id)).toEqual({ a: 2, b: 5 });
  });
});

test("what is known for repairs comes back from rest", () => {
  const revision = { ino: 1, size: 16, mtimeMs: 2 };
  const contents = { image: Buffer.alloc(16), revision, isFleeting: false, sameAs: [2] };
  const resting = { id, contents, writtenMs: 3, mayBeHeld: true };
  const metrics = { repairs: 0, foreignSaves: 0 };
  const settings = { maxReplacedValues: 1, repairSeconds: 1, steadyMs: () => 4, log: new Log("silent"), metrics };
  const foreign = new ForeignWriters({ programs: undefined, earlier: [], ...settings });
  const session = new Session(id, { foreign } as Surroundings<Session>, resting);
  expect(session.resting).toEqual(resting);
  expect(session.wasOnlyRead).toBe(false);
});

test("with far more sessions than fit, memory is bounded and each is what its file says", async () => {
  const ids = Array.from({ length: 2000 }, () => newId());
  await inBatches(ids, (one, n) => anna.create(one, { n, text: "x".repeat(200) }));
  expect((await anna.status()).bytesCached).toBeLessThanOrEqual(CACHE_BYTES);
  const states = await inBatches(ids, (one) => bert.values(one));
  expect(states.map((values) => values?.n)).toEqual(ids.map((_, n) => n));
  const { bytesCached, sessionsCached } = await anna.status();
  expect(bytesCached).toBeLessThanOrEqual(CACHE_BYTES);
  expect(sessionsCached).toBeGreaterThan(250);
});

test("large sessions count too: what does not fit is forgotten", async () => {
  const ids = Array.from({ length: 40 }, () => newId());
  for (const [n, one] of ids.entries()) {
    await anna.create(one, { n, text: "x".repeat(50_000) });
    expect((await anna.status()).bytesCached).toBeLessThanOrEqual(CACHE_BYTES);
  }
  for (const [n, one] of ids.entries()) expect(await bert.values(one)).toMatchObject({ n });
  expect(readdirSync(join(lab.root, "session")).filter((name) => !name.endsWith(".lock"))).toHaveLength(40);
});

test("whatever is done to sessions that go to rest and are woken, each holds what was put into it", async () => {
  const ids = Array.from({ length: 250 }, () => newId());
  const step = fc.record({
    what: fc.constantFrom("commit", "read", "foreign", "touch", "end", "read all" as const),
    at: fc.nat({ max: ids.length - 1 }),
    value: fc.nat({ max: 1000 }),
  });
  const model = new Map<string, Record<string, unknown>>();
  await inBatches(ids, (one, n) => anna.create(one, { n }));
  for (const [n, one] of ids.entries()) model.set(one, { n });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 100, size: "max" }), async (steps) => {
      for (const { what, at, value } of steps) {
        const one = ids[at] ?? "";
        const values = model.get(one);
        if (what === "read" || values === undefined) expect(await bert.values(one)).toEqual(values);
        else if (what === "commit") await anna.commit(one, { [`k${value % 5}`]: value });
        else if (what === "touch") await anna.call("touch", one, 0);
        else if (what === "end" && value % 10 === 0) await anna.abandon(one);
        else if (what === "foreign") lab.saveAsGambas(one, lab.changed(lab.image(one), { theirs: value }));
        else if (what === "read all") await inBatches(ids, (other) => bert.open(other));
        if (what === "commit" && values !== undefined) model.set(one, { ...values, [`k${value % 5}`]: value });
        if (what === "foreign" && values !== undefined) model.set(one, { ...values, theirs: value });
        if (what === "end" && value % 10 === 0) model.delete(one);
      }
      for (const one of ids) expect(await bert.values(one)).toEqual(model.get(one));
    }),
    { numRuns: 15 },
  );
});

test("what a worker was answered and has not read yet stays what it was, whatever becomes of the shelf", async () => {
  await lab.stop();
  await lab.start({ cacheBytes: 2 * 1024 * 1024 });
  [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
  const valuesAt = (n: number): { n: number; pad: string } => ({
    n,
    pad: String.fromCharCode(65 + (n % 26)).repeat(6000),
  });
  const readMany = async (count: number): Promise<string[]> => {
    const ids = Array.from({ length: count }, () => newId());
    for (const [n, one] of ids.entries()) saveLongAgo(one, valuesAt(n));
    await inBatches(ids, (one) => bert.open(one));
    return ids;
  };
  const ids = await readMany(40);
  anna.stopReading();
  // Far more than its socket and the daemon's buffer hold, asked for at once.
  const answers = Array.from({ length: 4000 }, (_, at) => anna.open(ids[at % ids.length] ?? ""));
  // The shelf is filled with others, twice over.
  await readMany(800);
  anna.goOnReading();
  for (const [at, state] of (await Promise.all(answers)).entries()) {
    expect(valuesOf(state)).toEqual(valuesAt(at % ids.length));
  }
});
