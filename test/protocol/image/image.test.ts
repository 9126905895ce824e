// Images: where their entries are, and properties over any image and delta.

import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import {
  applyDelta,
  valueOf as bytesOf,
  decodeAll,
  dialectOf,
  encodeDelta,
  fileOfImage,
  imageOfFile,
  layoutOf,
  newImage,
  type Share,
  typeOf,
} from "../../../protocol/image/image.ts";
import { decodeValue, encodeValue, Origins } from "../../../protocol/value/value.ts";
import { ByteMaker } from "../../support/values/byte-maker.ts";
import { Dice, rolls } from "../../support/values/dice.ts";
import { apply, bytes, HEADER, hex, imageOf, NOW_MS, refused } from "../../support/values/image-bytes.ts";
import { difference, ScriptMaker } from "../../support/values/script-maker.ts";
import { viewImage } from "../../support/values/typed-view.ts";

const RUNS = 1000;

describe("the layout", () => {
  test("knows each entry and what stands around it", () => {
    const image = imageOf("4302 015f 09042f617070 0161 0401000000", "052f73686f70");
    expect([...layoutOf(image).entries.values()]).toEqual([
      { key: "_", valueStart: 20, valueEnd: 26 },
      { key: "a", valueStart: 28, valueEnd: 33 },
    ]);
    expect(layoutOf(image)).toMatchObject({ cookiePath: "/shop", hasReferences: false });
  });

  test.each<[string, string, string[]]>([
    ["a null of either kind, and the empty key, are dropped", "4304 0161 00 0162 0f 00 0401000000 0163 01ff", ["c"]],
    ["an empty string stays", "4302 0161 0900 0162 0a00", ["a", "b"]],
    ["of two values the last counts, in the first's place", "4303 0161 01ff 0162 01ff 0161 0100", ["a", "b"]],
    ["a null takes the key away", "4303 0161 01ff 0162 01ff 0161 0f", ["b"]],
    ["what comes after such a null is new", "4304 0161 01ff 0162 01ff 0161 0f 0161 0100", ["b", "a"]],
    ["a collection that ignores case keeps its keys as they are", "6302 0141 01ff 0161 01ff", ["A", "a"]],
    ["a long count", "438001 0161 01ff", ["a"]],
  ])("%s", (_what, body, keys) => {
    expect([...layoutOf(imageOf(body)).entries.keys()]).toEqual(keys);
    const after = apply(imageOf(body), { z: bytes(1) });
    expect([...layoutOf(after).entries.keys()]).toEqual([...keys, "z"]);
    for (const key of keys) {
      expect(bytesOf(after, layoutOf(after), key)).toEqual(bytesOf(imageOf(body), layoutOf(imageOf(body)), key));
    }
  });

  test.each<[string, string]>([
    ["", ""],
    ["00", ""],
    ["052f73686f70", "/shop"],
    ["052f7368", ""],
    ["80", ""],
    ["c00000", ""],
    ["8001 2f", "/"],
    ["012f ffff", "/"],
    ["02c328", "\udcc3("],
  ])("reads the cookie path %o as %o", (raw, path) => {
    const image = imageOf("4300", raw);
    expect(layoutOf(image).cookiePath).toBe(path);
    const after = apply(image, { a: bytes(1) });
    expect(layoutOf(after).cookiePath).toBe(path);
    expect(after.length).toBe(imageOf("4301 0161 0401000000", path === "" ? "00" : raw.replace(" ffff", "")).length);
  });

  test.each([
    "",
    "00",
    "0f",
    "0401000000",
    "6100",
    "43",
    "4301",
    "4301 0161",
    "4301 0161 04010000",
    "43ffffffff",
    "4301 ff",
    "4301 0161 4002000000",
  ])("refuses the body %o", (body) => {
    const image = Buffer.concat([HEADER, hex(body)]);
    expect(() => layoutOf(image)).toThrow(refused("ERR_UNREADABLE"));
    expect(() => apply(image, { a: bytes(1) })).toThrow(refused("ERR_UNREADABLE"));
  });
});

/** An image of random entries, with references across them. */
function randomImage(choices: readonly number[], hasReferences: boolean, isCanonical = false): Buffer {
  const dice = new Dice(choices);
  const maker = new ByteMaker(dice, { hasReferences, isCanonical }, ["root"]);
  const entries: Buffer[] = [];
  for (const key of ["a", "b", "cc", "häuser", "e"].slice(0, 1 + dice.roll(5))) {
    const text = Buffer.from(key);
    entries.push(Buffer.concat([Buffer.of(text.length), text, maker.variant()]));
  }
  return Buffer.concat([HEADER, Buffer.of(0x43, entries.length), ...entries, hex("012f")]);
}

function randomChanges(
  choices: readonly number[],
  hasReferences: boolean,
  isCanonical = false,
): Map<string, Buffer | undefined> {
  const dice = new Dice(choices);
  const changes = new Map<string, Buffer | undefined>();
  for (let left = dice.roll(4); left > 0; left--) {
    const key = dice.one(["a", "b", "cc", "häuser", "e", "new", "\udcff"]);
    changes.set(key, dice.once(4) ? undefined : new ByteMaker(dice, { hasReferences, isCanonical }).variant());
  }
  return changes;
}

function isNull(value: Buffer | undefined): boolean {
  return value === undefined || value[0] === 0x00 || value[0] === 0x0f;
}

function valuesOf(image: Buffer): Map<string, unknown> {
  return new Map([...decodeAll(image, layoutOf(image), new Origins())].map(([key, { value }]) => [key, value]));
}

describe("for any image and delta", () => {
  // The header of an array is written as Gambas does when the array moves, so what moves is canonical here.
  test.each([false, true])("every key holds what a map would hold, with references: %o", (hasReferences) => {
    fc.assert(
      fc.property(rolls, rolls, (choices, others) => {
        const image = randomImage(choices, hasReferences, hasReferences);
        const changes = randomChanges(others, hasReferences, hasReferences);
        const layout = layoutOf(image);
        const model = new Map([...layout.entries.keys()].map((key) => [key, bytesOf(image, layout, key)]));
        for (const [key, value] of changes) {
          if (isNull(value)) model.delete(key);
          else model.set(key, value);
        }
        const before = Buffer.from(image);
        const after = applyDelta(image, { delta: encodeDelta(changes), nowMs: NOW_MS });
        const result = layoutOf(after);
        expect(image.equals(before)).toBe(true);
        expect([...result.entries.keys()]).toEqual([...model.keys()]);
        for (const [key, value] of model)
          expect(bytesOf(after, result, key)?.toString("hex")).toBe(value?.toString("hex"));
        expect(viewImage(after)).toHaveLength(model.size);
        expect(result.cookiePath).toBe("/");
        expect(applyDelta(after, { delta: encodeDelta([]), nowMs: NOW_MS }).equals(after)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test.each([false, true])(
    "keys are in the order of a map that was changed one by one, with references: %o",
    (hasReferences) => {
      fc.assert(
        fc.property(rolls, rolls, fc.array(fc.nat(), { maxLength: 30 }), (choices, others, picks) => {
          const image = randomImage(choices, hasReferences, hasReferences);
          const pool = [...randomChanges(others, hasReferences, hasReferences)];
          const changes = picks.flatMap((pick): [string, Buffer | undefined][] => {
            const [key, value] = pool[pick % Math.max(1, pool.length)] ?? [];
            return key === undefined ? [] : [[key, pick % 3 === 0 ? undefined : value]];
          });
          const layout = layoutOf(image);
          const model = new Map([...layout.entries.keys()].map((key) => [key, bytesOf(image, layout, key)]));
          for (const [key, value] of changes) {
            if (isNull(value)) model.delete(key);
            else model.set(key, value);
          }
          const after = applyDelta(image, { delta: encodeDelta(changes), nowMs: NOW_MS });
          const result = layoutOf(after);
          expect([...result.entries.keys()]).toEqual([...model.keys()]);
          for (const [key, value] of model)
            expect(bytesOf(after, result, key)?.toString("hex")).toBe(value?.toString("hex"));
        }),
        { numRuns: RUNS },
      );
    },
  );

  test("objects shared across keys stay shared where they are not changed", () => {
    fc.assert(
      fc.property(rolls, rolls, (choices, others) => {
        const image = randomImage(choices, true);
        const changes = randomChanges(others, true);
        const model = valuesOf(image);
        for (const [key, value] of changes) {
          if (isNull(value)) model.delete(key);
          else model.set(key, decodeValue(value as Buffer, 0));
        }
        const after = applyDelta(image, { delta: encodeDelta(changes), nowMs: NOW_MS });
        expect(difference([...model], [...valuesOf(after)])).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test("what a worker changed in place arrives, in every key that shows it", () => {
    fc.assert(
      fc.property(rolls, rolls, (choices, others) => {
        const image = randomImage(choices, true);
        const origins = new Origins();
        const decoded = decodeAll(image, layoutOf(image), origins);
        const values = new Map([...decoded].map(([key, { value }]) => [key, value]));
        const maker = new ScriptMaker(new Dice(others));
        for (let times = 0; times < 3; times++) maker.mutate([...values.values()]);
        const { delta, shares } = collect(values, decoded, origins);
        const after = applyDelta(image, { delta, nowMs: NOW_MS, shares });
        const result = valuesOf(after);
        expect([...result.keys()]).toEqual([...values.keys()]);
        for (const [key, value] of values) expect(difference(value, result.get(key))).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test("what a worker shares between keys is shared", () => {
    fc.assert(
      fc.property(rolls, (choices) => {
        const maker = new ScriptMaker(new Dice(choices));
        const values = new Map(["a", "b", "c"].map((key) => [key, maker.object() as unknown]));
        const { delta, shares } = collect(values, new Map(), new Origins());
        const after = applyDelta(newImage({ nowMs: 0, timeoutSeconds: 1 }), { delta, nowMs: NOW_MS, shares });
        expect(difference([...values], [...valuesOf(after)])).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test("damage gives ERR_UNREADABLE or an image, never anything else", () => {
    const folder = new URL("../../fixtures/", import.meta.url);
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".session") && !name.startsWith("string_") && !name.startsWith("crafted"))
      .map((name) => readFileSync(new URL(name, folder)));
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...TAGS))), { maxLength: 5 }),
        fc.nat(),
        (file, edits, cut) => {
          const image = Buffer.from(files[file % files.length] as Buffer);
          for (const [at, value] of edits) image[at % image.length] = value;
          expectReadOrRefused(image);
          expectReadOrRefused(image.subarray(0, cut % image.length));
        },
      ),
      { numRuns: 3 * RUNS },
    );
  });
});

/** What a client does at the end of a request: every value encoded, and which objects occur in several. */
function collect(
  values: ReadonlyMap<string, unknown>,
  decoded: ReturnType<typeof decodeAll>,
  origins: Origins,
): { delta: Buffer; shares: Share[] } {
  const changes: [string, Buffer][] = [];
  const shares: Share[] = [];
  const seen = new Map<object, { key: string; object: number }>();
  for (const [key, value] of values) {
    const baseline = decoded.get(key)?.baseline;
    const previous = baseline === undefined ? undefined : { bytes: baseline, at: 0 };
    const encoded =
      value === null ? { bytes: baseline as Buffer, objects: [] } : encodeValue(value, key, previous, origins);
    if (baseline === undefined || !encoded.bytes.equals(baseline)) changes.push([key, encoded.bytes]);
    for (const [index, object] of encoded.objects.entries()) {
      const first = seen.get(object);
      if (first === undefined) seen.set(object, { key, object: index + 1 });
      else shares.push({ ...first, otherKey: key, otherObject: index + 1 });
    }
  }
  return { delta: encodeDelta(changes), shares };
}

/** Of objects and references, in both dialects. */
const TAGS = Buffer.from("@ABCDabcd", "latin1");

/** Whatever is in a file is refused, or is an image that goes back into the same file. */
function expectReadOrRefused(bytes: Buffer): void {
  const image = Buffer.from(bytes);
  try {
    imageOfFile(image);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    expect(error.code).toBe("ERR_UNREADABLE");
    return;
  }
  expectGoesBack(image, bytes);
  expectUsable(image);
}

function expectGoesBack(image: Buffer, bytes: Buffer): void {
  const file = Buffer.from(fileOfImage(image));
  if (dialectOf(image) === "3.18") expect(file.equals(bytes)).toBe(true);
  imageOfFile(file);
  expect(file.equals(image)).toBe(true);
}

function expectUsable(image: Buffer): void {
  const layout = layoutOf(image);
  expect(viewImage(image)).toBeDefined();
  for (const key of layout.entries.keys()) {
    expect(typeOf(image, layout, key)).toBeDefined();
    expect(bytesOf(image, layout, key)).toBeDefined();
  }
  decodeAll(image, layout, new Origins());
  const after = apply(image, { added: bytes([{}]) });
  const keys = [...layout.entries.keys()].filter((key) => key !== "added");
  expect([...layoutOf(after).entries.keys()].filter((key) => key !== "added")).toEqual(keys);
}
