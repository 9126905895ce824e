// Images: where entries are, what a delta does to them, and what becomes of objects that are referred to.

import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import {
  applyDelta,
  valueOf as bytesOf,
  copyTimeout,
  decodeAll,
  dialectOf,
  encodeDelta,
  fileOfImage,
  imageOfFile,
  isExpired,
  isPast,
  isSameButStamp,
  keyBytes,
  layoutOf,
  MAX_IMAGE_BYTES,
  newImage,
  readKey,
  type Share,
  splitDelta,
  startupBytes,
  startupMs,
  timeoutSeconds,
  typeOf,
} from "../../../protocol/image/image.ts";
import { decodeValue, encodeValue, Origins } from "../../../protocol/value/value.ts";
import { ByteMaker } from "../../support/values/byte-maker.ts";
import { Dice, rolls } from "../../support/values/dice.ts";
import { difference, ScriptMaker } from "../../support/values/script-maker.ts";
import { viewImage } from "../../support/values/typed-view.ts";

const RUNS = 1000;
const NOW_MS = Date.parse("2026-11-22T10:00:00.123Z");
const HEADER = Buffer.concat([startupBytes(NOW_MS), Buffer.from("000000000000f03f", "hex")]);

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

/** An image with this body and cookie path. */
function imageOf(body: string, cookiePath = "00"): Buffer {
  return Buffer.concat([HEADER, hex(body), hex(cookiePath)]);
}

function bytes(value: unknown): Buffer {
  return encodeValue(value, "k").bytes;
}

function apply(image: Buffer, changes: Record<string, Buffer | undefined>, shares: readonly Share[] = []): Buffer {
  return applyDelta(image, { delta: encodeDelta(Object.entries(changes)), nowMs: NOW_MS, shares });
}

function bodyOf(image: Buffer): string {
  return image.subarray(16).toString("hex");
}

function header(startupDays: number, timeoutDays: number): Buffer {
  const made = Buffer.alloc(16);
  made.writeDoubleLE(startupDays, 0);
  made.writeDoubleLE(timeoutDays, 8);
  return made;
}

function refused(code: string): unknown {
  return expect.objectContaining({ code, name: "SessionError" });
}

describe("the header", () => {
  test("holds days, and gives back whole milliseconds and seconds", () => {
    expect(HEADER.readDoubleLE(0)).toBe(NOW_MS / 86_400_000 + 2_472_692);
    expect(startupMs(HEADER)).toBe(NOW_MS);
    expect(timeoutSeconds(HEADER)).toBe(86_400);
    for (const seconds of [1, 7, 1800, 86_399, 31_536_000, 0.5]) {
      expect(timeoutSeconds(newImage({ nowMs: 0, timeoutSeconds: seconds }))).toBe(seconds);
    }
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 42), max: 2 ** 42 }), (ms) => {
        expect(startupMs(newImage({ nowMs: ms, timeoutSeconds: 1 }))).toBe(ms);
      }),
    );
  });

  test("says when the session is over, as Gambas does", () => {
    const today = NOW_MS / 86_400_000 + 2_472_692;
    expect(isExpired(HEADER, NOW_MS)).toBe(false);
    expect(isExpired(HEADER, NOW_MS + 86_399_000)).toBe(false);
    expect(isExpired(HEADER, NOW_MS + 86_400_000)).toBe(true);
    expect(isExpired(header(today + 365, 1), NOW_MS)).toBe(false);
    expect(isExpired(header(today, 0), NOW_MS)).toBe(true);
    expect(isExpired(header(today - 1, -1), NOW_MS)).toBe(true);
    expect(isExpired(header(today - 1, Number.POSITIVE_INFINITY), NOW_MS)).toBe(false);
    expect(isExpired(header(Number.POSITIVE_INFINITY, 1), NOW_MS)).toBe(false);
    expect(isExpired(header(Number.NaN, 1), NOW_MS)).toBe(true);
    expect(isExpired(header(today, Number.NaN), NOW_MS)).toBe(true);
    expect(startupMs(header(Number.NaN, 1))).toBeNaN();
    expect(startupMs(header(Number.POSITIVE_INFINITY, 1))).toBe(Number.POSITIVE_INFINITY);
    expect(() => isExpired(HEADER.subarray(0, 15), NOW_MS)).toThrow(refused("ERR_UNREADABLE"));
  });

  test("says the same of the numbers that were read from it, to the millisecond", () => {
    const time = fc.integer({ min: 0, max: 2 ** 42 });
    fc.assert(
      fc.property(time, fc.integer({ min: 0, max: 10 ** 8 }), (nowMs, life) => {
        const image = newImage({ nowMs, timeoutSeconds: life / 10 });
        for (const off of [-2, -1, 0, 1, 2]) {
          const thenMs = nowMs + 100 * life + off;
          expect(isPast(startupMs(image), timeoutSeconds(image), thenMs)).toBe(isExpired(image, thenMs));
        }
      }),
    );
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const image of [header(odd, 1), header(2_500_000, odd)]) {
        expect(isPast(startupMs(image), timeoutSeconds(image), NOW_MS)).toBe(isExpired(image, NOW_MS));
      }
    }
  });

  test("that differs by the stamp alone makes no other contents, but one with another life time does", () => {
    const [one, later] = [NOW_MS, NOW_MS + 1].map((nowMs) => newImage({ nowMs, timeoutSeconds: 1 }));
    expect(isSameButStamp(one as Buffer, later as Buffer)).toBe(true);
    expect(isSameButStamp(one as Buffer, newImage({ nowMs: NOW_MS, timeoutSeconds: 2 }))).toBe(false);
    expect(isSameButStamp(one as Buffer, newImage({ nowMs: NOW_MS, timeoutSeconds: 1, cookiePath: "/" }))).toBe(false);
    expect(isSameButStamp(imageOf("4300"), imageOf("4400"))).toBe(true);
    copyTimeout(newImage({ nowMs: 0, timeoutSeconds: 77 }), one as Buffer);
    expect([startupMs(one as Buffer), timeoutSeconds(one as Buffer)]).toEqual([NOW_MS, 77]);
  });

  test("is never written with what is not a number", () => {
    expect(() => newImage({ nowMs: Number.NaN, timeoutSeconds: 1 })).toThrow(refused("ERR_BAD_OPTION"));
    expect(() => newImage({ nowMs: 0, timeoutSeconds: Number.NaN })).toThrow(refused("ERR_BAD_OPTION"));
    expect(() => startupBytes(Number.NaN)).toThrow(refused("ERR_BAD_OPTION"));
  });

  test("of a new image is followed by no entries and the cookie path", () => {
    expect(newImage({ nowMs: NOW_MS, timeoutSeconds: 86_400 })).toEqual(imageOf("4300"));
    expect(newImage({ nowMs: NOW_MS, timeoutSeconds: 86_400, cookiePath: "/shop" })).toEqual(
      imageOf("4300", "052f73686f70"),
    );
    const long = newImage({ nowMs: 0, timeoutSeconds: 1, cookiePath: "/".repeat(300) });
    expect(layoutOf(long).cookiePath).toBe("/".repeat(300));
  });
});

describe("keys", () => {
  test("survive in both directions when they are not UTF-8", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (array) => {
        const raw = Buffer.from(array);
        expect(keyBytes(readKey(raw, 0, raw.length))).toEqual(raw);
      }),
      { numRuns: RUNS },
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), (text) => {
        const raw = keyBytes(text);
        expect(readKey(raw, 0, raw.length)).toBe(text);
      }),
    );
    expect(readKey(hex("61ff62c3"), 0, 4)).toBe("a\udcffb\udcc3");
  });

  test.each(["", "\ud800", "a\udc00", "\udc7f", "\udcc3\udca9", "x\ud83d"])("refuse %o", (key) => {
    expect(() => keyBytes(key)).toThrow(refused("ERR_BAD_KEY"));
    expect(() => encodeDelta([[key, bytes(1)]])).toThrow(refused("ERR_BAD_KEY"));
  });
});

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

describe("a delta", () => {
  const image = imageOf("4303 0161 0401000000 0162 0902 6262 0163 01ff", "012f");

  test.each<[string, Record<string, Buffer | undefined>, string]>([
    ["that changes nothing", {}, "4303 0161 0401000000 0162 09026262 0163 01ff"],
    ["replaces in place", { b: bytes(true) }, "4303 0161 0401000000 0162 01ff 0163 01ff"],
    [
      "adds at the end",
      { d: bytes(1), e: bytes(2) },
      "4305 0161 0401000000 0162 09026262 0163 01ff 0164 0401000000 0165 0402000000",
    ],
    ["deletes", { a: undefined, c: undefined }, "4301 0162 09026262"],
    ["deletes what is not there", { z: undefined }, "4303 0161 0401000000 0162 09026262 0163 01ff"],
    ["deletes everything", { a: undefined, b: undefined, c: undefined }, "4300"],
    ["does all at once", { c: bytes(false), a: undefined, d: bytes("x") }, "4303 0162 09026262 0163 0100 0164 090178"],
    ["takes a null for a deletion", { a: hex("0f"), b: hex("00") }, "4301 0163 01ff"],
    ["may set an empty string", { a: bytes("") }, "4303 0161 0900 0162 09026262 0163 01ff"],
  ])("%s", (_what, changes, body) => {
    const before = Buffer.from(image);
    const after = apply(image, changes);
    expect(bodyOf(after)).toBe(bodyOf(imageOf(body, "012f")));
    expect(image).toEqual(before);
  });

  test.each<[string, string, string]>([
    ["deleted and set again goes to the end", "4302 0161 00 0161 01ff", "4303 0162 09026262 0163 01ff 0161 01ff"],
    [
      "with others after it is before those",
      "4304 0161 00 0161 0100 017a 01ff 0162 00",
      "4303 0163 01ff 0161 0100 017a 01ff",
    ],
    [
      "with others between is behind them",
      "4303 0161 00 017a 01ff 0161 0100",
      "4304 0162 09026262 0163 01ff 017a 01ff 0161 0100",
    ],
    [
      "and changed once more stays there",
      "4304 0161 00 0161 0100 017a 01ff 0161 01ff",
      "4304 0162 09026262 0163 01ff 0161 01ff 017a 01ff",
    ],
    ["and deleted once more is gone", "4303 0161 00 0161 0100 0161 00", "4302 0162 09026262 0163 01ff"],
    ["set before it is deleted is gone", "4302 0161 0100 0161 00", "4302 0162 09026262 0163 01ff"],
    [
      "that was not there is added",
      "4303 017a 00 017a 01ff 0179 01ff",
      "4305 0161 0401000000 0162 09026262 0163 01ff 017a 01ff 0179 01ff",
    ],
    [
      "and was new keeps its place",
      "4303 017a 01ff 0179 01ff 017a 0100",
      "4305 0161 0401000000 0162 09026262 0163 01ff 017a 0100 0179 01ff",
    ],
  ])("a key %s", (_what, delta, body) => {
    const after = applyDelta(image, { delta: hex(delta), nowMs: NOW_MS });
    expect(bodyOf(after)).toBe(bodyOf(imageOf(body, "012f")));
  });

  test("with many keys, and of a key twice, is taken by the last one", () => {
    const twice = hex("4303 0161 0409000000 017a 01ff 0161 0100");
    expect(bodyOf(applyDelta(image, { delta: twice, nowMs: NOW_MS }))).toBe(
      bodyOf(imageOf("4304 0161 0100 0162 09026262 0163 01ff 017a 01ff", "012f")),
    );
    expect(splitDelta(twice).get("a")).toEqual(hex("0100"));
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`key${index}`, bytes(index)]));
    const after = apply(apply(image, many), { ...many, key7: bytes("seven"), key8: undefined });
    expect(layoutOf(after).entries.size).toBe(202);
    expect(decodeAll(after, layoutOf(after), new Origins()).get("key7")?.value).toBe("seven");
    expect(
      apply(after, { key8: bytes(8) })
        .subarray(16, 19)
        .toString("hex"),
    ).toBe("4380cb");
  });

  test("removes all values of a key that is there twice", () => {
    const twice = imageOf("4303 0161 0401000000 0162 01ff 0161 0402000000");
    expect(bodyOf(apply(twice, { a: undefined }))).toBe(bodyOf(imageOf("4301 0162 01ff")));
    expect(bodyOf(apply(twice, { a: bytes(true) }))).toBe(bodyOf(imageOf("4302 0161 01ff 0162 01ff")));
  });

  test("sets the stamp, and time out and cookie path when they are given", () => {
    const delta = encodeDelta([]);
    const after = applyDelta(image, { delta, nowMs: NOW_MS + 1, timeoutSeconds: 60, cookiePath: "/é" });
    expect(startupMs(after)).toBe(NOW_MS + 1);
    expect(timeoutSeconds(after)).toBe(60);
    expect(layoutOf(after).cookiePath).toBe("/é");
    expect(layoutOf(applyDelta(after, { delta, nowMs: 0, cookiePath: "" })).cookiePath).toBe("");
    expect(timeoutSeconds(applyDelta(after, { delta, nowMs: 0 }))).toBe(60);
    expect(() => applyDelta(image, { delta, nowMs: Number.NaN })).toThrow(refused("ERR_BAD_OPTION"));
  });

  test("writes a collection that ignores case as one that does not", () => {
    expect(bodyOf(apply(imageOf("6301 0141 01ff"), { a: bytes(1) }))).toBe(
      bodyOf(imageOf("4302 0141 01ff 0161 0401000000")),
    );
  });

  test("is refused when the image would become too large", () => {
    const delta = encodeDelta([["big", bytes("x".repeat(1000))]]);
    expect(() => applyDelta(image, { delta, nowMs: 0, maxBytes: 1000 })).toThrow(refused("ERR_TOO_LARGE"));
    expect(applyDelta(image, { delta, nowMs: 0, maxBytes: 1100 }).length).toBeLessThan(1100);
    expect(MAX_IMAGE_BYTES).toBe(64 * 1024 * 1024);
  });

  test.each<[string, string]>([
    ["", "ERR_PROTOCOL"],
    ["43", "ERR_PROTOCOL"],
    ["43 c0", "ERR_PROTOCOL"],
    ["6300", "ERR_PROTOCOL"],
    ["4300 00", "ERR_PROTOCOL"],
    ["4301", "ERR_PROTOCOL"],
    ["4301 05", "ERR_PROTOCOL"],
    ["4301 00 01ff", "ERR_PROTOCOL"],
    ["43ffffffff", "ERR_PROTOCOL"],
    ["4301 0161", "ERR_BAD_VALUE"],
    ["4301 0161 0401", "ERR_BAD_VALUE"],
    ["4301 0161 ff", "ERR_BAD_VALUE"],
    ["4301 0161 4001000000", "ERR_BAD_VALUE"],
    ["4302 0161 4300 0162 4001000000", "ERR_BAD_VALUE"],
    ["4301 0161 43010161 4000000000", "ERR_BAD_VALUE"],
  ])("that is %o is refused with %s", (delta, code) => {
    expect(() => splitDelta(hex(delta))).toThrow(refused(code));
    expect(() => applyDelta(image, { delta: hex(delta), nowMs: 0 })).toThrow(refused(code));
  });

  test("can be split again", () => {
    const delta = encodeDelta([
      ["a", bytes([1])],
      ["gone", undefined],
      ["\udcff", bytes("x")],
    ]); // prettier-ignore
    expect([...splitDelta(delta)]).toEqual([
      ["a", bytes([1])],
      ["gone", undefined],
      ["\udcff", bytes("x")],
    ]); // prettier-ignore
  });
});

describe("references", () => {
  const inner = "4301 0178 0401000000";
  /** u holds the object, v refers to it. */
  const shared = imageOf(`4303 0175 ${inner} 0176 4002000000 0177 0402000000`);

  test("make one object of two keys", () => {
    const layout = layoutOf(shared);
    const values = decodeAll(shared, layout, new Origins());
    expect(layout.hasReferences).toBe(true);
    expect(values.get("u")?.value).toEqual({ x: 1 });
    expect(values.get("v")?.value).toBe(values.get("u")?.value);
    expect(bytesOf(shared, layout, "v")).toEqual(hex(inner));
    expect(typeOf(shared, layout, "v")).toBe("Collection");
  });

  test.each<[string, Record<string, Buffer | undefined>, string]>([
    ["stay when something else changes", { w: bytes(3) }, `4303 0175 ${inner} 0176 4002000000 0177 0403000000`],
    [
      "are numbered anew when objects come before",
      { u: bytes([{}]) },
      `4303 0175 6109 56617269616e745b5d 0c01 4300 0176 ${inner} 0177 0402000000`,
    ],
    ["leave the object to the next when its place is deleted", { u: undefined }, `4302 0176 ${inner} 0177 0402000000`],
    [
      "leave the object when its place is overwritten",
      { u: bytes(1) },
      `4303 0175 0401000000 0176 ${inner} 0177 0402000000`,
    ],
    ["go when they are overwritten", { v: bytes(1) }, `4303 0175 ${inner} 0176 0401000000 0177 0402000000`],
    [
      "of a new value count from where it is put",
      { w: hex("43010161 4001000000") },
      `4303 0175 ${inner} 0176 4002000000 0177 43010161 4003000000`,
    ],
  ])("%s", (_what, changes, body) => {
    expect(bodyOf(apply(shared, changes))).toBe(bodyOf(imageOf(body)));
  });

  test("to the whole session stay references to it, and only that key cannot be shown", () => {
    const image = imageOf("4303 0161 4300 0172 4001000000 0177 6108 4f626a6563745b5d 10 02 4002000000 4001000000");
    const layout = layoutOf(image);
    const values = decodeAll(image, layout, new Origins());
    expect(values.get("a")).toMatchObject({ value: {} });
    expect(values.get("r")).toMatchObject({ value: undefined, error: { code: "ERR_UNREADABLE" } });
    expect(values.get("w")?.error?.code).toBe("ERR_UNREADABLE");
    expect(typeOf(image, layout, "r")).toBe("Collection");
    expect(bytesOf(image, layout, "r")).toEqual(hex("4000000000"));
    expect(() => decodeValue(hex("4000000000"), 0)).toThrow(refused("ERR_UNREADABLE"));
    const after = apply(image, { a: undefined });
    expect(bodyOf(after)).toBe(
      bodyOf(imageOf("4302 0172 4001000000 0177 6108 4f626a6563745b5d 10 02 4300 4001000000")),
    );
    expect(encodeValue(5, "r", { bytes: hex("4000000000"), at: 0 }).bytes).toEqual(bytes(5));
    expect(encodeValue({}, "r", { bytes: hex("4000000000"), at: 0 }).bytes).toEqual(hex("4300"));
  });

  test("out of a typed array carry the class along when the object moves", () => {
    const integers = Buffer.from("Integer[]").toString("hex");
    const nested = `610b ${Buffer.from("Integer[][]").toString("hex")} 1001`;
    const image = imageOf(`4302 0161 ${nested} 41 04 01 05000000 0162 4003000000`);
    expect(bodyOf(apply(image, { a: undefined }))).toBe(bodyOf(imageOf(`4301 0162 6109 ${integers} 04 01 05000000`)));
    const reverse = imageOf(`4302 0161 6109 ${integers} 04 01 05000000 0162 ${nested} 4002000000`);
    expect(bodyOf(apply(reverse, { a: undefined }))).toBe(bodyOf(imageOf(`4301 0162 ${nested} 41 04 01 05000000`)));
  });

  test("an entry that cannot be shown does not take others with it", () => {
    // a = { bad date, inner }, b refers to inner, c to a.
    const image = imageOf("4303 0161 4302 0178 4300 0179 08ffffff7f00000000 0162 4003000000 0163 4002000000");
    const values = decodeAll(image, layoutOf(image), new Origins());
    expect([...values].map(([key, { error }]) => [key, error?.code])).toEqual([
      ["a", "ERR_UNREADABLE"],
      ["b", undefined],
      ["c", "ERR_UNREADABLE"],
    ]);
  });

  test("to an entry that was dropped still find the object", () => {
    const image = imageOf(`4303 0175 ${inner} 0175 0401000000 0176 4002000000`);
    const values = decodeAll(image, layoutOf(image), new Origins());
    expect([values.get("u")?.value, values.get("v")?.value]).toEqual([1, { x: 1 }]);
    expect(bodyOf(apply(image, { u: undefined }))).toBe(bodyOf(imageOf(`4301 0176 ${inner}`)));
  });

  test("that chain deeper than the stack are rewritten all the same", () => {
    const levels = 30_000;
    const deep = `${"43010161".repeat(levels)}4002000000`;
    const image = imageOf(`4302 0164 ${deep} 0165 01ff`);
    const after = apply(image, { e: bytes(1) });
    expect(bodyOf(after)).toBe(bodyOf(imageOf(`4302 0164 ${deep} 0165 0401000000`)));
    expect(decodeAll(after, layoutOf(after), new Origins()).get("d")?.error?.message).toMatch(/levels deep/);
  });
});

describe("shares", () => {
  test("make one object of what one worker put under two keys", () => {
    const object = { n: 1 };
    const after = apply(newImage({ nowMs: 0, timeoutSeconds: 1 }), { u: bytes(object), v: bytes([object]) }, [
      { key: "u", object: 1, otherKey: "v", otherObject: 2 },
    ]); // prettier-ignore
    const values = decodeAll(after, layoutOf(after), new Origins());
    expect(values.get("v")?.value).toEqual([values.get("u")?.value]);
    expect(Object.is((values.get("v") as { value: unknown[] }).value[0], values.get("u")?.value)).toBe(true);
  });

  test("reach into an entry that is not in the delta", () => {
    const image = apply(newImage({ nowMs: 0, timeoutSeconds: 1 }), { u: bytes({ n: 1 }) });
    const share = { key: "v", object: 2, otherKey: "u", otherObject: 1 };
    const after = apply(image, { v: bytes([{ n: 1 }]) }, [share]);
    expect(bodyOf(after)).toBe(
      bodyOf(imageOf("4302 0175 4301016e0401000000 0176 6109 56617269616e745b5d 0c01 4002000000")),
    );
    // Another worker has changed u meanwhile: they are two objects.
    const changed = apply(image, { u: bytes({ n: 2 }) });
    const apart = apply(changed, { v: bytes([{ n: 1 }]) }, [share]);
    expect(layoutOf(apart).hasReferences).toBe(false);
    expect(decodeAll(apart, layoutOf(apart), new Origins()).get("u")?.value).toEqual({ n: 2 });
  });

  test("never make two objects of one key one, though they are alike", () => {
    // u holds two empty arrays, v is the first of them; a worker that swapped them says v is the second.
    const image = imageOf(
      `4302 0175 610b ${Buffer.from("Integer[][]").toString("hex")} 1002 410400 410400 0176 4003000000`,
    );
    const after = apply(image, {}, [{ key: "u", object: 3, otherKey: "v", otherObject: 1 }]);
    expect(after.equals(image)).toBe(true);
  });

  test("are not made where the graphs differ, though each path reads alike", () => {
    const one = { n: 1 };
    const image = apply(newImage({ nowMs: 0, timeoutSeconds: 1 }), { u: bytes([one, one]) });
    const apart = apply(image, { v: bytes([{ n: 1 }, { n: 1 }]) }, [
      { key: "v", object: 1, otherKey: "u", otherObject: 1 },
    ]);
    const value = decodeAll(apart, layoutOf(apart), new Origins()).get("v")?.value as unknown[];
    expect(value[0]).not.toBe(value[1]);
  });

  test.each<Share>([
    { key: "u", object: 9, otherKey: "v", otherObject: 1 },
    { key: "u", object: 0, otherKey: "v", otherObject: -1 },
    { key: "none", object: 1, otherKey: "v", otherObject: 1 },
    { key: "u", object: 1, otherKey: "u", otherObject: 1 },
    { key: "u", object: 1.5, otherKey: "v", otherObject: Number.NaN },
  ])("that make no sense are ignored: %o", (share) => {
    const after = apply(newImage({ nowMs: 0, timeoutSeconds: 1 }), { u: bytes([1]), v: bytes({}) }, [share]);
    expect(layoutOf(after).hasReferences).toBe(false);
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
