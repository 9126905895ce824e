// What becomes of objects that are referred to, and of those that a worker shares between keys.

import { describe, expect, test } from "vitest";
import {
  valueOf as bytesOf,
  decodeAll,
  layoutOf,
  newImage,
  type Share,
  typeOf,
} from "../../../protocol/image/image.ts";
import { decodeValue, encodeValue, Origins } from "../../../protocol/value/value.ts";
import { apply, bodyOf, bytes, hex, imageOf, refused } from "../../support/values/image-bytes.ts";

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
