// A buffer that grows, for writing Gambas bytes into. The process keeps one and uses it again, since most values are small.

import { elementTypeOf, MAX_LENGTH, nameOfClass, TAG } from "./format.ts";
import { IN_VARIANT } from "./scan.ts";
import { keyBytes } from "./text.ts";

const FIRST_BYTES = 4096;
/** A buffer that had to grow beyond this is not kept. */
const KEPT_BYTES = 1 << 20;

export class Output {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  length = 0;

  /** Makes room for `count` more bytes and returns where they go; the length is moved past them. */
  take(count: number): number {
    const at = this.length;
    if (at + count > this.bytes.length) this.#grow(at + count);
    this.length = at + count;
    return at;
  }

  #grow(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(bigger, 0, 0, this.length);
    this.bytes = bigger;
  }

  byte(value: number): void {
    const at = this.take(1);
    this.bytes[at] = value;
  }

  int32(value: number): void {
    const at = this.take(4);
    this.bytes.writeInt32LE(value, at);
  }

  /** A length in its shortest form. False, and nothing written, when it is beyond what the format can say. */
  count(value: number): boolean {
    if (value > MAX_LENGTH) return false;
    if (value < 0x80) this.byte(value);
    else if (value < 0x4000) {
      const at = this.take(2);
      this.bytes.writeUInt16BE(value | 0x8000, at);
    } else {
      const at = this.take(4);
      this.bytes.writeUInt32BE(value + 0xc000_0000, at);
    }
    return true;
  }

  copy(source: Uint8Array, from: number, to: number): void {
    const size = to - from;
    const at = this.take(size);
    const target = this.bytes;
    if (size <= 32) for (let i = 0; i < size; i++) target[at + i] = source[from + i] as number;
    else target.set(source.subarray(from, to), at);
  }

  /** Well-formed text with its length before it. False when it is too long. */
  text(value: string): boolean {
    const size = value.length;
    if (size < 0x80) {
      const at = this.take(size + 1);
      const target = this.bytes;
      let i = 0;
      for (; i < size; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        target[at + 1 + i] = code;
      }
      if (i === size) {
        target[at] = size;
        return true;
      }
      this.length = at;
    }
    const bytes = Buffer.byteLength(value);
    if (!this.count(bytes)) return false;
    const at = this.take(bytes);
    this.bytes.write(value, at, bytes, "utf8");
    return true;
  }

  /** A copy of what was written from `from` on. */
  slice(from: number): Buffer {
    const size = this.length - from;
    const result = Buffer.allocUnsafe(size);
    const source = this.bytes;
    if (size <= 64) for (let i = 0; i < size; i++) result[i] = source[from + i] as number;
    else source.copy(result, 0, from, this.length);
    return result;
  }
}

/** The one kept output of the process; undefined while it is in use. Holds no bytes that anybody reads. */
let spare: Output | undefined = new Output();

/** For tests: as if nothing had been written before. */
export function forgetOutput(): void {
  spare = new Output();
}

/** The kept output, or a new one while it is in use: a getter of the value being written may write another value. */
export function borrowOutput(): Output {
  const output = spare ?? new Output();
  spare = undefined;
  return output;
}

export function returnOutput(output: Output): void {
  output.length = 0;
  if (output.bytes.length <= KEPT_BYTES) spare = output;
}

/** A key with its length before it. Throws ERR_BAD_KEY for text that is no key. */
export function writeKey(out: Output, key: string): void {
  if (key !== "" && key.isWellFormed() && out.text(key)) return;
  const bytes = keyBytes(key);
  out.count(bytes.length);
  out.copy(bytes, 0, bytes.length);
}

/** Three kinds of contexts, in each of which an array is written alike: variants, `Object[]`, and contexts that name a class. */
export function kindOfContext(context: number | undefined): number {
  return context !== undefined && context >= 0 ? 0 : (context ?? IN_VARIANT);
}

/** Tag, class where the context does not say it, and element type, as Gambas writes them. */
export function writeArrayHeader(out: Output, code: number, context: number): void {
  if (context >= 0) out.byte(TAG.TYPED_ARRAY);
  else {
    out.byte(TAG.ARRAY);
    out.text(nameOfClass(code));
  }
  out.byte(elementTypeOf(code));
}
