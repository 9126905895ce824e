// Frames against msgpackr itself: the same bytes, read the same way, however the stream was split, and never more than an error.

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import { type Field, FrameReader, FrameWriter, LENGTH_BYTES, readMessage } from "../../../protocol/wire/frame.ts";

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });
const MAX_FRAME_BYTES = 1 << 20;

/** Numbers whose encoding changes width at a power of two are worth more tries than others. */
const edges = fc
  .tuple(fc.integer({ min: 0, max: 53 }), fc.integer({ min: -2, max: 2 }))
  .map(([power, offset]) => Math.max(0, 2 ** power + offset));
const uint32 = fc.oneof(
  fc.nat({ max: 0xffff_ffff }),
  edges.filter((n) => n <= 0xffff_ffff),
);
/** Beyond 32 bits msgpackr writes a float 64 too, whatever the sign. */
const wide = fc.oneof(edges, fc.maxSafeNat()).filter((n) => n > 0xffff_ffff);
const negative = fc.oneof(fc.integer({ max: -1 }), fc.constantFrom(-1, -32, -33, -128, -129, -32_768, -2_147_483_648));
const fraction = fc.double().filter((n) => !Number.isInteger(n));
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc
    .tuple(fc.constantFrom("a", "é", "€", "𝄞"), fc.constantFrom(10, 31, 32, 63, 64, 255, 256, 65_535, 65_536))
    .map(([letter, length]) => letter.repeat(length)),
);
const binary = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(0, 255, 256, 65_535, 65_536).map((length) => new Uint8Array(length).fill(7)),
);
/** What both write in the same bytes. */
const plainScalar: fc.Arbitrary<Field> = fc.oneof(
  uint32,
  wide,
  fraction,
  text,
  binary.map((bytes) => Buffer.from(bytes)),
  fc.boolean(),
  fc.constant(null),
);
const scalar: fc.Arbitrary<Field> = fc.oneof(plainScalar, negative, fc.constant(-0));
const options = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,8}$/),
  fc.oneof(fc.boolean(), uint32, text, fc.array(uint32, { maxLength: 3 })),
  { maxKeys: 5, noNullPrototype: true },
);
const message: fc.Arbitrary<Field[]> = fc.array(fc.oneof({ weight: 5, arbitrary: scalar }, options), { maxLength: 15 });

function framesOf(...messages: readonly (readonly Field[])[]): Buffer {
  const writer = new FrameWriter();
  for (const fields of messages) writer.push(...fields);
  return Buffer.from(writer.take());
}

function bodyOf(fields: readonly Field[]): Buffer {
  return framesOf(fields).subarray(LENGTH_BYTES);
}

/** What msgpackr gives back for a field: plain objects, and binaries as Buffer. */
function seen(fields: readonly unknown[]): unknown {
  return fields.map((field) => (field instanceof Uint8Array ? Buffer.from(field) : field));
}

/** Like `toEqual`, which takes long for large binaries. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return "no error";
  } catch (error) {
    return error instanceof SessionError ? error.code : `not ours: ${String(error)}`;
  }
}

function frameOf(body: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Cuts bytes at the given places, each taken modulo what there is. */
function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

function readAll(chunks: readonly Buffer[], maxFrameBytes: number = MAX_FRAME_BYTES): Buffer[] {
  const reader = new FrameReader(maxFrameBytes);
  const frames: Buffer[] = [];
  for (const chunk of chunks) reader.read(chunk, (frame) => frames.push(Buffer.from(frame)));
  return frames;
}

describe("an envelope written by hand", () => {
  it("is the bytes msgpackr writes for the same array", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(plainScalar, options), { maxLength: 15 }), (fields) => {
        expect(bodyOf(fields).equals(packr.pack(fields))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("writes every number that is no unsigned 32-bit integer as float 64", () => {
    fc.assert(
      fc.property(fc.oneof(negative, wide, fraction, fc.constant(-0)), (number) => {
        const expected = Buffer.alloc(10);
        expected.writeUInt16BE(0x91cb);
        expected.writeDoubleBE(number, 2);
        expect(bodyOf([number]).equals(expected)).toBe(true);
      }),
    );
  });

  it("differs from msgpackr in negative integers and -0 only, and msgpackr reads ours all the same", () => {
    expect(bodyOf([-1]).toString("hex")).toBe("91cbbff0000000000000");
    expect(Buffer.from(packr.pack([-1])).toString("hex")).toBe("91ff");
    expect(Buffer.from(packr.pack([-0])).toString("hex")).toBe("9100");
    fc.assert(
      fc.property(message, (fields) => {
        expectSame(unpackr.unpack(bodyOf(fields)), seen(fields));
      }),
      { numRuns: 500 },
    );
  });

  it("replaces lone surrogates, which have no UTF-8", () => {
    expect(readMessage(bodyOf(["a\ud800b", "\udc80"]))).toEqual(["a\ufffdb", "\ufffd"]);
  });
});

describe("an envelope read by hand", () => {
  it("gives what was written, from our bytes and from msgpackr's", () => {
    fc.assert(
      fc.property(message, (fields) => {
        expectSame(readMessage(bodyOf(fields)), seen(fields));
        const theirs = Buffer.from(packr.pack(fields));
        expectSame(readMessage(theirs), unpackr.unpack(theirs));
      }),
      { numRuns: 1000 },
    );
  });

  it("takes every width a number may have", () => {
    const widths = ["cc05", "cd0005", "ce00000005", "cf0000000000000005", "d005", "d10005", "d200000005"];
    const all = [...widths, "d30000000000000005", "ca40a00000", "cb4014000000000000", "05"];
    for (const hex of all) expect(readMessage(Buffer.from(`91${hex}`, "hex")), hex).toEqual([5]);
    expect(readMessage(Buffer.from("92e0d0e0", "hex"))).toEqual([-32, -32]);
  });

  it("gives binaries that are views of the frame", () => {
    const body = bodyOf([Buffer.from("abc")]);
    const [view] = readMessage(body);
    body.write("xyz", body.length - 3);
    expect(view).toEqual(Buffer.from("xyz"));
  });

  it("keeps a hostile key from becoming a prototype", () => {
    const map = Buffer.concat([Buffer.from("9181", "hex"), bodyOf(["__proto__", 1]).subarray(1)]);
    const [options] = readMessage(map);
    expect(Object.getPrototypeOf(options)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("the reader of a stream", () => {
  it("finds the same frames however the stream is split", () => {
    const cuts = fc.array(fc.nat(), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), cuts, (messages, places) => {
        const read = readAll(split(framesOf(...messages), places)).map((frame) => readMessage(frame));
        expectSame(read, messages.map(seen));
      }),
      { numRuns: 500 },
    );
  });

  it("finds them when every byte comes alone", () => {
    const stream = framesOf([1, "a", Buffer.alloc(300, 1)], [], [2, { create: true }]);
    const bytes = split(
      stream,
      Array.from(stream, (_, index) => index),
    );
    expect(readAll(bytes).map((frame) => readMessage(frame))).toEqual([
      [1, "a", Buffer.alloc(300, 1)],
      [],
      [2, { create: true }],
    ]);
  });

  it("takes a frame of the largest size and refuses one byte more when its length is read", () => {
    expect(readAll([frameOf(Buffer.alloc(64))], 64)).toEqual([Buffer.alloc(64)]);
    const reader = new FrameReader(64);
    expect(codeOf(() => reader.read(frameOf(Buffer.alloc(65)).subarray(0, 4), () => undefined))).toBe("ERR_PROTOCOL");
    expect(reader.heldBytes).toBe(0);
  });

  it("holds no more than what has arrived, whatever length was announced", () => {
    const reader = new FrameReader(2 ** 32);
    const before = process.memoryUsage().arrayBuffers;
    reader.read(Buffer.from("fffffff000", "hex"), () => undefined);
    reader.read(Buffer.alloc(1000), () => undefined);
    expect(reader.heldBytes).toBe(1005);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  it("passes on the frames before the one that is too long", () => {
    const taken: unknown[] = [];
    const reader = new FrameReader(64);
    const stream = Buffer.concat([framesOf([1], [2]), Buffer.from("00000041", "hex")]);
    expect(codeOf(() => reader.read(stream, (frame) => taken.push(readMessage(frame))))).toBe("ERR_PROTOCOL");
    expect(taken).toEqual([[1], [2]]);
  });
});

describe("the writer", () => {
  it("gives back what it gathered and is empty then", () => {
    const writer = new FrameWriter();
    expect(writer.isEmpty).toBe(true);
    writer.push(1, 2);
    expect([writer.isEmpty, writer.length]).toEqual([false, 7]);
    expect(readAll([writer.take()]).map((frame) => readMessage(frame))).toEqual([[1, 2]]);
    expect([writer.isEmpty, writer.take().length]).toEqual([true, 0]);
  });

  it("does not keep for small frames what a large one took", () => {
    const writer = new FrameWriter();
    writer.push(1);
    const small = writer.take().buffer.byteLength;
    writer.push(new Uint8Array(MAX_FRAME_BYTES));
    writer.take();
    writer.push(1);
    expect(writer.take().buffer.byteLength).toBe(small);
  });

  it("never changes what was taken from it", () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 2, maxLength: 6 }), (messages) => {
        const writer = new FrameWriter();
        const taken = messages.map((fields) => {
          writer.push(...fields);
          return writer.take();
        });
        expect(taken.map((bytes) => bytes.toString("hex"))).toEqual(messages.map((m) => framesOf(m).toString("hex")));
      }),
    );
  });
});

describe("hostile frames", () => {
  it("are an error of ours or a message, whatever their bytes are", () => {
    const anything = fc.uint8Array({ minLength: 0, maxLength: 200 });
    const likely = fc.tuple(fc.nat({ max: 15 }), anything).map(([count, rest]) => Uint8Array.of(0x90 | count, ...rest));
    fc.assert(
      fc.property(fc.oneof(anything, likely), (bytes) => {
        expect(codeOf(() => readMessage(Buffer.from(bytes)))).toMatch(/^(?:no error|ERR_PROTOCOL)$/);
      }),
      { numRuns: 5000 },
    );
  });

  it("are an error when they are the beginning of a message, or a message with bytes behind it", () => {
    fc.assert(
      fc.property(message, fc.nat(), (fields, cut) => {
        const body = bodyOf(fields);
        expect(codeOf(() => readMessage(body.subarray(0, cut % body.length)))).toBe("ERR_PROTOCOL");
        expect(codeOf(() => readMessage(Buffer.concat([body, Buffer.of(0)])))).toBe("ERR_PROTOCOL");
      }),
    );
  });

  it("are an error of ours or a message when single bytes of one were changed", () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(message, changes, (fields, places) => {
        const body = bodyOf(fields);
        for (const [place, byte] of places) body[place % body.length] = byte;
        expect(codeOf(() => readMessage(body))).toMatch(/^(?:no error|ERR_PROTOCOL)$/);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["nothing", ""],
    ["a map", "80"],
    ["text", "a161"],
    ["an array of 16", "dc0010"],
    ["an array of 2^31 elements", "ddffffffff"],
    ["a field that announces 4 GiB", "91c6ffffffff"],
    ["a text that announces 4 GiB", "91dbffffffff"],
    ["a list that announces 2^32 elements", "91ddffffffff"],
    ["a map that announces 2^32 members", "91dfffffffff"],
    ["an extension that announces 4 GiB", "91c9ffffffff01"],
    ["a reference to nothing", "91d67000000009"],
  ])("are refused without allocation: %s", (_, hex) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(codeOf(() => readMessage(Buffer.from(hex, "hex")))).toBe("ERR_PROTOCOL");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  it.each([
    ["lists", "91"],
    ["maps", "81a161"],
    ["maps in maps as keys", "81"],
    ["errors", "d46500"],
    ["sets", "d47300"],
  ])("nested without end are refused, and the next message is read as ever: %s", (_, level) => {
    const bomb = Buffer.concat([Buffer.of(0x92, 0x01), Buffer.alloc(3_000_000, Buffer.from(level, "hex"))]);
    expect(codeOf(() => readMessage(bomb))).toBe("ERR_PROTOCOL");
    const fields = [1, { shares: [{ key: "a", object: 1 }] }];
    expect(readMessage(bodyOf(fields))).toEqual(fields);
  });

  it("leave nothing behind that changes how the next one is read", () => {
    const record = Buffer.from("92d47240 91a161 05 c0".replaceAll(" ", ""), "hex");
    codeOf(() => readMessage(record));
    expect(readMessage(bodyOf([0x40, {}, 0x41]))).toEqual([0x40, {}, 0x41]);
  });
});
