// Finds where a value ends without decoding it, and refuses bytes that Gambas would refuse. Memory is taken for bytes that are there, never
// for an announced length or count. A stack of its own stands in for recursion, so depth costs no stack frames.

import {
  BASE_COLLECTION,
  CLASS_OBJECTS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  isNewerTag,
  lengthBytes,
  nameOfClass,
  readClass,
  readLength,
  TAG,
  tagName,
  unreadable,
} from "./format.ts";

/** Deeper values are refused. Gambas recurses, and was seen to crash at 200 000; decoding ends long before (MAX_DEPTH). */
export const MAX_SCAN_DEPTH = 65_536;

/** The context of a value decides how it is read. A number >= 0 is the class that an element of `X[][]` or `Collection[]` must have. */
export const IN_VARIANT = -1;
export const IN_OBJECTS = -2;

/**
 * The objects a scan has met so far. They are numbered by their start, from 1, through all calls that share one `Scan`. A caller that
 * begins inside an image starts with `newScan(1)`: the root collection is object 1.
 */
export interface Scan {
  objects: number;
  hasReferences: boolean;
  /** Class of each object met, by number - 1: an element of `X[][]` may refer to an `X[]` only. */
  classes?: number[];
  /** Filled with every object and reference, for a caller that has to find them again. */
  table?: ObjectTable;
  /** Filled with where each object starts. */
  starts?: number[];
  /** Brings the bytes of a file into the older dialect on the way. */
  dialect?: DialectReader;
}

/** A scan asks this when the bytes come from a file. Both calls also write their answer into the bytes. */
export interface DialectReader {
  /** The tag of the object at `at`, in the older dialect. `number` is the one the object gets if it is no reference. */
  tagAt(bytes: Buffer, at: number, number: number): number | undefined;
  /** The number that the reference at `at` means when all objects are counted. */
  referenceAt(bytes: Buffer, at: number): number;
}

export function newScan(objects = 0): Scan {
  const classes: number[] = [];
  for (let left = objects; left > 0; left--) classes.push(BASE_COLLECTION);
  return { objects, hasReferences: false, classes };
}

/** Where the objects of some bytes are, by number (index 0 is unused), and in stream order the events: objects that start, and references. */
export class ObjectTable {
  readonly bytes: Buffer;
  readonly starts: number[] = [0];
  readonly ends: number[] = [0];
  /** Where the count begins: after the tag of a collection, after the element type of an array. */
  readonly counts: number[] = [0];
  readonly classes: number[] = [0];
  /** IN_VARIANT, IN_OBJECTS or the class that was expected there. */
  readonly contexts: number[] = [0];
  /** The number the next object had when this one ended: its inner objects are number + 1 .. nexts - 1. */
  readonly nexts: number[] = [0];
  /** Index of the first event inside the object; the event before it is the object itself. */
  readonly firstEvents: number[] = [0];
  /** Index of the first event after the object. */
  readonly endEvents: number[] = [0];
  readonly eventAts: number[] = [];
  /** The number of the object that starts there, or minus the number of the object that is referred to. */
  readonly eventTargets: number[] = [];
  readonly eventContexts: number[] = [];

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Counts the root of an image, object 1. It holds all others, and no event stands for it. */
  addRoot(): void {
    this.start(0, 0, BASE_COLLECTION, IN_VARIANT);
    this.eventAts.length = 0;
    this.eventTargets.length = 0;
    this.eventContexts.length = 0;
    this.firstEvents[1] = 0;
  }

  start(at: number, countAt: number, code: number, context: number): void {
    this.addEvent(at, this.starts.length, context);
    this.starts.push(at);
    this.counts.push(countAt);
    this.classes.push(code);
    this.contexts.push(context);
    this.ends.push(0);
    this.nexts.push(0);
    this.endEvents.push(0);
    this.firstEvents.push(this.eventAts.length);
  }

  end(number: number, at: number): void {
    this.ends[number] = at;
    this.nexts[number] = this.starts.length;
    this.endEvents[number] = this.eventAts.length;
  }

  addEvent(at: number, target: number, context: number): void {
    this.eventAts.push(at);
    this.eventTargets.push(target);
    this.eventContexts.push(context);
  }
}

/** Where the value at `at` ends. Throws ERR_UNREADABLE for whatever makes Gambas give up the file, and where it would crash. */
export function endOfValue(bytes: Buffer, at: number, scan: Scan): number {
  const end = endOfScalar(bytes, at);
  return end !== 0 ? end : new Walk(bytes, scan).run(at);
}

/** End of a value that is no object, 0 for collections, arrays and references, in either dialect. */
export function endOfScalar(bytes: Buffer, at: number): number {
  let end: number;
  switch (bytes[at]) {
    case TAG.NULL_OBJECT:
    case TAG.NULL:
      return at + 1;
    case TAG.BOOLEAN:
    case TAG.BYTE:
      end = at + 2;
      break;
    case TAG.SHORT:
      end = at + 3;
      break;
    case TAG.INTEGER:
    case TAG.SINGLE:
      end = at + 5;
      break;
    case TAG.LONG:
    case TAG.FLOAT:
    case TAG.DATE:
    case TAG.POINTER:
      end = at + 9;
      break;
    case TAG.STRING:
    case TAG.CONSTANT_STRING:
      return endOfString(bytes, at + 1);
    case TAG.REFERENCE:
    case TAG.TYPED_ARRAY:
    case TAG.COLLECTION:
    case TAG.ARRAY:
    case TAG.FOLDING_COLLECTION:
      return 0;
    case undefined:
      throw unreadable(at, "end of file where a value should begin");
    default:
      // The walk decides: it takes a newer tag from a file, and refuses it from anywhere else.
      if (isNewerTag(bytes[at])) return 0;
      throw unreadable(at, `unknown type ${tagName(bytes[at] as number)}`);
  }
  if (end > bytes.length) throw unreadable(at, "end of file in a value");
  return end;
}

/** End of the length-prefixed bytes at `at`. */
export function endOfString(bytes: Buffer, at: number): number {
  const first = bytes[at];
  const end = first !== undefined && first < 0x80 ? at + 1 + first : longStringEnd(bytes, at);
  if (end > bytes.length) throw unreadable(at, "end of file in a string");
  return end;
}

function longStringEnd(bytes: Buffer, at: number): number {
  return at + readLength(bytes, at) + lengthBytes(bytes[at] as number);
}

/** One walk over one value that is an object: a stack of containers, each with what is left of it. */
class Walk {
  readonly #bytes: Buffer;
  readonly #scan: Scan;
  /** Three numbers for each container that is open: elements left, class of the container, its number. */
  readonly #stack: number[] = [];
  #at = 0;

  constructor(bytes: Buffer, scan: Scan) {
    this.#bytes = bytes;
    this.#scan = scan;
    scan.classes ??= new Array<number>(scan.objects).fill(BASE_COLLECTION);
  }

  run(at: number): number {
    const stack = this.#stack;
    this.#at = at;
    this.#object(IN_VARIANT);
    while (stack.length > 0) {
      const top = stack.length - 3;
      const left = stack[top] as number;
      if (left === 0) this.#close();
      else {
        stack[top] = left - 1;
        this.#element(stack[top + 1] as number);
      }
    }
    return this.#at;
  }

  #close(): void {
    const stack = this.#stack;
    const number = stack.pop() as number;
    // Setting the length would take ten times as long.
    stack.pop();
    stack.pop();
    this.#scan.table?.end(number, this.#at);
  }

  #element(container: number): void {
    if (container === BASE_COLLECTION) this.#at = endOfString(this.#bytes, this.#at);
    if (container === BASE_COLLECTION || container === CLASS_VARIANTS) {
      const end = endOfScalar(this.#bytes, this.#at);
      if (end !== 0) this.#at = end;
      else this.#object(IN_VARIANT);
      return;
    }
    if (this.#bytes[this.#at] === TAG.NULL_OBJECT) this.#at++;
    else this.#object(container === CLASS_OBJECTS ? IN_OBJECTS : container - DIMENSION);
  }

  /** The object or reference that begins here. Reads it to its end when nothing inside can nest, else opens it. */
  #object(context: number): void {
    const { dialect, objects } = this.#scan;
    const tag = dialect === undefined ? this.#bytes[this.#at] : dialect.tagAt(this.#bytes, this.#at, objects + 1);
    if (tag === TAG.REFERENCE) this.#reference(context);
    else if (tag === TAG.COLLECTION || tag === TAG.FOLDING_COLLECTION) this.#collection(context);
    else if (tag === TAG.ARRAY || tag === TAG.TYPED_ARRAY) this.#array(tag, context);
    else if (tag === undefined) throw unreadable(this.#at, "end of file where an object should begin");
    else throw unreadable(this.#at, `type ${tagName(tag)} where an object should begin`);
  }

  #reference(context: number): void {
    const at = this.#at;
    const scan = this.#scan;
    if (at + 5 > this.#bytes.length) throw unreadable(at, "end of file in a reference");
    const number =
      scan.dialect === undefined ? this.#bytes.readInt32LE(at + 1) : scan.dialect.referenceAt(this.#bytes, at);
    if (number < 1 || number > scan.objects) throw unreadable(at, `reference to object ${number} of ${scan.objects}`);
    requireClass(scan.classes?.[number - 1] ?? 0, context, at);
    scan.hasReferences = true;
    scan.table?.addEvent(at, -number, context);
    this.#at = at + 5;
  }

  #collection(context: number): void {
    const at = this.#at;
    requireClass(BASE_COLLECTION, context, at);
    this.#open(at + 1, BASE_COLLECTION, context);
    this.#push(this.#count(), BASE_COLLECTION);
  }

  #array(tag: number, context: number): void {
    const bytes = this.#bytes;
    const at = this.#at;
    const hasClass = tag === TAG.ARRAY || context === IN_VARIANT;
    let code = hasClass ? readClass(bytes, at + 1) : context === IN_OBJECTS ? CLASS_VARIANTS : context;
    const typeAt = hasClass ? at + 2 + (bytes[at + 1] as number) : at + 1;
    if (code < DIMENSION) throw unreadable(at, `an array where a ${nameOfClass(code)} is wanted`);
    const type = bytes[typeAt];
    if (type === undefined) throw unreadable(at, "end of file in an array");
    let elements = code;
    if (code === CLASS_VARIANTS) {
      elements = classOfElementType(type, readLength(bytes, typeAt + 1));
      if (elements === 0) throw unreadable(typeAt, `unknown element type ${type}`);
      // In a context that names a class the array is of that class, whatever its element type says; in others the element type is its class.
      if (context < 0) code = elements;
    }
    requireClass(code, context, at);
    this.#open(typeAt + 1, code, context);
    this.#elements(elements);
  }

  /** Numbers the object that starts here and moves on to its count. */
  #open(countAt: number, code: number, context: number): void {
    const scan = this.#scan;
    scan.objects++;
    scan.classes?.push(code);
    scan.table?.start(this.#at, countAt, code, context);
    scan.starts?.push(this.#at);
    this.#at = countAt;
  }

  #count(): number {
    const count = readLength(this.#bytes, this.#at);
    this.#at += lengthBytes(this.#bytes[this.#at] as number);
    return count;
  }

  #elements(code: number): void {
    const bytes = this.#bytes;
    const count = this.#count();
    const size = code < 2 * DIMENSION ? (ELEMENT_BYTES[code - DIMENSION] as number) : 0;
    if (size !== 0) {
      this.#at += count * size;
      if (this.#at > bytes.length) throw unreadable(bytes.length, "end of file in an array");
    } else if (code === DIMENSION + TAG.STRING) {
      for (let left = count; left > 0; left--) this.#at = endOfString(bytes, this.#at);
    } else {
      this.#push(count, code);
      return;
    }
    this.#scan.table?.end(this.#scan.objects, this.#at);
  }

  #push(count: number, code: number): void {
    // Every element takes a byte at least, so a count that lies is refused here, before memory is taken for it.
    if (count > this.#bytes.length - this.#at) throw unreadable(this.#at, `end of file: ${count} elements announced`);
    if (this.#stack.length >= 3 * MAX_SCAN_DEPTH) throw unreadable(this.#at, `more than ${MAX_SCAN_DEPTH} levels deep`);
    this.#stack.push(count, code, this.#scan.objects);
  }
}

/** A context that names a class takes objects of that class only. */
function requireClass(code: number, context: number, at: number): void {
  if (context >= 0 && code !== context) {
    throw unreadable(at, `type mismatch: wanted ${nameOfClass(context)}, got ${nameOfClass(code)} instead`);
  }
}

/** The Gambas type of the value at `at`. A reference has the type of what it refers to, which only its surroundings know. */
export function typeOfValue(bytes: Buffer, at: number): string {
  const tag = bytes[at];
  switch (tag) {
    case TAG.NULL_OBJECT:
    case TAG.NULL:
      return "Null";
    case TAG.CONSTANT_STRING:
      return "String";
    case TAG.DAMAGED:
      return "Damaged";
    case TAG.COLLECTION:
    case TAG.FOLDING_COLLECTION:
      return "Collection";
    case TAG.ARRAY:
    case TAG.TYPED_ARRAY:
      return nameOfClass(classOfArrayAt(bytes, at));
    case TAG.REFERENCE:
      throw unreadable(at, "a reference has no type of its own");
    default:
      endOfScalar(bytes, at);
      return nameOfClass(tag as number);
  }
}

/** The class of the array at `at` in a variant. */
function classOfArrayAt(bytes: Buffer, at: number): number {
  const code = readClass(bytes, at + 1);
  if (code !== CLASS_VARIANTS) return code;
  const typeAt = at + 2 + (bytes[at + 1] as number);
  const type = bytes[typeAt];
  const elements = type === undefined ? 0 : classOfElementType(type, readLength(bytes, typeAt + 1));
  if (elements === 0) throw unreadable(typeAt, "unknown element type");
  return elements;
}
