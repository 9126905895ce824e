// What the promises say about values, written down a second time and apart from the codec: which Gambas value each JavaScript
// value becomes, and how each Gambas value reads. Interop tests hold the codec and the real Gambas against it.
import { isUtf8 } from "node:buffer";
import { TypedValue } from "../../../protocol/value/kind.ts";
import type { TypedEntry, TypedJson, TypedKey } from "./typed-json.ts";

const dayMs = 86_400_000;
const epochDay = 2_472_692;

/** What a value is, with every repeated object replaced by its number: equal trees mean equal values, equally shared. */
export function shapeOf(values: readonly unknown[]): unknown {
  const numbers = new Map<object, number>();
  return values.map((value) => shapeWith(value, numbers));
}

function shapeWith(value: unknown, numbers: Map<object, number>): unknown {
  if (typeof value !== "object" || value === null)
    return Object.is(value, -0) ? "-0" : { [typeof value]: String(value) };
  if (value instanceof Date) return { date: value.getTime() };
  const known = numbers.get(value);
  if (known !== undefined) return { same: known };
  // A Buffer that stands for a string is no object in Gambas, and as good as a number: it is told by its bytes.
  if (Buffer.isBuffer(value)) return { bytes: value.toString("hex") };
  numbers.set(value, numbers.size);
  if (Array.isArray(value)) return value.map((item) => shapeWith(item, numbers));
  return { members: Object.entries(value).map(([key, item]) => [key, shapeWith(item, numbers)]) };
}

/** How the values of a session, given as typed JSON, read in JavaScript. */
export class Reader {
  readonly #objects: unknown[] = [undefined, undefined];

  read(json: TypedJson): unknown {
    switch (json.type) {
      case "Null":
        return null;
      case "Boolean":
      case "Byte":
      case "Short":
      case "Integer":
        return json.value;
      case "Long":
      case "Pointer":
        return Number.isSafeInteger(Number(json.value)) ? Number(json.value) : BigInt(json.value);
      case "Single":
        return Buffer.from(json.bits, "hex").readFloatLE();
      case "Float":
        return Buffer.from(json.bits, "hex").readDoubleLE();
      case "Date":
        return json.day === 0 && json.msec === 0 ? null : new Date((json.day - epochDay) * dayMs + json.msec);
      case "String":
        return "hex" in json ? Buffer.from(json.hex, "hex") : json.value.repeat(json.repeat ?? 1);
      case "Array":
        return json.class === "Byte[]" ? this.#readBytes(json.value) : this.#readList(json.value);
      case "Collection":
        return this.#readMembers(json.value);
      case "Ref":
        return this.#objects[json.id];
    }
  }

  #readBytes(items: readonly TypedJson[]): Buffer {
    const bytes = Buffer.from(items.map((item) => (item.type === "Byte" ? item.value : 0)));
    this.#objects.push(bytes);
    return bytes;
  }

  #readList(items: readonly TypedJson[]): unknown[] {
    const list: unknown[] = [];
    this.#objects.push(list);
    for (const item of items) list.push(this.read(item));
    return list;
  }

  #readMembers(pairs: readonly TypedEntry[]): object {
    const members: Record<string, unknown> = {};
    this.#objects.push(members);
    for (const [key, item] of pairs) {
      const value = this.read(item);
      Object.defineProperty(members, readKey(key), { value, writable: true, enumerable: true, configurable: true });
    }
    return members;
  }
}

/** Keys that are not UTF-8 are not among the promises; only their bytes are, so tests use one invalid byte at a time. */
function readKey(key: TypedKey): string {
  if (typeof key === "string") return key;
  return Array.from(Buffer.from(key.hex, "hex"), (byte) =>
    String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte),
  ).join("");
}

export function typedString(bytes: Uint8Array): TypedJson {
  const buffer = Buffer.from(bytes);
  return isUtf8(buffer)
    ? { type: "String", value: buffer.toString() }
    : { type: "String", hex: buffer.toString("hex") };
}

export function typedFloat(value: number): TypedJson {
  const bits = Buffer.alloc(8);
  bits.writeDoubleLE(value);
  return { type: "Float", bits: bits.toString("hex") };
}

export function typedSingle(value: number): TypedJson {
  const bits = Buffer.alloc(4);
  bits.writeFloatLE(value);
  return { type: "Single", bits: bits.toString("hex") };
}

export function typedDate(date: Date | null): TypedJson {
  if (date === null) return { type: "Date", day: 0, msec: 0 };
  const day = Math.floor(date.getTime() / dayMs);
  return { type: "Date", day: day + epochDay, msec: date.getTime() - day * dayMs };
}

export function typedLong(value: number | bigint): TypedJson {
  return { type: "Long", value: String(value) };
}

/** What the JavaScript values of one session become, written in the order of their keys. */
export class Writer {
  readonly #numbers = new Map<object, number>();

  write(value: unknown): TypedJson {
    switch (typeof value) {
      case "boolean":
        return { type: "Boolean", value };
      case "number":
        return typedNumber(value);
      case "bigint":
        return typedLong(value);
      case "string":
        return { type: "String", value };
      default:
        return typeof value === "object" && value !== null ? this.#writeObject(value) : { type: "Null" };
    }
  }

  #writeObject(value: object): TypedJson {
    if (value instanceof TypedValue) return this.#writeAs(value.type, value.value);
    if (value instanceof Date) return typedDate(value);
    if (value instanceof Map) return this.#collection(value, [...value]);
    const numeric = numericClasses.get(value.constructor);
    if (numeric !== undefined) return this.#array(numeric, value, Array.from(value as Iterable<unknown>));
    if (Array.isArray(value)) return this.#array(classOfList(value), value, value);
    return this.#collection(value, Object.entries(value));
  }

  #writeAs(type: string, value: unknown): TypedJson {
    if (type.endsWith("[]")) {
      return value === null
        ? { type: "Null" }
        : this.#array(type, value as object, Array.from(value as Iterable<unknown>));
    }
    switch (type) {
      case "Byte":
      case "Short":
      case "Integer":
        return { type, value: Number(value) };
      case "Long":
      case "Pointer":
        return { type, value: String(value) };
      case "Single":
        return typedSingle(Number(value));
      case "Float":
        return typedFloat(Number(value));
      case "Date":
        return typedDate(value as Date | null);
      case "String":
        return typedString(value instanceof Uint8Array ? value : Buffer.from(String(value)));
      default:
        return this.write(value);
    }
  }

  #array(name: string, identity: object, items: readonly unknown[]): TypedJson {
    const known = this.#numbers.get(identity);
    if (known !== undefined) return { type: "Ref", id: known };
    this.#numbers.set(identity, this.#numbers.size + 2);
    return { type: "Array", class: name, value: items.map((item) => this.#element(name.slice(0, -2), item)) };
  }

  #element(type: string, item: unknown): TypedJson {
    if (item instanceof TypedValue) return this.write(item);
    return type === "Variant" || type === "Object" || type === "Collection"
      ? this.write(item)
      : this.#writeAs(type, item);
  }

  #collection(identity: object, pairs: readonly [string, unknown][]): TypedJson {
    const known = this.#numbers.get(identity);
    if (known !== undefined) return { type: "Ref", id: known };
    this.#numbers.set(identity, this.#numbers.size + 2);
    const written = pairs.filter(([, item]) => !isNothing(item)).map(([key, item]) => [key, this.write(item)] as const);
    return { type: "Collection", value: written };
  }
}

const numericClasses = new Map<unknown, string>([
  [Buffer, "Byte[]"],
  [Uint8Array, "Byte[]"],
  [Int16Array, "Short[]"],
  [Int32Array, "Integer[]"],
  [BigInt64Array, "Long[]"],
  [Float32Array, "Single[]"],
  [Float64Array, "Float[]"],
]);

/** What a Collection of Gambas does not hold: assigning it to a key removes the key. */
export function isNothing(value: unknown): boolean {
  const plain = value instanceof TypedValue && value.type === "String" ? value.value : value;
  return (
    plain === undefined ||
    plain === null ||
    plain === "" ||
    (plain instanceof Uint8Array && plain !== value && plain.length === 0)
  );
}

function typedNumber(value: number): TypedJson {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return typedFloat(value);
  return value === (value | 0) ? { type: "Integer", value } : typedLong(value);
}

/** All of one scalar type, or Variant[]. */
function classOfList(list: readonly unknown[]): string {
  const [only, ...others] = new Set(list.map((item) => scalarTypeOf(item)));
  if (only === undefined) return "Variant[]";
  if (others.length === 0) return `${only}[]`;
  const types = [only, ...others];
  if (types.every((type) => type === "Integer" || type === "Long")) return "Long[]";
  const areNumbers = list.every((item) => typeof item === "number");
  return areNumbers ? "Float[]" : "Variant[]";
}

function scalarTypeOf(item: unknown): string {
  if (item instanceof Date) return "Date";
  if (typeof item === "object" || item === undefined) return "Variant";
  const { type } = new Writer().write(item);
  return type;
}
