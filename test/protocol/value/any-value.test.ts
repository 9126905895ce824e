// Properties of the codec over everything a session can hold, and over all bytes that Gambas reads.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import { decodeValue, endOfValue, newScan, Origins, typeOfValue } from "../../../protocol/value/value.ts";
import { ByteMaker } from "../../support/values/byte-maker.ts";
import { Dice, rolls } from "../../support/values/dice.ts";
import { difference, ScriptMaker } from "../../support/values/script-maker.ts";
import { viewValue } from "../../support/values/typed-view.ts";
import { encode, hex } from "../../support/values/value-bytes.ts";

const RUNS = 1500;

describe("for any value", () => {
  test("what is decoded is what was encoded", () => {
    fc.assert(
      fc.property(rolls, (choices) => {
        const value = new ScriptMaker(new Dice(choices)).value();
        const { bytes } = encode(value);
        if (value === null) return;
        expect(endOfValue(bytes, 0, newScan())).toBe(bytes.length);
        expect(viewValue(bytes).end).toBe(bytes.length);
        expect(difference(value, decodeValue(bytes, 0))).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test("what is decoded is what was encoded, whatever was stored before", () => {
    fc.assert(
      fc.property(rolls, rolls, (choices, others) => {
        const value = new ScriptMaker(new Dice(choices)).value();
        const previous = new ByteMaker(new Dice(others)).variant();
        const { bytes } = encode(value, previous);
        if (value === null) return;
        expect(viewValue(bytes).end).toBe(endOfValue(bytes, 0, newScan()));
        expect(difference(value, decodeValue(bytes, 0))).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });
});

describe("for any bytes that 3.18 reads", () => {
  test("the scan, the reader and the second opinion agree on the end", () => {
    fc.assert(
      fc.property(rolls, (choices) => {
        const bytes = new ByteMaker(new Dice(choices)).variant();
        expect(viewValue(bytes).end).toBe(bytes.length);
        expect(endOfValue(bytes, 0, newScan())).toBe(bytes.length);
        const { typed: view } = viewValue(bytes);
        expect(typeOfValue(bytes, 0)).toBe(view.type === "Array" ? view.class : view.type);
      }),
      { numRuns: RUNS },
    );
  });

  test("encoding what was decoded gives the same bytes", () => {
    fc.assert(
      fc.property(rolls, (choices) => {
        const bytes = new ByteMaker(new Dice(choices)).variant();
        const origins = new Origins();
        const value = decodeValue(bytes, 0, origins);
        if (value !== null) expect(encode(value, bytes, origins).bytes.toString("hex")).toBe(bytes.toString("hex"));
      }),
      { numRuns: RUNS },
    );
  });

  test("a value keeps its bytes when something beside it changes", () => {
    fc.assert(
      fc.property(rolls, fc.boolean(), (choices, isLast) => {
        // The value itself is object 2 here, the collection around it object 1.
        const value = new ByteMaker(new Dice(choices), {}, ["root"]).variant();
        const other = hex("017a0401000000");
        const member = Buffer.concat([hex("016b"), value]);
        const stored = Buffer.concat(isLast ? [hex("4302"), other, member] : [hex("4302"), member, other]);
        const origins = new Origins();
        const object = decodeValue(stored, 0, origins) as Record<string, unknown>;
        delete object.z;
        expect(encode(object, stored, origins).bytes.toString("hex")).toBe(
          Buffer.concat([hex("4301"), member]).toString("hex"),
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("whatever is changed inside reads back as it was changed", () => {
    fc.assert(
      fc.property(rolls, rolls, (choices, changes) => {
        const bytes = new ByteMaker(new Dice(choices)).object("Variant");
        const origins = new Origins();
        const value = decodeValue(bytes, 0, origins);
        const maker = new ScriptMaker(new Dice(changes));
        for (let times = 0; times < 3; times++) maker.mutate(value);
        const encoded = encode(value, bytes, origins);
        const alone = encode(value, undefined, origins);
        for (const result of [encoded.bytes, alone.bytes]) {
          expect(viewValue(result).end).toBe(endOfValue(result, 0, newScan()));
          expect(difference(value, decodeValue(result, 0))).toBeUndefined();
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("any damage gives ERR_UNREADABLE or a value, never anything else", () => {
    fc.assert(
      fc.property(
        rolls,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
        fc.nat(),
        (choices, edits, cut) => {
          const bytes = Buffer.from(new ByteMaker(new Dice(choices)).variant());
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          expectReadOrRefused(bytes);
          expectReadOrRefused(bytes.subarray(0, cut % (bytes.length + 1)));
        },
      ),
      { numRuns: RUNS },
    );
  });
});

function expectReadOrRefused(bytes: Buffer): void {
  let end: number;
  try {
    end = endOfValue(bytes, 0, newScan());
  } catch (error) {
    expect(error).toBeInstanceOf(SessionError);
    expect((error as SessionError).code).toBe("ERR_UNREADABLE");
    expect(() => decodeValue(bytes, 0)).toThrow(SessionError);
    return;
  }
  expect(viewValue(bytes).end).toBe(end);
  try {
    const origins = new Origins();
    const value = decodeValue(bytes, 0, origins);
    if (value !== null) expect(difference(value, decodeValue(encode(value, bytes, origins).bytes, 0))).toBeUndefined();
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
  }
}
