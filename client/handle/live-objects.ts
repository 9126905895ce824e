// The objects that a handle has handed out. For each the handle knows its key and its baseline, the bytes of its value
// when it was handed out: so it finds whether the application has changed the object in place.
//
//   LIVE    the key hands out this object, and the handle saves a change of it
//   STRAY   the handle has read the session anew, and the key would hand out another object
//   TOLD    the application was told, once, that a change of this object is not saved
//
//   LIVE -> STRAY   the handle reads the session anew: at a transaction, at Load, at Modified = false
//   STRAY -> LIVE   the object was changed, and its baseline is what is stored: the change counts as any other
//   STRAY -> TOLD   the object was changed, and another value is stored: saving it would undo somebody else's change
//
// Objects of a session that has ended are in none of these states.

import { SessionError } from "../../protocol/errors.ts";
import { encodeValue, isGambasObject, Origins } from "../../protocol/value/value.ts";
import { type Changed, isEqual, type Live, NONE_LIVE } from "./unsaved.ts";

interface Stray extends Live {
  readonly key: string;
}

/**
 * Each stray is compared at each save: of more strays than this the oldest are forgotten, and changes of them not seen.
 */
const MAX_STRAYS = 64;
const NO_STRAYS: readonly Stray[] = [];

export class LiveObjects {
  #live: Map<string, Live> = NONE_LIVE;
  #strays: readonly Stray[] = NO_STRAYS;
  /** How many keys hand out each object; undefined until somebody asks for one. A session may have tens of thousands. */
  #holders: Map<unknown, number> | undefined;
  #origins: Origins | undefined;

  get live(): ReadonlyMap<string, Live> {
    return this.#live;
  }

  get isEmpty(): boolean {
    return this.#live.size === 0 && this.#strays.length === 0;
  }

  get origins(): Origins | undefined {
    return this.#origins;
  }

  rememberOrigins(): Origins {
    this.#origins ??= new Origins();
    return this.#origins;
  }

  keep(key: string, live: Live): void {
    if (this.#live === NONE_LIVE) this.#live = new Map();
    if (this.#holders !== undefined) this.#uncount(key);
    this.#live.set(key, live);
    this.#holders?.set(live.value, this.#holdersOf(live.value) + 1);
    this.claim(live.value);
  }

  /** A key hands this object out, or was set to it: so it is no stray any more. */
  claim(value: unknown): void {
    if (this.#strays.length > 0) this.#strays = this.#strays.filter((stray) => stray.value !== value);
  }

  delete(key: string): void {
    if (this.#live.size === 0) return;
    if (this.#holders !== undefined) this.#uncount(key);
    this.#live.delete(key);
  }

  /** The key hands its object out no more. */
  #uncount(key: string): void {
    const live = this.#live.get(key);
    if (live === undefined) return;
    const left = this.#holdersOf(live.value) - 1;
    if (left > 0) this.#holders?.set(live.value, left);
    else this.#holders?.delete(live.value);
  }

  #holdersOf(value: unknown): number {
    return this.#holders?.get(value) ?? 0;
  }

  hasChanged(): boolean {
    for (const [key, live] of this.#live) if (this.#isChanged(key, live)) return true;
    return this.#strays.some((stray) => this.isChangedOrLost(stray.key, stray));
  }

  /** The keys whose objects were changed, live or stray. */
  changedKeys(): string[] {
    const all = [...this.#live, ...this.#strays.map((stray): [string, Live] => [stray.key, stray])];
    return all.filter(([key, live]) => this.isChangedOrLost(key, live)).map(([key]) => key);
  }

  /** True also for an object that was changed to a value that no session can hold. */
  isChangedOrLost(key: string, live: Live): boolean {
    const bytes = this.#bytesNow(key, live);
    return bytes === undefined || !isEqual(bytes, live.baseline);
  }

  #isChanged(key: string, { value, baseline, origins = this.#origins }: Live): boolean {
    return isGambasObject(value) && !isEqual(encodeNext(key, value, baseline, origins).bytes, baseline);
  }

  /**
   * Undefined after any error: a member of the object may be an accessor, which can throw anything. A save tells the
   * error.
   */
  #bytesNow(key: string, { value, baseline, origins = this.#origins }: Live): Buffer | undefined {
    try {
      return encodeNext(key, value, baseline, origins).bytes;
    } catch {
      return undefined;
    }
  }

  // -- strays

  /**
   * Makes strays of all live objects, and of the objects that were set since the last save. Changes up to now are given
   * up: only a later one counts.
   */
  dropAll(changes: ReadonlyMap<string, Changed>): void {
    const out = [...this.#live, ...objectsIn(changes)];
    this.#replaceLive(NONE_LIVE);
    for (const [key, live] of out) this.stray(key, live);
    this.#origins = undefined;
  }

  /** Makes a stray of an object, with its value of now as its baseline: only a later change counts. */
  stray(key: string, live: Live): void {
    const baseline = isGambasObject(live.value) ? this.#bytesNow(key, live) : undefined;
    if (baseline !== undefined) this.#addStray({ ...live, key, baseline: Buffer.from(baseline) });
  }

  #addStray(stray: Stray): void {
    if (!isGambasObject(stray.value) || this.#isKnown(stray.value)) return;
    this.#strays = [...this.#strays, { ...stray, origins: stray.origins ?? this.#origins }].slice(-MAX_STRAYS);
  }

  #isKnown(value: unknown): boolean {
    if (this.#strays.some((stray) => stray.value === value)) return true;
    if (this.#holders === undefined) {
      this.#holders = new Map();
      for (const live of this.#live.values()) this.#holders.set(live.value, this.#holdersOf(live.value) + 1);
    }
    return this.#holders.has(value);
  }

  #replaceLive(live: Map<string, Live>): void {
    this.#live = live;
    this.#holders = undefined;
  }

  /**
   * Makes a changed stray live again, in place of the object that its key hands out, if its baseline is what is stored
   * and nothing else has changed its key.
   *
   * @throws SessionError ERR_STALE_OBJECT, once, for a changed stray that cannot be live again.
   */
  recall(stored: (key: string) => Buffer | undefined, changes: ReadonlyMap<string, Changed>): void {
    const changed = this.#strays.filter((stray) => this.isChangedOrLost(stray.key, stray));
    if (changed.length === 0) return;
    this.#strays = this.#strays.filter((stray) => !changed.includes(stray));
    let lost: Stray | undefined;
    for (const stray of changed) {
      const { key } = stray;
      const current = this.#live.get(key);
      const isFree = !changes.has(key) && (current === undefined || !this.isChangedOrLost(key, current));
      if (isFree && stored(key)?.equals(stray.baseline) === true) {
        this.delete(key);
        if (current !== undefined) this.stray(key, current);
        this.keep(key, stray);
      } else lost ??= stray;
    }
    if (lost !== undefined) throw staleObject(lost.key);
  }

  // -- transactions

  /** After a failed part of a transaction: the objects that were live before it are live again. */
  restore(before: ReadonlyMap<string, Live>): void {
    this.#replaceLive(new Map(before));
  }

  /**
   * Takes over the objects of a transaction that has committed.
   *   1. An object of this handle whose value the transaction has replaced becomes a stray. One that the application
   *      has changed meanwhile stays live, and wins.
   *   2. An object that the transaction has handed out becomes live if its value is what is stored, and neither a
   *      change nor another live object has its key. Otherwise it becomes a stray.
   *   3. Strays of the transaction stay strays.
   */
  adopt(
    inner: LiveObjects | undefined,
    stored: (key: string) => Buffer | undefined,
    changes: ReadonlyMap<string, Changed>,
  ): void {
    for (const [key, live] of this.#live) {
      if (stored(key)?.equals(live.baseline) === true || this.isChangedOrLost(key, live)) continue;
      this.delete(key);
      this.#addStray({ ...live, key });
    }
    for (const [key, { origins = inner?.origins, ...live }] of inner?.live ?? NONE_LIVE) {
      const bytes = stored(key);
      const isStored = bytes !== undefined && this.#isStored(key, { ...live, origins }, bytes);
      const baseline = isStored ? bytes : live.baseline;
      if (isStored && !changes.has(key) && !this.#live.has(key)) this.keep(key, { ...live, origins, baseline });
      else this.#addStray({ ...live, origins, baseline, key });
    }
    for (const stray of inner?.strayList ?? NO_STRAYS) this.#addStray(stray);
  }

  /** Makes strays of all objects that a failed transaction has handed out or set. */
  adoptStrays(inner: LiveObjects | undefined, changes: ReadonlyMap<string, Changed>): void {
    for (const [key, live] of [...(inner?.live ?? NONE_LIVE), ...objectsIn(changes)]) {
      this.stray(key, { ...live, origins: live.origins ?? inner?.origins });
    }
  }

  get strayList(): readonly Stray[] {
    return this.#strays;
  }

  #isStored(key: string, live: Live, stored: Buffer): boolean {
    return stored.equals(live.baseline) || !this.isChangedOrLost(key, { ...live, baseline: stored });
  }
}

/** The bytes of a value and the objects in it, encoded as close to its previous bytes as its changes allow. */
export function encodeNext(
  key: string,
  value: unknown,
  previous: Buffer,
  origins: Origins | undefined,
): ReturnType<typeof encodeValue> {
  return encodeValue(value, key, { bytes: previous, at: 0 }, origins);
}

/** The objects that changes set keys to, with their bytes as baselines. */
export function* objectsIn(changes: ReadonlyMap<string, Changed>): Iterable<[string, Live]> {
  for (const [key, { bytes, value }] of changes) {
    if (bytes !== undefined && isGambasObject(value)) yield [key, { value, baseline: bytes }];
  }
}

function staleObject(key: string): SessionError {
  const what = `An object that was read from ${JSON.stringify(key)} was changed after the session had been read anew and holds another one there; the change was not saved.`;
  return new SessionError("ERR_STALE_OBJECT", what);
}
