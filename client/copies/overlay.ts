// A tier for speed, for the benchmark row `set`: without overlays a commit takes 35 instead of 25 us of a worker. Contents after a small commit
// have no image at first: an overlay is the changed keys on top of older contents, and an image is made of both when somebody asks for one.
//
// To remove the tier, remove this file and each line of `contents.ts` that names an overlay: `fromChange` and `changedBy` then always make an image.

import { applyDelta, type Change, encodeDelta, KeyList, MAX_AGE_KEY } from "../../protocol/image/image.ts";
import { decodeScanned, isGambasObject, isObjectTag } from "../../protocol/value/value.ts";
import { Original } from "./original.ts";

/** Changed keys: the new bytes of each, or undefined for a deleted one. */
export type Entries = ReadonlyMap<string, Buffer | undefined>;

/** `moved` are keys that were deleted and set again since, and so have become the last ones. */
export interface Made {
  readonly entries: Entries;
  readonly moved: ReadonlySet<string>;
}

/** The contents below an overlay: they have an image, so a read takes one step down at most. */
export interface Below {
  readonly image: Buffer;
  readonly keyList: KeyList;
  readonly timeoutSeconds: number;
  readonly cookiePath: string;
  readonly hasMaxAge: boolean;
  has(key: string): boolean;
  value(key: string): unknown;
  stored(key: string): Buffer | undefined;
}

/** Whoever counts the memory that an overlay takes. */
export interface Counting {
  grow(bytes: number): void;
}

const NOT_SCALAR = Symbol("not a scalar");

/** Contents with more changed keys than this get an image: the changes of an overlay are copied at each commit. */
const MAX_KEYS = 32;

// The memory of JavaScript objects besides their bytes, as measured with Node 20.
/** A changed value: the buffer and its place in a map. */
const CHANGE_BYTES = 256;
/** A decoded value: an `Original`, or a scalar in its place of a map. */
const VALUE_BYTES = 256;
const KEY_BYTES = 128;

/** No object is shared between its keys, so a key without an entry here has the value of the contents below. */
export class Overlay<Base extends Below> {
  readonly base: Base;
  readonly #entries: Entries;
  readonly #timeoutSeconds: number | undefined;
  readonly #cookiePath: string | undefined;
  /** Decoded values of the entries. */
  #values: Map<string, unknown> | undefined;

  private constructor(
    base: Base,
    entries: Entries,
    timeoutSeconds: number | undefined,
    cookiePath: string | undefined,
  ) {
    this.base = base;
    this.#entries = entries;
    this.#timeoutSeconds = timeoutSeconds;
    this.#cookiePath = cookiePath;
  }

  /**
   * A change on top of contents in which no objects are shared between keys, or of those and the overlay that they have already. Undefined where
   * only an image can hold the result.
   */
  static over<Base extends Below>(
    below: Base,
    before: Overlay<Base> | undefined,
    { shares = [], timeoutSeconds, cookiePath }: Partial<Change>,
    { entries, moved }: Made,
  ): Overlay<Base> | undefined {
    if (shares.length > 0 || moved.size > 0) return undefined;
    if (before === undefined) {
      return entries.size > MAX_KEYS ? undefined : new Overlay(below, entries, timeoutSeconds, cookiePath);
    }
    const merged = mergeEntries(before.#entries, entries);
    if (merged === undefined || merged.size > MAX_KEYS) return undefined;
    return new Overlay(before.base, merged, timeoutSeconds ?? before.#timeoutSeconds, cookiePath ?? before.#cookiePath);
  }

  /** The estimated memory of the changes. */
  get bytes(): number {
    let bytes = 0;
    for (const value of this.#entries.values()) bytes += CHANGE_BYTES + (value?.length ?? 0);
    return bytes;
  }

  get timeoutSeconds(): number {
    return this.#timeoutSeconds ?? this.base.timeoutSeconds;
  }

  get cookiePath(): string {
    return this.#cookiePath ?? this.base.cookiePath;
  }

  get hasMaxAge(): boolean {
    return this.#entries.has(MAX_AGE_KEY) ? this.#entries.get(MAX_AGE_KEY) !== undefined : this.base.hasMaxAge;
  }

  has(key: string): boolean {
    return this.#entries.has(key) ? this.#entries.get(key) !== undefined : this.base.has(key);
  }

  stored(key: string): Buffer | undefined {
    return this.#entries.has(key) ? this.#entries.get(key) : this.base.stored(key);
  }

  /** As of contents: undefined for a key that is not there, an `Original` for a value that can be changed in place. */
  value(key: string, counting: Counting): unknown {
    return this.#entries.has(key) ? this.#changedValue(key, counting) : this.base.value(key);
  }

  #changedValue(key: string, counting: Counting): unknown {
    this.#values ??= new Map();
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const bytes = this.#entries.get(key);
    if (bytes === undefined) return undefined;
    const scalar = isObjectTag(bytes[0]) ? NOT_SCALAR : decodeScanned(bytes, 0);
    const kept = scalar === NOT_SCALAR || isGambasObject(scalar) ? new Original(bytes) : scalar;
    this.#values.set(key, kept);
    counting.grow(VALUE_BYTES + bytes.length);
    return kept;
  }

  /** In file order. */
  keyList(counting: Counting): KeyList {
    const before = this.base.keyList;
    const keys = new Set(before.keys);
    let isSame = true;
    for (const [key, bytes] of this.#entries) {
      if (bytes !== undefined && keys.has(key)) continue;
      isSame = false;
      if (bytes === undefined) keys.delete(key);
      else keys.add(key);
    }
    if (isSame) return before;
    counting.grow(KEY_BYTES * keys.size);
    return new KeyList([...keys]);
  }

  /** The contents below with the changes in them, as bytes. */
  image(nowMs: number): Buffer {
    const delta = encodeDelta(this.#entries);
    const [timeoutSeconds, cookiePath] = [this.#timeoutSeconds, this.#cookiePath];
    return applyDelta(this.base.image, { delta, nowMs, timeoutSeconds, cookiePath });
  }
}

/** The later value of a key wins. Undefined when a deleted key is set again: it has moved to the end, which needs an image. */
function mergeEntries(before: Entries, after: Entries): Entries | undefined {
  for (const [key, bytes] of after) {
    if (bytes !== undefined && before.has(key) && before.get(key) === undefined) return undefined;
  }
  if (hasSameKeys(before, after)) return after;
  const merged = new Map(before);
  for (const [key, bytes] of after) merged.set(key, bytes);
  return merged;
}

/** Also in the same order: the usual case, where the same keys change at every commit. */
function hasSameKeys(one: Entries, other: Entries): boolean {
  if (one.size !== other.size) return false;
  const keys = one.keys();
  for (const key of other.keys()) if (key !== keys.next().value) return false;
  return true;
}
