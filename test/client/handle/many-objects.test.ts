// Objects of a session with very many: what a transaction has replaced is looked for once among all, not once for each.

import { afterEach, expect, test, vi } from "vitest";
import { LiveObjects } from "../../../client/handle/live-objects.ts";
import { encodeValue } from "../../../protocol/value/value.ts";

const COUNT = 500;

afterEach(() => void vi.restoreAllMocks());

function bytesOf(value: unknown): Buffer {
  return Buffer.from(encodeValue(value, "key", undefined, undefined).bytes);
}

/** All keys hand out an object of their own, and the last two the same one. */
function filled(): { readonly objects: LiveObjects; readonly values: readonly { n: number }[] } {
  const objects = new LiveObjects();
  const values = Array.from({ length: COUNT }, (_, n) => ({ n }));
  for (const [n, value] of values.entries()) objects.keep(`key${n}`, { value, baseline: bytesOf(value) });
  const [last] = values.slice(-1);
  objects.keep("alias", { value: last, baseline: bytesOf(last) });
  return { objects, values };
}

function walksOf(work: () => void): number {
  const walks = vi.spyOn(Map.prototype, "values");
  work();
  const { length } = walks.mock.calls;
  walks.mockRestore();
  return length;
}

test("a transaction that has replaced all of them looks through all of them once", () => {
  const { objects } = filled();
  const other = bytesOf({ n: -1 });
  expect(walksOf(() => objects.adopt(undefined, () => other, new Map()))).toBeLessThanOrEqual(1);
  expect(objects.live.size).toBe(0);
  expect(objects.strayList.length).toBe(64);
});

test("an object is a stray when no key hands it out any more, and not before", () => {
  const { objects, values } = filled();
  const [last] = values.slice(-1);
  const live = { value: last, baseline: bytesOf(last) };
  objects.stray("alias", live);
  expect(objects.strayList).toEqual([]);
  objects.delete("alias");
  objects.stray("alias", live);
  expect(objects.strayList).toEqual([]);
  objects.keep(`key${COUNT - 1}`, { value: { n: 0 }, baseline: bytesOf({ n: 0 }) });
  objects.stray("alias", live);
  expect(objects.strayList.map(({ value }) => value)).toEqual([last]);
});

test("taking all of them back to what they were before looks through all of them once", () => {
  const { objects, values } = filled();
  const before = new Map(objects.live);
  objects.restore(before);
  const walks = walksOf(() => {
    for (const [n, value] of values.entries()) objects.stray(`key${n}`, { value, baseline: bytesOf(value) });
  });
  expect(walks).toBeLessThanOrEqual(1);
  expect(objects.strayList).toEqual([]);
});
