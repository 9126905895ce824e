// Text and bytes: strings of UTF-8, and keys that survive both ways even if they are not UTF-8. Knows nothing of values.

import { SessionError } from "../errors.ts";

const ESCAPE_BASE = 0xdc00;

/** The text of `bytes[from..to)`, or undefined when that is not well-formed UTF-8. */
export function readUtf8(bytes: Buffer, from: number, to: number): string | undefined {
  const text = bytes.toString("utf8", from, to);
  return text.includes("\ufffd") && !isExactly(text, bytes, from, to) ? undefined : text;
}

/** U+FFFD stands for bytes that the decoder could not read, or was written there. Encoding again tells which. */
function isExactly(text: string, bytes: Buffer, from: number, to: number): boolean {
  return Buffer.byteLength(text) === to - from && bytes.compare(Buffer.from(text), 0, to - from, from, to) === 0;
}

export function isUtf8(bytes: Uint8Array): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return readUtf8(view, 0, view.length) !== undefined;
}

/** A piece of a string keeps the whole string in memory. An application may hold on to a small piece, so the whole is bounded. */
const MAX_CUT_BYTES = 64 * 1024;

/** Cuts ASCII texts out of one string of all bytes, which takes a fraction of the time of reading each by itself. */
export class AsciiCutter {
  readonly #bytes: Buffer;
  readonly #isUsed: boolean;
  /** One character for each byte. */
  #characters: string | undefined;

  /** Of more than `maxBytes` nothing is cut. */
  constructor(bytes: Buffer, maxBytes: number = MAX_CUT_BYTES) {
    this.#bytes = bytes;
    this.#isUsed = bytes.length <= maxBytes;
  }

  /** The text of `bytes[from..to)`; undefined where it is not ASCII. */
  cut(from: number, to: number): string | undefined {
    if (!this.#isUsed) return undefined;
    const bytes = this.#bytes;
    for (let at = from; at < to; at++) if ((bytes[at] as number) >= 0x80) return undefined;
    this.#characters ??= bytes.toString("latin1");
    return this.#characters.slice(from, to);
  }
}

/**
 * Short names that were read before, so that reading one again makes no string. The one state of this file, and of the process: it decides
 * how fast a name is read and never which. A fixed number of slots; a newer name takes the slot of an older one.
 */
const NAME_SLOTS = 1024;
const NAME_BYTES = 32;
const names: string[] = new Array<string>(NAME_SLOTS).fill("");

/** For tests: as if no name had been read before. */
export function forgetNames(): void {
  names.fill("");
}

/** The text of `bytes[from..to)` when it is short ASCII, from the names seen before; undefined when it is not. */
export function readName(bytes: Buffer, from: number, to: number): string | undefined {
  const length = to - from;
  if (length > NAME_BYTES || length === 0) return undefined;
  const [first, middle, last] = [bytes[from] as number, bytes[from + (length >> 1)] as number, bytes[to - 1] as number];
  const slot = (((first * 31 + middle) * 31 + last) * 31 + length) & (NAME_SLOTS - 1);
  const seen = names[slot] as string;
  if (isSameName(seen, bytes, from, to)) return seen;
  for (let at = from; at < to; at++) if ((bytes[at] as number) >= 0x80) return undefined;
  const name = interned(bytes.toString("latin1", from, to));
  names[slot] = name;
  return name;
}

/** The string that V8 keeps for the name of a member: as a key it is found faster than another string that is equal. */
function interned(name: string): string {
  return Object.keys({ [name]: true })[0] ?? name;
}

function isSameName(name: string, bytes: Buffer, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let at = 0; at < name.length; at++) if (name.charCodeAt(at) !== bytes[from + at]) return false;
  return true;
}

/** The text of a key. A byte that is not part of well-formed UTF-8 becomes the lone surrogate U+DC80..U+DCFF. */
export function readKey(bytes: Buffer, from: number, to: number): string {
  return readName(bytes, from, to) ?? readUtf8(bytes, from, to) ?? readEscaped(bytes, from, to);
}

function readEscaped(bytes: Buffer, from: number, to: number): string {
  let text = "";
  let plain = from;
  for (let at = from; at < to; ) {
    const size = sequenceBytes(bytes, at, to);
    if (size === 0) {
      text += bytes.toString("utf8", plain, at) + String.fromCharCode(ESCAPE_BASE + (bytes[at] as number));
      plain = at + 1;
    }
    at += size === 0 ? 1 : size;
  }
  return text + bytes.toString("utf8", plain, to);
}

/** Length of the well-formed sequence at `at`, 0 when there is none. */
function sequenceBytes(bytes: Buffer, at: number, to: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const size =
    first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  return size !== 0 && at + size <= to && readUtf8(bytes, at, at + size) !== undefined ? size : 0;
}

/** Gambas cuts longer keys off when it loads them (GAMBAS.md 3.10). */
export const MAX_KEY_BYTES: number = 65_535;
/** Bytes of UTF-8 for one unit of a string, at most. */
const MAX_BYTES_PER_UNIT = 3;

/** Whether Gambas would cut the key off. */
export function isLongKey(key: string): boolean {
  return key.length * MAX_BYTES_PER_UNIT > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES;
}

/** The inverse of `readKey`. Throws ERR_BAD_KEY for text that is no key: empty, or with lone surrogates that stand for no byte. */
export function keyBytes(key: string): Buffer {
  if (key === "") throw new SessionError("ERR_BAD_KEY", "The empty string is not a key a session can hold.");
  if (key.isWellFormed()) return Buffer.from(key);
  const bytes = Buffer.concat(Array.from(key, (character) => characterBytes(character, key)));
  // Escapes that together form a valid sequence would come back as another key.
  if (readKey(bytes, 0, bytes.length) !== key) throw badKey(key);
  return bytes;
}

function characterBytes(character: string, key: string): Buffer {
  if (character.isWellFormed()) return Buffer.from(character);
  const code = character.charCodeAt(0) - ESCAPE_BASE;
  if (code < 0x80 || code > 0xff) throw badKey(key);
  return Buffer.of(code);
}

function badKey(key: string): SessionError {
  return new SessionError("ERR_BAD_KEY", `The key ${JSON.stringify(key)} contains lone surrogates.`);
}
