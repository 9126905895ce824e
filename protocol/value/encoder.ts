// Writes one value that is an object. The Encoder keeps the type that is stored where that holds the new value exactly, and the very bytes
// of what did not change. A stack of its own stands in for recursion, so depth costs no stack frames. Knows nothing of keys or files.

import { isCode, type SessionError } from "../errors.ts";
import { classOfList, type Fitting, misfitOf } from "./fit.ts";
import {
  BASE_COLLECTION,
  CLASS_BYTES,
  CLASS_OBJECTS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  lengthBytes,
  MAX_DEPTH,
  nameOfClass,
  readLength,
  TAG,
} from "./format.ts";
import {
  badValue,
  describe,
  isBytes,
  isSameOrder,
  isTyped,
  KIND,
  type Kind,
  kindOf,
  misfit,
  numericClassOf,
  pathText,
  putInStoredOrder,
  readMap,
  readPlain,
  type Segment,
  type TypedValue,
} from "./kind.ts";
import { Members, type Origin, type Origins } from "./origins.ts";
import { kindOfContext, type Output, writeArrayHeader, writeKey } from "./output.ts";
import { isSameFixed, isSameScalar, isSameText, tagFor, writePayload, writeScalar } from "./scalar.ts";
import { IN_OBJECTS, IN_VARIANT } from "./scan.ts";
import { isLongKey, isUtf8 } from "./text.ts";

/** How an object is written: which class may stand there, and what its members were. */
interface Form {
  readonly code: number;
  readonly context: number;
  readonly members: Members | undefined;
  /** The number of the stored object the members belong to. */
  readonly number: number;
  /** The members are those of this very object, not those of the object that it replaces. */
  readonly isOwn: boolean;
}

/** A container that is being written, and which of its members is next. A stack of these stands in for recursion. */
interface Level {
  readonly keys: readonly string[] | undefined;
  readonly values: ArrayLike<unknown>;
  readonly layout: number;
  readonly members: Members | undefined;
  next: number;
}

export class Encoder {
  readonly objects: object[] = [];
  isCanonical = true;
  readonly #out: Output;
  readonly #root: string;
  readonly #origins: Origins | undefined;
  readonly #levels: Level[] = [];
  readonly #numbers = new Map<object, number>();
  readonly #codes: number[] = [];
  /** Classes of arrays that are elements of a typed array and not written yet. */
  readonly #reserved = new Map<object, number>();
  #dates: Set<object> | undefined;

  constructor(out: Output, root: string, origins: Origins | undefined) {
    this.#out = out;
    this.#root = root;
    this.#origins = origins;
  }

  encode(value: object, origin: Origin | undefined): void {
    const levels = this.#levels;
    this.#variant(value, origin);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      if (level.next === level.values.length) levels.pop();
      else if (level.keys === undefined) this.#element(level);
      else this.#entry(level, level.keys);
    }
  }

  #bad(problem: string): SessionError {
    return badValue(this.#place, problem);
  }

  /** Of the value that is being encoded. */
  get #place(): string {
    const path = this.#levels.map(({ keys, next }): Segment => keys?.[next - 1] ?? next - 1);
    return pathText(this.#root, path);
  }

  /** A value with its tag, as a key, a Variant[] or a collection holds it. */
  #variant(value: unknown, origin: Origin | undefined): void {
    if (typeof value === "object" && value !== null) {
      const kind = kindOf(value);
      if (kind === KIND.DATE) this.#date(value as Date, origin, true);
      else if (kind !== KIND.BYTES || !this.#isString(value as Uint8Array, origin))
        this.#object(value, kind, IN_VARIANT, origin);
      return;
    }
    if (value === undefined || isSafeBigint(value)) this.isCanonical = false;
    const problem = writeScalar(this.#out, value ?? null, origin?.table.bytes, origin?.at ?? 0);
    if (problem !== undefined) throw this.#bad(problem);
  }

  #date(value: Date, origin: Origin | undefined, hasTag: boolean): void {
    this.#dates ??= new Set();
    if (this.#dates.has(value)) this.isCanonical = false;
    this.#dates.add(value);
    if (hasTag) this.#out.byte(TAG.DATE);
    const own = this.#origins?.originOf(value) ?? origin;
    if (
      own !== undefined &&
      own.number === 0 &&
      this.#isDateAt(own, origin, hasTag) &&
      isSameFixed(TAG.DATE, value, own.table.bytes, own.at + 1)
    ) {
      this.#out.copy(own.table.bytes, own.at + 1, own.at + 9);
      return;
    }
    const problem = writePayload(this.#out, TAG.DATE, value);
    if (problem !== undefined) throw this.#bad(problem);
  }

  /** The value that a Date replaces may have been none. */
  #isDateAt(own: Origin, origin: Origin | undefined, hasTag: boolean): boolean {
    return own !== origin || !hasTag || own.table.bytes[own.at] === TAG.DATE;
  }

  /** Writes bytes that were read from a String as a String again, if they still are not UTF-8. */
  #isString(value: Uint8Array, origin: Origin | undefined): boolean {
    const own = this.#origins?.originOf(value);
    const bytes = origin?.table.bytes;
    const tag = origin === undefined ? undefined : bytes?.[origin.at];
    const wasString = own !== undefined ? own.number === 0 : tag === TAG.STRING || tag === TAG.CONSTANT_STRING;
    if (!wasString || isUtf8(value)) return false;
    if (origin !== undefined && bytes !== undefined && origin.number === 0 && isSameScalar(value, bytes, origin.at)) {
      writeScalar(this.#out, value, bytes, origin.at);
      return true;
    }
    this.#out.byte(TAG.STRING);
    this.#text(value, own);
    return true;
  }

  /** A string without its tag. */
  #text(value: string | Uint8Array, origin: Origin | undefined): void {
    if (origin !== undefined) {
      const { bytes } = origin.table;
      const from = origin.at + 1 + lengthBytes(bytes[origin.at + 1] as number);
      const to = from + readLength(bytes, origin.at + 1);
      if (isSameText(value, bytes, from, to)) {
        this.#out.copy(bytes, origin.at + 1, to);
        return;
      }
    }
    const problem = writePayload(this.#out, TAG.STRING, value);
    if (problem !== undefined) throw this.#bad(problem);
  }

  /** An object, or a reference to it when it was written before. */
  #object(value: object, kind: Kind, context: number, origin: Origin | undefined): void {
    if (kind === KIND.TYPED) {
      this.#typed(value as TypedValue, context, origin);
      return;
    }
    if (kind === KIND.NONE || kind === KIND.DATE) throw this.#bad(describe(value));
    if (this.#isReference(value, context)) return;
    const own = this.#origins?.originOf(value);
    const isOwn = own !== undefined && own.number > 0;
    const stored = isOwn ? own : origin;
    const number = stored !== undefined && stored.number > 0 ? stored.number : 0;
    const members = stored !== undefined && number > 0 ? new Members(stored.table, number) : undefined;
    const code =
      context >= 0 ? context : this.#classOf(value, kind, number > 0 ? stored?.table.classes[number] : undefined);
    this.#container(value, kind, { code, context, members, number, isOwn });
  }

  #isReference(value: object, context: number): boolean {
    const number = this.#numbers.get(value);
    if (number === undefined) return false;
    const code = this.#codes[number - 1] as number;
    if (context >= 0 && code !== context) throw this.#bad(`stored as ${nameOfClass(code)} elsewhere in the same value`);
    this.#out.byte(TAG.REFERENCE);
    this.#out.int32(number);
    return true;
  }

  #classOf(value: object, kind: Kind, stored: number | undefined): number {
    if (kind === KIND.PLAIN || kind === KIND.MAP) return BASE_COLLECTION;
    if (kind === KIND.BYTES) return CLASS_BYTES;
    if (kind === KIND.NUMBERS) return numericClassOf(value);
    const reserved = this.#reserved.get(value);
    if (reserved !== undefined) return reserved;
    const list = value as readonly unknown[];
    const isCandidate = stored !== undefined && stored >= DIMENSION && stored !== CLASS_BYTES;
    return isCandidate && misfitOf(list, stored, this.#fitting(false)) === undefined ? stored : classOfList(list);
  }

  #fitting(isForced: boolean): Fitting {
    return {
      isForced,
      classOf: (object) => this.#classSoFar(object),
      reserve: (object, code) => this.#reserved.set(object, code),
    };
  }

  #classSoFar(object: object): number | undefined {
    return this.#codes[(this.#numbers.get(object) ?? 0) - 1] ?? this.#reserved.get(object);
  }

  #typed(typed: TypedValue, context: number, origin: Origin | undefined): void {
    this.isCanonical = false;
    const { code, value } = typed;
    if (code < BASE_COLLECTION) {
      this.#typedScalar(typed, context, origin);
      return;
    }
    const kind = typeof value === "object" && value !== null ? kindOf(value) : KIND.NONE;
    const isCollection = kind === KIND.PLAIN || kind === KIND.MAP;
    const isList = kind === KIND.LIST || kind === KIND.BYTES || kind === KIND.NUMBERS;
    if (code === BASE_COLLECTION ? !isCollection : !isList) throw misfit(this.#place, typed.type);
    const at = isList ? misfitOf(value as ArrayLike<unknown>, code, this.#fitting(true)) : undefined;
    if (at !== undefined) throw misfit(this.#place + at, typed.type);
    const known = this.#classSoFar(value as object) ?? code;
    if (known !== code) throw this.#bad(`stored as ${nameOfClass(known)} elsewhere in the same value`);
    if (this.#isReference(value as object, context)) return;
    const members = origin !== undefined && origin.number > 0 ? new Members(origin.table, origin.number) : undefined;
    const number = members === undefined ? 0 : (origin?.number ?? 0);
    this.#container(value as object, kind, { code, context, members, number, isOwn: false });
  }

  #typedScalar(typed: TypedValue, context: number, origin: Origin | undefined): void {
    if (tagFor(typed.value, typed.code, true) !== typed.code) throw misfit(this.#place, typed.type);
    if (context !== IN_VARIANT) throw this.#bad("a scalar where an object must stand");
    const { bytes } = origin?.table ?? {};
    if (origin !== undefined && bytes?.[origin.at] === typed.code && isSameScalar(typed.value, bytes, origin.at)) {
      writeScalar(this.#out, typed.value, bytes, origin.at);
      return;
    }
    this.#out.byte(typed.code);
    const trouble = writePayload(this.#out, typed.code, typed.value);
    if (trouble !== undefined) throw this.#bad(trouble);
  }

  #container(value: object, kind: Kind, form: Form): void {
    if (this.#levels.length >= MAX_DEPTH) throw this.#bad(`nested more than ${MAX_DEPTH} levels deep`);
    this.objects.push(value);
    this.#codes.push(form.code);
    this.#numbers.set(value, this.objects.length);
    if (form.code === BASE_COLLECTION) this.#collection(value, kind, form);
    else this.#list(value as ArrayLike<unknown>, form);
    if (kind !== KIND.LIST && kind !== KIND.PLAIN && !Buffer.isBuffer(value)) this.isCanonical = false;
  }

  /** The count. One that did not change keeps its stored bytes, which may be longer than needed. */
  #count(count: number, members: Members | undefined): void {
    if (members !== undefined && members.count === count) {
      this.#out.copy(members.table.bytes, members.countAt, members.firstAt);
    } else if (!this.#out.count(count)) throw this.#bad("too long");
  }

  #list(list: ArrayLike<unknown>, form: Form): void {
    const layout = this.#arrayHeader(list, form);
    this.#count(list.length, form.members);
    if (layout === CLASS_BYTES && isBytes(list)) {
      this.#out.copy(list, 0, list.length);
      return;
    }
    const isGuide = form.members?.layout === layout || (form.members?.hasObjects() && layout >= CLASS_VARIANTS);
    const level: Level = {
      keys: undefined,
      values: list,
      layout,
      members: isGuide ? form.members : undefined,
      next: 0,
    };
    this.#levels.push(level);
    if (!isFlat(layout)) return;
    while (level.next < list.length) this.#element(level);
    this.#levels.pop();
  }

  /** Tag, class and element type; the stored ones where they still say the same in the same kind of context. Returns the layout. */
  #arrayHeader(list: ArrayLike<unknown>, form: Form): number {
    const { code, context, members, number } = form;
    if (
      members !== undefined &&
      members.table.classes[number] === code &&
      kindOfContext(members.table.contexts[number]) === kindOfContext(context)
    ) {
      const { bytes, starts } = members.table;
      const layout =
        code === CLASS_VARIANTS ? classOfElementType(bytes[members.countAt - 1] as number, list.length) : code;
      if (layout === code || (layout !== 0 && misfitOf(list, layout, this.#fitting(false)) === undefined)) {
        this.#out.copy(bytes, starts[number] as number, members.countAt);
        return layout;
      }
    }
    writeArrayHeader(this.#out, code, context);
    return code;
  }

  #element(level: Level): void {
    const index = level.next++;
    const { layout } = level;
    const value = level.values[index] ?? null;
    const origin = level.members?.originAt(index);
    if (value === null && level.values[index] === undefined) this.isCanonical = false;
    if (layout === CLASS_VARIANTS) this.#variant(value, origin);
    else if (isFlat(layout)) this.#bare(value, layout - DIMENSION, origin);
    else this.#member(value, contextOf(layout), origin);
  }

  /** A scalar whose type the array says. */
  #bare(value: unknown, base: number, origin: Origin | undefined): void {
    const plain = isTyped(value) ? value.value : value;
    if (plain !== value || isSafeBigint(plain)) this.isCanonical = false;
    if (base === TAG.STRING) {
      this.#text(plain as string, this.#origins?.originOf(plain as object) ?? origin);
    } else if (base === TAG.DATE && plain !== null) {
      this.#date(plain as Date, origin, false);
    } else if (origin !== undefined && isSameFixed(base, plain, origin.table.bytes, origin.at + 1)) {
      this.#out.copy(origin.table.bytes, origin.at + 1, origin.at + 1 + (ELEMENT_BYTES[base] as number));
    } else {
      const problem = writePayload(this.#out, base, plain);
      if (problem !== undefined) throw this.#bad(problem);
    }
  }

  /** An element of an array of objects. */
  #member(value: unknown, context: number, origin: Origin | undefined): void {
    if (value === null) this.#out.byte(TAG.NULL_OBJECT);
    else this.#object(value as object, kindOf(value as object), context, origin);
  }

  #collection(value: object, kind: Kind, form: Form): void {
    const members = form.members?.layout === BASE_COLLECTION ? form.members : undefined;
    const read = kind === KIND.MAP ? readMap(value as Map<unknown, unknown>) : readPlain(value);
    if (read.problem !== undefined) throw this.#bad(read.problem);
    if (!read.isCanonical) this.isCanonical = false;
    if (members !== undefined && form.isOwn) putInStoredOrder(read, members.keys);
    const { keys, values } = read;
    const isSameKeys = members !== undefined && isSameOrder(members.keys, keys);
    this.#out.byte(isSameKeys ? (members.table.bytes[members.countAt - 1] as number) : TAG.COLLECTION);
    this.#count(keys.length, members);
    this.#levels.push({ keys, values, layout: BASE_COLLECTION, members, next: 0 });
  }

  #entry(level: Level, keys: readonly string[]): void {
    const index = level.next++;
    const key = keys[index] as string;
    const { members } = level;
    const found = members?.indexOf(key, index) ?? -1;
    if (members !== undefined && found >= 0) {
      this.#out.copy(members.table.bytes, members.keyAt(found), members.valueAt(found));
    } else this.#key(key);
    this.#variant(level.values[index], members?.originAt(found));
  }

  #key(key: string): void {
    if (key === "") throw this.#bad("a member whose key is empty");
    if (isLongKey(key)) throw this.#bad("a member whose key is too long");
    try {
      writeKey(this.#out, key);
    } catch (error) {
      if (isCode(error, "ERR_BAD_KEY")) throw this.#bad("a member whose key has lone surrogates");
      throw error;
    }
  }
}

function isSafeBigint(value: unknown): boolean {
  return typeof value === "bigint" && Number.isSafeInteger(Number(value));
}

/** The elements are scalars without tags. */
function isFlat(layout: number): boolean {
  return layout < 2 * DIMENSION && layout - DIMENSION < TAG.VARIANT;
}

/** The context of an element of an array of objects. */
function contextOf(layout: number): number {
  return layout === CLASS_OBJECTS ? IN_OBJECTS : layout - DIMENSION;
}
