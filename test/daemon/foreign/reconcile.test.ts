// Looks at all sessions in memory: one after the other, and never all of it in one go.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Reconcile } from "../../../daemon/foreign/reconcile.ts";
import { until } from "../../support/processes.ts";

const SESSIONS = 1000;
const HOUR_MS = 3_600_000;

/** What was looked at: a list for each look that was begun. */
let looks: number[][];
let reconcile: Reconcile;

function* look(): Generator<void> {
  const seen: number[] = [];
  looks.push(seen);
  for (let n = 0; n < SESSIONS; n++) {
    seen.push(n);
    yield;
  }
}

beforeEach(() => {
  looks = [];
  reconcile = new Reconcile({ lookAgainAtAll: look });
});

afterEach(() => reconcile.stop());

test("a look is taken in slices, with time for others in between", async () => {
  reconcile.request();
  expect(looks[0]?.length).toBeLessThan(SESSIONS / 10);
  await until(() => looks[0]?.length === SESSIONS);
});

test("a look that is asked for while one is under way is that one", async () => {
  reconcile.request();
  reconcile.request();
  await until(() => looks[0]?.length === SESSIONS);
  await until(() => {
    reconcile.request();
    return looks.length === 2;
  });
  expect(looks[0]).toHaveLength(SESSIONS);
});

test("when anything may have changed, another whole look follows the one under way", async () => {
  reconcile.request();
  reconcile.requestWhole();
  reconcile.requestWhole();
  await until(() => looks[1]?.length === SESSIONS);
  expect(looks).toHaveLength(2);
});

test("nothing is looked at after the stop", async () => {
  reconcile.request();
  const seen = looks[0]?.length;
  reconcile.stop();
  // Another one of the same age has gone on: so would this one have.
  const other = new Reconcile({ lookAgainAtAll: look });
  other.request();
  await until(() => looks[1]?.length === SESSIONS);
  expect(looks[0]).toHaveLength(seen ?? 0);
});

test("after a slice in which the process was stopped for an hour the look goes on soon", () => {
  vi.useFakeTimers();
  try {
    const stopped = new Reconcile({
      *lookAgainAtAll() {
        vi.advanceTimersByTime(HOUR_MS);
        yield* look();
      },
    });
    stopped.request();
    vi.advanceTimersByTime(HOUR_MS);
    expect(looks[0]).toHaveLength(SESSIONS);
  } finally {
    vi.useRealTimers();
  }
});
