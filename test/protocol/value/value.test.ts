// The codec of values: tables of what becomes what, and properties over everything a session can hold.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import {
  decodeValue,
  type Encoded,
  encodeValue,
  endOfValue,
  isGambasObject,
  MAX_DEPTH,
  MAX_SCAN_DEPTH,
  newScan,
  Origins,
  typed,
  typeOfValue,
} from "../../../protocol/value/value.ts";
import { ByteMaker } from "../../support/values/byte-maker.ts";
import { Dice, rolls } from "../../support/values/dice.ts";
import { difference, ScriptMaker, setOwn } from "../../support/values/script-maker.ts";
import { viewValue } from "../../support/values/typed-view.ts";

const RUNS = 1500;

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function encode(value: unknown, previous?: Buffer, origins?: Origins): Encoded {
  return encodeValue(value, "k", previous === undefined ? undefined : { bytes: previous, at: 0 }, origins);
}

function name(text: string): string {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text)]).toString("hex");
}

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

/** Stored value, new value, type afterwards. */
describe("overwriting keeps the stored type when it holds the new value exactly", () => {
  const variants = `61${name("Variant[]")}0c`;
  test.each<[string, string, unknown, string]>([
    ["Float, 3", "070000000000000a40", 3, "Float"],
    ["Float, -0", "070000000000000a40", -0, "Float"],
    ["Float, text", "070000000000000a40", "3", "String"],
    ["Float, bigint", "070000000000000a40", 3n, "Long"],
    ["Short, 7", "030080", 7, "Short"],
    ["Short, 40000", "030080", 40_000, "Integer"],
    ["Short, 32767", "030080", 32_767, "Short"],
    ["Short, 32768", "030080", 32_768, "Integer"],
    ["Short, -32768", "030000", -32_768, "Short"],
    ["Short, -32769", "030000", -32_769, "Integer"],
    ["Short, 1.5", "030080", 1.5, "Float"],
    ["Byte, 255", "0207", 255, "Byte"],
    ["Byte, 256", "0207", 256, "Integer"],
    ["Byte, -0", "0207", -0, "Float"],
    ["Single, 1.5", "0600000000", 1.5, "Single"],
    ["Single, 0.1", "0600000000", 0.1, "Float"],
    ["Single, NaN", "0600000000", Number.NaN, "Single"],
    ["Long, 5", "050000000000000001", 5, "Long"],
    ["Long, 0.5", "050000000000000001", 0.5, "Float"],
    ["Pointer, 5", "0b3412000000000000", 5, "Pointer"],
    ["Pointer, bigint", "0b3412000000000000", 2n ** 60n, "Pointer"],
    ["Integer, 2 ** 31", "0401000000", 2 ** 31, "Long"],
    ["Boolean, 1", "01ff", 1, "Integer"],
    ["String of bytes, bytes", "0903ff00fe", Buffer.from([0xfe]), "String"],
    ["String of bytes, bytes that are text", "0903ff00fe", Buffer.from("a"), "Byte[]"],
    ["String, text", "0a03616263", "abd", "String"],
    ["Date, date", "084b0226008888a800", new Date(5), "Date"],
    ["Short[], fits", `61${name("Short[]")}03010100`, [7, -7], "Short[]"],
    ["Short[], does not", `61${name("Short[]")}03010100`, [70_000], "Integer[]"],
    ["Short[], empty", `61${name("Short[]")}03010100`, [], "Short[]"],
    ["Float[], integers", `61${name("Float[]")}0700`, [1, 2], "Float[]"],
    ["Single[], 0.5", `61${name("Single[]")}0600`, [0.5], "Single[]"],
    ["Single[], 0.1", `61${name("Single[]")}0600`, [0.1], "Float[]"],
    ["Long[], integers", `61${name("Long[]")}0500`, [1], "Long[]"],
    ["Pointer[], integers", `61${name("Pointer[]")}0b00`, [1], "Pointer[]"],
    ["Date[], null among them", `61${name("Date[]")}0800`, [null, new Date(5)], "Date[]"],
    ["String[], bytes among them", `61${name("String[]")}0900`, ["a", Buffer.from([255])], "String[]"],
    ["String[], null among them", `61${name("String[]")}0900`, ["a", null], "Variant[]"],
    ["Variant[], integers", `${variants}00`, [1, 2], "Variant[]"],
    ["Object[], objects", `61${name("Object[]")}1000`, [{ a: 1 }, [1], null], "Object[]"],
    ["Object[], a scalar", `61${name("Object[]")}1000`, [{ a: 1 }, 1], "Variant[]"],
    ["Object[], a date", `61${name("Object[]")}1000`, [new Date(5), null], "Variant[]"],
    ["Collection[], objects", `61${name("Collection[]")}1000`, [{ a: 1 }, null], "Collection[]"],
    ["Collection[], an array", `61${name("Collection[]")}1000`, [[1]], "Variant[]"],
    ["Integer[][], fits", `61${name("Integer[][]")}1000`, [[1], [], null], "Integer[][]"],
    ["Integer[][], does not", `61${name("Integer[][]")}1000`, [[1.5]], "Variant[]"],
    ["Byte[][], buffers", `61${name("Byte[][]")}1000`, [Buffer.from([1])], "Byte[][]"],
    ["Byte[][], arrays", `61${name("Byte[][]")}1000`, [[1]], "Variant[]"],
    ["Byte[], an array", `61${name("Byte[]")}020101`, [1], "Integer[]"],
    ["Integer[], a buffer", `61${name("Integer[]")}0400`, Buffer.from([1]), "Byte[]"],
    ["Collection, an array", "4300", [1], "Integer[]"],
  ])("%s", (_what, stored, value, type) => {
    const { bytes } = encode(value, hex(stored));
    expect(typeOfValue(bytes, 0)).toBe(type);
    expect(endOfValue(bytes, 0, newScan())).toBe(bytes.length);
    if (typeof value !== "bigint" || type === "Pointer") expect(decodeValue(bytes, 0)).toEqual(value);
  });

  test("member by member, by key and by place", () => {
    const stored = hex(`4303 0161 070000000000000a40 0162 ${variants}02 030100 0600000000 0163 080000000000000000`);
    const { bytes } = encode({ a: 4, b: [2, 0.5, 1], c: null }, stored);
    expect(bytes).toEqual(
      hex(`4303 0161 070000000000001040 0162 ${variants}03 030200 060000003f 0401000000 0163 080000000000000000`),
    );
  });

  test("keeps the bits of a NaN, odd dates and long lengths of what did not change", () => {
    const odd = "0163 07010000000000f07f 0164 08f4ba250000e87705 8001 65 0a8001 41";
    const stored = hex(`4304 0161 0401000000 ${odd}`);
    const origins = new Origins();
    const value = decodeValue(stored, 0, origins) as Record<string, unknown>;
    value.a = 2;
    expect(encode(value, stored, origins).bytes).toEqual(hex(`4304 0161 0402000000 ${odd}`));
    value.list = [value.d];
    expect(encode(value, stored, origins).bytes.includes(hex("0801f4ba250000e87705"))).toBe(true);
  });

  test("keeps the stored order of keys that look like indexes, and puts new keys last", () => {
    const stored = hex("4303 0162 0401000000 0232 30 0402000000 0135 0403000000".replace("0232 30", "023230"));
    const origins = new Origins();
    const value = decodeValue(stored, 0, origins) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["5", "20", "b"]);
    expect(encode(value, stored, origins).bytes).toEqual(stored);
    value["1"] = true;
    value.b = 9;
    expect(encode(value, stored, origins).bytes).toEqual(
      hex("4304 0162 0409000000 023230 0402000000 0135 0403000000 0131 01ff"),
    );
  });

  test("takes the new order when the keys of an object were put in another order", () => {
    const stored = encode({ a: 1, b: 2 }).bytes;
    expect(Object.keys(decodeValue(encode({ b: 2, a: 1 }, stored).bytes, 0) as object)).toEqual(["b", "a"]);
  });

  test("takes the new order when a live object was put in another order", () => {
    const stored = encode({ a: 1, b: 2, c: 3 }).bytes;
    const origins = new Origins();
    const value = decodeValue(stored, 0, origins) as Record<string, unknown>;
    delete value.a;
    value.a = 1;
    expect(Object.keys(decodeValue(encode(value, stored, origins).bytes, 0) as object)).toEqual(["b", "c", "a"]);
  });

  test("keeps the elements of a Variant[] in Variant[][] bare as long as they fit", () => {
    const outer = `61${name("Variant[][]")}1001`;
    const stored = hex(`${outer} 41 04 01 05000000`);
    const origins = new Origins();
    const value = decodeValue(stored, 0, origins) as unknown[][];
    value[0]?.push(6);
    expect(encode(value, stored, origins).bytes).toEqual(hex(`${outer} 41 04 02 05000000 06000000`));
    value[0]?.push("x");
    const { bytes } = encode(value, stored, origins);
    expect(bytes).toEqual(hex(`${outer} 41 0c 03 0405000000 0406000000 090178`));
  });

  test("follows an object to its new place", () => {
    const stored = hex(`${variants}02 61${name("Short[]")}0300 61${name("Single[]")}0600`);
    const origins = new Origins();
    const value = decodeValue(stored, 0, origins) as number[][];
    value.reverse();
    value[0]?.push(0.5);
    value[1]?.push(3);
    const { bytes } = encode(value, stored, origins);
    expect(bytes).toEqual(hex(`${variants}02 61${name("Single[]")}06010000003f 61${name("Short[]")}03010300`));
  });

  test("returns the stored bytes themselves when nothing changed", () => {
    const stored = encode({ a: [1, { b: "x" }] }).bytes;
    const encoded = encode({ a: [1, { b: "x" }] }, stored);
    expect(encoded.bytes.buffer).toBe(stored.buffer);
    expect(encoded.bytes).toEqual(stored);
    expect(encoded.objects).toHaveLength(3);
    expect(encoded.isCanonical).toBe(true);
  });
});

describe("typed()", () => {
  test.each<[string, unknown, string]>([
    ["Float", 3, "070000000000000840"],
    ["Float", 3n, "070000000000000840"],
    ["Short", 7, "030700"],
    ["Byte", 7n, "0207"],
    ["Long", 7, "050700000000000000"],
    ["Single", 0.1, "06cdcccc3d"],
    ["Pointer", 4660, "0b3412000000000000"],
    ["Date", null, "080000000000000000"],
    ["Date", new Date(0), "08f4ba250000000000"],
    ["String", Buffer.from("abc"), "0903616263"],
    ["string", "abc", "0903616263"],
    ["Boolean", true, "01ff"],
    ["Short[]", [1, 2], `61${name("Short[]")}030201000200`],
    ["short[]", new Uint8Array([1, 2]), `61${name("Short[]")}030201000200`],
    ["Byte[]", [1, 2], `61${name("Byte[]")}02020102`],
    ["Single[]", [0.1], `61${name("Single[]")}0601cdcccc3d`],
    ["Date[]", [null], `61${name("Date[]")}08010000000000000000`],
    ["String[]", [Buffer.from("a"), "b"], `61${name("String[]")}090201610162`],
    ["Variant[]", [1], `61${name("Variant[]")}0c010401000000`],
    ["Object[]", [{}, null, [1]], `61${name("Object[]")}1003430000 61${name("Integer[]")}040101000000`],
    ["Collection[]", [{}, null], `61${name("Collection[]")}10024300 00`],
    ["Byte[][]", [[1], [2]], `61${name("Byte[][]")}1002 410201 01 410201 02`],
    ["Integer[][][]", [[[1]], []], `61${name("Integer[][][]")}1002 411001 410401 01000000 411000`],
    ["Collection", new Map([["a", 1]]), "430101610401000000"],
    [
      "Variant[]",
      [typed("Short", 1), typed("Byte[]", [1])],
      `61${name("Variant[]")}0c02030100 61${name("Byte[]")}020101`,
    ],
    ["Object[]", [typed("Short[]", [1])], `61${name("Object[]")}1001 61${name("Short[]")}03010100`],
    ["Short[][]", [typed("Short[]", [1])], `61${name("Short[][]")}1001 4103010100`],
    ["Short[]", [typed("Short", 1)], `61${name("Short[]")}03010100`],
  ])("%s of %o", (type, value, bytes) => {
    const encoded = encode(typed(type, value));
    expect(encoded.bytes.toString("hex")).toBe(hex(bytes).toString("hex"));
    expect(encoded.isCanonical).toBe(false);
    expect(endOfValue(encoded.bytes, 0, newScan())).toBe(encoded.bytes.length);
  });

  test("names its type as Gambas does", () => {
    expect(typed("integer[][]", []).type).toBe("Integer[][]");
    expect(typed("FLOAT", 3)).toMatchObject({ type: "Float", value: 3 });
  });

  test.each([
    "",
    "Variant",
    "Object",
    "Null",
    "Class",
    "Timer[]",
    "Integer []",
    "Integer[3]",
    `Integer${"[]".repeat(61)}`,
  ])("refuses the type %o at once", (type) =>
    expect(() => typed(type, 1)).toThrow(expect.objectContaining({ code: "ERR_BAD_VALUE" })),
  );

  test.each<[string, unknown, RegExp]>([
    ["Integer", 1.5, /^k cannot be stored: it is not what a Integer can hold exactly/],
    ["Integer", "1", /^k cannot/],
    ["Integer", -0, /^k cannot/],
    ["Byte", 256, /^k cannot/],
    ["Boolean", 1, /^k cannot/],
    ["Date", 0, /^k cannot/],
    ["Date", new Date(Number.NaN), /^k cannot be stored: it is an invalid Date/],
    ["String", 1, /^k cannot/],
    ["Integer[]", [1, 2.5], /^k\[1\] cannot/],
    ["Integer[]", null, /^k cannot/],
    ["Integer[]", { length: 1 }, /^k cannot/],
    ["String[]", ["a", null], /^k\[1\] cannot/],
    ["Integer[][]", [[1], [2, "x"]], /^k\[1\]\[1\] cannot/],
    ["Object[]", [1], /^k\[0\] cannot/],
    ["Collection[]", [[]], /^k\[0\] cannot/],
    ["Collection", [], /^k cannot/],
    ["Float", typed("Float", 3), /^k cannot/],
    ["Long", 2n ** 63n, /^k cannot/],
  ])("%s refuses %o", (type, value, message) => {
    expect(() => encode(typed(type, value))).toThrow(message);
  });

  test("gives an object one class only", () => {
    const list = [1];
    expect(encode({ a: typed("Long[]", list), b: list }).bytes.includes(hex("4002000000"))).toBe(true);
    expect(() => encode({ a: list, b: typed("Long[]", list) })).toThrow(
      /^k\.b cannot be stored: it is stored as Integer\[\] elsewhere/,
    );
  });
});

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
          expect(difference(holesFilled(value), decodeValue(result, 0))).toBeUndefined();
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

/** Mutations never leave holes, but `list[index] = x` beyond the end could. */
function holesFilled(value: unknown): unknown {
  return value;
}

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
