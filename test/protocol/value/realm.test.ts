// Objects of another realm, a vm context or a test runner's, are what they are; what only looks like one is refused as ever.
import { createContext, runInContext, runInThisContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import { decodeValue, encodeValue, Origins, typed, typeOfValue } from "../../../protocol/value/value.ts";

const realm = createContext({});

/** The value of an expression over there. */
function there(code: string): unknown {
  return runInContext(`(${code})`, realm);
}

/** The value of the same expression here. */
function here(code: string): unknown {
  return runInThisContext(`(${code})`);
}

function encoded(value: unknown): string {
  return encodeValue(value, "key").bytes.toString("hex");
}

function refusalOf(value: unknown): string {
  try {
    encodeValue(value, "key");
  } catch (error) {
    if (error instanceof SessionError && error.code === "ERR_BAD_VALUE") return error.what;
    throw error;
  }
  return "";
}

const STORABLE = [
  "new Date(5)",
  "[new Date(5), new Date(6)]",
  "[new Date(5), null]",
  "new Map([['k', 1], ['l', [1]]])",
  "new Map()",
  "new Uint8Array([1, 2, 255])",
  "new Uint8Array(new SharedArrayBuffer(3))",
  "new Uint8Array([1, 2, 3, 4]).subarray(1, 3)",
  "new Int16Array([1, -2])",
  "new Int32Array([1, -2])",
  "new BigInt64Array([1n, -(2n ** 63n)])",
  "new Float32Array([0.5])",
  "new Float64Array([0.1, NaN])",
  "new Int16Array(new SharedArrayBuffer(4))",
  "[]",
  "[1, 2]",
  "['a', 1, null]",
  "[[1], [2]]",
  "[new Int16Array([1]), new Uint8Array([2])]",
  "({})",
  "({ a: 1, b: [1, { c: 'd' }], d: new Date(7), m: new Map([['x', new Date(8)]]), u: new Uint8Array(2) })",
  "Object.assign(Object.create(null), { a: 1 })",
  "(() => { const a = { n: 1 }; a.self = a; return [a, a]; })()",
  "Object.freeze({ a: Object.freeze([new Date(9)]) })",
];

describe("a value of another realm", () => {
  it.each(STORABLE)("is stored as that of this one: %s", (code) => {
    const [foreign, own] = [there(code), here(code)];
    expect(encoded(foreign)).toBe(encoded(own));
    expect(encoded({ in: [foreign, "x"] })).toBe(encoded({ in: [own, "x"] }));
    expect(encoded(new Map([["in", foreign]]))).toBe(encoded(new Map([["in", own]])));
  });

  it.each(STORABLE)("that was stored is not changed: %s", (code) => {
    const { bytes } = encodeValue(here(code), "key");
    const foreign = there(code);
    const again = encodeValue(foreign, "key", { bytes, at: 0 });
    expect(again.bytes.equals(bytes)).toBe(true);
    const holder = encodeValue({ in: here(code) }, "key").bytes;
    expect(encodeValue({ in: foreign }, "key", { bytes: holder, at: 0 }).bytes.equals(holder)).toBe(true);
  });

  it("is live like one of this realm: only what comes back in another shape is not", () => {
    const isLive = (code: string): [boolean, boolean] => [
      encodeValue(there(code), "key").isCanonical,
      encodeValue(here(code), "key").isCanonical,
    ];
    for (const code of ["({ a: [1] })", "[1, { a: 2 }]", "new Date(5)", "[new Date(5)]"]) {
      expect([code, ...isLive(code)]).toEqual([code, true, true]);
    }
    for (const code of ["new Map()", "new Uint8Array(1)", "[new Int16Array(1)]", "Object.create(null)"]) {
      expect([code, ...isLive(code)]).toEqual([code, false, false]);
    }
  });

  it("may be put into an object that was read, whose other members keep their types", () => {
    const stored = { f: typed("Float", 3), d: new Date(5), s: typed("Short[]", [1]) };
    const { bytes } = encodeValue(stored, "key");
    const origins = new Origins();
    const live = decodeValue(bytes, 0, origins) as Record<string, unknown>;
    live.d = there("new Date(5)");
    expect(encodeValue(live, "key", { bytes, at: 0 }, origins).bytes.equals(bytes)).toBe(true);
    live.d = there("new Date(6)");
    live.more = there("({ m: new Map([['x', 1]]), u: new Uint8Array([7]) })");
    const changed = decodeValue(encodeValue(live, "key", { bytes, at: 0 }, origins).bytes, 0);
    expect(changed).toEqual({ f: 3, d: new Date(6), s: [1], more: { m: { x: 1 }, u: Buffer.from([7]) } });
    const again = encodeValue(live, "key", { bytes, at: 0 }, origins).bytes.toString("latin1");
    expect(again).toContain("Short[]");
  });

  it("keeps the type that is stored where that holds it", () => {
    const shorts = encodeValue(typed("Short[]", [1, 2]), "key").bytes;
    expect(typeOfValue(encodeValue(there("[3, 4]"), "key", { bytes: shorts, at: 0 }).bytes, 0)).toBe("Short[]");
    const dates = encodeValue([new Date(1)], "key").bytes;
    const more = encodeValue(there("[new Date(1), new Date(2)]"), "key", { bytes: dates, at: 0 }).bytes;
    expect(typeOfValue(more, 0)).toBe("Date[]");
  });

  it.each([
    ["Date", "new Date(5)"],
    ["Date[]", "[new Date(5), null]"],
    ["Short[]", "[1, 2]"],
    ["Byte[]", "new Uint8Array([1])"],
    ["Byte[]", "[1, 2]"],
    ["String", "new Uint8Array([104, 105])"],
    ["Collection", "new Map([['a', 1]])"],
    ["Variant[]", "[new Date(5)]"],
    ["Object[]", "[{}, new Map(), new Float64Array(1)]"],
    ["Long[]", "new BigInt64Array([5n])"],
  ])("may be typed: %s of %s", (type, code) => {
    expect(encoded(typed(type, there(code)))).toBe(encoded(typed(type, here(code))));
  });
});

const REFUSED = [
  "new (class extends Date {})(0)",
  "new (class Date2 extends Date { static name = 'Date' })(0)",
  "new (class extends Map {})()",
  "new (class extends Array {})()",
  "new (class extends Uint8Array {})(1)",
  "new (class extends Int16Array {})(1)",
  "new (class Point { x = 1 })()",
  "Object.create(Date.prototype)",
  "Object.create(Map.prototype)",
  "Object.create(Array.prototype)",
  "Object.create(Uint8Array.prototype)",
  "Object.create(BigInt64Array.prototype)",
  "Object.create({ a: 1 })",
  "new Proxy(new Date(0), {})",
  "new Proxy(new Map(), {})",
  "new Proxy(new Uint8Array(1), {})",
  "Object.setPrototypeOf({ a: 1 }, Date.prototype)",
  "Object.setPrototypeOf(new Int16Array(1), Uint8Array.prototype)",
  "Object.setPrototypeOf(new Map(), Date.prototype)",
  "Object.setPrototypeOf(new Date(0), Object.create(Date.prototype))",
  "Object.setPrototypeOf([1], Object.prototype)",
  "{ [Symbol.toStringTag]: 'Date' }",
  "new (class { get [Symbol.toStringTag]() { return 'Map'; } })()",
  "new Date(NaN)",
  "new String('x')",
  "new Number(3)",
  "new Boolean(true)",
  "Object(1n)",
  "Object(Symbol('x'))",
  "new Error('x')",
  "new TypeError('x')",
  "new Set([1])",
  "/x/",
  "Promise.resolve()",
  "new WeakMap()",
  "new ArrayBuffer(4)",
  "new SharedArrayBuffer(4)",
  "new DataView(new ArrayBuffer(2))",
  "new Uint8ClampedArray(1)",
  "new Int8Array(1)",
  "new Uint16Array(1)",
  "new BigUint64Array(1)",
  "() => 1",
  "Symbol('x')",
  "new Map([[1, 'a']])",
];

describe("what no session can hold", () => {
  it.each(REFUSED)("is refused from either realm, naming the place: %s", (code) => {
    for (const value of [here(code), there(code)]) {
      expect(refusalOf(value)).toMatch(/^key\S* cannot be stored: it is \S/);
      expect(refusalOf({ a: [1, value] })).toMatch(/^key\.a\[1\]/);
      expect(refusalOf(new Map([["a", value]]))).toMatch(/^key\.a/);
      expect(refusalOf(typed("Variant[]", [value]))).toMatch(/^key\[0\]/);
    }
  });

  it("is refused, too, in the place of what it looks like", () => {
    const [date, bytes, text] = [new Date(5), Buffer.from([1]), Buffer.from([0xff])].map(
      (value) => encodeValue({ in: value }, "key").bytes,
    );
    const fakes: [Buffer | undefined, unknown][] = [
      [date, Object.create(Date.prototype)],
      [date, new (class extends Date {})(5)],
      [bytes, Object.create(Buffer.prototype)],
      [text, Object.create(Buffer.prototype)],
    ];
    for (const [stored, fake] of fakes) {
      if (stored === undefined) throw new Error("nothing was stored");
      expect(() => encodeValue({ in: fake }, "key", { bytes: stored, at: 0 })).toThrow(/key\.in cannot be stored/);
    }
  });

  it("is named for what it is", () => {
    expect(refusalOf(Object.create(Date.prototype))).toContain("only looks like an instance of Date");
    expect(refusalOf(there("new (class Point {})()"))).toContain("an instance of Point");
    expect(refusalOf(there("new Error('x')"))).toContain("an instance of Error");
  });
});
