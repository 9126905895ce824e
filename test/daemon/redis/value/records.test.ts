// What is appended to a value: any sequence of commits, stamps and whole writes gives the image and the marks that whole writes alone give.

import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Patched, patchesBetween } from "../../../../daemon/redis/value/patches.ts";
import { mayAppend } from "../../../../daemon/redis/value/records.ts";
import {
  appended,
  HEAD_BYTES,
  imageBytesOf,
  isMarked,
  isVersion,
  type Mark,
  NO_MARKS,
  readValue,
  type StoredSession,
  SUMMARY_BYTES,
  sessionValue,
  withMark,
} from "../../../../daemon/redis/value/value.ts";
import { isCode } from "../../../../protocol/errors.ts";
import { HEADER_BYTES, newImage, startupBytes } from "../../../../protocol/image/image.ts";

const ID = "10.0.0.1:00000000000000000000000A";
const NOW_MS = 1_700_000_000_000;

/** A fault that is planted: records are put into the image twice. */
const planted = vi.hoisted(() => ({ twice: false }));

vi.mock("../../../../daemon/redis/value/patches.ts", async (original) => {
  const real = await original<typeof import("../../../../daemon/redis/value/patches.ts")>();
  class Twice extends real.Patched {
    constructor(image: Buffer, room: number) {
      super(image, 2 * room);
    }
    override apply(patches: Buffer): boolean {
      return super.apply(patches) && (!planted.twice || super.apply(patches));
    }
  }
  return { ...real, Patched: Twice };
});

/** A piece of an image that other bytes are put in the place of. */
interface Edit {
  readonly at: number;
  readonly removed: number;
  readonly bytes: Uint8Array;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(5000),
  removed: fc.nat(40),
  bytes: fc.uint8Array({ maxLength: 40 }),
});

function edited(image: Buffer, { at, removed, bytes }: Edit): Buffer {
  const from = HEADER_BYTES + (at % (image.length - HEADER_BYTES + 1));
  // No image is so short that nothing follows its header.
  const rest = from + removed < image.length ? image.subarray(from + removed) : Buffer.of(0);
  return Buffer.concat([image.subarray(0, from), bytes, rest]);
}

function imageOf(bytes: number): Buffer {
  const image = newImage({ nowMs: NOW_MS, timeoutSeconds: 60, cookiePath: "" });
  let number = 1;
  const body = Array.from({ length: bytes }, () => {
    number = (Math.imul(number, 1_103_515_245) + 12_345) >>> 0;
    return number >>> 24;
  });
  return Buffer.concat([image, Buffer.from(body)]);
}

/** As the script does it. */
function put(value: Buffer, bytes: Buffer): Buffer {
  const head = bytes.subarray(0, SUMMARY_BYTES);
  const lengths = [33, 37, 41].reduce((sum, at) => sum + head.readUInt32BE(at), HEAD_BYTES);
  const record = bytes.subarray(SUMMARY_BYTES);
  const all = Buffer.concat([value, Buffer.alloc(Math.max(0, lengths - value.length))]);
  record.copy(all, lengths - record.length);
  head.copy(all);
  return all;
}

function sessionIn(value: Buffer): StoredSession {
  const stored = readValue(ID, value);
  return stored.kind === "session" ? stored : expect.fail();
}

interface Step {
  readonly edits: readonly Edit[];
  readonly client: string;
  readonly isStamped: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  edits: fc.array(edit, { minLength: 1, maxLength: 3 }),
  client: fc.constantFrom("anna", "bert", "carl"),
  isStamped: fc.boolean(),
});

/** Throws where a reader does not see what whole writes would have made. */
function carryOut(steps: readonly Step[], begin: Buffer): void {
  let image = begin;
  let marks = NO_MARKS;
  let value = sessionValue(image, { marks });
  const done: Mark[] = [];
  for (const [n, { edits, client, isStamped }] of steps.entries()) {
    const before = sessionIn(value);
    const seconds = Math.floor(NOW_MS / 1000) + 20 * n;
    const stamp = startupBytes(NOW_MS + 20_000 * n);
    const images: Buffer[] = [];
    const commits: Mark[] = [];
    for (const [m, one] of edits.entries()) {
      image = edited(image, one);
      stamp.copy(image);
      images.push(image);
      const commit = { client, sequence: 10 * n + m + 1, floor: Math.max(0, 10 * n - 15) };
      commits.push(commit);
      marks = withMark(marks, commit, seconds);
    }
    done.push(...commits);
    const addition = mayAppend(before.layout, 0) ? appended(before, { images, commits, seconds, marks }) : undefined;
    value = addition === undefined ? sessionValue(image, { marks }) : put(value, addition.bytes);
    const seen = sessionIn(value);
    if (addition !== undefined) {
      expect(seen.layout).toEqual(addition.stored.layout);
      expect(isVersion(seen.version, addition.stored.version)).toBe(true);
      expect(isVersion(seen.version, before.version)).toBe(false);
      expect(put(value, addition.bytes).equals(value)).toBe(true);
    }
    expect(seen.image.equals(image)).toBe(true);
    expect(seen.marks.equals(marks)).toBe(true);
    expect(imageBytesOf(value)).toBe(image.length);
    if (!isStamped) continue;
    const later = startupBytes(NOW_MS + 20_000 * n + 5_000);
    later.copy(value, HEAD_BYTES);
    image = Buffer.concat([later, image.subarray(later.length)]);
    expect(sessionIn(value).image.equals(image)).toBe(true);
  }
  for (const mark of done.slice(-3)) expect(isMarked(sessionIn(value).marks, mark)).toBe(true);
}

const anySteps = fc.property(
  fc.array(step, { minLength: 1, maxLength: 80 }),
  fc.integer({ min: 10, max: 6000 }),
  (steps, bytes) => carryOut(steps, imageOf(bytes)),
);

describe("patches", () => {
  test("make one image of any other", () => {
    const images = fc
      .uint8Array({ maxLength: 3000 })
      .map((bytes) => Buffer.concat([Buffer.alloc(HEADER_BYTES), bytes]));
    const related = fc
      .tuple(images, fc.array(edit, { maxLength: 4 }))
      .map(([one, edits]) => [one, edits.reduce(edited, one)] as const);
    fc.assert(
      fc.property(fc.oneof(related, fc.tuple(images, images)), ([before, after]) => {
        const patches = patchesBetween(before, after);
        const patched = new Patched(before, patches.length);
        expect(patched.apply(patches)).toBe(true);
        expect(patched.image).toEqual(after);
      }),
      { numRuns: 300 },
    );
  });

  test("are of the bytes that have changed, wherever they are", () => {
    const before = imageOf(8000);
    const after = Buffer.from(before);
    for (const at of [17, 2000, 7900]) after[at] = (after[at] ?? 0) + 1;
    expect(patchesBetween(before, after).length).toBe(3 * 13);
    const longer = Buffer.concat([after.subarray(0, 5000), Buffer.from("more"), after.subarray(5000)]);
    expect(patchesBetween(after, longer).length).toBe(16);
    const other = Buffer.concat([
      after.subarray(0, 90),
      after.subarray(120, 5000),
      Buffer.from("more"),
      after.subarray(5000),
    ]);
    expect(patchesBetween(after, other).length).toBe(12 + 16);
    expect(patchesBetween(other, before).length).toBeLessThan(5 * 13 + 30);
    expect(patchesBetween(longer, Buffer.from(longer)).length).toBe(0);
  });
});

describe("a value that is appended to", () => {
  afterEach(() => {
    planted.twice = false;
  });

  test("has the image and the marks of whole writes, whatever is done", () => {
    fc.assert(anySteps, { numRuns: 40 });
  });

  test("would be found to have records that are put into it twice", () => {
    planted.twice = true;
    expect(fc.check(anySteps, { numRuns: 40 }).failed).toBe(true);
  });

  test("has its commits in it, and is written whole after 64 of them or half of its bytes", () => {
    let image = imageOf(8000);
    let value = sessionValue(image, { marks: NO_MARKS });
    const kinds: number[] = [];
    for (let sequence = 1; sequence <= 130; sequence++) {
      const before = sessionIn(value);
      image = Buffer.from(image);
      image[100] = sequence;
      const commits = [{ client: "anna", sequence, floor: sequence }];
      const marks = withMark(before.marks, commits[0] ?? expect.fail(), 1);
      const appending = { images: [image], commits, seconds: 1, marks };
      const addition = mayAppend(before.layout, 0) ? appended(before, appending) : undefined;
      if (addition === undefined) kinds.push(sequence);
      value = addition === undefined ? sessionValue(image, { marks }) : put(value, addition.bytes);
      expect(value.length).toBeLessThan(1.5 * image.length + 200);
    }
    expect(kinds).toEqual([65, 130]);
    const layout = { imageBytes: 8000, marksBytes: 0, recordsBytes: 3900, recordCount: 1 };
    expect([mayAppend(layout, 100), mayAppend(layout, 101)]).toEqual([true, false]);
    expect(mayAppend({ ...layout, imageBytes: 300, recordsBytes: 0, recordCount: 0 }, 0)).toBe(false);
  });

  test("is unreadable where a record is broken, and nothing worse", () => {
    const image = imageOf(4000);
    const before = sessionIn(sessionValue(image, { marks: NO_MARKS }));
    const next = edited(image, { at: 300, removed: 4, bytes: Buffer.from("longer") });
    const commits = [{ client: "anna", sequence: 1, floor: 1 }];
    const addition = appended(before, { images: [next], commits, seconds: 1, marks: NO_MARKS }) ?? expect.fail();
    const value = put(sessionValue(image, { marks: NO_MARKS }), addition.bytes);
    const from = value.length - (addition.bytes.length - SUMMARY_BYTES);
    fc.assert(
      fc.property(fc.integer({ min: from, max: value.length - 1 }), fc.nat(255), (at, byte) => {
        const broken = Buffer.from(value);
        broken[at] = byte;
        try {
          expect(sessionIn(broken).image.length).toBe(next.length);
        } catch (error) {
          expect(isCode(error, "ERR_UNREADABLE")).toBe(true);
        }
      }),
    );
    expect(() => readValue(ID, value.subarray(0, -1))).toThrow(expect.objectContaining({ code: "ERR_UNREADABLE" }));
  });
});
