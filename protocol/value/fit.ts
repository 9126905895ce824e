// Which array class a JavaScript array becomes: the one that fits its elements, or a given one if all elements fit it.

import { BASE_COLLECTION, BASE_OBJECT, CLASS_BYTES, CLASS_VARIANTS, DIMENSION, TAG } from "./format.ts";
import { isBytes, isDate, KIND, kindOf, numericClassOf, TypedValue } from "./kind.ts";
import { isUtf8 } from "./text.ts";

const MIN_LONG = -(2n ** 63n);
const MAX_LONG = 2n ** 63n - 1n;

export function isInt32(value: number): boolean {
  return (value | 0) === value && !Object.is(value, -0);
}

function isLongNumber(value: number): boolean {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

export function isLongBigint(value: bigint): boolean {
  return value >= MIN_LONG && value <= MAX_LONG;
}

/** The class of an array that was never stored: that of its elements if they are scalars of one type, else Variant[]. */
export function classOfList(list: readonly unknown[]): number {
  const first = list[0];
  switch (typeof first) {
    case "number":
    case "bigint":
      return classOfNumbers(list);
    case "boolean":
      return classIfAll(list, TAG.BOOLEAN);
    case "string":
      return classIfAll(list, TAG.STRING);
    default:
      return isDate(first) ? classIfAll(list, TAG.DATE) : CLASS_VARIANTS;
  }
}

function classIfAll(list: readonly unknown[], base: number): number {
  const wanted = typeof list[0];
  // A hole is undefined here, so it makes the array a Variant[], as null does.
  for (const value of list) {
    if (typeof value !== wanted || (base === TAG.DATE && !fitsScalar(base, value ?? undefined, false)))
      return CLASS_VARIANTS;
  }
  return DIMENSION + base;
}

function classOfNumbers(list: readonly unknown[]): number {
  let isFloat = false;
  let isLong = false;
  let hasBigint = false;
  for (const value of list) {
    if (typeof value === "number") {
      if (isInt32(value)) continue;
      if (isLongNumber(value)) isLong = true;
      else isFloat = true;
    } else if (typeof value === "bigint" && isLongBigint(value)) hasBigint = true;
    else return CLASS_VARIANTS;
  }
  if (isFloat) return hasBigint ? CLASS_VARIANTS : DIMENSION + TAG.FLOAT;
  return DIMENSION + (isLong || hasBigint ? TAG.LONG : TAG.INTEGER);
}

/**
 * Whether a scalar of type `base` holds exactly `value`. A type that typed() forces also takes values that read back as another one of the
 * same meaning: a bigint in an Integer, UTF-8 bytes in a String, and any number in a Single.
 */
export function fitsScalar(base: number, value: unknown, isForced: boolean): boolean {
  if (typeof value === "number") return fitsNumber(base, value, isForced);
  if (typeof value === "bigint") return fitsBigint(base, value, isForced);
  switch (base) {
    case TAG.BOOLEAN:
      return typeof value === "boolean";
    case TAG.DATE:
      return value === null || isDate(value);
    case TAG.STRING:
      return typeof value === "string" || (isBytes(value) && (isForced || !isUtf8(value)));
    default:
      return false;
  }
}

function fitsNumber(base: number, value: number, isForced: boolean): boolean {
  switch (base) {
    case TAG.BYTE:
      return isInt32(value) && value >= 0 && value <= 0xff;
    case TAG.SHORT:
      return isInt32(value) && value >= -0x8000 && value <= 0x7fff;
    case TAG.INTEGER:
      return isInt32(value);
    case TAG.LONG:
    case TAG.POINTER:
      return isLongNumber(value);
    case TAG.SINGLE:
      return isForced || Object.is(Math.fround(value), value);
    default:
      return base === TAG.FLOAT;
  }
}

function fitsBigint(base: number, value: bigint, isForced: boolean): boolean {
  if (base === TAG.LONG || base === TAG.POINTER) return isLongBigint(value);
  return isForced && BigInt(Number(value)) === value && fitsNumber(base, Number(value), false);
}

/** How the elements of an array are to be looked at. */
export interface Fitting {
  readonly isForced: boolean;
  /** The class an object has got already; it can have one only. */
  readonly classOf: (object: object) => number | undefined;
  /** Called when all elements fit, for the array and each array inside it: the encoder may meet one of them elsewhere first. */
  readonly reserve: (object: object, code: number) => void;
}

/** Where the first element is that does not fit class `code`, as the end of a path (`[3]`), or undefined when all of them fit. */
export function misfitOf(list: ArrayLike<unknown>, code: number, fitting: Fitting): string | undefined {
  const fitter = new Fitter(fitting);
  const misfit = fitter.list(list, code);
  if (misfit === undefined) for (const [inner, planned] of fitter.planned) fitting.reserve(inner, planned);
  return misfit;
}

class Fitter {
  /** What each array would become if all fit. */
  readonly planned = new Map<object, number>();
  readonly #fitting: Fitting;

  constructor(fitting: Fitting) {
    this.#fitting = fitting;
  }

  list(list: ArrayLike<unknown>, code: number): string | undefined {
    this.planned.set(list, code);
    if (code === CLASS_VARIANTS) return undefined;
    for (let index = 0; index < list.length; index++) {
      const misfit = this.#element(list[index] ?? null, code - DIMENSION);
      if (misfit !== undefined) return `[${index}]${misfit}`;
    }
    return undefined;
  }

  #element(value: unknown, code: number): string | undefined {
    const { isForced } = this.#fitting;
    if (code < BASE_COLLECTION && code !== TAG.VARIANT) {
      const plain = value instanceof TypedValue && value.code === code ? value.value : value;
      return fitsScalar(code, plain, isForced || plain !== value) ? undefined : "";
    }
    if (value === null) return undefined;
    if (typeof value !== "object") return "";
    if (value instanceof TypedValue) return this.#typed(value, code);
    const kind = kindOf(value);
    if (code === BASE_OBJECT) return kind >= KIND.LIST && kind <= KIND.NUMBERS ? undefined : "";
    if (code === BASE_COLLECTION) return kind === KIND.PLAIN || kind === KIND.MAP ? undefined : "";
    return this.#inner(value, code);
  }

  #typed(typed: TypedValue, code: number): string | undefined {
    const isObject = typed.code === BASE_COLLECTION || typed.code >= DIMENSION;
    return isObject && (code === BASE_OBJECT || code === typed.code) ? undefined : "";
  }

  #inner(value: object, code: number): string | undefined {
    const known = this.#fitting.classOf(value) ?? this.planned.get(value);
    if (known !== undefined) return known === code ? undefined : "";
    switch (kindOf(value)) {
      case KIND.LIST:
        // A plain array would come back as a Buffer.
        return code === CLASS_BYTES && !this.#fitting.isForced ? "" : this.list(value as unknown[], code);
      case KIND.BYTES:
        return code === CLASS_BYTES ? undefined : "";
      case KIND.NUMBERS:
        return code === numericClassOf(value) ? undefined : "";
      default:
        return "";
    }
  }
}
