// Which JavaScript objects a session can hold, told apart by prototype. A class instance is none of them: it would not come back.

import { DIMENSION, TAG } from "./value-format.ts";
import { TypedValue } from "./value-typed.ts";

export const KIND = { NONE: 0, LIST: 1, PLAIN: 2, MAP: 3, BYTES: 4, NUMBERS: 5, DATE: 6, TYPED: 7 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

const NUMERIC_CLASSES = new Map<unknown, number>([
  [Int16Array.prototype, DIMENSION + TAG.SHORT],
  [Int32Array.prototype, DIMENSION + TAG.INTEGER],
  [BigInt64Array.prototype, DIMENSION + TAG.LONG],
  [Float32Array.prototype, DIMENSION + TAG.SINGLE],
  [Float64Array.prototype, DIMENSION + TAG.FLOAT],
]);

export function kindOf(value: object): Kind {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) return Array.isArray(prototype) ? KIND.LIST : KIND.NONE;
  if (prototype === Object.prototype || prototype === null) return KIND.PLAIN;
  if (prototype === Buffer.prototype || prototype === Uint8Array.prototype) return KIND.BYTES;
  if (prototype === Date.prototype) return KIND.DATE;
  if (prototype === Map.prototype) return KIND.MAP;
  if (NUMERIC_CLASSES.has(prototype)) return KIND.NUMBERS;
  if (value instanceof TypedValue) return KIND.TYPED;
  return isForeignPlain(prototype as object) ? KIND.PLAIN : KIND.NONE;
}

/** The Object.prototype of another realm: the end of a chain that has the methods of one. */
function isForeignPlain(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** The array class of an Int16Array, Int32Array, BigInt64Array, Float32Array or Float64Array. */
export function numericClassOf(value: object): number {
  return NUMERIC_CLASSES.get(Object.getPrototypeOf(value)) ?? 0;
}

/** Whether a decoded value can be changed in place, so that whoever handed it out has to look at it again. */
export function isGambasObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** What a value is, for the message that refuses it. */
export function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value === "symbol" ? "a symbol" : `a ${typeof value}`;
  const maker: unknown = value.constructor;
  const name = typeof maker === "function" ? maker.name : "";
  return name === "" ? "an instance of a class" : `an instance of ${name}`;
}
