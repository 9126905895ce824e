// Which Gambas type a value gets: the one that is stored already, if that holds it exactly, or the one that typed() forces.

import { describe, expect, test } from "vitest";
import { decodeValue, endOfValue, newScan, Origins, typed, typeOfValue } from "../../../protocol/value/value.ts";
import { encode, hex, name } from "../../support/values/value-bytes.ts";

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
    expect(() => typed(type, 1)).toThrow(
      expect.objectContaining({
        code: "ERR_BAD_VALUE",
        message: expect.stringMatching(/is not a Gambas type that can be stored\. Types are Boolean, .* Integer\[\]/),
      }),
    ),
  );

  test.each<[string, unknown, RegExp]>([
    ["Integer", 1.5, /^k cannot be stored: it is not what an Integer can hold exactly\. Give typed\(\) a value/],
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
