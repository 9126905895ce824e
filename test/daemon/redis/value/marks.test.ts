// The marks of commits: what was applied is known as long as it may be sent again, and no longer than that.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isMarked, KEEP_SECONDS, withMark } from "../../../../daemon/redis/value/marks.ts";

const NONE = Buffer.alloc(0);

function mark(client: string, sequence: number, floor = 0) {
  return { client, sequence, floor };
}

describe("the marks", () => {
  test("know what was applied, of that client and that sequence alone", () => {
    const marks = withMark(NONE, mark("anna", 7), 1000);
    expect(isMarked(marks, mark("anna", 7))).toBe(true);
    expect(isMarked(marks, mark("anna", 6))).toBe(false);
    expect(isMarked(marks, mark("bert", 7))).toBe(false);
    expect(isMarked(NONE, mark("anna", 7))).toBe(false);
  });

  test("keep what others may send again, and forget them when they have not committed for long", () => {
    const one = withMark(NONE, mark("anna", 7), 1000);
    const two = withMark(one, mark("bert", 1), 1000 + KEEP_SECONDS - 1);
    expect(isMarked(two, mark("anna", 7))).toBe(true);
    const three = withMark(two, mark("bert", 2), 1000 + KEEP_SECONDS);
    expect(isMarked(three, mark("anna", 7))).toBe(false);
    expect(isMarked(three, mark("bert", 1))).toBe(true);
  });

  test("keep of a client what it waits for, and take all below for applied: a late daemon must not apply it again", () => {
    let marks: Buffer = NONE;
    for (let sequence = 1; sequence <= 100; sequence++)
      marks = withMark(marks, mark("anna", sequence, sequence - 2), 1000);
    expect(marks.length).toBeLessThan(40);
    for (const sequence of [1, 50, 98, 99, 100]) expect(isMarked(marks, mark("anna", sequence))).toBe(true);
    expect(isMarked(marks, mark("anna", 101))).toBe(false);
  });

  test("do not take a number for applied that came by late", () => {
    const marks = withMark(withMark(NONE, mark("anna", 10, 5), 1000), mark("anna", 12, 5), 1000);
    expect([5, 9, 10, 11, 12, 13].map((n) => isMarked(marks, mark("anna", n)))).toEqual([
      false,
      false,
      true,
      false,
      true,
      false,
    ]);
  });

  test("are bounded for a client that names no floor, and for many clients", () => {
    let marks: Buffer = NONE;
    for (let sequence = 1; sequence <= 1500; sequence++) marks = withMark(marks, mark("anna", sequence), 1000);
    expect(marks.length).toBeLessThan(5_000);
    expect(isMarked(marks, mark("anna", 1500))).toBe(true);
    for (let n = 0; n < 600; n++) marks = withMark(marks, mark(`client${n}`, 1, 1), 1000);
    expect(marks.length).toBeLessThan(256 * 22 + 5_000);
    expect(isMarked(marks, mark("client599", 1))).toBe(true);
  });

  test("hold any number that a client can count to", () => {
    const far = 2 ** 48 - 1;
    const marks = withMark(withMark(NONE, mark("anna", 1), 1000), mark("anna", far), 1000);
    expect(isMarked(marks, mark("anna", far))).toBe(true);
    expect(isMarked(marks, mark("anna", 1))).toBe(true);
  });

  test("know all that are waited for, whatever the order", () => {
    const commits = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(commits, fc.integer({ min: 0, max: 500 }), (sequences, lag) => {
        let marks: Buffer = NONE;
        let floor = 0;
        for (const sequence of sequences) {
          floor = Math.max(floor, Math.min(sequence, sequence - lag));
          marks = withMark(marks, mark("anna", sequence, sequence - lag), 1000);
        }
        for (const sequence of sequences) expect(isMarked(marks, mark("anna", sequence))).toBe(true);
        const never = sequences.reduce((most, one) => Math.max(most, one), 0) + 1;
        expect(isMarked(marks, mark("anna", never))).toBe(false);
      }),
    );
  });

  test("are nothing to fear where they are damaged", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        isMarked(Buffer.from(bytes), mark("anna", 1));
        withMark(Buffer.from(bytes), mark("anna", 1), 1000);
      }),
    );
  });
});
