// Where entries are found, however many images with the same or other keys were met before: what Gambas' rules say, entry by entry.
import { beforeEach, describe, expect, it } from "vitest";
import { EntryReader } from "../../../protocol/image/entries.ts";
import { forgetCaches, layoutOf } from "../../../protocol/image/image.ts";
import { newScan } from "../../../protocol/value/scan.ts";
import { readKey } from "../../../protocol/value/text.ts";
import { Random } from "../../support/values/random.ts";

const HEADER = Buffer.alloc(16);
/** With their lengths. The second is the first with a longer length, the next two are no UTF-8, the last is the empty key. */
const KEYS = ["0161", "800161", "01ff", "03c3a9ff", "0162", "0263ff", "015f", "0a6b6579206e756d626572", "00"];
/** A number, a text, nulls of both kinds, a collection, an array. */
const VALUES = ["0405000000", "090178", "00", "0f", "430101780102", "6109496e74656765725b5d040107000000"];

function imageOf(entries: readonly string[]): Buffer {
  return Buffer.concat([HEADER, Buffer.of(0x43, entries.length), Buffer.from(entries.join(""), "hex"), Buffer.of(0)]);
}

/** The rules as they are told: a null takes the key away, a second value takes the place of the first. */
function expectedOf(image: Buffer): unknown[] {
  const reader = new EntryReader(image, newScan(1));
  const found = new Map<string, unknown>();
  while (reader.next()) {
    const key = readKey(image, reader.keyFrom, reader.keyTo);
    if (reader.isDead) found.delete(key);
    else found.set(key, { key, valueStart: reader.keyTo, valueEnd: reader.valueEnd });
  }
  return [...found.values()];
}

function expectExact(image: Buffer, random: Random): void {
  const { entries } = layoutOf(image);
  const expected = expectedOf(image) as { key: string }[];
  expect(entries.values()).toEqual(expected);
  expect(entries.keys()).toEqual(expected.map(({ key }) => key));
  // In any order, and more than once.
  for (let left = 6; left > 0; left--) {
    const wanted = random.below(4) === 0 ? undefined : expected[random.below(expected.length)];
    const key = wanted?.key ?? "not there";
    expect([entries.get(key), entries.has(key)]).toEqual([wanted, wanted !== undefined]);
  }
}

beforeEach(forgetCaches);

describe("The layout of an image", () => {
  it("is exact after any images with the same, similar and other keys", () => {
    const random = new Random(20_261_125);
    for (let run = 0; run < 3000; run++) {
      if (random.below(300) === 0) forgetCaches();
      const length = random.below(4) === 0 ? random.below(7) : 3;
      const plain = random.below(2) === 0;
      const entries = Array.from({ length }, (_, index) => {
        const key = plain ? KEYS[index % 2 === 0 ? index : index + 2] : KEYS[random.below(KEYS.length)];
        return `${key}${VALUES[random.below(VALUES.length)]}`;
      });
      expectExact(imageOf(entries), random);
    }
  });

  it("is exact when a value of keys that were met before is a null", () => {
    const random = new Random(1);
    expectExact(imageOf(["01610405000000", "01620405000000"]), random);
    expectExact(imageOf(["016100", "01620405000000"]), random);
    expectExact(imageOf(["01610405000000", "01620f"]), random);
    expectExact(imageOf(["01610405000000", "01610405000000"]), random);
  });

  it.each([16, 64, 65, 127])("is exact for many sessions of %i keys that differ", (count) => {
    const random = new Random(count);
    for (let run = 0; run < 40; run++) {
      const entries = Array.from({ length: count }, (_, index) => {
        const key = Buffer.from(`${"k".repeat(run % 3 === 0 ? 1 : 20)}${run % 20}.${index}`);
        return `${Buffer.of(key.length).toString("hex")}${key.toString("hex")}0405000000`;
      });
      expectExact(imageOf(entries), random);
    }
  });
});
