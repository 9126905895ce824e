// Which JavaScript objects a session can hold, told apart by prototype and, where that can lie, by what they are inside: the same for those
// of another realm (a vm context, a test runner's). A class instance is none of them: it would not come back.

import { DIMENSION, TAG } from "./format.ts";
import { TypedValue } from "./typed.ts";

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
  if (value instanceof TypedValue) return KIND.TYPED;
  const name = BUILT_INS.get(prototype);
  if (name !== undefined) return builtInOf(value) === name ? kindOfBuiltIn(name) : KIND.NONE;
  return kindOfForeign(value, prototype as object);
}

/** The name of the built-in object that it is inside; "" for none. */
function builtInOf(value: object): string {
  const type = arrayTypeOf(value);
  if (typeof type === "string") return type;
  return hasInside(getTime, value) ? "Date" : hasInside(sizeOfMap, value) ? "Map" : "";
}

/** Whether it has what this method of a built-in class needs: they throw a TypeError, and nothing else, at whatever is no instance. */
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

/** Of another realm its class must be the built-in one: as near to the end of the chain, and of its name. */
function kindOfForeign(value: object, prototype: object): Kind {
  if (isObjectPrototype(prototype)) return KIND.PLAIN;
  const name = builtInOf(value);
  const kind = kindOfBuiltIn(name);
  if (kind === KIND.NONE || nameOfClassOf(prototype) !== name) return KIND.NONE;
  const base: object | null = Object.getPrototypeOf(prototype);
  const root: unknown = kind === KIND.DATE || kind === KIND.MAP || base === null ? base : Object.getPrototypeOf(base);
  return isObjectPrototype(root) ? kind : KIND.NONE;
}

/** The Object.prototype of a realm: the end of a chain that has the methods of one. */
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

/** Whether a decoded value can be changed in place, so that whoever handed it out has to look at it again. */
export function isGambasObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** What a value is, for the message that refuses it. */
export function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value === "symbol" ? "a symbol" : `a ${typeof value}`;
  const name = nameOfClassOf(value);
  if (BUILT_INS.has(Object.getPrototypeOf(value))) return `an object that only looks like an instance of ${name}`;
  return name === "" ? "an instance of a class" : `an instance of ${name}`;
}
