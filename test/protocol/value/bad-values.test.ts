// What cannot be stored, and how deep a value may be.

import { describe, expect, test } from "vitest";
import {
  decodeValue,
  encodeValue,
  endOfValue,
  MAX_DEPTH,
  MAX_SCAN_DEPTH,
  newScan,
  Origins,
} from "../../../protocol/value/value.ts";
import { encode, hex } from "../../support/values/value-bytes.ts";

describe("ERR_BAD_VALUE names the place", () => {
  class Point {
    x = 1;
  }
  class List extends Array<number> {}
  const revoked: unknown[] = [
    () => 1,
    Symbol("s"),
    new Set(),
    /x/,
    new Point(),
    new List(),
    new Error("e"),
    Promise.resolve(),
    new Number(1),
    new WeakMap(),
    new Uint8ClampedArray(1),
    new Int8Array(1),
    new Uint16Array(1),
    new Uint32Array(1),
    new BigUint64Array(1),
    new ArrayBuffer(1),
    new DataView(new ArrayBuffer(1)),
    new Date(Number.NaN),
    new Date(-2472692 * 86_400_000),
    2n ** 63n,
    -(2n ** 63n) - 1n,
    "\ud800",
    "a\udc80",
    { [Symbol("s")]: 1 },
    { "": 1 },
    { "\ud800": 1 },
    new Map([[1, 1]]),
  ];

  test.each(revoked.map((value) => [value]))("%o", (value) => {
    const before = { items: [1, 2, 3, { price: value }] };
    const pattern = /^cart\.items\[3\]\.price(\[.*\]|\.\w+)? cannot be stored: it is .+/;
    const wanted = expect.objectContaining({ code: "ERR_BAD_VALUE", message: expect.stringMatching(pattern) });
    expect(() => encodeValue(before, "cart")).toThrow(wanted);
    expect(() => encodeValue(value, "cart")).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^cart/) }),
    );
    // Nothing of the failed value is left behind.
    expect(encode("ok").bytes).toEqual(hex("09026f6b"));
  });

  test("as a program would write it", () => {
    const place = { a: [{ "first name": { π: [[() => 1]] } }] };
    expect(() => encodeValue(place, "cart")).toThrow(/^cart\.a\[0\]\["first name"\]\.π\[0\]\[0\] cannot/);
  });

  test("shortened where it is very long", () => {
    let value: unknown = () => 1;
    for (let depth = 0; depth < 100; depth++) value = { a: value };
    expect(() => encodeValue(value, "k")).toThrow(/^k\.a\.a\.a\.a\.a\.a….a\.a\.a\.a\.a\.a cannot be stored/);
  });

  test.each([new Date(0), new Date(-2472692 * 86_400_000 + 1), new Date(8.64e15), new Date(-8.64e15)])(
    "not for %o",
    (date) => {
      expect(decodeValue(encode(date).bytes, 0)).toEqual(date);
    },
  );
});

describe("depth", () => {
  function nested(levels: number): unknown {
    let value: unknown = 1;
    for (let level = 0; level < levels; level++) value = level % 2 === 0 ? { a: value } : [value];
    return value;
  }

  /** Calls `action` from that many frames further down. */
  function below<T>(frames: number, action: () => T): T {
    return frames === 0 ? action() : below(frames - 1, action);
  }

  test("of 2 000 levels is decoded, encoded and compared, also from deep inside a program", () => {
    const value = nested(2001);
    below(100, () => {
      const { bytes } = encode(value);
      const origins = new Origins();
      const back = decodeValue(bytes, 0, origins);
      expect(encode(back, bytes, origins).bytes.buffer).toBe(bytes.buffer);
      (back as Record<string, unknown>).b = 2;
      expect(encode(back, bytes, origins).bytes.length).toBeGreaterThan(bytes.length);
    });
  });

  test("beyond the limit is refused with its number", () => {
    expect(() => encode(nested(MAX_DEPTH + 1))).toThrow(
      new RegExp(`^k[.[].+nested more than ${MAX_DEPTH} levels deep`),
    );
    const bytes = Buffer.concat([Buffer.from("43010161".repeat(MAX_DEPTH + 1), "hex"), hex("01ff")]);
    expect(endOfValue(bytes, 0, newScan())).toBe(bytes.length);
    expect(() => decodeValue(bytes, 0)).toThrow(new RegExp(`${MAX_DEPTH} levels deep`));
  });

  test("of a scan is limited without using the stack", () => {
    const deep = (levels: number) => Buffer.concat([Buffer.from("43010161".repeat(levels), "hex"), hex("01ff")]);
    expect(endOfValue(deep(MAX_SCAN_DEPTH), 0, newScan())).toBe(4 * MAX_SCAN_DEPTH + 2);
    expect(() => endOfValue(deep(MAX_SCAN_DEPTH + 1), 0, newScan())).toThrow(/levels deep/);
  });
});
