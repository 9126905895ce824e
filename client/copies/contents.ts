// The contents of a session at one revision, as this worker has them: an image, of which a value is decoded when a
// request first asks for it. Contents are immutable and shared by all requests; each request gets a copy of its own of
// a value that can be changed in place. Contents estimate the memory they take, and add to their tally when it grows.

import {
  applyDelta,
  type Change,
  encodeDelta,
  isPast,
  type KeyList,
  type Layout,
  layoutOf,
  newImage,
  valueOf as storedValue,
  timeoutSeconds,
} from "../../protocol/image/image.ts";
import { DEFAULT_TIMEOUT_SECONDS } from "../../protocol/places.ts";
import { AsciiCutter, decodeScalar, isGambasObject, isObjectTag } from "../../protocol/value/value.ts";
import { KIND, type State } from "../../protocol/wire/wire.ts";
import { Original } from "./original.ts";
import { type Made, Overlay } from "./overlay.ts";

export interface Revision {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** A change that is not committed yet. */
export interface Uncommitted extends Made {
  readonly properties: { readonly timeoutSeconds?: number; readonly cookiePath?: string };
}

/** The sum of the memory of several contents; belongs to the cache generation that keeps them. */
export interface Tally {
  bytes: number;
}

/** Stands for an object that may be part of several keys: all keys must be decoded together then. */
export const SHARED = Symbol("shared with other keys");

const NOT_SCALAR = Symbol("not a scalar");

/**
 * In a larger image each text is decoded alone: a request that wants one of many values does not pay for all of them.
 */
const MAX_CUTTER_BYTES = 4096;

// The memory of JavaScript objects besides their bytes in the image, as measured with Node 20.
const LAYOUT_BYTES = 160;
/** The offset of a value, and the slot for the decoded value. */
const PLACE_BYTES = 32;
/** A key in a key list that only these contents use. */
const KEY_BYTES = 128;
/** The table of objects that an image with references has, estimated as so many times the image. */
const TABLE_PART = 4;
const SCALAR_BYTES = 40;
/** An `Original` with its view of the image. */
const OBJECT_BYTES = 256;

export class Contents {
  readonly revision: Revision;
  /** When the session was last saved or stamped, Unix ms. */
  readonly startupMs: number;
  /** Only this request may use these contents: a stat could not tell their revision from that of a later save. */
  readonly isFleeting: boolean;
  #image: Buffer | undefined;
  #overlay: Overlay<Contents> | undefined;
  #layout: Layout | undefined;
  #keyList: KeyList | undefined;
  #timeoutSeconds: number | undefined;
  /** The decoded values of the image, in the order of its entries. */
  #values: unknown[] | undefined;
  #cutter: AsciiCutter | undefined;
  /** Whether the image has memory of its own, outside Node's pool. */
  #isSettled: boolean;
  /** The estimated memory of these contents, without the base of an overlay. */
  #ownBytes: number;
  #tally: Tally | undefined;

  private constructor(state: State, image: Buffer | undefined, overlay: Overlay<Contents> | undefined) {
    this.revision = { ino: state.ino, size: state.size, mtimeMs: state.mtimeMs };
    this.startupMs = state.startupMs;
    this.isFleeting = state.kind === KIND.fleeting;
    this.#image = image;
    this.#overlay = overlay;
    this.#isSettled = image !== undefined && !isFromPool(image);
    this.#ownBytes = image === undefined ? (overlay?.bytes ?? 0) : image.length;
  }

  /** From an answer that brings an image. The image is copied: the answer is a view of the receive buffer. */
  static fromImage(state: State, image: Buffer): Contents {
    return new Contents(state, Buffer.from(image), undefined);
  }

  /**
   * From the answer to a commit: the contents that `change` has made of `base`, or of nothing for a new session. `made`
   * are the keys in the delta of `change`.
   */
  static fromChange(state: State, base: Contents | undefined, change: Change, made: Made): Contents {
    const overlay = base === undefined ? undefined : base.#overlayWith(change, made);
    if (overlay !== undefined) return new Contents(state, undefined, overlay);
    const { startupMs: nowMs } = state;
    const before = base?.image ?? newImage({ nowMs, timeoutSeconds: change.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS });
    return new Contents(state, applyDelta(before, { ...change, nowMs }), undefined);
  }

  /** The contents that an uncommitted change would make of these. */
  changedBy({ entries, moved, properties }: Uncommitted): Contents {
    const { ino, size, mtimeMs } = this.revision;
    const state = { kind: KIND.contents, ino, size, mtimeMs, startupMs: this.startupMs, image: null };
    const overlay = this.#overlayWith(properties, { entries, moved });
    if (overlay !== undefined) return new Contents(state, undefined, overlay);
    const change = { delta: encodeDelta(entries, moved), nowMs: this.startupMs, ...properties };
    return new Contents(state, applyDelta(this.image, change), undefined);
  }

  /** The same values at a later revision, which differs in the time stamp only. */
  stamped(state: State): Contents {
    const stamped = new Contents(state, this.#image, this.#overlay);
    stamped.#layout = this.#layout;
    stamped.#keyList = this.#keyList;
    stamped.#values = this.#values;
    stamped.#cutter = this.#cutter;
    stamped.#timeoutSeconds = this.#timeoutSeconds;
    stamped.#isSettled = this.#isSettled;
    stamped.#ownBytes = this.#ownBytes;
    return stamped;
  }

  /** The estimated memory of these contents, decoded values and the base of an overlay included. */
  get bytes(): number {
    return this.#overlay === undefined ? this.#ownBytes : this.#ownBytes + this.#overlay.base.bytes;
  }

  /** Moves the memory of these contents, and all that they grow by later, to a tally; undefined: to none. */
  countIn(tally: Tally | undefined): void {
    const { bytes } = this;
    if (this.#tally !== undefined) this.#tally.bytes -= bytes;
    if (tally !== undefined) tally.bytes += bytes;
    this.#tally = tally;
    if (this.#overlay !== undefined) this.#overlay.base.#tally = tally;
  }

  grow(bytes: number): void {
    this.#ownBytes += bytes;
    if (this.#tally !== undefined) this.#tally.bytes += bytes;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Moves the image to memory of its own: a small buffer of Node's pool keeps a whole slab of the pool in memory. */
  settle(): void {
    if (!this.#isSettled) this.#become(copyOf(this.image), true);
  }

  /** Forgets all decoded values, to free their memory. A later request has them decoded again. */
  shed(): void {
    this.#become(this.image, this.#isSettled);
  }

  get image(): Buffer {
    if (this.#image !== undefined) return this.#image;
    if (this.#overlay === undefined) throw new Error("contents without bytes and without a way to them");
    return this.#become(this.#overlay.image(this.startupMs), false);
  }

  /** From now on these contents are this image and nothing derived from it. */
  #become(image: Buffer, isSettled: boolean): Buffer {
    const tally = this.#tally;
    this.countIn(undefined);
    this.#overlay = undefined;
    this.#layout = undefined;
    this.#keyList = undefined;
    this.#values = undefined;
    this.#cutter = undefined;
    this.#image = image;
    this.#isSettled = isSettled || !isFromPool(image);
    this.#ownBytes = image.length;
    this.countIn(tally);
    return image;
  }

  get layout(): Layout {
    this.#layout ??= this.#findLayout();
    return this.#layout;
  }

  #findLayout(): Layout {
    const { image } = this;
    const layout = layoutOf(image);
    const { size, list } = layout.entries;
    const perKey = list.isShared ? PLACE_BYTES : PLACE_BYTES + KEY_BYTES;
    this.grow(LAYOUT_BYTES + perKey * size + (layout.hasReferences ? TABLE_PART * image.length : 0));
    return layout;
  }

  /** In file order. */
  get keys(): readonly string[] {
    return this.keyList.keys;
  }

  /** The keys without those that Gambas keeps for itself. */
  get shownKeys(): readonly string[] {
    return this.keyList.shown;
  }

  has(key: string): boolean {
    return this.#overlay === undefined ? this.layout.entries.has(key) : this.#overlay.has(key);
  }

  /** Whether the session itself says how long browsers keep its cookie. */
  get hasMaxAge(): boolean {
    return this.#overlay === undefined ? this.layout.entries.list.hasMaxAge : this.#overlay.hasMaxAge;
  }

  /** Whether one object may be part of several keys. An overlay never has such objects. */
  get #mayShareObjects(): boolean {
    return this.#overlay === undefined && this.layout.hasReferences;
  }

  get timeoutSeconds(): number {
    this.#timeoutSeconds ??= this.#overlay?.timeoutSeconds ?? timeoutSeconds(this.image);
    return this.#timeoutSeconds;
  }

  get cookiePath(): string {
    return this.#overlay === undefined ? this.layout.cookiePath : this.#overlay.cookiePath;
  }

  /** The number by which the daemon knows these contents; 0 where it could mistake others for them. */
  get base(): number {
    return this.isFleeting ? 0 : this.revision.mtimeMs;
  }

  isExpired(nowMs: number): boolean {
    return isPast(this.startupMs, this.timeoutSeconds, nowMs);
  }

  /**
   * The value of a key; undefined for a key that is not there. A value that can be changed in place is an `Original`,
   * of which each request takes a copy, or SHARED.
   */
  value(key: string): unknown {
    if (this.#overlay !== undefined) return this.#overlay.value(key, this);
    const { layout } = this;
    const index = layout.entries.list.indexOf(key);
    if (index < 0) return undefined;
    this.#values ??= new Array<unknown>(layout.entries.size);
    const known = this.#values[index];
    if (known !== undefined) return known;
    const value = this.#decode(layout, index);
    this.#values[index] = value;
    return value;
  }

  /** The self-contained bytes of a value. */
  stored(key: string): Buffer | undefined {
    return this.#overlay === undefined ? storedValue(this.image, this.layout, key) : this.#overlay.stored(key);
  }

  /** These contents with a change on top of them; undefined where only an image can hold the result. */
  #overlayWith(change: Partial<Change>, made: Made): Overlay<Contents> | undefined {
    return this.#mayShareObjects ? undefined : Overlay.over(this, this.#overlay, change, made);
  }

  #decode({ entries, hasReferences }: Layout, index: number): unknown {
    const { image } = this;
    const [from, to] = [entries.valueStart(index), entries.valueEnd(index)];
    this.#cutter ??= this.#newCutter(image);
    const value = isObjectTag(image[from]) ? NOT_SCALAR : decodeScalar(image, from, this.#cutter);
    if (value !== NOT_SCALAR && !isGambasObject(value)) {
      this.grow(SCALAR_BYTES + to - from);
      return value;
    }
    if (hasReferences) return SHARED;
    this.grow(OBJECT_BYTES);
    return new Original(image.subarray(from, to));
  }

  #newCutter(image: Buffer): AsciiCutter {
    if (image.length <= MAX_CUTTER_BYTES) this.grow(image.length);
    return new AsciiCutter(image, MAX_CUTTER_BYTES);
  }

  get keyList(): KeyList {
    this.#keyList ??= this.#overlay?.keyList(this) ?? this.layout.entries.list;
    return this.#keyList;
  }
}

/** Node cuts buffers of less than half its size from the pool; all others have memory of their own. */
function isFromPool(bytes: Buffer): boolean {
  return bytes.length < Buffer.poolSize >>> 1;
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
