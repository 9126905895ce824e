// What a delta does to an image without references.

import { describe, expect, test } from "vitest";
import {
  applyDelta,
  decodeAll,
  encodeDelta,
  layoutOf,
  splitDelta,
  startupMs,
  timeoutSeconds,
} from "../../../protocol/image/image.ts";
import { Origins } from "../../../protocol/value/value.ts";
import { apply, bodyOf, bytes, hex, imageOf, NOW_MS, refused } from "../../support/values/image-bytes.ts";

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

  test("has no limit where none is named: a worker repeats what the daemon has written already", () => {
    const delta = encodeDelta([["big", bytes(Buffer.alloc(70_000_000))]]);
    expect(applyDelta(image, { delta, nowMs: 0 }).length).toBeGreaterThan(70_000_000);
  });

  test("is refused when the image would become too large", () => {
    const delta = encodeDelta([["big", bytes("x".repeat(1000))]]);
    expect(() => applyDelta(image, { delta, nowMs: 0, maxBytes: 1000 })).toThrow(refused("ERR_TOO_LARGE"));
    expect(applyDelta(image, { delta, nowMs: 0, maxBytes: 1100 }).length).toBeLessThan(1100);
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
