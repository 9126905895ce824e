// The bytes of a value: what is written is read back, and nothing else is taken for one.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  appended,
  departingValue,
  endedValue,
  HEAD_BYTES,
  imageBytesOf,
  isVersion,
  kindOf,
  NO_LEASE,
  NO_MARKS,
  nameOf,
  readValue,
  reservedValue,
  SUMMARY_BYTES,
  sessionValue,
  VERSION_BYTES,
  withSummary,
} from "../../../../daemon/redis/value/value.ts";
import { isCode } from "../../../../protocol/errors.ts";
import { newImage, startupBytes, startupMs } from "../../../../protocol/image/image.ts";

const ID = "10.0.0.1:00000000000000000000000A";
const IMAGE = newImage({ nowMs: 1_700_000_000_000, timeoutSeconds: 60, cookiePath: "/deep" });
const MARKS = Buffer.from("these are marks");
const LEASE = Buffer.from("abcdefghijkl0001234567890");

describe("a value", () => {
  test("of a session has its image, byte for byte, its lease and its marks", () => {
    const stored = readValue(ID, sessionValue(IMAGE, { marks: MARKS, lease: LEASE }));
    expect(stored).toMatchObject({ kind: "session", image: IMAGE, marks: MARKS, lease: LEASE });
  });

  test("is written whole where the marks of one turn are more than a record has room for", () => {
    const [image, marks] = [Buffer.concat([IMAGE, Buffer.alloc(4_000)]), NO_MARKS];
    const before = readValue(ID, sessionValue(image, { marks }));
    if (before.kind !== "session") expect.fail();
    const commits = Array.from({ length: 65_536 }, (_, n) => ({ client: "anna", sequence: n + 1, floor: 0 }));
    // It has room for more patches than these bytes.
    const roomy = { ...before, layout: { ...before.layout, imageBytes: 10_000_000 } };
    const addition = (count: number) =>
      appended(roomy, { images: [image], commits: commits.slice(0, count), seconds: 1, marks });
    expect(addition(65_535)).toMatchObject({ stored: { kind: "session" } });
    expect(addition(65_536)).toBe(undefined);
  });

  test("without a lease says so", () => {
    expect(readValue(ID, sessionValue(IMAGE, { marks: NO_MARKS })).lease).toEqual(NO_LEASE);
  });

  test("of a session that has ended keeps the marks", () => {
    const ended = readValue(ID, endedValue("ended", MARKS));
    expect(ended).toMatchObject({ kind: "ended", ending: "ended", departure: undefined, marks: MARKS });
    expect(readValue(ID, endedValue("succeeded", MARKS))).toMatchObject({ kind: "ended", ending: "succeeded" });
  });

  test("of a session that goes on has the other id and the whole value", () => {
    const departure = { successor: "é:00000000000000000000000B", value: sessionValue(IMAGE, { marks: NO_MARKS }) };
    const stored = readValue(ID, departingValue(departure, MARKS));
    expect(stored).toMatchObject({ kind: "ended", ending: "succeeded", departure, marks: MARKS });
  });

  test("of an id that is kept names the session it is kept for", () => {
    expect(readValue(ID, reservedValue("é:1"))).toMatchObject({ kind: "reserved", origin: "é:1" });
  });

  test("has another version each time, which names it on the wire, and never as 0", () => {
    const values = Array.from({ length: 2000 }, () => sessionValue(IMAGE, { marks: NO_MARKS }));
    const names = new Set(values.map(nameOf));
    expect(names.size).toBe(values.length);
    expect(names.has(0)).toBe(false);
    for (const name of names) expect(Number.isSafeInteger(name)).toBe(true);
    const [one, other] = values as [Buffer, Buffer];
    expect(isVersion(one.subarray(0, VERSION_BYTES), other.subarray(0, VERSION_BYTES))).toBe(false);
  });

  test("has stamp and life time where a summary shows them", () => {
    const value = sessionValue(IMAGE, { marks: MARKS });
    const summary = value.subarray(0, SUMMARY_BYTES);
    expect(kindOf(summary)).toBe("session");
    expect(startupMs(summary.subarray(HEAD_BYTES))).toBe(1_700_000_000_000);
    expect(imageBytesOf(summary)).toBe(IMAGE.length);
    expect(value.length).toBeGreaterThan(SUMMARY_BYTES);
  });

  test("takes a newer stamp and another lease from its summary, and is the same otherwise", () => {
    const value = sessionValue(IMAGE, { marks: MARKS });
    const stored = readValue(ID, value);
    if (stored.kind !== "session") return expect.fail();
    const summary = Buffer.from(value.subarray(0, SUMMARY_BYTES));
    startupBytes(1_700_000_009_000).copy(summary, HEAD_BYTES);
    LEASE.copy(summary, VERSION_BYTES);
    const renewed = withSummary(stored, summary);
    expect(startupMs(renewed.image)).toBe(1_700_000_009_000);
    expect(renewed.image.subarray(8)).toEqual(IMAGE.subarray(8));
    expect(renewed).toMatchObject({ lease: LEASE, marks: MARKS, version: stored.version });
    expect(startupMs(stored.image)).toBe(1_700_000_000_000);
  });

  test("of other bytes is unreadable, and nothing worse, however they are made", () => {
    const ours = [sessionValue(IMAGE, { marks: MARKS }), endedValue("ended", MARKS), reservedValue(ID)];
    const mangled = fc
      .tuple(fc.constantFrom(...ours), fc.nat(), fc.uint8Array({ maxLength: 8 }))
      .map(([value, at, with_]) => {
        const copy = Buffer.from(value.subarray(0, 1 + (at % value.length)));
        copy.set(with_.subarray(0, copy.length), Math.max(0, (at % copy.length) - with_.length));
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(mangled, fc.uint8Array({ maxLength: 200 }).map(Buffer.from)), (bytes) => {
        try {
          readValue(ID, bytes);
        } catch (error) {
          expect(isCode(error, "ERR_UNREADABLE")).toBe(true);
        }
      }),
    );
  });
});
