// Sessions that have ended, as many as are remembered at most, and how often the oldest of them is looked for.

import { afterEach, expect, test, vi } from "vitest";
import { Tombstones } from "../../../daemon/sessions/tombstones.ts";

afterEach(() => void vi.restoreAllMocks());

test.each([1, 2, 100, 5_000])("of %i at most the last ones are remembered", (max) => {
  const tombstones = new Tombstones(max, 60);
  let [most, isLastThere] = [0, true];
  for (let n = 0; n < 3 * max; n++) {
    tombstones.add(`a:${n}`, n);
    most = Math.max(most, tombstones.count);
    isLastThere &&= tombstones.has(`a:${n}`);
  }
  expect([most, isLastThere]).toEqual([max, true]);
  const left = [...tombstones.entries()].map(([id]) => id);
  expect(left).toEqual(Array.from({ length: left.length }, (_, n) => `a:${3 * max - left.length + n}`));
  expect(left.length).toBeGreaterThan(max - 1 - max / 1_000);
});

test("one that ends again is one of the last", () => {
  const tombstones = new Tombstones(2, 60);
  for (const id of ["a:1", "a:2", "a:1", "a:3"]) tombstones.add(id, 0);
  expect([...tombstones.entries()].map(([id]) => id)).toEqual(["a:1", "a:3"]);
});

test("the oldest are looked for once for many that come", () => {
  const max = 100 * 1_024;
  const tombstones = new Tombstones(max, 60);
  for (let n = 0; n < max; n++) tombstones.add(`a:${n}`, n);
  const looks = vi.spyOn(Map.prototype, "keys");
  for (let n = 0; n < 1_010; n++) tombstones.add(`b:${n}`, n);
  expect(looks.mock.calls.length).toBe(10);
});
