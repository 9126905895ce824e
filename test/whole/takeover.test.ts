// A new daemon takes the place of the one that runs, while workers are at it.

import { expect, test } from "vitest";
import { runTakeovers } from "../storms/takeovers.ts";

test("daemons that take each other's place lose no request and no write", async () => {
  const seed = Date.now() % 2 ** 32;
  const figures = await runTakeovers({ seed, workers: 3, operations: 3_000, takeovers: 4 });
  console.log(`seed ${seed}, ${figures.operations} operations, longest gap ${figures.longestGapMs} ms`);
  expect(figures).toMatchObject({ takeovers: 4, violations: [], lost: 0, doubled: 0, unknown: 0 });
  expect(figures.failures).toEqual({});
});
