// The changes of rows between two images, in every case: carried out on rows, which keep their places and come in at the end, they give the second one.

import { expect, it } from "vitest";
import { changesBetween } from "../../../../daemon/store/gambas-sqlite/changes.ts";
import { applyDelta, layoutOf, newImage } from "../../../../protocol/image/image.ts";
import { deltaOf } from "../../../support/daemon/raw-worker.ts";

const KEYS = ["a", "b", "c", "d"];

/** Every choice of these keys in every order. */
function arrangements(keys: readonly string[]): string[][] {
  const longer = keys.flatMap((key) =>
    arrangements(keys.filter((other) => other !== key)).map((rest) => [key, ...rest]),
  );
  return [[], ...longer];
}

function imageOf(keys: readonly string[], value: number): Buffer {
  const delta = deltaOf(Object.fromEntries(keys.map((key) => [key, value])));
  return applyDelta(newImage({ nowMs: 0, timeoutSeconds: 60 }), { delta, nowMs: 0 });
}

/** The keys of rows after it. */
function carriedOut(before: readonly string[], { deleted, written }: ReturnType<typeof changesBetween>): string[] {
  const rows = new Set(before);
  for (const key of deleted) expect(rows.delete(key.toString())).toBe(true);
  for (const { key, isThere } of written) {
    expect(rows.has(key.toString())).toBe(isThere);
    rows.add(key.toString());
  }
  return [...rows];
}

it("any change leaves rows in the order of the keys, and touches none that stays as it is", () => {
  const all = arrangements(KEYS).map((keys) => ({
    keys,
    old: imageOf(keys, 1),
    same: imageOf(keys, 1),
    new: imageOf(keys, 2),
  }));
  for (const before of all) {
    for (const after of all) {
      for (const image of [after.same, after.new]) {
        const changes = changesBetween(before.old, image, () => "3.18");
        expect(carriedOut(before.keys, changes)).toEqual([...layoutOf(image).entries.keys()]);
        const isAppended = after.keys.join("").startsWith(before.keys.join(""));
        const news = after.keys.length - before.keys.length;
        if (isAppended && image === after.same)
          expect([changes.deleted.length, changes.written.length]).toEqual([0, news]);
      }
    }
  }
});
