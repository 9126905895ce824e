// Objects that many ask for: every one is what decoding the bytes gives, belongs to who asked, and finds its exact types again.
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { forgetTemplates, Original } from "../../../client/copies/original.ts";
import { decodeValue, encodeValue, Origins } from "../../../protocol/value/value.ts";
import { ByteMaker } from "../../support/values/byte-maker.ts";
import { Dice, rolls } from "../../support/values/dice.ts";
import { difference, ScriptMaker } from "../../support/values/script-maker.ts";

/** The bytes of what `value` is after some changes in place, or why it cannot be stored. */
function bytesAfter(
  value: unknown,
  previous: Buffer,
  { changes, origins }: { changes: number[]; origins: Origins },
): string {
  const maker = new ScriptMaker(new Dice(changes));
  for (let times = 0; times < 3; times++) maker.mutate(value);
  return encodeValue(value, "k", { bytes: previous, at: 0 }, origins).bytes.toString("hex");
}

function copyOf(original: Original): unknown {
  return original.copy(new Origins());
}

beforeEach(forgetTemplates);

describe("A copy of an original", () => {
  it("is what decoding gives, and stays what it is when another one is changed", () => {
    fc.assert(
      fc.property(rolls, rolls, (choices, changes) => {
        const bytes = new ByteMaker(new Dice(choices), { hasReferences: true }).object("Variant");
        const original = new Original(bytes);
        const kept = copyOf(original);
        for (let count = 0; count < 4; count++) {
          const [origins, own] = [new Origins(), new Origins()];
          const copy = original.copy(origins);
          expect(difference(copy, decodeValue(bytes, 0))).toBeUndefined();
          expect(encodeValue(copy, "k", { bytes, at: 0 }, origins).bytes.equals(bytes)).toBe(true);
          const changed = bytesAfter(copy, bytes, { changes, origins });
          expect(changed).toBe(bytesAfter(decodeValue(bytes, 0, own), bytes, { changes, origins: own }));
        }
        expect(difference(kept, decodeValue(bytes, 0))).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[string, unknown]>([
    ["an array of scalars", ["a", "b"]],
    ["a collection of collections", { first: { n: 1 }, second: { list: [1.5, true, null] } }],
    [
      "keys that an object is careful with",
      JSON.parse('{"__proto__": {"n": 1}, "constructor": {}, "10": [1], "2": {}}'),
    ],
    ["a Date", [new Date(0), { when: new Date(1) }]],
    ["a Date alone", new Date(5)],
    ["bytes", { bytes: Buffer.from([1, 2]), list: [[1]] }],
    ["bytes that are no text", [Buffer.from([0xff, 0xfe])]],
    ["empty containers", [[], {}]],
  ])("has nothing in common with another: %s", (_what, value) => {
    const { bytes } = encodeValue(value, "k");
    const original = new Original(bytes);
    const seen = new Set<unknown>();
    for (let count = 0; count < 4; count++) {
      const copy = copyOf(original);
      expect(difference(copy, decodeValue(bytes, 0))).toBeUndefined();
      expect(objectsOf(copy).filter((object) => seen.has(object))).toEqual([]);
      for (const object of objectsOf(copy)) seen.add(object);
    }
  });

  it("keeps the type it came from wherever it is put", () => {
    // Short[]
    const bytes = Buffer.concat([Buffer.of(0x61, 7), Buffer.from("Short[]"), Buffer.of(3, 1, 5, 0)]);
    const original = new Original(bytes);
    for (let count = 0; count < 4; count++) {
      const origins = new Origins();
      const copy = original.copy(origins) as number[];
      copy[0] = 6;
      const moved = encodeValue(copy, "elsewhere", undefined, origins).bytes;
      expect(moved.toString("hex")).toBe(bytes.toString("hex").replace(/0500$/, "0600"));
    }
  });

  it("is right, too, when all templates were forgotten meanwhile", () => {
    const { bytes } = encodeValue({ list: [1, 2], deep: { n: 1 } }, "k");
    const original = new Original(bytes);
    for (let count = 0; count < 8; count++) {
      if (count % 3 === 2) forgetTemplates();
      expect(copyOf(original)).toEqual(decodeValue(bytes, 0));
    }
  });

  it("is right, too, when more was asked for than is remembered", () => {
    const { bytes } = encodeValue(
      Array.from({ length: 4000 }, (_, index) => `${index}`.repeat(20)),
      "k",
    );
    const originals = Array.from({ length: 64 }, () => new Original(bytes));
    const wanted = decodeValue(bytes, 0);
    for (let count = 0; count < 4; count++) for (const original of originals) expect(copyOf(original)).toEqual(wanted);
  });
});

/** The object, and all objects it holds. */
function objectsOf(value: unknown, found: object[] = []): object[] {
  if (typeof value !== "object" || value === null || found.includes(value)) return found;
  found.push(value);
  if (!Buffer.isBuffer(value))
    for (const key of Object.keys(value)) objectsOf((value as Record<string, unknown>)[key], found);
  return found;
}
