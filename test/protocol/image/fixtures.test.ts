// What the real 3.18 wrote and did (test/fixtures/README.md), against the codec.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import {
  applyDelta,
  valueOf as bytesOf,
  decodeAll,
  encodeDelta,
  isExpired,
  type Layout,
  layoutOf,
  startupBytes,
  startupMs,
  timeoutSeconds,
  typeOf,
} from "../../../protocol/image/image.ts";
import { decodeValue, encodeValue, endOfValue, newScan, Origins, typeOfValue } from "../../../protocol/value/value.ts";
import { normalise, type Typed, viewImage, viewValue } from "../../support/values/typed-view.ts";

const FIXTURES = new URL("../../fixtures/", import.meta.url);
const CRAFTED = new URL("crafted/", FIXTURES);

function read(name: string, folder: URL = FIXTURES): Buffer {
  return readFileSync(new URL(name, folder));
}

function readJson(name: string, folder: URL = FIXTURES): Record<string, unknown> {
  return JSON.parse(read(name, folder).toString()) as Record<string, unknown>;
}

const NAMES = readdirSync(FIXTURES)
  .filter((name) => name.endsWith(".session"))
  .map((name) => name.slice(0, -".session".length));
const NAMES_WITH_JSON = NAMES.filter((name) => readdirSync(FIXTURES).includes(`${name}.json`));

interface Manifest {
  readonly startup: number;
  readonly startupHex: string;
  readonly timeoutDays: number;
  readonly cookiePath: string;
  readonly keys: readonly string[];
}

/** What typeOf says of a typed JSON value. */
function typeName(typed: Typed): string {
  return typed.type === "Array" ? typed.class : typed.type;
}

const NOTHING = Buffer.of();
const MARK = encodeValue("changed", "mark").bytes;

describe.each(NAMES_WITH_JSON)("fixture %s", (name) => {
  const image = read(`${name}.session`);
  const expected = Object.entries(readJson(`${name}.json`)).map(([key, value]) => [
    key,
    normalise(value as Record<string, unknown>),
  ]) as [string, Typed][];

  test("splits into the keys and exact types that Gambas shows", () => {
    const layout = layoutOf(image);
    expect(viewImage(image)).toEqual(expected);
    expect([...layout.entries.keys()]).toEqual(expected.map(([key]) => key));
    for (const [key, typed] of expected) expect(typeOf(image, layout, key)).toBe(typeName(typed));
  });

  test("decodes, and encodes again to the same bytes with and without what was stored", () => {
    const layout = layoutOf(image);
    const origins = new Origins();
    for (const [key, { value, baseline, error }] of decodeAll(image, layout, origins)) {
      expect(error).toBeUndefined();
      expect(decodeValue(baseline, 0)).toEqual(value);
      if (value === null) continue;
      expect(encodeValue(value, key, { bytes: baseline, at: 0 }, origins).bytes.equals(baseline)).toBe(true);
      if (typeof value !== "object") continue;
      const moved = encodeValue([value, 1], key, undefined, origins).bytes;
      expect(viewValue(moved).typed).toMatchObject({ class: "Variant[]" });
      expect(shapeOf(viewValue(moved).typed, 0)).toEqual(shapeOf(viewValue(baseline).typed, undefined));
    }
  });

  test("changes nothing but the entry that is changed and the stamp", () => {
    const layout = layoutOf(image);
    const nowMs = 1_900_000_000_000;
    for (const changed of layout.entries.keys()) {
      const result = applyDelta(image, { delta: encodeDelta([[changed, MARK]]), nowMs });
      const after = layoutOf(result);
      expect([...after.entries.keys()]).toEqual([...layout.entries.keys()]);
      expect(result.subarray(0, 8)).toEqual(startupBytes(nowMs));
      expect(result.subarray(8, 16)).toEqual(image.subarray(8, 16));
      for (const key of layout.entries.keys()) {
        const wanted = key === changed ? MARK : bytesOf(image, layout, key);
        expect(bytesOf(result, after, key)?.equals(wanted ?? NOTHING)).toBe(true);
      }
      if (!layout.hasReferences) expectSplice(image, layout, result, changed);
    }
  });

  test("is the same again after a key came and went", () => {
    const added = applyDelta(image, { delta: encodeDelta([["added", MARK]]), nowMs: 0 });
    expect([...layoutOf(added).entries.keys()].at(-1)).toBe("added");
    const back = applyDelta(added, { delta: encodeDelta([["added", undefined]]), nowMs: startupMs(image) });
    expect(back.equals(image)).toBe(true);
  });
});

/** A value moved into element `index` of an array is the same; its references count from there. */
function shapeOf(typed: Typed, index: number | undefined): Typed {
  if (index !== undefined) return shapeOf((typed as { value: Typed[] }).value[index] as Typed, undefined);
  return JSON.parse(JSON.stringify(typed, (key, value) => (key === "id" ? "any" : value))) as Typed;
}

function expectSplice(image: Buffer, layout: Layout, result: Buffer, changed: string): void {
  const entry = layout.entries.get(changed);
  if (entry === undefined) throw new Error("no entry");
  const wanted = Buffer.concat([image.subarray(8, entry.valueStart), MARK, image.subarray(entry.valueEnd)]);
  expect(result.subarray(8).equals(wanted)).toBe(true);
}

describe("the manifest", () => {
  const manifest = readJson("MANIFEST.json") as unknown as Record<string, Manifest>;

  test.each(Object.keys(manifest).filter((name) => NAMES.includes(name)))(
    "%s has the header and the cookie path",
    (name) => {
      const image = read(`${name}.session`);
      const entry = manifest[name] as Manifest;
      expect(startupMs(image)).toBe(Date.parse("2030-01-01T00:00:00.500Z"));
      expect(startupBytes(startupMs(image)).toString("hex")).toBe(entry.startupHex);
      expect(timeoutSeconds(image)).toBe(Math.round(entry.timeoutDays * 86400));
      expect(layoutOf(image).cookiePath).toBe(entry.cookiePath);
      expect([...layoutOf(image).entries.keys()]).toEqual(entry.keys);
    },
  );
});

test("the realistic cart reads as a program would expect it", () => {
  const image = read("realistic_cart.session");
  const values = Object.fromEntries(
    [...decodeAll(image, layoutOf(image), new Origins())].map(([key, { value }]) => [key, value]),
  );
  expect(values).toEqual({
    _: "/app",
    cart: {
      coupon: "WELCOME10",
      currency: "EUR",
      items: [
        { sku: "BK-0042", title: "Der Zauberberg – Roman", qty: 2, price: 19.9 },
        { sku: "CD-7", title: "Café del Mar", qty: 1, price: 9.5, options: ["gift wrap", "no invoice"] },
      ],
      total: 49.3,
    },
    last_seen: [1042, 77, 3],
    step: 3,
    updated: new Date("2029-12-31T23:59:58.123Z"),
  });
});

interface Expected {
  readonly gambas: "loaded" | "abandoned" | "crash";
  readonly reason?: string;
  readonly values?: readonly [string, Record<string, unknown>][];
  readonly bodyAfter?: string;
}

/** Where we differ from 3.18 on purpose. */
const EXCEPTIONS: Record<string, string> = {
  body_null0f:
    "3.18 loads a null root and then raises an error into the program; a session that cannot be split is ERR_UNREADABLE",
};

const CRAFTED_EXPECTED = readJson("expected.json", CRAFTED) as unknown as Record<string, Expected>;

describe.each(Object.entries(CRAFTED_EXPECTED))("crafted file %s", (name, expected) => {
  const image = read(`${name}.session`, CRAFTED);
  // The files carry a stamp of 2030; 3.18 read them a moment later with its clock frozen before that.
  const nowMs = Date.parse("2026-11-20T00:00:00Z");

  test(EXCEPTIONS[name] ?? `is ${expected.gambas} as by 3.18`, () => {
    if (name in EXCEPTIONS) {
      expect(() => layoutOf(image)).toThrow(SessionError);
    } else if (expected.gambas === "abandoned") {
      if (expected.reason === "timeout") expect(isExpired(image, nowMs)).toBe(true);
      else expect(() => layoutOf(image)).toThrow(expect.objectContaining({ code: "ERR_UNREADABLE" }));
    } else expectLoaded(image, expected, nowMs);
  });
});

/** 3.18 sets the key `_` at every load, and puts it last where it was missing. */
function withoutCookieKey<T>(entries: readonly (readonly [string, T])[]): (readonly [string, T])[] {
  return entries.filter(([key]) => key !== "_");
}

function expectLoaded(image: Buffer, expected: Expected, nowMs: number): void {
  expect(isExpired(image, nowMs)).toBe(false);
  const layout = layoutOf(image);
  const wanted = withoutCookieKey(
    (expected.values ?? []).map(([key, json]) => [key, normalise(json)] as [string, Typed]),
  );
  const isRootShown = wanted.some(([, typed]) => JSON.stringify(typed).includes("/app"));
  expect(layout.entries.keys().filter((key) => key !== "_")).toEqual(wanted.map(([key]) => key));
  for (const [key, typed] of wanted) expect(typeOf(image, layout, key)).toBe(typeName(typed));
  const live = viewImage(image).filter(([key]) => layout.entries.has(key));
  if (!isRootShown) expect(withoutCookieKey(live)).toEqual(wanted);
  expectRewritten(image, layout, expected);
  for (const [key, { value, baseline, error }] of decodeAll(image, layout, new Origins())) {
    if (isRootShown && key === "v") expect(error?.code).toBe("ERR_UNREADABLE");
    else if (error !== undefined || value === undefined) throw error ?? new Error(`no value of ${key}`);
    else expect(decodeValue(baseline, 0)).toEqual(value);
  }
}

/** A rewrite of ours says what 3.18's says; ours keeps the bytes of untouched values, so the views are compared. */
function expectRewritten(image: Buffer, layout: Layout, expected: Expected): void {
  if (expected.bodyAfter === undefined) return;
  const result = applyDelta(image, { delta: encodeDelta([["_", undefined]]), nowMs: 0 });
  const after = Buffer.concat([Buffer.alloc(16), Buffer.from(expected.bodyAfter, "hex")]);
  const isRewritten = layout.entries.size > 0;
  if (isRewritten) expect(viewImage(result)).toEqual(withoutCookieKey(viewImage(after)));
  expect(layoutOf(result).cookiePath).toBe("");
}

describe("types_hex.tsv", () => {
  const rows = read("types_hex.tsv").toString().trimEnd().split("\n").slice(1);
  const whole = rows.map((row) => row.split("\t")).filter(([, , hex]) => /^([0-9a-f]{2} ?)+$/.test(hex ?? ""));

  test("has the rows this test was written for", () => {
    expect(whole.length).toBeGreaterThan(80);
  });

  test.each(whole)("%s: %s", (name, _code, hex) => {
    const bytes = Buffer.from((hex ?? "").replaceAll(" ", ""), "hex");
    // References count through the file there: the root is 1, and two rows refer to the value of another key.
    const scan = newScan(name?.startsWith("ref_other") || name?.startsWith("ref_empty") ? 2 : 1);
    if (name?.startsWith("ref_empty")) scan.classes?.splice(1, 1, 0x14);
    expect(endOfValue(bytes, 0, scan)).toBe(bytes.length);
    if (scan.hasReferences) return;
    const origins = new Origins();
    const value = decodeValue(bytes, 0, origins);
    expect(typeName(viewValue(bytes).typed)).toBe(typeOfValue(bytes, 0));
    if (value !== null)
      expect(encodeValue(value, name ?? "", { bytes, at: 0 }, origins).bytes.equals(bytes)).toBe(true);
  });
});
