// The codec of values: tables of what becomes what, in both directions.

import { describe, expect, test } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import {
  decodeValue,
  encodeValue,
  endOfValue,
  isGambasObject,
  newScan,
  typed,
  typeOfValue,
} from "../../../protocol/value/value.ts";
import { setOwn } from "../../support/values/script-maker.ts";
import { encode, hex, name } from "../../support/values/value-bytes.ts";

describe("a JavaScript value becomes", () => {
  const shared = { n: 1 };
  test.each<[string, unknown, string, string]>([
    ["true", true, "Boolean", "01ff"],
    ["false", false, "Boolean", "0100"],
    ["an int32", -2147483648, "Integer", "0400000080"],
    ["an integer beyond int32", 2147483648, "Long", "050000008000000000"],
    ["the largest safe integer", Number.MAX_SAFE_INTEGER, "Long", "05ffffffffffff1f00"],
    ["an unsafe integer", 2 ** 53, "Float", "070000000000004043"],
    ["a fraction", 3.25, "Float", "070000000000000a40"],
    ["minus zero", -0, "Float", "070000000000000080"],
    ["infinity", Number.POSITIVE_INFINITY, "Float", "07000000000000f07f"],
    ["a bigint", 7n, "Long", "050700000000000000"],
    ["the smallest bigint", -(2n ** 63n), "Long", "050000000000000080"],
    ["text", "héllo €", "String", "090a68c3a96c6c6f20e282ac"],
    ["the empty string", "", "String", "0900"],
    ["a date", new Date("2020-01-02T03:04:05Z"), "Date", "084b0226008888a800"],
    ["a date before Christ", new Date(Date.UTC(-4000, 0, 1)), "Date", undefined as unknown as string],
    ["bytes", Buffer.from([1, 255]), "Byte[]", `61${name("Byte[]")}020201ff`],
    ["a Uint8Array", new Uint8Array([7]), "Byte[]", `61${name("Byte[]")}020107`],
    ["an Int16Array", new Int16Array([1, -2]), "Short[]", `61${name("Short[]")}03020100feff`],
    ["an Int32Array", new Int32Array([5]), "Integer[]", `61${name("Integer[]")}040105000000`],
    ["a BigInt64Array", new BigInt64Array([5n]), "Long[]", `61${name("Long[]")}05010500000000000000`],
    ["a Float32Array", new Float32Array([1.5]), "Single[]", `61${name("Single[]")}06010000c03f`],
    ["a Float64Array", new Float64Array([1.5]), "Float[]", `61${name("Float[]")}0701000000000000f83f`],
    ["an array of booleans", [true, false], "Boolean[]", `61${name("Boolean[]")}0102ff00`],
    ["an array of int32", [1, -3], "Integer[]", `61${name("Integer[]")}040201000000fdffffff`],
    ["an array with one integer beyond", [1, 2 ** 40], "Long[]", undefined as unknown as string],
    ["an array of bigints", [1n, 2n], "Long[]", undefined as unknown as string],
    ["an array of numbers and bigints", [1, 2n ** 60n], "Long[]", undefined as unknown as string],
    ["an array with a fraction", [1, 2.5], "Float[]", undefined as unknown as string],
    ["an array with minus zero", [1, -0], "Float[]", undefined as unknown as string],
    ["an array of fractions and bigints", [1.5, 2n ** 60n], "Variant[]", undefined as unknown as string],
    ["an array of strings", ["a", "", "ccc"], "String[]", `61${name("String[]")}090301610003636363`],
    ["an array of dates", [new Date(0)], "Date[]", `61${name("Date[]")}0801f4ba250000000000`],
    ["an empty array", [], "Variant[]", `61${name("Variant[]")}0c00`],
    ["a mixed array", ["a", 1, null], "Variant[]", `61${name("Variant[]")}0c0309016104010000000f`],
    ["a nested array", [[1]], "Variant[]", `61${name("Variant[]")}0c0161${name("Integer[]")}040101000000`],
    ["a plain object", { a: 1, b: "x" }, "Collection", "43020161040100000001620901 78".replace(" ", "")],
    ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), "Collection", "430101610401000000"],
    ["a Map", new Map([["a", 1]]), "Collection", "430101610401000000"],
    ["a member that is null", { a: null }, "Collection", "430101610f"],
    ["a member that is empty", { a: "" }, "Collection", "430101610900"],
    ["a member that is undefined", { a: undefined, b: 1 }, "Collection", "430101620401000000"],
    [
      "an object that occurs twice",
      [shared, shared],
      "Variant[]",
      `61${name("Variant[]")}0c024301016e04010000004002000000`,
    ],
  ])("%s", (_what, value, type, bytes) => {
    const encoded = encode(value);
    expect(typeOfValue(encoded.bytes, 0)).toBe(type);
    if (bytes !== undefined) expect(encoded.bytes.toString("hex")).toBe(bytes);
    expect(endOfValue(encoded.bytes, 0, newScan())).toBe(encoded.bytes.length);
  });

  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "8080"],
    [16_383, "bfff"],
    [16_384, "c0004000"],
    [1_000_000, "c00f4240"],
  ])("a string of %i bytes with its length before it", (length, bytes) => {
    const encoded = encode("x".repeat(length)).bytes;
    expect(encoded.subarray(1, encoded.length - length).toString("hex")).toBe(bytes);
    expect(endOfValue(encoded, 0, newScan())).toBe(encoded.length);
  });

  test("the deletion mark for null and undefined", () => {
    expect(encode(null).bytes).toEqual(hex("00"));
    expect(encode(undefined).bytes).toEqual(hex("00"));
  });

  test("nothing that depends on a getter being asked twice", () => {
    let asked = 0;
    const object = {
      get once() {
        asked++;
        return asked;
      },
    };
    expect(decodeValue(encode(object).bytes, 0)).toEqual({ once: 1 });
  });

  test("whole, also when a getter encodes another value meanwhile", () => {
    const object = {
      a: 1,
      get b() {
        return encodeValue({ inner: "x".repeat(100) }, "other").bytes.length;
      },
      c: 3,
    };
    expect(decodeValue(encode(object).bytes, 0)).toEqual({ a: 1, b: 110, c: 3 });
  });
});

describe("Gambas bytes read as", () => {
  test.each<[string, string, unknown]>([
    ["a Byte", "02c8", 200],
    ["a Short", "030080", -32768],
    ["a Long that is safe", "05ffffffffffff1f00", Number.MAX_SAFE_INTEGER],
    ["a Long that is not", "050000000000002000", 2n ** 53n],
    ["a negative Long that is not", "05000000000000e0ff", -(2n ** 53n)],
    ["a Single", "06cdcccc3d", Math.fround(0.1)],
    ["a Pointer", "0b3412000000000000", 4660],
    ["a Pointer with its high bit", "0bffffffffffffffff", -1],
    ["a null date", "080000000000000000", null],
    ["a time of day", "0800000000 5828d702".replace(" ", ""), new Date(-2472692 * 86_400_000 + 0x02d72858)],
    ["a date with more than a day", `08f4ba2500${"00e87705"}`, new Date(0x0577e800)],
    ["a constant string", "0a03616263", "abc"],
    ["a string that is not UTF-8", "0903ff00fe", Buffer.from([0xff, 0, 0xfe])],
    ["a string with U+FFFD in it", "0903efbfbd", "�"],
    ["a string with a byte order mark", "0904efbbbf61", "﻿a"],
    ["a long length", "09c000000361626 3".replace(" ", ""), "abc"],
    ["any true", "0101", true],
    ["both nulls in a Variant[]", `61${name("Variant[]")}0c02000f`, [null, null]],
    ["a Variant[] of the elements of another class", `61${name("VARIANT[]")}040105000000`, [5]],
    ["a class in another case", `61${name("iNtEgEr[]")}ff0105000000`, [5]],
    ["a collection that ignores case", "6301014b0401000000", { K: 1 }],
    ["the last of two members of one key", "4302016b0401000000016b0402000000", { k: 2 }],
    ["a collection without its empty key", "4302000401000000016b0402000000", { k: 2 }],
    [
      "arrays of arrays",
      `61${name("Integer[][]")}100341040105000000 00 61${name("Integer[]")}0400`.replaceAll(" ", ""),
      [[5], null, []],
    ],
    [
      "an array of Integers that is a Variant[] in Variant[][]",
      `61${name("Variant[][]")}1001410401 05000000`.replace(" ", ""),
      [[5]],
    ],
    ["an array of bytes in Variant[][]", `61${name("Variant[][]")}1001410c0102ff`, [[255]]],
  ])("%s", (_what, bytes, value) => {
    expect(decodeValue(hex(bytes), 0)).toEqual(value);
  });

  test("an object whose key is __proto__ without touching any prototype", () => {
    const value = decodeValue(hex(`4301${name("__proto__")}43010161040100 0000`), 0) as object;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(encode(value).bytes).toEqual(hex(`4301${name("__proto__")}430101610401000000`));
  });

  test("nothing: what 3.18 would give up or crash on", () => {
    const bad = [
      "",
      "04010000",
      "09",
      "0903616 2",
      "0cff",
      "0e",
      "10",
      "11",
      "ff",
      "4f",
      "6f",
      "40",
      "4001000000",
      "4000000000",
      "40ffffffff",
      "43",
      "4301",
      "43010161",
      "4301016b40030000 00",
      "61",
      "6100040 1",
      `61${name("Integer")}0400`,
      `61${name("Timer[]")}1000`,
      `61${name("Integer[]")}`,
      `61${name("Integer[]")}04`,
      `61${name("Integer[]")}0401ffffff`,
      `61${name("Variant[]")}0e00`,
      `61${name("Variant[]")}0a0100`,
      `61${name("Object[]")}10010f`,
      `61${name("Object[]")}10010401000000`,
      `61${name("Object[]")}1001410e00`,
      `61${name("Integer[][]")}10014300`,
      `61${name("Integer[][]")}10014001000000`,
      `61${name("Object[][]")}100161${name("Integer[][]")}1000`,
      `61${name("Collection[]")}1001410400`,
      `61${name("Collection[]")}100161${name("Integer[]")}0400`,
      `6180 09${name("Integer[]").slice(2)}0400`,
      "410403010000000200000003000000",
      "43ffffffff",
      `61${name("Float[]")}07ffffffff`,
      `61${name("String[]")}09ffffffff`,
    ]; // prettier-ignore
    for (const bytes of bad.map(hex)) {
      const wanted = expect.objectContaining({ code: "ERR_UNREADABLE" });
      expect(() => endOfValue(bytes, 0, newScan()), bytes.toString("hex")).toThrow(wanted);
      expect(() => decodeValue(bytes, 0), bytes.toString("hex")).toThrow(wanted);
    }
  });

  test("a date JavaScript cannot hold is refused, and can be overwritten", () => {
    const bytes = hex("08ffffff7f00000000");
    expect(() => decodeValue(bytes, 0)).toThrow(/a date that JavaScript cannot hold/);
    expect(typeOfValue(bytes, 0)).toBe("Date");
    expect(decodeValue(encode(5, bytes).bytes, 0)).toBe(5);
  });
});

describe("isCanonical", () => {
  const date = new Date(0);
  test.each<[unknown, boolean]>([
    [{ a: [1, "x", { b: [true] }] }, true],
    [[null, date, Buffer.from([1]), 2n ** 60n], true],
    [new Map(), false],
    [[new Map()], false],
    [new Int32Array(1), false],
    [new Uint8Array(1), false],
    [5n, false],
    [[5n], false],
    [{ a: undefined }, false],
    [[undefined], false],
    [[1, undefined, 2], false],
    [Object.create(null), false],
    [[date, date], false],
    [{ a: typed("Float", 3) }, false],
  ])("of %o is %o", (value, wanted) => {
    expect(encode(value).isCanonical).toBe(wanted);
    expect(encode(value, encode(value).bytes).isCanonical).toBe(wanted);
  });

  test("objects are in the order of their numbers", () => {
    const inner = [1];
    const value = { a: inner, b: [inner, { c: 1 }] };
    const { bytes, objects } = encode(value);
    expect(objects).toEqual([value, inner, value.b, value.b[1]]);
    expect(objects[1]).toBe(inner);
    expect(encode(value, bytes).objects).toEqual(objects);
  });

  test("isGambasObject tells what can change in place", () => {
    expect([{}, [], Buffer.from(""), new Date()].every(isGambasObject)).toBe(true);
    expect([null, 1, "x", true, 1n].some(isGambasObject)).toBe(false);
  });
});

test("a length or count is believed only when the bytes are there", () => {
  const before = process.memoryUsage().arrayBuffers;
  for (const bytes of [
    "43ffffffff",
    `61${name("Variant[]")}0cffffffff`,
    `61${name("Byte[]")}02ffffffff`,
    "09ffffffff",
  ].map(hex)) {
    for (let times = 0; times < 1000; times++) expect(() => decodeValue(bytes, 0)).toThrow(SessionError);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
});

test("a null among references stays apart from objects", () => {
  const value: { self?: unknown; list: unknown[] } = { list: [] };
  setOwn(value, "self", value);
  value.list.push(value, null, value.list);
  const back = decodeValue(encode(value).bytes, 0) as typeof value;
  expect(back.self).toBe(back);
  expect(back.list[0]).toBe(back);
  expect(back.list[2]).toBe(back.list);
});
