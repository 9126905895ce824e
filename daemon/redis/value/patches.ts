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
/** So many bytes that are the same show where two images go on alike. */
const ANCHOR_BYTES = 16;
/** What is left after so many patches is one more: to look for them takes time, too. */
const MAX_PATCHES = 16;

interface Patch {
  /** Where it is in the new image, and in the old one with the patches before it. */
  readonly from: number;
  readonly to: number;
  readonly removed: number;
}

/** What makes one image of the other: not always the least, but about what was changed. */
export function patchesBetween(before: Buffer, after: Buffer): Buffer {
  const patches: Patch[] = [];
  const least = Math.min(before.length, after.length) - HEADER_BYTES;
  const head = HEADER_BYTES + sameFrom(before, HEADER_BYTES, after, HEADER_BYTES, least);
  const tail = sameBack(before, after, least + HEADER_BYTES - head);
  const [oldEnd, newEnd] = [before.length - tail, after.length - tail];
  let [old, from] = [head, head];
  while (old < oldEnd || from < newEnd) {
    const isLast = patches.length === MAX_PATCHES;
    const ahead = isLast ? undefined : meeting(before.subarray(0, oldEnd), old, after.subarray(0, newEnd), from);
    const [rest, to] = ahead ?? [oldEnd, newEnd];
    patches.push({ from, to, removed: rest - old });
    const same = sameFrom(before, rest, after, to, Math.min(oldEnd - rest, newEnd - to));
    [old, from] = [rest + same, to + same];
  }
  return encode(patches, after);
}

/** Where both go on alike, after what differs at `old` and `from`. */
function meeting(before: Buffer, old: number, after: Buffer, from: number): readonly [number, number] | undefined {
  for (let ahead = ANCHOR_BYTES; old + ahead + ANCHOR_BYTES <= before.length; ahead *= 2) {
    let one = old + ahead;
    let other = after.indexOf(before.subarray(one, one + ANCHOR_BYTES), from);
    if (other < 0) continue;
    while (one > old && other > from && before[one - 1] === after[other - 1]) {
      one--;
      other--;
    }
    return [one, other];
  }
  return undefined;
}

function encode(patches: readonly Patch[], after: Buffer): Buffer {
  let bytes = 0;
  for (const { from, to } of patches) bytes += FRAME_BYTES + to - from;
  const encoded = Buffer.allocUnsafe(bytes);
  let end = 0;
  for (const { removed, from, to } of patches) {
    encoded.writeUInt32BE(from, end);
    encoded.writeUInt32BE(removed, end + 4);
    encoded.writeUInt32BE(to - from, end + 8);
    end += FRAME_BYTES + after.copy(encoded, end + FRAME_BYTES, from, to);
  }
  return encoded;
}

/** How many bytes are the same from there on, of `most`. */
function sameFrom(one: Buffer, at: number, other: Buffer, otherAt: number, most: number): number {
  let same = 0;
  for (let step = BLOCK_BYTES; step >= STRIDE_BYTES; step /= 4) {
    while (
      same + step <= most &&
      one.compare(other, otherAt + same, otherAt + same + step, at + same, at + same + step) === 0
    ) {
      same += step;
    }
  }
  while (same < most && one[at + same] === other[otherAt + same]) same++;
  return same;
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
