// Bytes of the socket <-> messages: u32 big-endian length, then one msgpack array. Knows no operation and no socket.
//
// Scalars and binaries of a message are written and read by hand, in the very bytes msgpackr would produce (a test compares both; only
// negative numbers travel as floats): that is four times as fast for the two hot operations. Maps and lists are left to msgpackr.

// Not "msgpackr" itself, which loads streams and a native library for long texts: 20 ms of each start, and nothing here uses them.
import { Packr } from "msgpackr/pack";
import { SessionError } from "../errors.ts";
import type { Fields } from "./shape.ts";

export const LENGTH_BYTES = 4;
/** No message of the table has more fields; a longer array is not a message. */
const MAX_FIELDS = 15;
const CLEAN_BYTES = 64 * 1024;
/** So few bytes are copied faster one by one than by a call into the runtime. */
const SHORT_BYTES = 64;

const packr = new Packr({ useRecords: false, variableMapSize: true, mapsAsObjects: true, int64AsType: "number" });

export type Field = null | boolean | number | string | Uint8Array | object;

/** Gathers the frames of one turn of the event loop, to be sent by one write. */
export class FrameWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(CLEAN_BYTES);
  #at = 0;

  get isEmpty(): boolean {
    return this.#at === 0;
  }

  get length(): number {
    return this.#at;
  }

  /** Appends one frame of these fields, whatever they are. */
  push(...fields: readonly Field[]): void {
    const start = this.#begin();
    for (const field of fields) this.#field(field);
    this.#end(start, fields.length);
  }

  /**
   * Appends one frame: two numbers, and the members of `message` by the names and in the order of `fields`. A member that is undefined and
   * all behind it are left out. The hottest function of both sides: it makes no array and no object.
   */
  pushMessage(first: number, second: number, fields: Fields, message: Readonly<Record<string, unknown>>): void {
    const start = this.#begin();
    this.#number(first);
    this.#number(second);
    let count = 2;
    for (const name in fields) {
      const field = message[name];
      if (field === undefined) break;
      this.#field(field as Field);
      count += 1;
    }
    this.#end(start, count);
  }

  /** Returns where the frame begins. Its length and the number of its fields are written by `#end`. */
  #begin(): number {
    const start = this.#at;
    this.#reserve(LENGTH_BYTES + 1);
    this.#at += LENGTH_BYTES + 1;
    return start;
  }

  #end(start: number, count: number): void {
    if (count > MAX_FIELDS) {
      this.#at = start;
      throw new RangeError(`a message of ${count} fields; at most ${MAX_FIELDS} fit`);
    }
    this.#buffer[start + LENGTH_BYTES] = 0x90 | count;
    this.#buffer.writeUInt32BE(this.#at - start - LENGTH_BYTES, start);
  }

  /** The gathered bytes; the writer is empty afterwards and never touches them again. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#at);
    // Small takes share one allocation: the next frames go behind the taken ones. A buffer that had to grow is not kept for small frames.
    const rest = this.#buffer.subarray(this.#at);
    const mayGoOn = rest.length >= CLEAN_BYTES / 4 && this.#buffer.buffer.byteLength <= CLEAN_BYTES;
    this.#buffer = mayGoOn ? rest : Buffer.allocUnsafeSlow(CLEAN_BYTES);
    this.#at = 0;
    return taken;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(CLEAN_BYTES, 2 * (this.#at + length)));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }

  #field(field: Field): void {
    if (typeof field === "number") this.#number(field);
    else if (typeof field === "string") this.#text(field);
    else if (field === null) this.#byte(0xc0);
    else if (typeof field === "boolean") this.#byte(field ? 0xc3 : 0xc2);
    else if (field instanceof Uint8Array) this.#bytes(field);
    else this.#raw(packr.pack(field));
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  #number(value: number): void {
    this.#reserve(9);
    const buffer = this.#buffer;
    if (value >>> 0 !== value || Object.is(value, -0)) {
      buffer[this.#at++] = 0xcb;
      this.#at = buffer.writeDoubleBE(value, this.#at);
    } else if (value < 0x80) {
      buffer[this.#at++] = value;
    } else if (value < 0x100) {
      buffer[this.#at++] = 0xcc;
      buffer[this.#at++] = value;
    } else if (value < 0x10000) {
      buffer[this.#at++] = 0xcd;
      this.#at = buffer.writeUInt16BE(value, this.#at);
    } else {
      buffer[this.#at++] = 0xce;
      this.#at = buffer.writeUInt32BE(value, this.#at);
    }
  }

  #text(value: string): void {
    this.#reserve(5 + 3 * value.length);
    const length = Buffer.byteLength(value);
    const buffer = this.#buffer;
    if (length < 32) {
      buffer[this.#at++] = 0xa0 | length;
    } else if (length < 0x100) {
      buffer[this.#at++] = 0xd9;
      buffer[this.#at++] = length;
    } else if (length < 0x10000) {
      buffer[this.#at++] = 0xda;
      this.#at = buffer.writeUInt16BE(length, this.#at);
    } else {
      buffer[this.#at++] = 0xdb;
      this.#at = buffer.writeUInt32BE(length, this.#at);
    }
    const isShortAscii = length === value.length && length <= SHORT_BYTES;
    if (!isShortAscii) this.#at += buffer.write(value, this.#at, "utf8");
    else for (let index = 0; index < length; index++) buffer[this.#at++] = value.charCodeAt(index);
  }

  #bytes(value: Uint8Array): void {
    const length = value.length;
    this.#reserve(5 + length);
    const buffer = this.#buffer;
    if (length < 0x100) {
      buffer[this.#at++] = 0xc4;
      buffer[this.#at++] = length;
    } else if (length < 0x10000) {
      buffer[this.#at++] = 0xc5;
      this.#at = buffer.writeUInt16BE(length, this.#at);
    } else {
      buffer[this.#at++] = 0xc6;
      this.#at = buffer.writeUInt32BE(length, this.#at);
    }
    this.#raw(value);
  }

  #raw(value: Uint8Array): void {
    const { length } = value;
    this.#reserve(length);
    const [buffer, at] = [this.#buffer, this.#at];
    if (length > SHORT_BYTES) buffer.set(value, at);
    else for (let index = 0; index < length; index++) buffer[at + index] = value[index] as number;
    this.#at = at + length;
  }
}

/**
 * Cuts a stream of chunks into frames, however it was split. Frames are views of the chunks: a frame that is kept must be copied.
 * Holds at most one incomplete frame, and never allocates more than has arrived plus the same again.
 */
export class FrameReader {
  /** May be changed between two frames. */
  maxFrameBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #wanted: number = LENGTH_BYTES;

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  /** Bytes of the frame that has begun and not ended. */
  get heldBytes(): number {
    return this.#pendingBytes;
  }

  /** Calls `take` with every frame that is complete. Throws ERR_PROTOCOL for a frame over the limit; the stream is useless then. */
  read(chunk: Buffer, take: (frame: Buffer) => void): void {
    let bytes = chunk;
    if (this.#pendingBytes > 0) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      if (this.#pendingBytes < this.#wanted) return;
      bytes = Buffer.concat(this.#pending, this.#pendingBytes);
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    const rest = this.#cut(bytes, take);
    if (rest === bytes.length) return;
    this.#pending.push(rest === 0 ? bytes : bytes.subarray(rest));
    this.#pendingBytes = bytes.length - rest;
  }

  #cut(bytes: Buffer, take: (frame: Buffer) => void): number {
    let at = 0;
    this.#wanted = LENGTH_BYTES;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > this.maxFrameBytes) {
        throw new SessionError(
          "ERR_PROTOCOL",
          `A frame of ${length} bytes was announced; at most ${this.maxFrameBytes} are allowed.`,
        );
      }
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) {
        this.#wanted = end - at;
        break;
      }
      take(bytes.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    return at;
  }
}

/** The fields of one frame. Throws ERR_PROTOCOL for anything that is not one msgpack array of at most 15 fields. */
export function readMessage(frame: Buffer): unknown[] {
  const head = frame[0] ?? 0;
  if ((head & 0xf0) !== 0x90) throw malformed("it is not a short msgpack array");
  const reader = new FieldReader(frame, 1);
  const fields: unknown[] = [];
  for (let count = head & MAX_FIELDS; count > 0; count--) {
    if (!reader.isScalarNext) return readByLibrary(frame);
    fields.push(reader.next());
  }
  if (reader.at !== frame.length) throw malformed("bytes follow the message");
  return fields;
}

function readByLibrary(frame: Buffer): unknown[] {
  try {
    const fields: unknown = packr.unpack(frame);
    if (Array.isArray(fields)) return fields;
  } catch (error) {
    // msgpackr throws plain errors of many kinds, a stack overflow among them; all mean the same here.
    throw malformed(error instanceof Error ? error.message : String(error));
  }
  throw malformed("it is not a msgpack array");
}

function malformed(reason: string): SessionError {
  return new SessionError("ERR_PROTOCOL", `A frame could not be read: ${reason}.`);
}

class FieldReader {
  readonly #frame: Buffer;
  at: number;

  constructor(frame: Buffer, at: number) {
    this.#frame = frame;
    this.at = at;
  }

  /** False where a map, a list, an extension or the end follows. */
  get isScalarNext(): boolean {
    const tag = this.#frame[this.at] ?? 0xc1;
    if (tag < 0x80 || tag >= 0xe0) return true;
    if (tag < 0xa0) return false;
    return tag < 0xc7 ? tag !== 0xc1 : (tag >= 0xca && tag <= 0xce) || (tag >= 0xd9 && tag <= 0xdb);
  }

  next(): unknown {
    const frame = this.#frame;
    const tag = this.#take(1);
    const first = frame[tag] ?? 0;
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 0x100;
    if (first < 0xc0) return this.#text(first & 0x1f);
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#bytes(this.#uint(1));
      case 0xc5:
        return this.#bytes(this.#uint(2));
      case 0xc6:
        return this.#bytes(this.#uint(4));
      case 0xca:
        return frame.readFloatBE(this.#take(4));
      case 0xcb:
        return frame.readDoubleBE(this.#take(8));
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xd9:
        return this.#text(this.#uint(1));
      case 0xda:
        return this.#text(this.#uint(2));
      default:
        return this.#text(this.#uint(4));
    }
  }

  #uint(width: 1 | 2 | 4): number {
    const at = this.#take(width);
    const frame = this.#frame;
    if (width === 1) return frame.readUInt8(at);
    return width === 2 ? frame.readUInt16BE(at) : frame.readUInt32BE(at);
  }

  #text(length: number): string {
    const at = this.#take(length);
    return this.#frame.toString("utf8", at, at + length);
  }

  #bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.#frame.subarray(at, at + length);
  }

  #take(length: number): number {
    const at = this.at;
    if (at + length > this.#frame.length) throw malformed("it ends in the middle of a field");
    this.at = at + length;
    return at;
  }
}
