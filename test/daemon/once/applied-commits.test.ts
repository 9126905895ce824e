// Which commits count as applied: those whose numbers lie close enough to the highest of their worker, and no others.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_COMMITS_IN_FLIGHT } from "../../../daemon/backend/backend.ts";
import { AppliedCommits } from "../../../daemon/once/applied-commits.ts";

const REMEMBERED = 2 * MAX_COMMITS_IN_FLIGHT;

describe("of the commits of a worker", () => {
  it("exactly those that were applied are known, in whatever order they were", () => {
    const step = fc.integer({ min: 0, max: 3 * REMEMBERED });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 2 ** 40 }), (steps, first) => {
        const applied = new AppliedCommits();
        const model = new Set<number>();
        for (const number of steps.map((offset) => first + offset)) {
          applied.add("anna", number);
          model.add(number);
        }
        const highest = Math.max(...model);
        for (const number of steps.flatMap((offset) => [first + offset - 1, first + offset, first + offset + 1])) {
          const isRemembered = number > highest - REMEMBERED;
          expect(applied.has("anna", number)).toBe(isRemembered && model.has(number));
        }
      }),
    );
  });

  it("as many are known as it may have in flight, however far it has counted", () => {
    const applied = new AppliedCommits();
    const end = 5 * REMEMBERED + 7;
    for (let number = 1; number <= end; number += 2) applied.add("anna", number);
    for (let number = end - MAX_COMMITS_IN_FLIGHT; number <= end + 1; number++) {
      expect(applied.has("anna", number)).toBe(number % 2 === 1 && number <= end);
    }
  });

  it("none is known of another one", () => {
    const applied = new AppliedCommits();
    applied.add("anna", 1);
    expect(applied.has("bert", 1)).toBe(false);
  });
});

it("of the last thousand workers all are known", () => {
  const applied = new AppliedCommits();
  for (let worker = 0; worker < 5000; worker++) applied.add(`w${worker}`, 3);
  for (let worker = 4000; worker < 5000; worker++) expect(applied.has(`w${worker}`, 3)).toBe(true);
});
