// Copies whose contents lie in Node's pool: settled in the order in which they came, and looked for no more often than the pool goes on.

import { afterEach, expect, test, vi } from "vitest";
import type { Contents } from "../../../client/copies/contents.ts";
import { LooseCopies, Slabs } from "../../../client/copies/loose-copies.ts";

const COPIES = 2_000;
const COPIES_PER_SLAB = 20;
const MAX_SLABS = 10;

afterEach(() => void vi.restoreAllMocks());

/** Contents that tell when they are settled, and nothing else. */
function holder(settle: () => void): { readonly contents: Contents } {
  return { contents: { isSettled: false, settle } as unknown as Contents };
}

test("copies that wait are settled in their order, soon after their time, by few walks from the oldest on", () => {
  const slabs = new Slabs();
  const loose = new LooseCopies(slabs, MAX_SLABS);
  const settled: number[] = [];
  const walks = vi.spyOn(Map.prototype, Symbol.iterator);
  for (let n = 0; n < COPIES; n++) {
    if (n % COPIES_PER_SLAB === 0) slabs.note(Buffer.from(new ArrayBuffer(16)));
    loose.add(holder(() => settled.push(n)));
    loose.settleSome();
  }
  expect(walks.mock.calls.length).toBeLessThan((COPIES / COPIES_PER_SLAB) * 5);
  expect(settled).toEqual(Array.from({ length: settled.length }, (_, n) => n));
  expect(COPIES - settled.length).toBeLessThanOrEqual((MAX_SLABS + 1) * COPIES_PER_SLAB);
});
