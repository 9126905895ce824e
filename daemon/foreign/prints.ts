// The fingerprints of a commit: of each key that it changed, those of the value before and of the new one. Pure.

import {
  COOKIE_PATH_KEY,
  keyBytes,
  layoutOf,
  type Replacement,
  splitDelta,
  valueOf as storedValue,
  timeoutBytes,
} from "../../protocol/image/image.ts";
import { type Fingerprint, Fingerprinter, type Run, runOf, seedOf } from "./recent-values.ts";

/** Stands for the life time, where values are known by their keys: no key is empty. */
export const TIMEOUT_KEY = "";

/** A commit, the image it was applied to, and the places it replaced there (undefined where references make that no question of places). */
export interface Step {
  readonly base: Buffer;
  readonly delta: Buffer;
  /** When it was applied (Unix ms). */
  readonly nowMs: number;
  readonly replacements: readonly Replacement[] | undefined;
  /** The image after it, where it changed the life time or the path of the cookie. */
  readonly after?: Buffer | undefined;
}

/** Of one key that a commit changed the value before and the new one. */
export interface Prints {
  readonly old: Fingerprint;
  readonly young: Fingerprint;
}

/** The changes of a commit: for recognising a stale save of another program, and putting ours back. */
export interface ChangedValues {
  /** When it was applied (Unix ms). */
  readonly whenMs: number;
  readonly delta: Buffer;
  readonly prints: readonly Prints[];
}

export function changedValues(id: string, step: Step): ChangedValues {
  return { whenMs: step.nowMs, delta: step.delta, prints: printsOf(id, step) };
}

/** The life time or the path of the cookie, in an image. */
export function propertyOf(image: Buffer, key: string): Run {
  if (key === TIMEOUT_KEY) return runOf(timeoutBytes(image));
  return runOf(Buffer.from(layoutOf(image).cookiePath));
}

function printsOf(id: string, step: Step): readonly Prints[] {
  const { base, after } = step;
  return after === undefined
    ? printsOfValues(id, step)
    : [...printsOfValues(id, step), ...printsOfProperties(id, base, after)];
}

function printsOfProperties(id: string, before: Buffer, after: Buffer): readonly Prints[] {
  return [TIMEOUT_KEY, COOKIE_PATH_KEY].map((key) => {
    const prints = new Fingerprinter(id, runOf(Buffer.from(key)));
    return { old: prints.of(propertyOf(before, key)), young: prints.of(propertyOf(after, key)) };
  });
}

function printsOfValues(id: string, { base, delta: bytes, replacements }: Step): readonly Prints[] {
  if (replacements === undefined) return printsByKey(id, base, bytes);
  const seed = seedOf(id);
  return replacements.map(({ changed, oldFrom, oldTo }) => {
    const { keyFrom, keyTo, valueAt, valueEnd } = changed;
    const prints = new Fingerprinter(id, { bytes, from: keyFrom, to: keyTo }, seed);
    const old = prints.of(oldFrom === oldTo ? undefined : { bytes: base, from: oldFrom, to: oldTo });
    return { old, young: prints.of(valueAt === valueEnd ? undefined : { bytes, from: valueAt, to: valueEnd }) };
  });
}

/** A value with references counts as the value it is by itself. */
function printsByKey(id: string, base: Buffer, delta: Buffer): readonly Prints[] {
  const layout = layoutOf(base);
  return [...splitDelta(delta)].map(([key, value]) => {
    const prints = new Fingerprinter(id, runOf(keyBytes(key)));
    const old = storedValue(base, layout, key);
    return { old: prints.of(old && runOf(old)), young: prints.of(value && runOf(value)) };
  });
}
