// What a session id may look like, and how one is made. Knows nothing of files: every id that passes here is safe as a file name.

import { SessionError } from "./errors.ts";

/** Bytes of an id at most: `<id>.lock` and every name derived from it stay below the 255 of a file name. */
export const MAX_ID_BYTES = 200;
const HEX_DIGITS = 24;
/** Random bytes that `makeSessionId` takes. */
export const ID_RANDOM_BYTES: number = HEX_DIGITS / 2;

const ID = /^[^\0-\x20"/,;=\\\x7f]*:[0-9A-F]{24}$/;
const PREFIX = /^[^\0-\x20"/,;=\\\x7f]*$/;
const PLAIN = /^[A-Za-z0-9_]*$/;
const DATABASE = /^([A-Za-z0-9_]*)_([0-9A-F]{24})\.db$/;
/** Indexed by the code of an ASCII character: 1 for those that fit. */
const IS_IN_PREFIX = asciiTable(PREFIX);
const IS_HEX_DIGIT = asciiTable(/[0-9A-F]/);

function asciiTable(pattern: RegExp): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (pattern.test(String.fromCharCode(code)) ? 1 : 0));
}

/**
 * True for `<prefix>:<24 upper-case hex digits>` (GAMBAS.md 2.3) of at most {@link MAX_ID_BYTES} bytes, without anything that
 * could leave the directory, break a cookie, or end a C string: no slash, control character, blank, quote, comma, `;`, `=`, `\`.
 */
export function isSessionId(text: unknown): text is string {
  if (typeof text !== "string" || text.length > MAX_ID_BYTES) return false;
  return isPlainId(text) || (ID.test(text) && isShortUnicode(text));
}

/** The same for an id of ASCII characters, as all are in practice, without a regular expression, which takes longer. */
function isPlainId(text: string): boolean {
  const colon = text.length - HEX_DIGITS - 1;
  for (let at = 0; at < colon; at++) if (IS_IN_PREFIX[text.charCodeAt(at)] !== 1) return false;
  if (text[colon] !== ":") return false;
  for (let at = colon + 1; at < text.length; at++) if (IS_HEX_DIGIT[text.charCodeAt(at)] !== 1) return false;
  return true;
}

function isShortUnicode(text: string): boolean {
  return text.isWellFormed() && Buffer.byteLength(text) <= MAX_ID_BYTES;
}

/** The part before the last colon. The id must be valid. */
export function prefixOf(id: string): string {
  return id.slice(0, -HEX_DIGITS - 1);
}

/** Throws ERR_BAD_OPTION for a prefix no id can have. The empty prefix is one Gambas itself uses. */
export function checkPrefix(prefix: string): string {
  const isFine =
    typeof prefix === "string" &&
    PREFIX.test(prefix) &&
    prefix.isWellFormed() &&
    Buffer.byteLength(prefix) <= MAX_ID_BYTES - HEX_DIGITS - 1;
  if (isFine) return prefix;
  const limit = MAX_ID_BYTES - HEX_DIGITS - 1;
  throw new SessionError(
    "ERR_BAD_OPTION",
    `The session prefix ${JSON.stringify(prefix)} is not allowed: at most ${limit} bytes, no blanks, control characters, or any of " / , ; = \\.`,
  );
}

/**
 * The same id in the letters that names of databases keep (type "sqlite"): every byte of the prefix that is no letter or digit of ASCII is `_`.
 * Ids that agree in this are one session. The id must be valid, and so is what comes out.
 */
export function mappedId(id: string): string {
  const prefix = prefixOf(id);
  return PLAIN.test(prefix) ? id : mappedPrefix(prefix) + id.slice(prefix.length);
}

/** The same of a prefix alone. */
export function mappedPrefix(prefix: string): string {
  return Buffer.from(prefix)
    .toString("latin1")
    .replace(/[^A-Za-z0-9]/g, "_");
}

/** The name of the database of a session (type "sqlite"). */
export function databaseName(id: string): string {
  const prefix = prefixOf(id);
  return `${mappedPrefix(prefix)}_${id.slice(prefix.length + 1)}.db`;
}

/** The mapped id of the session whose database has this name; undefined where it is none that an id can name. */
export function idOfDatabase(name: string): string | undefined {
  const [, prefix, digits] = DATABASE.exec(name) ?? [];
  const id = `${prefix}:${digits}`;
  return digits !== undefined && isSessionId(id) ? id : undefined;
}

/** A new id from {@link ID_RANDOM_BYTES} bytes of a cryptographic generator. */
export function makeSessionId(prefix: string, random: Uint8Array): string {
  const hex = Buffer.from(random.buffer, random.byteOffset, ID_RANDOM_BYTES).toString("hex").toUpperCase();
  return `${checkPrefix(prefix)}:${hex}`;
}
