// The contents of a session at one revision, as this worker has them: bytes, decoded only as far as somebody asks. Immutable and
// shared by all requests; what can be changed in place is decoded anew for each.

import {
  applyDelta,
  type Change,
  encodeDelta,
  type Layout,
  layoutOf,
  newImage,
  valueOf as storedValue,
  timeoutSeconds,
} from "../protocol/image.ts";
import { KIND, type State } from "../protocol/operations.ts";
import { decodeValue, isGambasObject } from "../protocol/value.ts";
import type { Unsaved } from "./handle.ts";

export interface Revision {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** How to get the bytes from those of the revision before: done only if somebody asks. */
interface Derivation {
  readonly base: Contents | undefined;
  readonly change: Change;
  readonly entries: Entries;
  /** How many derivations lie between here and bytes. */
  readonly depth: number;
}

type Entries = ReadonlyMap<string, Buffer | undefined>;

/** Bytes are made at the latest after so many changes. */
const MAX_DEPTH = 16;

/** Tags of scalars are smaller (GAMBAS.md 3.4). */
const FIRST_OBJECT_TAG = 0x40;

/** Said of a value that can be changed in place: it must be decoded anew for each request. */
export const NOT_SCALAR = Symbol("not a scalar");

export class Contents {
  readonly revision: Revision;
  /** When the session was last saved or stamped, Unix ms. */
  readonly startupMs: number;
  /** May be used for this request and must not be kept: stat could not tell it from a later save. */
  readonly isFleeting: boolean;
  #image: Buffer | undefined;
  #derivation: Derivation | undefined;
  #layout: Layout | undefined;
  #timeoutSeconds: number | undefined;
  /** Decoded values that nobody can change. */
  #scalars: Map<string, unknown> | undefined;

  private constructor(state: State, image: Buffer | undefined, derivation: Derivation | undefined) {
    this.revision = { ino: state.ino, size: state.size, mtimeMs: state.mtimeMs };
    this.startupMs = state.startupMs;
    this.isFleeting = state.kind === KIND.fleeting;
    this.#image = image;
    this.#derivation = derivation;
  }

  /** From an answer that brings the bytes. They are copied: the answer is a view of the receive buffer. */
  static fromImage(state: State, image: Buffer): Contents {
    return new Contents(state, Buffer.from(image), undefined);
  }

  /** From the answer to a commit: `change`, whose delta holds `entries`, on top of `base`, or of nothing for a new session. */
  static fromChange(state: State, base: Contents | undefined, change: Change, entries: Entries): Contents {
    const before = base === undefined ? undefined : base.#derivation;
    const depth = 1 + (before === undefined ? 0 : before.depth);
    const contents = new Contents(state, undefined, { base, change, entries, depth });
    if (depth >= MAX_DEPTH) contents.#image = contents.#derive();
    return contents;
  }

  /** What a change that is not committed yet would make of them. */
  changedBy({ entries, properties }: Unsaved): Contents {
    const { ino, size, mtimeMs } = this.revision;
    const state = { kind: KIND.contents, ino, size, mtimeMs, startupMs: this.startupMs, image: null };
    return Contents.fromChange(
      state,
      this,
      { delta: encodeDelta(entries), nowMs: this.startupMs, ...properties },
      entries,
    );
  }

  /** The same contents at another revision: only the stamp is newer. */
  stamped(state: State): Contents {
    const stamped = new Contents(state, this.#image, this.#derivation);
    stamped.#layout = this.#layout;
    stamped.#scalars = this.#scalars;
    stamped.#timeoutSeconds = this.#timeoutSeconds;
    return stamped;
  }

  get image(): Buffer {
    this.#image ??= this.#derive();
    return this.#image;
  }

  get layout(): Layout {
    this.#layout ??= layoutOf(this.image);
    return this.#layout;
  }

  get timeoutSeconds(): number {
    this.#timeoutSeconds ??= this.#findTimeout();
    return this.#timeoutSeconds;
  }

  get cookiePath(): string {
    return this.layout.cookiePath;
  }

  /** What the daemon knows these contents by; 0 for those it could mistake. */
  get base(): number {
    return this.isFleeting ? 0 : this.revision.mtimeMs;
  }

  isExpired(nowMs: number): boolean {
    return !(nowMs - this.startupMs < this.timeoutSeconds * 1000);
  }

  /** The value of a key if it is one nobody can change in place; undefined for a key that is not there. */
  scalar(key: string): unknown {
    this.#scalars ??= new Map();
    const known = this.#scalars.get(key);
    if (known !== undefined) return known;
    const stored = this.stored(key);
    if (stored === undefined) return undefined;
    const value = isObjectTag(stored[0]) ? NOT_SCALAR : decodeValue(stored, 0);
    const kept = isGambasObject(value) ? NOT_SCALAR : value;
    this.#scalars.set(key, kept);
    return kept;
  }

  /** The self-contained bytes of a value. */
  stored(key: string): Buffer | undefined {
    const derivation = this.#derivation;
    if (derivation?.base !== undefined && !derivation.base.#mayShare) {
      return derivation.entries.has(key) ? derivation.entries.get(key) : derivation.base.stored(key);
    }
    return storedValue(this.image, this.layout, key);
  }

  /** Where objects may be shared between keys, one key's change may move another's bytes. */
  get #mayShare(): boolean {
    const derivation = this.#derivation;
    if (derivation === undefined) return this.layout.hasReferences;
    return (derivation.change.shares?.length ?? 0) > 0 || derivation.base === undefined || derivation.base.#mayShare;
  }

  #findTimeout(): number {
    const derivation = this.#derivation;
    if (derivation === undefined) return timeoutSeconds(this.image);
    return derivation.change.timeoutSeconds ?? derivation.base?.timeoutSeconds ?? timeoutSeconds(this.image);
  }

  #derive(): Buffer {
    const derivation = this.#derivation;
    if (derivation === undefined) throw new Error("contents without bytes and without a way to them");
    this.#derivation = undefined;
    const { base, change } = derivation;
    const [nowMs, timeout] = [this.startupMs, change.timeoutSeconds ?? 86_400];
    return applyDelta(base?.image ?? newImage({ nowMs, timeoutSeconds: timeout }), { ...change, nowMs });
  }
}

/** Collections, arrays and references, whatever they hold. */
function isObjectTag(tag: number | undefined): boolean {
  return tag !== undefined && tag >= FIRST_OBJECT_TAG;
}
