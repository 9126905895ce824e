// The objects a handle has handed out: which key each belongs to, what it was when it was read, and so whether it was changed in place.
//
//   live    what the key hands out, and a change of it is saved              --the session is read anew-->  stray
//   stray   the key would hand out another object. As long as what it was read from is what is stored, a change of it still counts
//                                                                            --changed, and still stored--> live
//           Any other change would undo somebody's: it is told, once         --changed, not stored-->       told
//
// It is read anew by a transaction, by Load and by Modified = false. Objects of a session that has ended are none of these.

import { SessionError } from "../../protocol/errors.ts";
import { encodeValue, isGambasObject, Origins } from "../../protocol/value/value.ts";
import { type Changed, isEqual, type Live, NONE_LIVE } from "./unsaved.ts";

interface Stray extends Live {
  readonly key: string;
}

/** More strays are not watched: the oldest are left alone. */
const MAX_STRAYS = 64;
const NO_STRAYS: readonly Stray[] = [];

export class LiveObjects {
  #live: Map<string, Live> = NONE_LIVE;
  #strays: readonly Stray[] = NO_STRAYS;
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
    this.#live.set(key, live);
    this.claim(live.value);
  }

  /** A key hands it out, or has been set to it: whatever it was before, it is no stray any more. */
  claim(value: unknown): void {
    if (this.#strays.length > 0) this.#strays = this.#strays.filter((stray) => stray.value !== value);
  }

  delete(key: string): void {
    if (this.#live.size > 0) this.#live.delete(key);
  }

  hasChanged(): boolean {
    for (const [key, live] of this.#live) if (this.#isChanged(key, live)) return true;
    return this.#strays.some((stray) => this.isChangedOrLost(stray.key, stray));
  }

  /** Those of these keys that were changed, strays included. */
  changedKeys(): string[] {
    const all = [...this.#live, ...this.#strays.map((stray): [string, Live] => [stray.key, stray])];
    return all.filter(([key, live]) => this.isChangedOrLost(key, live)).map(([key]) => key);
  }

  /** Also one that has become what no session can hold. */
  isChangedOrLost(key: string, live: Live): boolean {
    const bytes = this.#bytesNow(key, live);
    return bytes === undefined || !isEqual(bytes, live.baseline);
  }

  #isChanged(key: string, { value, baseline, origins = this.#origins }: Live): boolean {
    return isGambasObject(value) && !isEqual(encodeNext(key, value, baseline, origins).bytes, baseline);
  }

  /** Undefined whatever the reason: a member of it may be an accessor, and throw what it likes. A save says it. */
  #bytesNow(key: string, { value, baseline, origins = this.#origins }: Live): Buffer | undefined {
    try {
      return encodeNext(key, value, baseline, origins).bytes;
    } catch {
      return undefined;
    }
  }

  // -- strays

  /** Everything that is out, with what was set since the last save, strays from now on: what they have become by now is no change. */
  dropAll(changes: ReadonlyMap<string, Changed>): void {
    const out = [...this.#live, ...objectsIn(changes)];
    this.#live = NONE_LIVE;
    for (const [key, live] of out) this.stray(key, live);
    this.#origins = undefined;
  }

  /** What it has become by now is known; what becomes of it later is a change. */
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
    for (const live of this.#live.values()) if (live.value === value) return true;
    return false;
  }

  /**
   * A stray that was changed and still is of what is stored takes the place of what its key hands out.
   *
   * @throws SessionError ERR_STALE_OBJECT, once, for one that is not.
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

  /** Where a part of a transaction has failed: what was out before it is out again. */
  restore(before: ReadonlyMap<string, Live>): void {
    this.#live = new Map(before);
  }

  /**
   * After a transaction: those it has replaced are strays, unless they were changed meanwhile, and win. What it has handed out itself
   * is live if it is what is stored, and if nothing else is live for its key.
   */
  adopt(
    inner: LiveObjects | undefined,
    stored: (key: string) => Buffer | undefined,
    changes: ReadonlyMap<string, Changed>,
  ): void {
    for (const [key, live] of this.#live) {
      if (stored(key)?.equals(live.baseline) === true || this.isChangedOrLost(key, live)) continue;
      this.#live.delete(key);
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

  /** What a transaction that failed has handed out. */
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

/** The bytes of a value next to those it had before, and the objects in it. */
export function encodeNext(
  key: string,
  value: unknown,
  previous: Buffer,
  origins: Origins | undefined,
): ReturnType<typeof encodeValue> {
  return encodeValue(value, key, { bytes: previous, at: 0 }, origins);
}

export function* objectsIn(changes: ReadonlyMap<string, Changed>): Iterable<[string, Live]> {
  for (const [key, { bytes, value }] of changes) {
    if (bytes !== undefined && isGambasObject(value)) yield [key, { value, baseline: bytes }];
  }
}

function staleObject(key: string): SessionError {
  const what = `An object that was read from ${JSON.stringify(key)} was changed after the session had been read anew and holds another one there; the change was not saved.`;
  return new SessionError("ERR_STALE_OBJECT", what);
}
