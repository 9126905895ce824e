// The JavaScript objects that a session can hold, and their members. Objects are told apart by prototype and, where a prototype can lie, by
// their internal slots, in the same way for objects of another realm (a vm context, a test runner's). An instance of a class is refused,
// since decoding would not give one. typed() forces a type, and the errors name the value that was refused. Knows no bytes.

import { SessionError } from "../errors.ts";
import { BASE_COLLECTION, classOfName, DIMENSION, nameOfClass, TAG } from "./format.ts";

/** The same in every copy of the package: a value of one may be stored by the session of another. */
const TYPED: unique symbol = Symbol.for("gambas-session.typed");

/** What `typed()` returns. It may stand alone or anywhere inside arrays and objects. */
export class TypedValue {
  /** The name as Gambas writes it. */
  readonly type: string;
  readonly value: unknown;
  /** The class as the codec writes it: a scalar's tag, a collection, or an array class. */
  readonly code: number;

  constructor(code: number, value: unknown) {
    this.type = nameOfClass(code);
    this.value = value;
    this.code = code;
  }

  get [TYPED](): true {
    return true;
  }
}

export function isTyped(value: unknown): value is TypedValue {
  return typeof value === "object" && value !== null && TYPED in value;
}

export const KIND = { NONE: 0, LIST: 1, PLAIN: 2, MAP: 3, BYTES: 4, NUMBERS: 5, DATE: 6, TYPED: 7 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

const NUMERIC_CLASSES = new Map<unknown, number>([
  ["Int16Array", DIMENSION + TAG.SHORT],
  ["Int32Array", DIMENSION + TAG.INTEGER],
  ["BigInt64Array", DIMENSION + TAG.LONG],
  ["Float32Array", DIMENSION + TAG.SINGLE],
  ["Float64Array", DIMENSION + TAG.FLOAT],
]);

/** The built-in objects of this realm that are no lists and no plain objects, by what they inherit from. */
const BUILT_INS = new Map<unknown, string>([
  [Buffer.prototype, "Uint8Array"],
  ...[Date, Map, Uint8Array, Int16Array, Int32Array, BigInt64Array, Float32Array, Float64Array].map(
    ({ name, prototype }): [unknown, string] => [prototype, name],
  ),
]);

const { getTime } = Date.prototype;
const sizeOfMap = getterOf(Map.prototype, "size");
/** What a typed array is, whatever it inherits from; undefined for everything else. */
const arrayTypeOf = getterOf(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag);

function getterOf(prototype: object, name: string | symbol): (value: object) => unknown {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
  return (value) => get?.call(value);
}

export function kindOf(value: object): Kind {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) return Array.isArray(prototype) ? KIND.LIST : KIND.NONE;
  if (prototype === Object.prototype || prototype === null) return KIND.PLAIN;
  if (TYPED in value) return KIND.TYPED;
  const name = BUILT_INS.get(prototype);
  if (name !== undefined) return builtInOf(value) === name ? kindOfBuiltIn(name) : KIND.NONE;
  return kindOfForeign(value, prototype as object);
}

/** An object that no session can hold as what it is: most often an instance of a class. */
export function isInstance(value: object): boolean {
  return kindOf(value) === KIND.NONE;
}

/** The name of the built-in class whose internal slots the object has; "" for none. */
function builtInOf(value: object): string {
  const type = arrayTypeOf(value);
  if (typeof type === "string") return type;
  return hasInside(getTime, value) ? "Date" : hasInside(sizeOfMap, value) ? "Map" : "";
}

/** Whether the object has the internal slot that this method of a built-in class reads: for any other object it throws a TypeError. */
function hasInside(method: (value: object) => unknown, value: object): boolean {
  try {
    method.call(value, value);
    return true;
  } catch {
    return false;
  }
}

function kindOfBuiltIn(name: string): Kind {
  switch (name) {
    case "Date":
      return KIND.DATE;
    case "Map":
      return KIND.MAP;
    case "Uint8Array":
      return KIND.BYTES;
    default:
      return NUMERIC_CLASSES.has(name) ? KIND.NUMBERS : KIND.NONE;
  }
}

/** An object of another realm counts if its class is the built-in one there: of that name, and as near to the end of the chain. */
function kindOfForeign(value: object, prototype: object): Kind {
  if (isObjectPrototype(prototype)) return KIND.PLAIN;
  const name = builtInOf(value);
  const kind = kindOfBuiltIn(name);
  if (kind === KIND.NONE || nameOfClassOf(prototype) !== name) return KIND.NONE;
  const base: object | null = Object.getPrototypeOf(prototype);
  const root: unknown = kind === KIND.DATE || kind === KIND.MAP || base === null ? base : Object.getPrototypeOf(base);
  return isObjectPrototype(root) ? kind : KIND.NONE;
}

/** Whether this is the Object.prototype of a realm: it ends the chain and has the methods of one. */
function isObjectPrototype(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.getPrototypeOf(value) === null && Object.hasOwn(value, "isPrototypeOf");
}

function nameOfClassOf(prototype: object): string {
  const maker: unknown = prototype.constructor;
  return typeof maker === "function" ? maker.name : "";
}

/** The array class of an Int16Array, Int32Array, BigInt64Array, Float32Array or Float64Array. */
export function numericClassOf(value: object): number {
  return NUMERIC_CLASSES.get(arrayTypeOf(value)) ?? 0;
}

/** A Date, of any realm. */
export function isDate(value: unknown): value is Date {
  return typeof value === "object" && value !== null && kindOf(value) === KIND.DATE;
}

/** A Buffer or Uint8Array, of any realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return typeof value === "object" && value !== null && kindOf(value) === KIND.BYTES;
}

/** Whether a decoded value can be changed in place, so that the handle must compare it again at the end. */
export function isGambasObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Describes a value in the message that refuses it. */
export function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value === "symbol" ? "a symbol" : `a ${typeof value}`;
  const name = nameOfClassOf(value);
  if (BUILT_INS.has(Object.getPrototypeOf(value))) return `an object that only looks like an instance of ${name}`;
  return name === "" ? "an instance of a class" : `an instance of ${name}`;
}

/** @param options with a remedy where the general one does not help. */
export function badValue(path: string, problem: string, options?: { readonly remedy: string }): SessionError {
  return new SessionError("ERR_BAD_VALUE", `${path} cannot be stored: it is ${problem}.`, options);
}

/** The error for a value that the type that was asked for does not hold. */
export function misfit(path: string, type: string): SessionError {
  const named = `${/^[AEIO]/i.test(type) ? "an" : "a"} ${type}`;
  const remedy = `Give typed() a value that ${named} holds exactly, or the name of a type that holds this one.`;
  return badValue(path, `not what ${named} can hold exactly`, { remedy });
}

export type Segment = string | number;

const SHOWN_SEGMENTS = 12;

/** The path of a bad value as a program would write it: `cart.items[3]["first name"]`; of a very long one the beginning and the end. */
export function pathText(root: string, segments: readonly Segment[]): string {
  if (segments.length <= SHOWN_SEGMENTS) return root + segments.map(segmentText).join("");
  const half = SHOWN_SEGMENTS / 2;
  return `${root}${segments.slice(0, half).map(segmentText).join("")}…${segments.slice(-half).map(segmentText).join("")}`;
}

function segmentText(segment: Segment): string {
  if (typeof segment === "number") return `[${segment}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
}

const PLAIN_TYPES = new Map<string, number>([
  ["boolean", TAG.BOOLEAN],
  ["byte", TAG.BYTE],
  ["short", TAG.SHORT],
  ["integer", TAG.INTEGER],
  ["long", TAG.LONG],
  ["single", TAG.SINGLE],
  ["float", TAG.FLOAT],
  ["date", TAG.DATE],
  ["string", TAG.STRING],
  ["pointer", TAG.POINTER],
  ["collection", BASE_COLLECTION],
]);

const TYPES_REMEDY =
  "Types are Boolean, Byte, Short, Integer, Long, Single, Float, Date, String, Pointer, Collection, and arrays as Integer[], Variant[] and Object[].";

/**
 * Forces a Gambas type: `typed("Float", 3)`, `typed("Short[]", [1, 2])`, `typed("String", bytes)`, `typed("Date", null)`.
 *
 * Types: Boolean, Byte, Short, Integer, Long, Single, Float, Date, String, Pointer, Collection, and arrays of these, of Variant
 * and of Object, to any depth (`Integer[][]`). Names are not case-sensitive.
 *
 * The value must be held exactly, or storing it throws ERR_BAD_VALUE; only Single takes any number, and stores the nearest one it
 * can, since that is what asking for a Single means. An unknown name throws ERR_BAD_VALUE at once.
 */
export function typed(type: string, value: unknown): TypedValue {
  const name = String(type);
  const code = PLAIN_TYPES.get(name.toLowerCase()) ?? classOfName(name);
  if (code === 0) {
    const what = `${JSON.stringify(name)} is not a Gambas type that can be stored.`;
    throw new SessionError("ERR_BAD_VALUE", what, { remedy: TYPES_REMEDY });
  }
  return new TypedValue(code, value);
}

interface ReadMembers {
  keys: string[];
  values: unknown[];
  /** Decoding gives an object of the same shape. */
  isCanonical: boolean;
  /** Why the object cannot be stored. */
  problem?: string;
}

export function readMap(map: ReadonlyMap<unknown, unknown>): ReadMembers {
  const read: ReadMembers = { keys: [], values: [], isCanonical: false };
  for (const [key, value] of map) {
    if (typeof key !== "string") read.problem = "a Map with a key that is not a string";
    else if (value !== undefined) addMember(read, key, value);
  }
  return read;
}

/** Every member is read once, as JSON does: it may be an accessor. Members that are undefined are left out. */
export function readPlain(object: object): ReadMembers {
  const read: ReadMembers = { keys: [], values: [], isCanonical: Object.getPrototypeOf(object) !== null };
  for (const symbol of Object.getOwnPropertySymbols(object)) {
    if (!Object.prototype.propertyIsEnumerable.call(object, symbol)) continue;
    read.problem = `an object with the symbol ${String(symbol)} as a key`;
    return read;
  }
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[key];
    if (value === undefined) read.isCanonical = false;
    else addMember(read, key, value);
  }
  return read;
}

function addMember(read: ReadMembers, key: string, value: unknown): void {
  read.keys.push(key);
  read.values.push(value);
}

/**
 * Puts the keys that are still there into their stored order and the new ones behind them: an object moves keys that look like
 * indexes to the front by itself. Does nothing when the keys were put in another order on purpose.
 */
export function putInStoredOrder(read: ReadMembers, stored: readonly string[]): void {
  const { keys, values } = read;
  if (isSameOrder(stored, keys)) return;
  const indexes = new Map(keys.map((key, index) => [key, index]));
  const kept = [...new Set(stored)].filter((key) => indexes.has(key));
  const keptKeys = new Set(kept);
  const shown = keys.filter((key) => keptKeys.has(key));
  if (!isSameOrder(orderOf(kept), orderOf(shown))) return;
  read.keys = kept.concat(keys.filter((key) => !keptKeys.has(key)));
  read.values = read.keys.map((key) => values[indexes.get(key) as number]);
}

/** The order in which an object shows keys that were set in this one: those that look like indexes come first. */
export function orderOf(keys: readonly string[]): readonly string[] {
  const shown: Record<string, true> = Object.create(null) as Record<string, true>;
  for (const key of keys) shown[key] = true;
  return Object.keys(shown);
}

export function isSameOrder(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((key, index) => key === right[index]);
}
