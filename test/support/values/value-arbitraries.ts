// Random values, of JavaScript and of Gambas, of every kind a session can hold.
import fc from "fast-check";
import { typed } from "../../../protocol/value/kind.ts";
import type { TypedEntry, TypedJson, TypedKey } from "./typed-json.ts";
import { isNothing, typedString } from "./typed-model.ts";

const minLong = -(2n ** 63n);
const maxLong = 2n ** 63n - 1n;
const epochDay = 2_472_692;

const text = fc.oneof(fc.string({ unit: "binary", maxLength: 12 }), fc.string({ maxLength: 200 }));
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const long = fc.bigInt({ min: minLong, max: maxLong });
const date = fc.date({ noInvalidDate: true });

// ---- JavaScript

/** By Gambas type: values that type holds exactly, or for Single nearly. */
const valuesOfType: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  Boolean: fc.boolean(),
  Byte: fc.integer({ min: 0, max: 255 }),
  Short: fc.integer({ min: -0x8000, max: 0x7fff }),
  Integer: fc.integer(),
  Long: fc.oneof(long, fc.maxSafeInteger()),
  Single: fc.double(),
  Float: fc.double(),
  Date: fc.option(date),
  String: fc.oneof(text, bytes),
  Pointer: fc.oneof(long, fc.maxSafeInteger()),
};

const someScalarType = fc.constantFrom(...Object.keys(valuesOfType));

function valuesOf(type: string): fc.Arbitrary<unknown> {
  const values = valuesOfType[type];
  if (values === undefined) throw new Error(`no values of ${type}`);
  return values;
}

const typedScalar = someScalarType.chain((type) => valuesOf(type).map((value) => typed(type, value)));

const typedArray = someScalarType.chain((type) => fc.array(valuesOf(type)).map((list) => typed(`${type}[]`, list)));

const typedNestedArray = someScalarType.chain((type) =>
  fc.array(fc.option(fc.array(valuesOf(type)))).map((lists) => typed(`${type}[][]`, lists)),
);

const leaf = fc.oneof(
  ...[fc.boolean(), fc.integer(), fc.maxSafeInteger(), fc.double(), long, text, date, bytes],
  ...[fc.int16Array(), fc.int32Array(), fc.bigInt64Array(), fc.float32Array(), fc.float64Array()],
  ...[
    fc.array(fc.boolean()),
    fc.array(fc.integer()),
    fc.array(fc.double()),
    fc.array(text),
    fc.array(date),
    fc.array(long),
  ],
  ...[fc.array(fc.maxSafeInteger()), typedScalar, typedArray, typedNestedArray],
);

export const key: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
  fc.constantFrom("__proto__", "constructor", "0", "17", "toString", "é"),
);

function isSomething(value: unknown): boolean {
  return !isNothing(value);
}

const tree = fc.letrec<{ value: unknown; list: unknown; members: unknown }>((tie) => ({
  value: fc.oneof({ depthSize: "small", withCrossShrink: true }, leaf, tie("list"), tie("members")),
  list: fc.oneof(
    fc.array(fc.option(tie("value"))),
    fc.array(tie("value"), { maxLength: 4 }).map((list) => typed("Variant[]", list)),
    fc.array(fc.option(fc.oneof(tie("list"), tie("members"))), { maxLength: 4 }).map((list) => typed("Object[]", list)),
    fc.array(fc.option(tie("members")), { maxLength: 4 }).map((list) => typed("Collection[]", list)),
  ),
  members: fc.oneof(
    fc.dictionary(key, tie("value").filter(isSomething), { maxKeys: 6 }),
    fc
      .dictionary(key, tie("value").filter(isSomething), { maxKeys: 6 })
      .map((members) => new Map(Object.entries(members))),
  ),
}));

/** Anything that can be set and is there afterwards. */
export const javaScriptValue: fc.Arbitrary<unknown> = tree.value.filter(isSomething);

/** Containers that hold each other and themselves, in any way. */
export const javaScriptGraph: fc.Arbitrary<unknown> = fc
  .array(fc.tuple(fc.boolean(), fc.array(fc.tuple(fc.nat(), leaf.filter(isSomething)), { maxLength: 5 })), {
    minLength: 1,
    maxLength: 6,
  })
  .map((plans) => {
    const nodes = plans.map(([isList]): unknown[] | Record<string, unknown> => (isList ? [null] : {}));
    for (const [index, [, edges]] of plans.entries()) connect(nodes[index], edges, nodes);
    return nodes[0];
  });

function connect(node: unknown, edges: readonly [number, unknown][], nodes: readonly unknown[]): void {
  for (const [index, [pick, value]] of edges.entries()) {
    const target = pick % 3 === 0 ? value : nodes[pick % nodes.length];
    if (Array.isArray(node)) node.push(target);
    else if (typeof node === "object" && node !== null) Object.assign(node, { [`k${index}`]: target });
  }
}

// ---- Gambas

function hexOf(size: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: size, maxLength: size }).map((array) => Buffer.from(array).toString("hex"));
}

const gambasString = fc
  .oneof(
    text.map((value) => Buffer.from(value)),
    bytes,
  )
  .map(typedString);

/** Days within what a JavaScript Date can hold; the time of day may be beyond its day, as Gambas keeps such pairs. */
const gambasDate = fc.record({
  type: fc.constant("Date" as const),
  day: fc.integer({ min: epochDay - 99_000_000, max: epochDay + 99_000_000 }),
  msec: fc.oneof(fc.integer({ min: 0, max: 86_399_999 }), fc.integer()),
});

const gambasScalars: Readonly<Record<string, fc.Arbitrary<TypedJson>>> = {
  Boolean: fc.boolean().map((value) => ({ type: "Boolean", value })),
  Byte: fc.integer({ min: 0, max: 255 }).map((value) => ({ type: "Byte", value })),
  Short: fc.integer({ min: -0x8000, max: 0x7fff }).map((value) => ({ type: "Short", value })),
  Integer: fc.integer().map((value) => ({ type: "Integer", value })),
  Long: long.map((value) => ({ type: "Long", value: String(value) })),
  Single: hexOf(4).map((bits) => ({ type: "Single", bits })),
  Float: hexOf(8).map((bits) => ({ type: "Float", bits })),
  Date: gambasDate,
  String: gambasString,
  Pointer: long.map((value) => ({ type: "Pointer", value: String(value) })),
};

const gambasScalar = fc.oneof(...Object.values(gambasScalars));

/** Bytes that are never part of UTF-8, among ASCII. */
const gambasKey: fc.Arbitrary<TypedKey> = fc.oneof(
  key,
  fc.uint8Array({ maxLength: 4 }).map((array) => {
    const bytes = Array.from(array, (byte) => (byte < 0x80 ? byte : byte | 0xf8));
    return { hex: Buffer.from([0xff, ...bytes]).toString("hex") };
  }),
);

function arrayOf(name: string, items: readonly TypedJson[]): TypedJson {
  return { type: "Array", class: name, value: items };
}

const nullValue: TypedJson = { type: "Null" };

const gambasScalarArray = fc
  .constantFrom(...Object.keys(gambasScalars))
  .chain((type) => fc.array(gambasScalars[type] ?? gambasScalar).map((items) => arrayOf(`${type}[]`, items)));

const gambasNestedArray = fc.constantFrom(...Object.keys(gambasScalars)).chain((type) =>
  fc.array(fc.option(fc.array(gambasScalars[type] ?? gambasScalar)), { maxLength: 4 }).map((lists) =>
    arrayOf(
      `${type}[][]`,
      lists.map((items) => (items === null ? nullValue : arrayOf(`${type}[]`, items))),
    ),
  ),
);

/** Stands for a reference; which object it means is decided when all are known. */
const share = fc.nat().map((pick): TypedJson => ({ type: "Ref", id: pick }));

const gambasTree = fc.letrec<{ value: TypedJson; object: TypedJson; members: TypedJson }>((tie) => ({
  value: fc.oneof({ depthSize: "small", withCrossShrink: true }, gambasScalar, gambasScalarArray, tie("object"), share),
  object: fc.oneof(
    gambasNestedArray,
    tie("members"),
    fc.array(fc.oneof(tie("value"), fc.constant(nullValue))).map((items) => arrayOf("Variant[]", items)),
    fc
      .array(fc.oneof(tie("object"), fc.constant(nullValue), share), { maxLength: 4 })
      .map((items) => arrayOf("Object[]", items)),
    fc
      .array(fc.oneof(tie("members"), fc.constant(nullValue)), { maxLength: 4 })
      .map((items) => arrayOf("Collection[]", items)),
  ),
  members: fc
    .uniqueArray(fc.tuple(gambasKey, tie("value")), { selector: ([name]) => JSON.stringify(name), maxLength: 5 })
    .map((pairs) => ({ type: "Collection", value: pairs.filter(([, item]) => !isEmptyString(item)) })),
}));

function isEmptyString(json: TypedJson): boolean {
  return json.type === "String" && "value" in json && json.value === "";
}

/** The entries of a session as a Gambas program can make them, references within and across keys included. */
export const gambasEntries: fc.Arbitrary<TypedEntry[]> = fc
  .uniqueArray(fc.tuple(gambasKey, gambasTree.value), {
    selector: ([name]) => JSON.stringify(name),
    minLength: 20,
    maxLength: 80,
  })
  .map((entries) => {
    const sharing = { objects: 0 };
    return entries
      .filter(([name, json]) => name !== "_" && !isEmptyString(json))
      .map(([name, json]) => [name, withReferences(json, sharing)] as const);
  });

/** Lets every reference mean one of the objects that have begun before it. */
function withReferences(json: TypedJson, sharing: { objects: number }): TypedJson {
  if (json.type === "Ref" && sharing.objects > 0) return { type: "Ref", id: 2 + (json.id % sharing.objects) };
  if (json.type === "Ref") return withReferences(arrayOf("Variant[]", []), sharing);
  if (json.type !== "Array" && json.type !== "Collection") return json;
  sharing.objects++;
  if (json.type === "Array") return { ...json, value: json.value.map((item) => withReferences(item, sharing)) };
  return { ...json, value: json.value.map(([name, item]) => [name, withReferences(item, sharing)] as const) };
}
