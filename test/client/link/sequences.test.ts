// The lowest commit that a worker waits for, whatever the order of the answers.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Sequences } from "../../../client/link/sequences.ts";

test("the floor is the lowest number that has not ended, or the next one", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 60 }), (choices) => {
      const sequences = new Sequences();
      const waiting: number[] = [];
      let next = 1;
      for (const choice of choices) {
        if (choice % 2 === 0 || waiting.length === 0) {
          expect(sequences.next()).toBe(next);
          waiting.push(next);
          next += 1;
        } else {
          const [ended] = waiting.splice(choice % waiting.length, 1);
          sequences.end(ended ?? 0);
        }
        expect(sequences.floor).toBe(Math.min(next, ...waiting));
      }
    }),
  );
});
