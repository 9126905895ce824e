// The difference of two images as patches: pieces of one that are replaced by bytes of the other. It is of bytes alone and knows none of the rules by
// which a change is made, so whoever puts patches into an image gets the other one, byte for byte, whatever version of this program has made it.
//
// One patch: u32 where, u32 how many bytes go, u32 how many come, and these. Each counts in the image that those before it have left. The header of
// an image (its stamp and its life time) is in none of them: it stands at a fixed place, and is always the present one.

import { HEADER_BYTES } from "../../../protocol/image/image.ts";

const FRAME_BYTES = 12;
/** Bytes that are compared by one call into the runtime; within them one by one. */
const BLOCK_BYTES = 512;
const STRIDE_BYTES = 32;
/** So many bytes have to be the same again to end a patch: as many as another one costs. */
const SAME_BYTES: number = FRAME_BYTES;

interface Patch {
  readonly at: number;
  readonly removed: number;
  readonly from: number;
  readonly to: number;
}

/**
 * What makes one image of the other. Values that keep their length are a patch each; from the first to the last of those that do not, all is one.
 */
export function patchesBetween(before: Buffer, after: Buffer): Buffer {
  const patches: Patch[] = [];
  const least = Math.min(before.length, after.length);
  let at = sameFrom(before, after, HEADER_BYTES, least);
  const tail = at === before.length && at === after.length ? 0 : sameBack(before, after, least - at);
  const [oldEnd, newEnd] = [before.length - tail, after.length - tail];
  const end = Math.min(oldEnd, newEnd);
  while (at < end) {
    const to = sameAgain(before, after, at, end);
    if (to === end) break;
    patches.push({ at, removed: to - at, from: at, to });
    at = sameFrom(before, after, to, end);
  }
  if (at < oldEnd || at < newEnd) patches.push({ at, removed: oldEnd - at, from: at, to: newEnd });
  return encode(patches, after);
}

function encode(patches: readonly Patch[], after: Buffer): Buffer {
  let bytes = 0;
  for (const { from, to } of patches) bytes += FRAME_BYTES + to - from;
  const encoded = Buffer.allocUnsafe(bytes);
  let end = 0;
  for (const { at, removed, from, to } of patches) {
    encoded.writeUInt32BE(at, end);
    encoded.writeUInt32BE(removed, end + 4);
    encoded.writeUInt32BE(to - from, end + 8);
    end += FRAME_BYTES + after.copy(encoded, end + FRAME_BYTES, from, to);
  }
  return encoded;
}

/** Where they differ first, from `at` on; `end` if nowhere. */
function sameFrom(one: Buffer, other: Buffer, at: number, end: number): number {
  let from = at;
  for (let step = BLOCK_BYTES; step >= STRIDE_BYTES; step /= 4) {
    while (from + step <= end && one.compare(other, from, from + step, from, from + step) === 0) from += step;
  }
  while (from < end && one[from] === other[from]) from++;
  return from;
}

/** How many of the last bytes are the same, of `most`. */
function sameBack(one: Buffer, other: Buffer, most: number): number {
  const [a, b] = [one.length, other.length];
  let same = 0;
  for (let step = BLOCK_BYTES; step >= STRIDE_BYTES; step /= 4) {
    while (same + step <= most && one.compare(other, b - same - step, b - same, a - same - step, a - same) === 0) {
      same += step;
    }
  }
  while (same < most && one[a - same - 1] === other[b - same - 1]) same++;
  return same;
}

/** Where they are the same again, which they are not at `at`; `end` if nowhere for long enough. */
function sameAgain(one: Buffer, other: Buffer, at: number, end: number): number {
  let run = 0;
  for (let n = at + 1; n < end; n++) {
    run = one[n] === other[n] ? run + 1 : 0;
    if (run === SAME_BYTES) return n + 1 - run;
  }
  return end;
}

/** An image on its way. */
export class Patched {
  readonly #bytes: Buffer;
  #length: number;

  /** @param room bytes of all that is to be put into it, at least. */
  constructor(image: Buffer, room: number) {
    this.#bytes = Buffer.allocUnsafe(image.length + room);
    this.#length = image.copy(this.#bytes);
  }

  /** Returns whether these are patches of this image. */
  apply(patches: Buffer): boolean {
    for (let at = 0; at < patches.length; ) {
      if (at + FRAME_BYTES > patches.length) return false;
      const from = at + FRAME_BYTES;
      const to = from + patches.readUInt32BE(at + 8);
      if (
        to > patches.length ||
        !this.#replace(patches.readUInt32BE(at), patches.readUInt32BE(at + 4), patches, from, to)
      ) {
        return false;
      }
      at = to;
    }
    return true;
  }

  #replace(at: number, removed: number, patches: Buffer, from: number, to: number): boolean {
    const [rest, next] = [at + removed, at + to - from];
    const length = this.#length + next - rest;
    if (at < HEADER_BYTES || rest > this.#length || length > this.#bytes.length) return false;
    if (rest !== next) this.#bytes.copyWithin(next, rest, this.#length);
    patches.copy(this.#bytes, at, from, to);
    this.#length = length;
    return true;
  }

  /** A copy that keeps nothing else in memory. */
  get image(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }
}
