// The contents of a session at one revision, as this worker has them: bytes, decoded only as far as somebody asks. Immutable and
// shared by all requests; of what can be changed in place each takes a copy. They know what memory they take, about, and tell
// whoever keeps them when it becomes more.

import {
  applyDelta,
  type Change,
  encodeDelta,
  isPast,
  KeyList,
  type Layout,
  layoutOf,
  newImage,
  valueOf as storedValue,
  timeoutSeconds,
} from "../../protocol/image/image.ts";
import { DEFAULT_TIMEOUT_SECONDS } from "../../protocol/places.ts";
import { AsciiCutter, decodeScalar, decodeScanned, isGambasObject, isObjectTag } from "../../protocol/value/value.ts";
import { KIND, type State } from "../../protocol/wire/operations.ts";
import { Original } from "./original.ts";

export interface Revision {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** What was changed since an older revision. No object of it is shared between keys, so a key that is not here is as it was there. */
interface Overlay {
  /** Has bytes of its own. */
  readonly base: Contents;
  readonly entries: Entries;
  readonly timeoutSeconds: number | undefined;
  readonly cookiePath: string | undefined;
}

type Entries = ReadonlyMap<string, Buffer | undefined>;

/** What was made of keys: new bytes, or undefined; and which of them were removed before, and so are the last ones now. */
export interface Made {
  readonly entries: Entries;
  readonly moved: ReadonlySet<string>;
}

/** A change that is not committed yet. */
export interface Uncommitted extends Made {
  readonly properties: { readonly timeoutSeconds?: number; readonly cookiePath?: string };
}

/** Where whoever keeps contents adds up the memory they take. */
export interface Tally {
  bytes: number;
}

/** Bytes are made at the latest when so many keys differ. */
const MAX_OVERLAY_KEYS = 32;

/** Said of an object that may be part of several keys, too: all of them must be decoded together. */
export const SHARED = Symbol("shared with other keys");

const NOT_SCALAR = Symbol("not a scalar");

/** Of larger contents text is read one by one: whoever wants one of many values does not pay for all. */
const MAX_CUTTER_BYTES = 4096;

// What things take in memory besides their bytes, as measured with Node 20.
/** A changed value: the buffer and its place in a map. */
const CHANGE_BYTES = 256;
const LAYOUT_BYTES = 160;
/** Where a value is, and a place for what it is decoded to. */
const PLACE_BYTES = 32;
/** A key of a list that no other contents share. */
const KEY_BYTES = 128;
/** The table of the objects of an image with references, as a part of the image. */
const TABLE_PART = 4;
const SCALAR_BYTES = 40;
/** An `Original` with its view of the image. */
const OBJECT_BYTES = 256;

export class Contents {
  readonly revision: Revision;
  /** When the session was last saved or stamped, Unix ms. */
  readonly startupMs: number;
  /** May be used for this request and must not be kept: stat could not tell it from a later save. */
  readonly isFleeting: boolean;
  #image: Buffer | undefined;
  #overlay: Overlay | undefined;
  #layout: Layout | undefined;
  #keyList: KeyList | undefined;
  #timeoutSeconds: number | undefined;
  /** Values of the image that were asked for, in its order. */
  #values: unknown[] | undefined;
  #cutter: AsciiCutter | undefined;
  /** Values of the overlay that were asked for. */
  #changedValues: Map<string, unknown> | undefined;
  /** The bytes lie in memory that is theirs alone. */
  #isSettled: boolean;
  /** What it takes without the base of an overlay. */
  #ownBytes: number;
  #tally: Tally | undefined;

  private constructor(state: State, image: Buffer | undefined, overlay: Overlay | undefined) {
    this.revision = { ino: state.ino, size: state.size, mtimeMs: state.mtimeMs };
    this.startupMs = state.startupMs;
    this.isFleeting = state.kind === KIND.fleeting;
    this.#image = image;
    this.#overlay = overlay;
    this.#isSettled = image !== undefined && !isFromPool(image);
    this.#ownBytes = image === undefined ? bytesOfEntries(overlay?.entries) : image.length;
  }

  /** From an answer that brings the bytes. They are copied: the answer is a view of the receive buffer. */
  static fromImage(state: State, image: Buffer): Contents {
    return new Contents(state, Buffer.from(image), undefined);
  }

  /** From the answer to a commit: `change`, whose delta holds `made`, on top of `base`, or of nothing for a new session. */
  static fromChange(state: State, base: Contents | undefined, change: Change, made: Made): Contents {
    const overlay = base === undefined ? undefined : base.#overlayWith(change, made);
    if (overlay !== undefined) return new Contents(state, undefined, overlay);
    const { startupMs: nowMs } = state;
    const before = base?.image ?? newImage({ nowMs, timeoutSeconds: change.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS });
    return new Contents(state, applyDelta(before, { ...change, nowMs }), undefined);
  }

  /** The contents that a change would make of these. */
  changedBy({ entries, moved, properties }: Uncommitted): Contents {
    const { ino, size, mtimeMs } = this.revision;
    const state = { kind: KIND.contents, ino, size, mtimeMs, startupMs: this.startupMs, image: null };
    const overlay = this.#overlayWith(properties, { entries, moved });
    if (overlay !== undefined) return new Contents(state, undefined, overlay);
    const change = { delta: encodeDelta(entries, moved), nowMs: this.startupMs, ...properties };
    return new Contents(state, applyDelta(this.image, change), undefined);
  }

  /** The same contents at another revision: only the stamp is newer. */
  stamped(state: State): Contents {
    const stamped = new Contents(state, this.#image, this.#overlay);
    stamped.#layout = this.#layout;
    stamped.#keyList = this.#keyList;
    stamped.#values = this.#values;
    stamped.#cutter = this.#cutter;
    stamped.#changedValues = this.#changedValues;
    stamped.#timeoutSeconds = this.#timeoutSeconds;
    stamped.#isSettled = this.#isSettled;
    stamped.#ownBytes = this.#ownBytes;
    return stamped;
  }

  /** Memory it takes, about, with all that was decoded. */
  get bytes(): number {
    return this.#overlay === undefined ? this.#ownBytes : this.#ownBytes + this.#overlay.base.bytes;
  }

  /** Whoever keeps it counts its memory there from now on, whatever it grows by; undefined: nobody does any more. */
  countIn(tally: Tally | undefined): void {
    const { bytes } = this;
    if (this.#tally !== undefined) this.#tally.bytes -= bytes;
    if (tally !== undefined) tally.bytes += bytes;
    this.#tally = tally;
    if (this.#overlay !== undefined) this.#overlay.base.#tally = tally;
  }

  #grow(bytes: number): void {
    this.#ownBytes += bytes;
    if (this.#tally !== undefined) this.#tally.bytes += bytes;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Moves the bytes to memory that is theirs alone: in the pool that Node cuts small buffers from, each of them keeps a whole slab. */
  settle(): void {
    if (!this.#isSettled) this.#become(copyOf(this.image), true);
  }

  /** Forgets what was decoded. It is decoded anew for whoever asks. */
  shed(): void {
    this.#become(this.image, this.#isSettled);
  }

  get image(): Buffer {
    return this.#image ?? this.#become(this.#derive(), false);
  }

  /** These bytes and nothing else. */
  #become(image: Buffer, isSettled: boolean): Buffer {
    const tally = this.#tally;
    this.countIn(undefined);
    this.#overlay = undefined;
    this.#changedValues = undefined;
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
    this.#grow(LAYOUT_BYTES + perKey * size + (layout.hasReferences ? TABLE_PART * image.length : 0));
    return layout;
  }

  /** In file order. */
  get keys(): readonly string[] {
    return this.#list.keys;
  }

  /** Without Gambas' own. */
  get shownKeys(): readonly string[] {
    return this.#list.shown;
  }

  has(key: string): boolean {
    const overlay = this.#overlay;
    if (overlay === undefined) return this.layout.entries.has(key);
    return overlay.entries.has(key) ? overlay.entries.get(key) !== undefined : overlay.base.has(key);
  }

  /** One object may be part of several keys. */
  get #mayShareObjects(): boolean {
    return this.#overlay === undefined && this.layout.hasReferences;
  }

  get timeoutSeconds(): number {
    this.#timeoutSeconds ??= this.#findTimeout();
    return this.#timeoutSeconds;
  }

  get cookiePath(): string {
    return this.#overlay === undefined
      ? this.layout.cookiePath
      : (this.#overlay.cookiePath ?? this.#overlay.base.cookiePath);
  }

  /** What the daemon knows these contents by; 0 for those it could mistake. */
  get base(): number {
    return this.isFleeting ? 0 : this.revision.mtimeMs;
  }

  isExpired(nowMs: number): boolean {
    return isPast(this.startupMs, this.timeoutSeconds, nowMs);
  }

  /**
   * The value of a key; undefined for a key that is not there. For what can be changed in place the `Original`, of which each request
   * takes a copy, or SHARED.
   */
  value(key: string): unknown {
    const overlay = this.#overlay;
    if (overlay !== undefined) {
      const { base, entries } = overlay;
      return entries.has(key) ? this.#changedValue(entries, key) : base.value(key);
    }
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
    const overlay = this.#overlay;
    if (overlay === undefined) return storedValue(this.image, this.layout, key);
    return overlay.entries.has(key) ? overlay.entries.get(key) : overlay.base.stored(key);
  }

  /** These contents with a change on top, by keys; undefined where that takes bytes. */
  #overlayWith(change: Partial<Change>, { entries, moved }: Made): Overlay | undefined {
    const { shares = [], timeoutSeconds, cookiePath } = change;
    if (shares.length > 0 || moved.size > 0 || this.#mayShareObjects) return undefined;
    const before = this.#overlay;
    const merged = before === undefined ? entries : mergeEntries(before.entries, entries);
    if (merged === undefined || merged.size > MAX_OVERLAY_KEYS) return undefined;
    return {
      base: before?.base ?? this,
      entries: merged,
      timeoutSeconds: timeoutSeconds ?? before?.timeoutSeconds,
      cookiePath: cookiePath ?? before?.cookiePath,
    };
  }

  #decode({ entries, hasReferences }: Layout, index: number): unknown {
    const { image } = this;
    const [from, to] = [entries.valueStart(index), entries.valueEnd(index)];
    this.#cutter ??= this.#newCutter(image);
    const value = isObjectTag(image[from]) ? NOT_SCALAR : decodeScalar(image, from, this.#cutter);
    if (value !== NOT_SCALAR && !isGambasObject(value)) {
      this.#grow(SCALAR_BYTES + to - from);
      return value;
    }
    if (hasReferences) return SHARED;
    this.#grow(OBJECT_BYTES);
    return new Original(image.subarray(from, to));
  }

  #newCutter(image: Buffer): AsciiCutter {
    if (image.length <= MAX_CUTTER_BYTES) this.#grow(image.length);
    return new AsciiCutter(image, MAX_CUTTER_BYTES);
  }

  #changedValue(entries: Entries, key: string): unknown {
    this.#changedValues ??= new Map();
    const known = this.#changedValues.get(key);
    if (known !== undefined) return known;
    const bytes = entries.get(key);
    if (bytes === undefined) return undefined;
    const value = isObjectTag(bytes[0]) ? NOT_SCALAR : decodeScanned(bytes, 0);
    const kept = value === NOT_SCALAR || isGambasObject(value) ? new Original(bytes) : value;
    this.#changedValues.set(key, kept);
    this.#grow(OBJECT_BYTES + bytes.length);
    return kept;
  }

  get #list(): KeyList {
    this.#keyList ??= this.#findKeys();
    return this.#keyList;
  }

  #findKeys(): KeyList {
    const overlay = this.#overlay;
    if (overlay === undefined) return this.layout.entries.list;
    const before = overlay.base.#list;
    const keys = new Set(before.keys);
    let isSame = true;
    for (const [key, bytes] of overlay.entries) {
      if (bytes !== undefined && keys.has(key)) continue;
      isSame = false;
      if (bytes === undefined) keys.delete(key);
      else keys.add(key);
    }
    if (isSame) return before;
    this.#grow(KEY_BYTES * keys.size);
    return new KeyList([...keys]);
  }

  #findTimeout(): number {
    const overlay = this.#overlay;
    if (overlay === undefined) return timeoutSeconds(this.image);
    return overlay.timeoutSeconds ?? overlay.base.timeoutSeconds;
  }

  #derive(): Buffer {
    const overlay = this.#overlay;
    if (overlay === undefined) throw new Error("contents without bytes and without a way to them");
    const { base, entries, timeoutSeconds, cookiePath } = overlay;
    const change = { delta: encodeDelta(entries), nowMs: this.startupMs, timeoutSeconds, cookiePath };
    return applyDelta(base.image, change);
  }
}

/** Of one key the later value counts. Undefined when a key was removed and is there again: then it has moved to the end. */
function mergeEntries(before: Entries, after: Entries): Entries | undefined {
  for (const [key, bytes] of after) {
    if (bytes !== undefined && before.has(key) && before.get(key) === undefined) return undefined;
  }
  if (hasSameKeys(before, after)) return after;
  const merged = new Map(before);
  for (const [key, bytes] of after) merged.set(key, bytes);
  return merged;
}

/** In the same order. So it is when one value changes again and again. */
function hasSameKeys(one: Entries, other: Entries): boolean {
  if (one.size !== other.size) return false;
  const keys = one.keys();
  for (const key of other.keys()) if (key !== keys.next().value) return false;
  return true;
}

function bytesOfEntries(entries: Entries | undefined): number {
  let bytes = 0;
  if (entries !== undefined) for (const value of entries.values()) bytes += CHANGE_BYTES + (value?.length ?? 0);
  return bytes;
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
