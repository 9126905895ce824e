// What is not saved of a session: keys that were set or deleted, and objects that were changed in place.

import type { Share } from "../../protocol/image/image.ts";
import { isGambasObject, type Origins } from "../../protocol/value/value.ts";
import type { Properties } from "./properties.ts";

/** A key set or deleted since the last save. */
export interface Changed {
  /** undefined: deleted. */
  readonly bytes: Buffer | undefined;
  readonly value: unknown;
  /** It was removed first, and so goes to the end. One object for one removal. */
  readonly removal?: object | undefined;
}

/** An object that was handed out, and the bytes it had then. */
export interface Live {
  readonly value: unknown;
  readonly baseline: Buffer;
  /** Those of the handle that read it, where that is another one. */
  readonly origins?: Origins | undefined;
}

/** The keys that a save must send, as they are now. */
export interface Collected {
  readonly entries: ReadonlyMap<string, Buffer | undefined>;
  /** Those of the keys that were removed before they were set. */
  readonly moved: ReadonlySet<string>;
  readonly shares: readonly Share[];
}

/** The keys that a save has sent. */
export interface Sent {
  readonly entries: ReadonlyMap<string, Buffer | undefined>;
  /** What was set and deleted at that time, in place or not. */
  readonly changes: ReadonlyMap<string, Changed>;
}

/** Everything that is not saved, as it is now. */
export interface Unsaved extends Collected, Sent {
  readonly isUnique: boolean;
  readonly properties: Properties;
  /** The id under which the session is to go on; under which it begins, if it is new. */
  readonly successor: string | undefined;
  /** Must be committed on its own: it says more than single keys can. */
  readonly isApart: boolean;
}

/** No key was removed and set again. Never filled. */
export const NONE_MOVED: ReadonlySet<string> = new Set();

/** Nothing is changed, and nothing was handed out: what most handles have of each. Never filled. */
export const NO_CHANGES: Map<string, Changed> = new Map();
export const NONE_LIVE: Map<string, Live> = new Map();

/** The bytes of a value next to those it had before, and the objects in it. */
export type Encode = (
  key: string,
  value: unknown,
  previous: Buffer,
  origins?: Origins,
) => { readonly bytes: Buffer; readonly objects: readonly object[] };

/** What is to be sent, as of now. */
export function collect(
  live: ReadonlyMap<string, Live>,
  changes: ReadonlyMap<string, Changed>,
  encode: Encode,
): Collected {
  const entries = new Map<string, Buffer | undefined>();
  let seen: Map<object, { key: string; object: number }> | undefined;
  const shares: Share[] = [];
  const add = (key: string, value: unknown, previous: Buffer, isChanged: boolean, origins?: Origins): void => {
    const { bytes, objects } = encode(key, value, previous, origins);
    if (isChanged || !isEqual(bytes, previous)) entries.set(key, Buffer.from(bytes));
    for (const [index, object] of objects.entries()) {
      seen ??= new Map();
      const first = seen.get(object);
      if (first === undefined) seen.set(object, { key, object: index + 1 });
      else if (first.key !== key)
        shares.push({ key, object: index + 1, otherKey: first.key, otherObject: first.object });
    }
  };
  for (const [key, { value, baseline, origins }] of live) {
    if (isGambasObject(value)) add(key, value, baseline, false, origins);
  }
  for (const [key, { bytes, value }] of changes) {
    if (bytes === undefined || !isGambasObject(value)) entries.set(key, bytes);
    else add(key, value, bytes, true);
  }
  return { entries, moved: movedIn(changes), shares: entries.size === 0 ? [] : shares };
}

function movedIn(changes: ReadonlyMap<string, Changed>): ReadonlySet<string> {
  let moved: Set<string> | undefined;
  for (const [key, { bytes, removal }] of changes) {
    if (bytes !== undefined && removal !== undefined) moved = (moved ?? new Set<string>()).add(key);
  }
  return moved ?? NONE_MOVED;
}

export function isEqual(left: Buffer, right: Buffer): boolean {
  return left === right || left.equals(right);
}
