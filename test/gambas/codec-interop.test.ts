// What our codec writes the real Gambas reads, what Gambas writes our codec reads, with equal types and values, and byte for byte
// where one writes again what the other wrote. The expectations come from typed-model.ts, not from the codec.
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  applyDelta,
  decodeAll,
  dialectOf,
  encodeDelta,
  fileOfImage,
  layoutOf,
  newImage,
  type Share,
  typeOf,
} from "../../protocol/image/image.ts";
import { encodeValue, Origins, typed } from "../../protocol/value/value.ts";
import {
  bodyOf,
  canonicalEntry,
  describeGambas,
  dialect,
  GambasHouse,
  type TypedEntry,
  type TypedJson,
} from "../support/gambas/gambas.ts";
import { Reader, shapeOf, Writer } from "../support/values/typed-model.ts";
import { gambasEntries, javaScriptGraph, javaScriptValue } from "../support/values/value-arbitraries.ts";

let house: GambasHouse;
let sessions = 0;

function newId(): string {
  sessions++;
  return `10.0.0.1:${sessions.toString(16).toUpperCase().padStart(24, "0")}`;
}

/** A session file with these values, and the `_` that Gambas would set. */
function imageOf(values: ReadonlyMap<string, unknown>): Buffer {
  return changed(newImage({ nowMs: Date.now(), timeoutSeconds: 86_400 }), new Map([["_", "/app"], ...values]));
}

/** The file after these keys were set, as a worker that has loaded it sets them. */
function changed(image: Buffer, values: ReadonlyMap<string, unknown>): Buffer {
  const origins = new Origins();
  const stored = decodeAll(image, layoutOf(image), origins);
  const changes: [string, Buffer][] = [];
  const shares: Share[] = [];
  const places = new Map<object, { key: string; object: number }>();
  for (const [key, value] of values) {
    const previous = stored.get(key);
    const { bytes, objects } = encodeValue(value, key, previous && { bytes: previous.baseline, at: 0 }, origins);
    changes.push([key, bytes]);
    for (const [index, object] of objects.entries()) {
      const other = places.get(object);
      if (other === undefined) places.set(object, { key, object: index + 1 });
      else shares.push({ key, object: index + 1, otherKey: other.key, otherObject: other.object });
    }
  }
  return applyDelta(image, { delta: encodeDelta(changes), nowMs: Date.now(), shares, dialect: () => dialect });
}

/** Every value of a file but `_`, what is one object in the file being one object. */
function valuesIn(image: Buffer): Map<string, unknown> {
  const decoded = decodeAll(image, layoutOf(image), new Origins());
  return new Map([...decoded].filter(([key]) => key !== "_").map(([key, { value, error }]) => [key, error ?? value]));
}

/** What Gambas reads in the file of a session, whose end-of-program save then rewrites the whole of it. */
async function readByGambas(id: string): Promise<TypedEntry[]> {
  const [dump] = await house.oracle([["dump"]], { cookie: id });
  return (dump?.entries ?? []).filter(([key]) => key !== "_").map(canonicalEntry);
}

async function writtenByGambas(entries: readonly TypedEntry[]): Promise<string> {
  const [, read] = await house.oracle([
    ["put", entries],
    ["read", "Id"],
  ]);
  return String(read?.value);
}

/** Writes the values as we do, and holds against them what Gambas reads and what it leaves in the file when it saved again. */
async function expectEqualInGambas(values: ReadonlyMap<string, unknown>): Promise<void> {
  const id = newId();
  const image = imageOf(values);
  house.writeSession(id, fileOfImage(image));
  const writer = new Writer();
  const expected = [...values].map(([key, value]): TypedEntry => canonicalEntry([key, writer.write(value)]));
  expect(await readByGambas(id)).toEqual(expected);
  const saved = house.readImage(id);
  expect(dialectOf(saved)).toBe(dialect);
  expect(bodyOf(saved)).toBe(bodyOf(image));
  expect(shapeOf([...valuesIn(saved).values()])).toEqual(shapeOf([...valuesIn(image).values()]));
}

function numbered(values: readonly unknown[]): Map<string, unknown> {
  return new Map(values.map((value, index) => [`k${index}`, value]));
}

function selfHolding(): unknown {
  const list: unknown[] = [1];
  const members = { list, self: {} as unknown };
  members.self = members;
  list.push(members, list);
  return members;
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { inside: value };
  return value;
}

const twice = { shared: true };
const numbers = [1, 2, 3];

const javaScriptKinds: readonly [string, unknown][] = [
  ["booleans", [true, false]],
  ["the bounds of an Integer", [-0x8000_0000, 0x7fff_ffff]],
  ["an integer beyond int32", 0x8000_0000],
  ["the largest safe integers", [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]],
  ["an integer beyond the safe ones", 2 ** 60],
  ["a fraction", 0.1],
  ["a negative zero", -0],
  ["NaN", Number.NaN],
  ["infinities", [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ["the bounds of a Long", [2n ** 63n - 1n, -(2n ** 63n)]],
  ["a bigint", 5n],
  ["text", "éa€\u{1f600}"],
  ["text with controls and NUL", '\u0000\u0001\n\r\t"\\\u007f\u2028'],
  ["a replacement character", "\ufffd"],
  ["the null date's neighbour", new Date(0)],
  ["the first Date", new Date(-8.64e15)],
  ["the last Date", new Date(8.64e15)],
  ["a Buffer", Buffer.from([0, 127, 128, 255])],
  ["a Uint8Array", new Uint8Array([1, 2])],
  ["an Int16Array", new Int16Array([-0x8000, 0x7fff])],
  ["an Int32Array", new Int32Array([-1, 1])],
  ["a BigInt64Array", new BigInt64Array([-1n, 2n ** 62n])],
  ["a Float32Array", new Float32Array([0.5, Number.NaN, -0])],
  ["a Float64Array", new Float64Array([0.1, Number.NaN, -0])],
  ["integers and fractions", [1, 0.5]],
  ["integers and large integers", [1, 2 ** 40, 3n]],
  ["strings, an empty one among them", ["a", "", "ccc"]],
  ["Dates", [new Date(1), new Date(2)]],
  ["an empty list", []],
  ["a mixed list", ["a", 1, 2.5, null, true, 7n, "", new Date(3), Buffer.of(1), [], {}]],
  ["lists of lists", [[1, 2], [], [[3.5]], ["x"]]],
  ["an empty object", {}],
  ["an object with hostile keys", JSON.parse('{"__proto__":1,"constructor":2,"é":3,"0":4,"a.b":5}')],
  [
    "a Map",
    new Map<string, unknown>([
      ["10", 1],
      ["2", new Map([["y", 1]])],
    ]),
  ],
  ["one object twice", [twice, twice, { again: twice }]],
  ["one list twice", { first: numbers, second: numbers }],
  ["objects that hold themselves", selfHolding()],
  ["300 levels", nested(300)],
  ["a string of a million", "x".repeat(1_000_000)],
  ["strings at the bounds of the length's forms", [127, 128, 16_383, 16_384].map((size) => "y".repeat(size))],
  ["a list of 20000", Array.from({ length: 20_000 }, (_, index) => index - 10_000)],
  ["300000 bytes", Buffer.alloc(300_000, 0xfe)],
  [
    "an object of 5000 members",
    Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index / 4])),
  ],
];

const typedKinds: readonly [string, unknown][] = [
  ["Boolean", true],
  ["Byte", 255],
  ["Short", -0x8000],
  ["Integer", 7],
  ["Long", 7],
  ["Single", 1.5],
  ["Float", 3],
  ["Date", null],
  ["String", Buffer.from([0xff, 0x00, 0xc3])],
  ["String", Buffer.from("text")],
  ["Pointer", 4660],
  ["Collection", { a: 1 }],
  ["Boolean[]", [true, false]],
  ["Byte[]", [0, 255]],
  ["Short[]", [1, 2]],
  ["Integer[]", []],
  ["Long[]", [1, 2n]],
  ["Single[]", [0.5, 0.1]],
  ["Float[]", [1, 2]],
  ["Date[]", [new Date(0), null]],
  ["String[]", ["a", "", Buffer.of(0xfe)]],
  ["Pointer[]", [0, 1]],
  ["Variant[]", [1, 2, null]],
  ["Object[]", [[1], { a: 1 }, null, typed("Short[]", [1])]],
  ["Collection[]", [{ a: 1 }, {}, null]],
  ["Integer[][]", [[1, 2], [3], null, []]],
  ["String[][]", [["a"], null]],
  ["Integer[][][]", [[[1], [2, 3]], null]],
  ["Variant[][]", [[1, "a"], []]],
  ["Collection[][]", [[{ a: 1 }, null], null]],
  ["Object[][]", [[[1], { a: 1 }], null]],
];

const map = new Map([["x", null]]);
const emptyMembers = { none: null, gone: undefined, empty: "", kept: 0, list: ["", null], map };

describeGambas("values that JavaScript sets", () => {
  beforeAll(async () => {
    house = await GambasHouse.open();
  });
  afterAll(() => house.close());

  it.each(javaScriptKinds)("reach Gambas and come back: %s", async (_name, value) => {
    await expectEqualInGambas(
      new Map([
        ["before", 1],
        ["value", value],
        ["after", [{ x: 1 }]],
      ]),
    );
  });

  it.each(typedKinds)("reach Gambas with the type that was asked for: %s", async (type, value) => {
    await expectEqualInGambas(
      new Map<string, unknown>([
        ["value", typed(type, value)],
        ["inside", { list: [typed(type, value)] }],
      ]),
    );
  });

  it("reach Gambas and come back, whatever they are", async () => {
    const batches = fc.array(javaScriptValue, { minLength: 30, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(batches, (values) => expectEqualInGambas(numbered(values))),
      { numRuns: 40 },
    );
  });

  it("reach Gambas equally shared, however they hold each other", async () => {
    const batches = fc.array(javaScriptGraph, { minLength: 20, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(batches, (values) => expectEqualInGambas(numbered(values))),
      { numRuns: 30 },
    );
  });

  it("stay one object where two keys hold the same", async () => {
    const id = newId();
    const cart = { items: [1, 2] };
    house.writeImage(
      id,
      imageOf(
        new Map<string, unknown>([
          ["cart", cart],
          ["items", cart.items],
          ["again", [cart]],
        ]),
      ),
    );
    const [same, , changedCart] = await house.oracle(
      [
        ["same", "cart", "items"],
        ["poke", "items", 0, { type: "Integer", value: 9 }],
        ["get", "cart"],
      ],
      { cookie: id },
    );
    expect(same?.value).toBe(false);
    expect(changedCart?.value).toEqual(new Writer().write({ items: [9, 2] }));
    const values = valuesIn(house.readImage(id));
    expect(values).toEqual(
      new Map<string, unknown>([
        ["cart", { items: [9, 2] }],
        ["items", [9, 2]],
        ["again", [{ items: [9, 2] }]],
      ]),
    );
    expect(values.get("again")).toContain(values.get("cart"));
  });

  it("lose what a Collection cannot hold: members that are null or empty", async () => {
    const id = newId();
    house.writeImage(id, imageOf(new Map([["value", emptyMembers]])));
    const kept = { kept: 0, list: ["", null], map: {} };
    expect(await readByGambas(id)).toEqual([["value", canonicalEntry(["value", new Writer().write(kept)])[1]]]);
    expect(valuesIn(house.readImage(id))).toEqual(new Map([["value", kept]]));
  });
});

/** One new value for each type, which that type holds exactly. */
const sameTypeChanges: readonly [TypedJson, unknown][] = [
  [{ type: "Boolean", value: true }, false],
  [{ type: "Byte", value: 1 }, 200],
  [{ type: "Short", value: 1 }, -300],
  [{ type: "Integer", value: 1 }, 70_000],
  [{ type: "Long", value: "1" }, 2],
  [{ type: "Single", bits: "0000c03f" }, 4],
  [{ type: "Float", bits: "0000000000000440" }, 3],
  [{ type: "Date", day: 2_490_955, msec: 5 }, new Date(1000)],
  [{ type: "String", value: "a" }, "b"],
  [{ type: "Pointer", value: "7" }, 8],
  [{ type: "Array", class: "Short[]", value: [{ type: "Short", value: 1 }] }, [5, 6]],
  [{ type: "Array", class: "Float[]", value: [] }, [1, 2]],
  [{ type: "Array", class: "Byte[]", value: [] }, Buffer.of(1)],
  [{ type: "Array", class: "Variant[]", value: [{ type: "Integer", value: 1 }] }, [1, 2]],
  [{ type: "Array", class: "Integer[][]", value: [] }, [[1], [2, 3]]],
  [{ type: "Collection", value: [["a", { type: "Short", value: 1 }]] }, { a: 2 }],
];

describeGambas("values that Gambas sets", () => {
  beforeAll(async () => {
    house = await GambasHouse.open();
  });
  afterAll(() => house.close());

  it("reach JavaScript, whatever they are and however they are shared", async () => {
    await fc.assert(
      fc.asyncProperty(gambasEntries, async (entries) => {
        const image = house.readImage(await writtenByGambas(entries));
        const reader = new Reader();
        const expected = entries.map(([, json]) => reader.read(json));
        expect(shapeOf([...valuesIn(image).values()])).toEqual(shapeOf(expected));
      }),
      { numRuns: 60 },
    );
  });

  it("keep their bytes when JavaScript sets them again as it read them", async () => {
    await fc.assert(
      fc.asyncProperty(gambasEntries, async (entries) => {
        const image = house.readImage(await writtenByGambas(entries));
        // A null date reads as null, which when it is set would remove the key.
        const values = [...valuesIn(image)].filter(([, value]) => value !== null);
        const again = changed(image, new Map(values));
        expect(bodyOf(again)).toBe(bodyOf(image));
      }),
      { numRuns: 20 },
    );
  });

  it.each(sameTypeChanges)("keep their type when JavaScript changes them: %j", async (json, value) => {
    const id = await writtenByGambas([
      ["value", json],
      ["other", { type: "Integer", value: 1 }],
    ]);
    const image = changed(house.readImage(id), new Map([["value", value]]));
    const type = json.type === "Array" ? json.class : json.type;
    if (value !== null) expect(typeOf(image, layoutOf(image), "value")).toBe(type);
    house.writeSession(id, fileOfImage(image));
    const [, after] = await readByGambas(id);
    expect(valuesIn(house.readImage(id)).get("value")).toEqual(value ?? undefined);
    expect(after).toEqual(["other", { type: "Integer", value: 1 }]);
  });

  it("stay one object when a key before them changes and the numbers move", async () => {
    const shared: TypedJson = { type: "Collection", value: [["x", { type: "Integer", value: 1 }]] };
    const id = await writtenByGambas([
      ["first", { type: "Integer", value: 0 }],
      ["one", shared],
      ["two", { type: "Ref", id: 2 }],
    ]);
    house.writeImage(
      id,
      changed(
        house.readImage(id),
        new Map<string, unknown>([
          ["first", [[1], {}, [2]]],
          ["last", { y: [3] }],
        ]),
      ),
    );
    const answers = await house.oracle(
      [
        ["same", "one", "two"],
        ["poke", "one", "x", { type: "Integer", value: 2 }],
        ["get", "two"],
      ],
      {
        cookie: id,
      },
    );
    expect(answers[0]?.value).toBe(true);
    expect(answers[2]?.value).toEqual({ type: "Collection", value: [["x", { type: "Integer", value: 2 }]] });
    const values = valuesIn(house.readImage(id));
    expect(values.get("one")).toBe(values.get("two"));
    expect(values.get("last")).toEqual({ y: [3] });
  });
});
