// What is remembered of values that sessions had lately, and for how long.

import { describe, expect, it } from "vitest";
import { type Fingerprint, RecentValues } from "../../../daemon/foreign/recent-values.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

/** As scattered as real ones are. */
function print(number: number): Fingerprint {
  return { low: Math.imul(number, 0x9e3779b1) >>> 0, high: number };
}

function addAll(values: RecentValues, { from, to }: { from: number; to: number }, nowMs = NOW_MS): void {
  for (let number = from; number < to; number++) values.add(print(number), nowMs);
}

describe("of many values", () => {
  it("each is found, with the time by which it had been noted", () => {
    const values = new RecentValues(100_000, 300);
    addAll(values, { from: 1, to: 20_001 });
    addAll(values, { from: 20_001, to: 40_001 }, NOW_MS + 10_000);
    expect(values.count).toBe(40_000);
    for (let number = 1; number <= 40_000; number += 7) {
      expect(values.notedByMs(print(number))).toBe(NOW_MS + (number <= 20_000 ? 1_000 : 11_000));
    }
    expect(values.notedByMs(print(40_001))).toBeUndefined();
  });

  it("no more are kept than may be, and the oldest go first, a few thousand at a time", () => {
    const values = new RecentValues(20_000, 300);
    addAll(values, { from: 1, to: 50_001 });
    expect(values.count).toBeLessThanOrEqual(20_000);
    expect(values.count).toBeGreaterThan(15_000);
    for (let number = 35_001; number <= 50_000; number += 7) expect(values.notedByMs(print(number))).toBeDefined();
    for (let number = 1; number <= 30_000; number += 7) expect(values.notedByMs(print(number))).toBeUndefined();
  });

  it("those whose time is over are forgotten with the next one, and none before", () => {
    const values = new RecentValues(100_000, 300);
    addAll(values, { from: 1, to: 10_001 });
    addAll(values, { from: 10_001, to: 10_002 }, NOW_MS + 900);
    addAll(values, { from: 10_002, to: 10_003 }, NOW_MS + 300_800);
    expect(values.notedByMs(print(10_001))).toBeDefined();
    addAll(values, { from: 10_003, to: 10_004 }, NOW_MS + 301_850);
    expect(values.count).toBe(2);
  });
});
