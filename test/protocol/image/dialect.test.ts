// Files of Gambas 3.19 and later, and mixtures: what the real 3.20.2 and 3.22.0 wrote and did, against the codec.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  applyDelta,
  type Change,
  type Dialect,
  decodeAll,
  dialectOf,
  encodeDelta,
  fileOfImage,
  imageOfFile,
  layoutOf,
  newImage,
  typeOf,
} from "../../../protocol/image/image.ts";
import { encodeValue, Origins } from "../../../protocol/value/value.ts";
import { normalise, type Typed, viewImage } from "../../support/values/typed-view.ts";

const FOLDER = new URL("../../fixtures/newer/", import.meta.url);
const OLDER = new URL("../../fixtures/", import.meta.url);
const NAMES = namesIn(FOLDER);
const NOW_MS = 1_900_000_000_000;
const HEADER = newImage({ nowMs: 0, timeoutSeconds: 86_400 }).subarray(0, 16);

function namesIn(folder: URL): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".session"));
  return names.map((name) => name.slice(0, -".session".length));
}

function read(name: string, folder: URL = FOLDER): Buffer {
  return readFileSync(new URL(`${name}.session`, folder));
}

/** The image of a file; the bytes stay as they are. */
function taken(file: Buffer): Buffer {
  const image = Buffer.from(file);
  imageOfFile(image);
  return image;
}

function withKeys(image: Buffer, values: Readonly<Record<string, unknown>>, change: Partial<Change> = {}): Buffer {
  const changes = Object.entries(values).map(
    ([key, value]) => [key, value === undefined ? undefined : encodeValue(value, key).bytes] as const,
  );
  return applyDelta(image, { delta: encodeDelta(changes), nowMs: NOW_MS, ...change });
}

describe.each(NAMES)("%s of 3.20.2 and 3.22.0", (name) => {
  const file = read(name);
  const image = taken(file);
  const expected = Object.entries(
    JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf8")) as Record<string, Record<string, unknown>>,
  ).map(([key, value]) => [key, normalise(value)] as [string, Typed]);

  test("has the keys, values and exact types that Gambas shows", () => {
    expect(viewImage(image)).toEqual(expected);
    for (const [key, typed] of expected) {
      const type = typed.type === "Array" ? typed.class : typed.type;
      if (typed.type !== "Ref") expect(typeOf(image, layoutOf(image), key)).toBe(type);
    }
    for (const { error } of decodeAll(image, layoutOf(image), new Origins()).values()) expect(error).toBeUndefined();
  });

  test("goes back into its file to the byte, and so it does after a key came and went", () => {
    expect(dialectOf(image)).toBe("3.19");
    expect(fileOfImage(image).equals(file)).toBe(true);
    const there = withKeys(image, { added: { list: [1, "a", { deep: true }] } });
    const back = fileOfImage(withKeys(there, { added: undefined }));
    expect(back.subarray(8).equals(file.subarray(8))).toBe(true);
  });

  test("keeps the dialect, and every byte of what is not changed", () => {
    const changed = withKeys(image, { added: { x: [1] } });
    const written = fileOfImage(changed);
    const entry = Buffer.from("\x05addedD\x01\x01xb\x09Integer[]\x04\x01\x01\0\0\0", "latin1");
    const at = written.lastIndexOf(entry);
    expect(written[17]).toBe((file[17] as number) + 1);
    expect(written.subarray(18, at).equals(file.subarray(18, at))).toBe(true);
    expect(written.subarray(at + entry.length).equals(file.subarray(at))).toBe(true);
  });
});

describe.each(namesIn(OLDER))("%s of 3.18", (name) => {
  test("is the same file in both directions, and written as 3.19 does it differs in the tags of objects only", () => {
    const file = read(name, OLDER);
    const image = taken(file);
    expect(image.equals(file)).toBe(true);
    expect(fileOfImage(image)).toBe(image);
    const newer = Buffer.from(image);
    newer[16] = (newer[16] as number) + 1;
    const written = fileOfImage(newer);
    const differing = [...written.keys()].filter((at) => written[at] !== file[at]);
    expect(differing.every((at) => "ACac".includes(String.fromCharCode(file[at] as number)))).toBe(true);
    expect(taken(written).equals(newer)).toBe(true);
    expect(viewImage(taken(written))).toEqual(viewImage(image));
  });
});

/** Hex of a file behind the header. */
type Body = string;

const integer = (value: number): Body => `04${value.toString(16).padStart(2, "0")}000000`;
const reference = (number: number): Body => `40${number.toString(16).padStart(2, "0")}000000`;
const text = (value: string): Body => Buffer.from([value.length, ...Buffer.from(value)]).toString("hex");

function collection(tag: string, ...entries: readonly (readonly [string, Body])[]): Body {
  const members = entries.map(([key, value]) => text(key) + value).join("");
  return Buffer.from([tag.charCodeAt(0), entries.length]).toString("hex") + members;
}

function fileOf(tag: string, ...entries: readonly (readonly [string, Body])[]): Buffer {
  return Buffer.concat([HEADER, Buffer.from(`${collection(tag, ["_", "09042f617070"], ...entries)}00`, "hex")]);
}

const x = collection("D", ["x", integer(1)]);
const oldX = collection("C", ["x", integer(1)]);
const y = collection("D", ["y", integer(2)]);
const grid = `6f620b${Buffer.from("Integer[][]").toString("hex")}`.slice(2);
const rows = `${grid}1002410401${"01000000"}420401${"02000000"}`;
const sevens = `61${text("Integer[]")}0401${"07000000"}`;
const letters = `62${text("String[]")}090101${"61"}`;

describe("a mixture of both dialects", () => {
  const newY = collection("D", ["x", integer(1)]);

  // What the real 3.20.2 and 3.22.0 made of each file when they saved it again.
  test.each([
    [
      "a newer object in an older root",
      fileOf("C", ["a", x], ["b", reference(1)]),
      fileOf("D", ["a", x], ["b", reference(2)]),
    ],
    [
      "an older object in a newer root",
      fileOf("D", ["a", oldX], ["d", y], ["b", reference(2)]),
      fileOf("D", ["a", newY], ["d", y], ["b", reference(3)]),
    ],
    [
      "arrays of both",
      fileOf("C", ["a", sevens], ["s", letters], ["r", reference(1)]),
      fileOf("D", ["a", sevens.replace(/^61/, "62")], ["s", letters], ["r", reference(3)]),
    ],
    [
      "rows of both in one typed array",
      fileOf("D", ["o", rows], ["r", reference(3)]),
      fileOf("D", ["o", rows.replace("410401", "420401")], ["r", reference(4)]),
    ],
    [
      "a newer object inside an older one",
      fileOf("D", ["a", collection("C", ["i", x])], ["r", reference(2)]),
      fileOf("D", ["a", collection("D", ["i", x])], ["r", reference(3)]),
    ],
    [
      "a reference beside its object in an array",
      fileOf("C", ["v", `61${text("Variant[]")}0c02${x}${reference(1)}`]),
      fileOf("D", ["v", `62${text("Variant[]")}0c02${x}${reference(3)}`]),
    ],
    ["no reference at all", fileOf("C", ["a", oldX], ["d", y]), fileOf("D", ["a", newY], ["d", y])],
  ])("is read and written as 3.20 does it: %s", (_name, file, saved) => {
    expect(fileOfImage(taken(file)).toString("hex")).toBe(saved.toString("hex"));
  });

  test("a collection that ignores case counts in the newer dialect, and stays one", () => {
    const file = fileOf("D", ["a", collection("d", ["x", integer(1)])], ["b", reference(2)]);
    expect(fileOfImage(taken(file)).equals(file)).toBe(true);
  });

  test.each([
    [
      "a reference to an object that 3.19 does not count",
      fileOf("D", ["a", oldX], ["b", reference(2)]),
      /byte 39: reference to object 2 of 1/,
    ],
    [
      "a reference of 3.18 before a tag of 3.19",
      fileOf("C", ["a", oldX], ["b", reference(2)], ["d", y]),
      /byte 46: type 0x44 .* reference at byte 39/,
    ],
    ["a reference to nothing", fileOf("D", ["b", reference(0)]), /reference to object 0/],
    ["a tag of an object that nobody knows", fileOf("D", ["a", "4501"]), /byte 28: unknown type 0x45/],
    ["an object of a class with a _write method", fileOf("D", ["a", "7001"]), /unknown type 0x70/],
    ["a root that nobody knows", fileOf("E", ["a", x]), /type 0x45 at byte 16/],
    ["a newer object cut short", fileOf("D", ["a", "4402"]), /end of file/],
  ])("is refused, with the place, where no version reads it: %s", (_name, file, message) => {
    expect(() => taken(file)).toThrow(
      expect.objectContaining({ code: "ERR_UNREADABLE", message: expect.stringMatching(message) }),
    );
  });

  test("depth and announced counts are bounded as in the older dialect", () => {
    const levels = 70_000;
    const deep = Buffer.concat([HEADER, Buffer.from("4401016b".repeat(levels), "hex"), Buffer.of(0x44, 0, 0)]);
    expect(() => taken(deep)).toThrow(/levels deep/);
    expect(() => taken(fileOf("D", ["a", `44ff${"ff".repeat(3)}`]))).toThrow(/end of file/);
  });
});

describe("a first reference", () => {
  const empty = newImage({ nowMs: 0, timeoutSeconds: 60 });
  const self: Record<string, unknown> = { n: [1] };
  self.me = self;

  const as = (dialect: Dialect) => ({ dialect: () => dialect });

  test("leaves a session in the dialect that is in use, whole, with values and types as they were", () => {
    const before = withKeys(empty, { a: { b: [1.5, "x"] }, when: new Date(5) });
    for (const dialect of ["3.18", "3.19"] as const) {
      const image = withKeys(before, { self }, as(dialect));
      expect(dialectOf(image)).toBe(dialect);
      const file = fileOfImage(image);
      expect(file.includes("D\x02\x01nb", 0, "latin1")).toBe(dialect === "3.19");
      expect(viewImage(taken(file)).slice(0, 2)).toEqual(viewImage(before));
    }
  });

  test("asks nothing where none comes in, so that every version reads the file", () => {
    const ask = () => {
      throw new Error("asked");
    };
    const image = withKeys(empty, { cart: { items: [{ sku: "a" }] } }, { dialect: ask });
    expect(dialectOf(withKeys(image, { n: 1, cart: undefined }, { dialect: ask }))).toBe("3.18");
  });

  test("changes nothing of a file that has one already, or is of 3.19", () => {
    const older = withKeys(empty, { self }, as("3.18"));
    expect(dialectOf(withKeys(older, { again: self }, as("3.19")))).toBe("3.18");
    const newer = withKeys(withKeys(empty, { self }, as("3.19")), { self: undefined });
    expect(dialectOf(newer)).toBe("3.19");
    expect(dialectOf(withKeys(newer, { self }, as("3.18")))).toBe("3.19");
  });

  test("is no reference when two keys only were said to share", () => {
    const [one, two] = [encodeValue([1], "a").bytes, encodeValue([2], "b").bytes];
    const shares = [{ key: "a", object: 1, otherKey: "b", otherObject: 1 }];
    const delta = encodeDelta([
      ["a", one],
      ["b", two],
    ]);
    expect(dialectOf(applyDelta(empty, { delta, nowMs: 0, shares, ...as("3.19") }))).toBe("3.18");
  });
});

test("a delta holds no tags of 3.19: on the wire there is one form", () => {
  const delta = Buffer.from("C\x01\x01aD\x00", "latin1");
  expect(() => applyDelta(newImage({ nowMs: 0, timeoutSeconds: 1 }), { delta, nowMs: 0 })).toThrow(
    expect.objectContaining({ code: "ERR_BAD_VALUE" }),
  );
});
