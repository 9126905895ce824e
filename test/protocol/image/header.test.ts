// The header of an image, and the keys of its entries: what they hold, and what is refused.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  copyTimeout,
  encodeDelta,
  isExpired,
  isPast,
  isSameButStamp,
  keyBytes,
  layoutOf,
  newImage,
  readKey,
  startupBytes,
  startupMs,
  timeoutSeconds,
} from "../../../protocol/image/image.ts";
import { bytes, HEADER, header, hex, imageOf, NOW_MS, refused } from "../../support/values/image-bytes.ts";

const RUNS = 1000;

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
