// Contents after changes: they answer by keys what the bytes would say, however many changes there were.
import { describe, expect, it } from "vitest";
import { Contents } from "../../../client/copies/contents.ts";
import {
  applyDelta,
  encodeDelta,
  layoutOf,
  newImage,
  valueOf as storedValue,
  timeoutSeconds,
} from "../../../protocol/image/image.ts";
import { decodeValue, encodeValue } from "../../../protocol/value/value.ts";
import { KIND, type State } from "../../../protocol/wire/operations.ts";
import { Random } from "../../support/values/random.ts";

const state = (image: Buffer | null, nowMs: number): State => ({
  kind: image === null ? KIND.same : KIND.contents,
  ino: 1,
  size: 1,
  mtimeMs: nowMs,
  startupMs: nowMs,
  image,
});

function expectSame(contents: Contents, image: Buffer): void {
  const layout = layoutOf(image);
  expect(contents.keys).toEqual([...layout.entries.keys()]);
  expect(contents.timeoutSeconds).toBe(timeoutSeconds(image));
  expect(contents.cookiePath).toBe(layout.cookiePath);
  for (const key of ["gone", ...contents.keys]) {
    const stored = storedValue(image, layout, key);
    expect(contents.has(key)).toBe(stored !== undefined);
    expect(contents.stored(key)?.toString("hex")).toBe(stored?.toString("hex"));
    if (stored !== undefined) expect(contents.value(key)).toBe(decodeValue(stored, 0));
  }
}

describe("Contents", () => {
  it("say after any row of changes what the file says", () => {
    const random = new Random(20_251_125);
    for (let run = 0; run < 50; run++) {
      let image = newImage({ nowMs: 0, timeoutSeconds: 60 });
      let contents = Contents.fromImage(state(image, 0), image);
      for (let nowMs = 1; nowMs <= 40; nowMs++) {
        const entries = new Map<string, Buffer | undefined>();
        for (let left = random.below(4); left >= 0; left--) {
          const key = `key ${random.below(45)}`;
          entries.set(key, random.below(4) === 0 ? undefined : encodeValue(random.below(1000), key).bytes);
        }
        const moved = new Set([...entries.keys()].filter(() => random.below(10) === 0));
        const delta = encodeDelta(entries, moved);
        const properties = random.below(8) === 0 ? { timeoutSeconds: nowMs, cookiePath: `/${nowMs}` } : {};
        image = applyDelta(image, { delta, nowMs, ...properties });
        contents = Contents.fromChange(
          state(null, nowMs),
          contents,
          { delta, nowMs, ...properties },
          { entries, moved },
        );
        // Not every time: to ask for the bytes makes them.
        if (random.below(3) > 0) expectSame(contents, image);
        if (random.below(10) === 0) expect(contents.image.toString("hex")).toBe(image.toString("hex"));
      }
    }
  });
});
