// What one request has done to the keys of its session, on top of the contents that its handle has: keys set or deleted, and objects handed out.
// Knows neither the client nor the life of the session.
//
// A key is in one of three places: in `#changes` (set or deleted since the last save), among the live objects (handed out from the contents,
// and perhaps changed in place since), or only in the contents. A save sends `#changes`, and those of the live objects that are not what
// they were. An object says nothing when it is changed: every question whether something is unsaved compares the objects anew, and its
// answer is worth nothing once code of the application has run.

import { isCode, SessionError } from "../../protocol/errors.ts";
import {
  decodeAll,
  isLongKey,
  isShownKey,
  keyBytes,
  MAX_AGE_KEY,
  MAX_KEY_BYTES,
  typeOf,
} from "../../protocol/image/image.ts";
import {
  decodeValue,
  type Encoded,
  encodeValue,
  isGambasObject,
  type Origins,
  typeOfValue,
} from "../../protocol/value/value.ts";
import { type Contents, Original, SHARED } from "../copies/cache.ts";
import { noteLate, type Watched, watch } from "./late-changes.ts";
import { encodeNext, LiveObjects, objectsIn } from "./live-objects.ts";
import {
  type Changed,
  type Collected,
  collect,
  isEqual,
  type Live,
  NO_CHANGES,
  NONE_LIVE,
  type Sent,
} from "./unsaved.ts";

/** What a part of a transaction can be taken back to. */
export interface RememberedEdits {
  /** The bytes that objects had. */
  readonly objects: ReadonlyMap<string, Buffer>;
  readonly changes: ReadonlyMap<string, Changed>;
  readonly live: ReadonlyMap<string, Live>;
}

export class Edits {
  #changes: Map<string, Changed> = NO_CHANGES;
  /** The entries of the last save, until it is known whether they are saved. */
  #askedFor: ReadonlyMap<string, unknown> = NO_CHANGES;
  /** Undefined as long as no object was handed out. */
  #objects: LiveObjects | undefined;
  /** Why values cannot be shown, once all that share objects were decoded. */
  #unreadable: Map<string, Error> | undefined;
  /** The handle that is told of what is changed now, because nobody will save it; undefined as long as somebody will. */
  #late: Watched | undefined;

  // -- reading

  keys(contents: Contents | undefined): string[] {
    if (this.#changes.size === 0) return contents?.shownKeys.slice() ?? [];
    const keys = new Set(contents?.keys);
    for (const [key, change] of this.#changes) {
      if (change.bytes === undefined || change.removal !== undefined) keys.delete(key);
      if (change.bytes !== undefined) keys.add(key);
    }
    return [...keys].filter(isShownKey);
  }

  has(key: string, contents: Contents | undefined): boolean {
    if (key === MAX_AGE_KEY) return false;
    const change = this.#changes.size === 0 ? undefined : this.#changes.get(key);
    if (change !== undefined) return change.bytes !== undefined;
    return contents?.has(key) === true;
  }

  /** @throws SessionError ERR_UNREADABLE for a value that cannot be shown. */
  get(key: string, contents: Contents | undefined): unknown {
    if (key === MAX_AGE_KEY) return undefined;
    // Nothing is looked up where nothing can be found.
    const change = this.#changes.size === 0 ? undefined : this.#changes.get(key);
    if (change !== undefined) return change.value;
    const live = this.#objects?.live.get(key);
    if (live !== undefined) return live.value;
    return contents === undefined ? undefined : this.#decode(contents, key);
  }

  /** The exact Gambas type. */
  typeOf(key: string, contents: Contents | undefined): string | undefined {
    if (key === MAX_AGE_KEY) return undefined;
    const change = this.#changes.get(key);
    const live = this.#objects?.live.get(key);
    if (change !== undefined) return change.bytes && this.#typeNow(key, change.value, change.bytes);
    if (live !== undefined) return this.#typeNow(key, live.value, live.baseline);
    return contents && typeOf(contents.image, contents.layout, key);
  }

  #decode(contents: Contents, key: string): unknown {
    try {
      const value = contents.value(key);
      if (value === SHARED) return this.#decodeShared(contents, key);
      return value instanceof Original ? this.#copy(value, key) : value;
    } catch (error) {
      if (!isCode(error, "ERR_UNREADABLE")) throw error;
      throw new SessionError(
        "ERR_UNREADABLE",
        `The key ${JSON.stringify(key)} cannot be shown, only set or deleted: ${error.what}`,
        { cause: error },
      );
    }
  }

  #copy(original: Original, key: string): unknown {
    const objects = this.#madeObjects();
    const value = original.copy(objects.rememberOrigins());
    objects.keep(key, { value, baseline: original.bytes });
    return value;
  }

  /** Objects may be shared between keys: all are decoded together, once. */
  #decodeShared(contents: Contents, key: string): unknown {
    if (this.#unreadable === undefined) {
      this.#unreadable = new Map();
      const objects = this.#madeObjects();
      for (const [name, entry] of decodeAll(contents.image, contents.layout, objects.rememberOrigins())) {
        if (entry.error !== undefined) this.#unreadable.set(name, entry.error);
        else if (!this.#changes.has(name) && !objects.live.has(name)) objects.keep(name, entry);
      }
    }
    const problem = this.#unreadable.get(key);
    if (problem !== undefined) throw problem;
    return this.#objects?.live.get(key)?.value;
  }

  /** Only an object may have become something else since it had these bytes. */
  #typeNow(key: string, value: unknown, bytes: Buffer): string {
    return typeOfValue(isGambasObject(value) ? this.#encode(key, value, bytes).bytes : bytes, 0);
  }

  // -- writing

  /**
   * What setting a key would be: `put` does it. Changes nothing.
   *
   * @throws SessionError ERR_BAD_VALUE, naming the place.
   */
  next(key: string, value: unknown, contents: Contents | undefined): Changed {
    const before = this.#changes.get(key);
    const previous = before === undefined ? contents?.stored(key) : before.bytes;
    const at = previous === undefined ? undefined : { bytes: previous, at: 0 };
    const { bytes, isCanonical } = encodeValue(value, key, at, this.#objects?.origins);
    // Only what every other worker will see may be seen here: a Map, say, is a plain object from now on.
    const seen = isCanonical ? value : decodeValue(bytes, 0, this.#madeObjects().rememberOrigins());
    return { bytes, value: seen, removal: isRemoval(before) ? {} : before?.removal };
  }

  put(key: string, change: Changed): void {
    this.#objects?.delete(key);
    // A key that was removed and is set again is a new one, and the last.
    if (change.removal !== undefined && isRemoval(this.#changes.get(key))) this.#changes.delete(key);
    this.#change(key, change);
  }

  /**
   * What setting these keys, and none but these, would be: `putAll` does it. Changes nothing.
   *
   * @throws SessionError ERR_BAD_KEY, ERR_BAD_VALUE.
   */
  nextAll(values: Readonly<Record<string, unknown>>, contents: Contents | undefined): ReadonlyMap<string, Changed> {
    // What has no keys would end all keys.
    const kind = Object.prototype.toString.call(values).slice("[object ".length, -1);
    if (kind !== "Object") throw notKeyed(kind);
    const next = new Map<string, Changed>();
    for (const [key, value] of Object.entries(values)) {
      checkKey(key);
      if (value !== null && value !== undefined) next.set(key, this.next(key, value, contents));
    }
    return next;
  }

  /** A value that is in the contents already is not written again. */
  putAll(next: ReadonlyMap<string, Changed>, contents: Contents | undefined): void {
    for (const key of this.keys(contents)) if (!next.has(key)) this.delete(key, contents);
    for (const [key, change] of next) if (!this.#isStored(key, change, contents)) this.put(key, change);
  }

  #isStored(key: string, { bytes }: Changed, contents: Contents | undefined): boolean {
    if (this.#changes.has(key) || this.#objects?.live.has(key) === true) return false;
    const stored = contents?.stored(key);
    return stored !== undefined && bytes !== undefined && isEqual(stored, bytes);
  }

  /** For a key that is there. */
  delete(key: string, contents: Contents | undefined): void {
    this.#objects?.delete(key);
    // A save that is under way, or failed nobody knows how, may have put it there.
    const mayBeStored = contents?.has(key) === true || this.#askedFor.has(key);
    if (mayBeStored) this.#change(key, { bytes: undefined, value: undefined });
    else this.#changes.delete(key);
  }

  /** Everything is as it is in the contents; objects that are out are strays from now on. */
  drop(): void {
    if (this.#objects !== undefined || this.#changes.size > 0) this.#madeObjects().dropAll(this.#changes);
    this.#changes = NO_CHANGES;
    this.#askedFor = NO_CHANGES;
    this.#unreadable = undefined;
  }

  /** Objects of a session that has ended belong to nothing. */
  forgetObjects(): void {
    this.#objects = undefined;
  }

  /** From now on whatever is changed is told to `handle`, and so are objects that may be. */
  tellLate(handle: Watched): void {
    this.#late = handle;
    if (this.#objects?.isEmpty === false) watch(handle);
  }

  #change(key: string, change: Changed): void {
    if (this.#changes === NO_CHANGES) this.#changes = new Map();
    this.#changes.set(key, change);
    this.#objects?.claim(change.value);
    if (this.#late !== undefined) noteLate(this.#late);
  }

  // -- saving

  /** Keys were set or deleted. */
  get hasChanges(): boolean {
    return this.#changes.size > 0;
  }

  /** An object that was handed out is not what it was. */
  get hasChangedObjects(): boolean {
    return this.#objects?.hasChanged() === true;
  }

  /** Objects are out, so that something may be changed although `hasChanges` is false. */
  get hasObjects(): boolean {
    return this.#objects?.isEmpty === false;
  }

  /** The keys that are not saved, changed in place or not. */
  changedKeys(): string[] {
    return [...this.#changes.keys(), ...(this.#objects?.changedKeys() ?? [])].filter(isShownKey);
  }

  /** Keys that were set or deleted, and what to; a copy, to be given back to `noteSaved`. */
  changes(): ReadonlyMap<string, Changed> {
    return new Map(this.#changes);
  }

  /** @throws SessionError ERR_STALE_OBJECT, ERR_BAD_VALUE for an object that has become what no session can hold. */
  collect(contents: Contents | undefined): Collected {
    this.#objects?.recall((key) => contents?.stored(key), this.#changes);
    return collect(this.#objects?.live ?? NONE_LIVE, this.#changes, (...what) => this.#encode(...what));
  }

  noteSent(entries: ReadonlyMap<string, unknown>): void {
    this.#askedFor = entries;
  }

  /** The contents are other ones now. They hold what was `sent`: it is forgotten, but for keys changed since. Objects stay live. */
  noteSaved(sent: Sent | undefined): void {
    this.#askedFor = NO_CHANGES;
    this.#unreadable = undefined;
    if (sent !== undefined) this.#forget(sent);
  }

  #forget({ entries, changes }: Sent): void {
    for (const [key, bytes] of entries) {
      const [change, sent, live] = [this.#changes.get(key), changes.get(key), this.#objects?.live.get(key)];
      if (change !== undefined && change === sent) {
        this.#changes.delete(key);
        if (bytes !== undefined && isGambasObject(change.value))
          this.#madeObjects().keep(key, { value: change.value, baseline: bytes });
      } else if (live !== undefined && bytes !== undefined) {
        this.#madeObjects().keep(key, { ...live, baseline: bytes });
      } else if (change?.removal !== undefined && change.removal === sent?.removal) {
        // Moved already: where it is now it stays.
        this.#change(key, { ...change, removal: undefined });
      }
    }
  }

  // -- transactions

  remember(): RememberedEdits {
    const objects = new Map<string, Buffer>();
    for (const [key, { value, baseline }] of [...(this.#objects?.live ?? NONE_LIVE), ...objectsIn(this.#changes)])
      if (isGambasObject(value)) objects.set(key, Buffer.from(this.#encode(key, value, baseline).bytes));
    return { objects, changes: new Map(this.#changes), live: new Map(this.#objects?.live) };
  }

  /** Objects that were not changed stay the ones that were handed out. */
  restore(before: RememberedEdits): void {
    const objects = this.#madeObjects();
    const out = [...objects.live, ...objectsIn(this.#changes)];
    this.#changes = new Map(before.changes);
    objects.restore(before.live);
    for (const [key, bytes] of before.objects) {
      const { value, origins } = this.#shown(key) ?? {};
      if (!objects.isChangedOrLost(key, { value, baseline: bytes, origins })) continue;
      objects.delete(key);
      this.#change(key, { ...this.#changes.get(key), bytes, value: decodeValue(bytes, 0, objects.rememberOrigins()) });
    }
    for (const [key, live] of out) if (this.#shown(key)?.value !== live.value) objects.stray(key, live);
  }

  /** Goes on with what a transaction has left: `contents` are those it has committed. Nothing stays with `inner`. */
  adopt(inner: Edits, contents: Contents | undefined): void {
    this.#unreadable = undefined;
    for (const [key, change] of inner.#changes) this.#change(key, change);
    if (this.#objects !== undefined || inner.#objects !== undefined)
      this.#madeObjects().adopt(inner.#objects, (key) => contents?.stored(key), this.#changes);
    inner.#objects = undefined;
    inner.#changes = NO_CHANGES;
  }

  /** The objects of a transaction that has failed belong to nothing, but a change of them is told. */
  adoptStrays(inner: Edits): void {
    if (inner.#objects === undefined && inner.#changes.size === 0) return;
    const objects = this.#madeObjects();
    objects.adoptStrays(inner.#objects, inner.#changes);
    for (const { value } of this.#changes.values()) objects.claim(value);
  }

  // -- objects

  #madeObjects(): LiveObjects {
    this.#objects ??= new LiveObjects();
    if (this.#late !== undefined) watch(this.#late);
    return this.#objects;
  }

  #encode(key: string, value: unknown, previous: Buffer, origins = this.#objects?.origins): Encoded {
    return encodeNext(key, value, previous, origins);
  }

  /** What was handed out for a key, or set. */
  #shown(key: string): { readonly value: unknown; readonly origins?: Origins | undefined } | undefined {
    return this.#changes.get(key) ?? this.#objects?.live.get(key);
  }
}

function notKeyed(kind: string): SessionError {
  return new SessionError(
    "ERR_BAD_VALUE",
    `All keys of a session are replaced by an object that has them, not by ${kind}.`,
  );
}

function isRemoval(change: Changed | undefined): boolean {
  return change !== undefined && change.bytes === undefined;
}

/** @throws SessionError ERR_BAD_KEY for a key that no program can use. */
export function checkKey(key: string): void {
  if (typeof key === "string" && key !== "" && isShownKey(key)) {
    // Any other text must stand for bytes.
    if (!key.isWellFormed()) keyBytes(key);
    if (isLongKey(key)) throw new SessionError("ERR_BAD_KEY", `A key has at most ${MAX_KEY_BYTES} bytes.`);
    return;
  }
  const isTaken = typeof key === "string" && key !== "";
  const why = isTaken ? "is a key of the session's own, which no program sets" : "is not a key a session can hold";
  throw new SessionError("ERR_BAD_KEY", `${JSON.stringify(key)} ${why}.`);
}
