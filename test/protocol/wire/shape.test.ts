// Shapes let through what they name and nothing else, and say in one line what they wanted.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import {
  bool,
  bytes,
  float,
  listOf,
  mapOf,
  optional,
  readFields,
  type Shape,
  text,
  uint,
} from "../../../protocol/wire/shape.ts";

const SAMPLES: readonly unknown[] = [
  null,
  undefined,
  true,
  false,
  0,
  1,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.MAX_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER + 1,
  5n,
  "",
  "a",
  Buffer.alloc(1),
  new Uint8Array(1),
  [],
  [1],
  {},
  new Map(),
  new Date(0),
  () => 1,
];

function passes(shape: Shape<unknown>): unknown[] {
  return SAMPLES.filter((sample) => shape.test(sample));
}

const pair = mapOf({ key: text }, { count: uint });

describe("a shape", () => {
  it.each<[Shape<unknown>, unknown[]]>([
    [float, SAMPLES.filter((sample) => typeof sample === "number")],
    [uint, [0, 1, Number.MAX_SAFE_INTEGER]],
    [text, ["", "a"]],
    [bool, [true, false]],
    [bytes, [Buffer.alloc(1)]],
    [optional(text), [null, "", "a"]],
    [listOf(uint), [[], [1]]],
    [mapOf({}, {}), [{}]],
  ])("of $name lets through what it says", (shape, expected) => {
    expect(passes(shape)).toEqual(expected);
  });

  it("of a map wants what it requires, allows what it knows, and lets newer members through", () => {
    expect(pair.test({ key: "a" })).toBe(true);
    expect(pair.test({ key: "a", count: 1, since: "later" })).toBe(true);
    expect(pair.test({ count: 1 })).toBe(false);
    expect(pair.test({ key: 1 })).toBe(false);
    expect(pair.test({ key: "a", count: -1 })).toBe(false);
  });

  it("of a map looks at nothing inherited", () => {
    expect(pair.test(Object.create({ key: "a" }))).toBe(false);
    expect(mapOf({ toString: text }, {}).test({})).toBe(false);
    expect(mapOf({}, { constructor: text }).test({})).toBe(true);
  });

  it("says its name as the tables print it", () => {
    expect(pair.name).toBe("{ key: text, count?: uint }");
    expect(optional(listOf(pair)).name).toBe("list of { key: text, count?: uint } or nil");
  });
});

describe("the fields of a message", () => {
  const fields = { sid: text, known: float };

  function problemOf(values: readonly unknown[]): string {
    try {
      readFields(fields, values, 1);
      return "none";
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      expect(error.code).toBe("ERR_PROTOCOL");
      return error.message;
    }
  }

  it("are named in their order, from where they start", () => {
    expect(readFields(fields, [7, "a", 1.5], 1)).toEqual({ sid: "a", known: 1.5 });
  });

  it.each<[readonly unknown[], string]>([
    [[7], 'The field "sid" must be text.'],
    [[7, 1, 1], 'The field "sid" must be text.'],
    [[7, "a"], 'The field "known" must be float.'],
    [[7, "a", null], 'The field "known" must be float.'],
    [[7, "a", 1, 1], "The message has 3 fields instead of 2."],
  ])("are refused by name: %j", (values, expected) => {
    expect(problemOf(values)).toContain(expected);
  });

  it("are read or refused, whatever they are", () => {
    fc.assert(
      fc.property(fc.array(fc.anything()), (values) => {
        const isFine = values.length === 3 && typeof values[1] === "string" && typeof values[2] === "number";
        expect(problemOf(values) === "none").toBe(isFine);
      }),
    );
  });
});
