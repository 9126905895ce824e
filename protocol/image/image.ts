// An image is the bytes of a session file in the older dialect: header, entries, cookie path; only the tag of its root says which dialect
// the file is in (dialect.ts). How a delta is put into an image stands here: splice.ts does the work, or rewrite.ts where references are
// involved. The one door to the other files of this folder. Knows no files, locks or sessions.

import { SessionError } from "../errors.ts";
import { TAG } from "../value/format.ts";
import { forgetOutput } from "../value/output.ts";
import { newScan, type Scan } from "../value/scan.ts";
import { forgetNames, keyBytes } from "../value/text.ts";
import { type Change, type ParsedDelta, parseDelta } from "./delta.ts";
import { dialectOf, setDialect } from "./dialect.ts";
import { type ByteRange, EntryReader, rawCookiePath } from "./entries.ts";
import { HEADER_BYTES, writeStartup, writeTimeout } from "./header.ts";
import { forgetLists } from "./keys.ts";
import { rewrite } from "./rewrite.ts";
import { type Replacement, Splice } from "./splice.ts";

export { isLongKey, keyBytes, MAX_KEY_BYTES, readKey } from "../value/text.ts";
export {
  type Change,
  changesOf,
  encodeDelta,
  type ParsedDelta,
  parseDelta,
  type Share,
  splitDelta,
} from "./delta.ts";
export { type Dialect, dialectOf, fileOfImage, imageOfFile, isSameButStamp } from "./dialect.ts";
export {
  copyTimeout,
  type Days,
  expiryOf,
  HEADER_BYTES,
  isExpired,
  isPast,
  readDaysOf,
  startupBytes,
  startupMs,
  timeoutBytes,
  timeoutSeconds,
  writeDays,
} from "./header.ts";
export { COOKIE_PATH_KEY, isShownKey, KeyList, MAX_AGE_KEY } from "./keys.ts";
export { type Layout, layoutOf } from "./layout.ts";
export type { Replacement } from "./splice.ts";
export {
  damagedKeyIn,
  decodeAll,
  imageByRows,
  imageInDialect,
  imageOfRows,
  type Row,
  type Rows,
  storedValue,
  typeOf,
  valueBytesOf as valueOf,
} from "./values.ts";

/**
 * For tests: forgets everything that the process keeps in this folder and in value/, so that no test depends on those before it. The names,
 * lists of keys and the output that are kept make reading and writing faster; no result depends on them.
 */
export function forgetCaches(): void {
  forgetNames();
  forgetOutput();
  forgetLists();
}

/** An image without entries. */
export function newImage(options: { nowMs: number; timeoutSeconds: number; cookiePath?: string }): Buffer {
  const image = Buffer.concat([
    Buffer.alloc(HEADER_BYTES),
    Buffer.of(TAG.COLLECTION, 0),
    pathBytes(options.cookiePath ?? ""),
  ]);
  writeStartup(image, options.nowMs);
  writeTimeout(image, options.timeoutSeconds);
  return image;
}

function pathBytes(cookiePath: string): Buffer {
  if (cookiePath === "") return Buffer.of(0);
  const bytes = keyBytes(cookiePath);
  if (bytes.length >= 0x4000) throw new SessionError("ERR_BAD_OPTION", "The cookie path is longer than 16 383 bytes.");
  const length = bytes.length < 0x80 ? [bytes.length] : [0x80 | (bytes.length >> 8), bytes.length & 0xff];
  return Buffer.concat([Buffer.from(length), bytes]);
}

function pathRange(cookiePath: string): ByteRange {
  const bytes = pathBytes(cookiePath);
  return { bytes, from: 0, to: bytes.length };
}

/**
 * A new image with the changes in it: stamped now, entries replaced where they are, new ones last. Everything else is the same byte for
 * byte, but for the numbers of references and for the place where an object with several references is written out.
 * Throws ERR_UNREADABLE for the image, ERR_PROTOCOL and ERR_BAD_VALUE for the delta, ERR_TOO_LARGE.
 */
export function applyDelta(image: Buffer, change: Change): Buffer {
  return applyChange(image, change).image;
}

interface Applied {
  readonly image: Buffer;
  /** Which bytes were replaced by which; undefined where references are involved, which change bytes elsewhere, too. */
  readonly replacements: readonly Replacement[] | undefined;
}

/** Like `applyDelta`, and tells which bytes it replaced. */
export function applyChange(image: Buffer, change: Change): Applied {
  const delta = change.parsed ?? parseDelta(change.delta);
  const scan = newScan(1);
  const splice = new Splice(image, change.delta, delta.entries);
  const reader = new EntryReader(image, scan);
  while (reader.next()) splice.entry(reader);
  const cookiePath =
    change.cookiePath === undefined ? rawCookiePath(image, reader.valueEnd) : pathRange(change.cookiePath);
  const isPlain = !splice.hasDead && !scan.hasReferences && !delta.hasReferences && (change.shares?.length ?? 0) === 0;
  const body = isPlain ? splice.finish(cookiePath) : rewriteIn(image, change, delta, { cookiePath, scan });
  const { maxBytes: limit } = change;
  if (limit !== undefined && body.length > limit) {
    throw new SessionError("ERR_TOO_LARGE", `The session would have ${body.length} bytes; the limit is ${limit}.`);
  }
  writeStartup(body, change.nowMs);
  if (change.timeoutSeconds !== undefined) writeTimeout(body, change.timeoutSeconds);
  return { image: body, replacements: isPlain ? splice.replacements : undefined };
}

/** With its first reference an image has outgrown what every version of Gambas reads. */
function rewriteIn(
  image: Buffer,
  change: Change,
  delta: ParsedDelta,
  { cookiePath, scan }: { readonly cookiePath: ByteRange; readonly scan: Scan },
): Buffer {
  const rewritten = rewrite(image, change, delta.entries, cookiePath);
  if (rewritten.hasReferences && !scan.hasReferences && change.dialect !== undefined) {
    // A file of 3.19 stays one: programs of 3.19 read it.
    if (dialectOf(image) === "3.18") setDialect(rewritten.image, change.dialect());
  }
  return rewritten.image;
}
