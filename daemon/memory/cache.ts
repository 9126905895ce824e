// Which sessions are in memory, and as what: awake, as an object that takes turns, or at rest on the shelf. Bounds both together by
// `cacheBytes`: a session that was not used lately goes to the shelf, and the one longest there is forgotten. Gives no turns, and does not
// know an awake session from within.
//
// A session that was only read rests at once, and is read where it rests. Any other wish wakes it.

import type { OpenSessions, SessionFiles } from "../store/store.ts";
import { type Contents, isCurrent, type Present } from "./contents.ts";
import { MAX_SLAB_BYTES, MIN_SLAB_BYTES, type Resting, Shelf } from "./shelf.ts";

export { ABSENT, type Contents, contentsOf, isCurrent, knows, type Present, sameToo, stateOf } from "./contents.ts";
export type { Resting } from "./shelf.ts";

/** The memory of an awake session besides its contents, about. */
const AWAKE_BYTES = 1700;
/** With fewer awake nobody is sent to rest for want of room, unless the cache is small. */
const MANY_AWAKE = 2048;
/** Contents just written lie in the pool that Node cuts small buffers from, and may keep a whole slab of it: part of the cache, besides. */
const POOL_PART = 1 / 4;
/** Part of the cache that those awake may take before they are too many. */
const AWAKE_PART = 1 / 2;
/** The shelf has at least so many slabs when it is full. */
const SLABS = 64;
/** Sessions that are asked to rest at one time. */
const HAND_STEPS = 8;

/** A session that takes turns, as the cache sees it. */
export interface Awake {
  readonly id: string;
  /** Of its contents, 0 without any. */
  readonly bytes: number;
  /** It waits for nothing, and nobody waits for it. */
  readonly isIdle: boolean;
  /** All that is known of it is in the store. */
  readonly wasOnlyRead: boolean;
  /** The part of it that is worth keeping when it goes to rest. */
  readonly resting: Resting | undefined;
  /** Something may have changed it: look when there is time. */
  lookAgain(): void;
  stop(): void;
}

export interface CacheParts<S extends Awake> {
  /** An awake session with all that is known of it. */
  readonly wake: (id: string, resting: Resting | undefined) => S;
  readonly store: Pick<SessionFiles, "stat"> & { readonly open: OpenSessions | undefined };
  readonly cacheBytes: number;
  readonly now: () => number;
  /** A session written after this time may still be undone by a program that runs: it is not forgotten. */
  readonly neededSinceMs: () => number;
}

/** An awake session, and the notes of the cache about it. */
interface Entry<S> {
  readonly session: S;
  /** Set by every use, cleared by the hand of the clock. */
  wasUsed: boolean;
  countedBytes: number;
}

export class Cache<S extends Awake> {
  readonly #parts: CacheParts<S>;
  readonly #present: Present;
  /** The hand of the clock is at the first. */
  #awake = new Map<string, Entry<S>>();
  readonly #shelf: Shelf;
  readonly #manyAwake: number;
  #awakeBytes = 0;

  constructor(parts: CacheParts<S>) {
    const { cacheBytes } = parts;
    this.#parts = parts;
    this.#present = parts;
    this.#shelf = new Shelf(slabBytesFor(cacheBytes));
    this.#manyAwake = Math.min(MANY_AWAKE, (POOL_PART * cacheBytes) / Buffer.poolSize);
  }

  get count(): number {
    return this.#awake.size + this.#shelf.count;
  }

  get awakeCount(): number {
    return this.#awake.size;
  }

  /** Memory that counts towards `cacheBytes`. */
  get bytes(): number {
    return this.#awakeBytes + this.#shelf.bytes;
  }

  has(id: string): boolean {
    return this.#awake.has(id) || this.#shelf.has(id);
  }

  /** The session, if it is awake: only then may it have turns or a lease. */
  awake(id: string): S | undefined {
    const entry = this.#awake.get(id);
    if (entry === undefined) return undefined;
    entry.wasUsed = true;
    return entry.session;
  }

  *allAwake(): Generator<S> {
    for (const { session } of this.#awake.values()) yield session;
  }

  /** The contents of a session at rest, if the store holds them now. The image is a view of the shelf. */
  currentAtRest(id: string): Contents | undefined {
    const contents = this.#shelf.get(id)?.contents;
    return contents !== undefined && isCurrent(contents, id, this.#present) ? contents : undefined;
  }

  /** The session with all that is known of it; a new one where nothing is. */
  wake(id: string): S {
    const awake = this.awake(id);
    if (awake !== undefined) return awake;
    const session = this.#parts.wake(id, this.#shelf.take(id));
    const entry = { session, wasUsed: true, countedBytes: 0 };
    this.#awake.set(id, entry);
    this.#count(entry);
    return session;
  }

  /** The session has had a turn: it rests if there is no more to it than its contents, and room is made for what it has grown. */
  settle(session: S): void {
    const entry = this.#awake.get(session.id);
    // It has gone to rest meanwhile, and another one of its id may be awake.
    if (entry?.session !== session) return;
    if (session.isIdle && (session.bytes === 0 || session.wasOnlyRead)) {
      this.#rest(entry);
      // Its next reader finds it in memory: open files are for sessions that are written.
      this.#parts.store.open?.cool(session.id);
    } else {
      this.#count(entry);
      this.#turnHand();
    }
    const { cacheBytes } = this.#parts;
    if (this.bytes > cacheBytes) this.#shelf.fit(cacheBytes - this.#awakeBytes, this.#parts.neededSinceMs());
  }

  /** Looks whether other programs have changed anything in memory, some at a time. */
  *lookAgainAtAll(): Generator<void> {
    for (const { session } of [...this.#awake.values()]) {
      session.lookAgain();
      yield;
    }
    for (const { id, contents } of this.#shelf.all()) {
      if (!isCurrent(contents, id, this.#present)) this.wake(id).lookAgain();
      yield;
    }
  }

  stop(): void {
    for (const { session } of this.#awake.values()) session.stop();
    this.#awake.clear();
    this.#shelf.clear();
    this.#awakeBytes = 0;
  }

  #count(entry: Entry<S>): void {
    const bytes = entry.session.bytes + AWAKE_BYTES;
    this.#awakeBytes += bytes - entry.countedBytes;
    entry.countedBytes = bytes;
  }

  #rest({ session, countedBytes }: Entry<S>): void {
    const { resting } = session;
    this.#awake.delete(session.id);
    this.#awakeBytes -= countedBytes;
    if (resting !== undefined) this.#shelf.put(resting);
    // A Map keeps each table it has outgrown with a link to the next. Once such a table is old garbage all that follow are kept with it.
    if (this.#awake.size === 0) this.#awake = new Map();
  }

  /** A session that was used since the hand last passed gets another chance, and so does a busy one. */
  #turnHand(): void {
    let left = HAND_STEPS;
    for (const entry of this.#awake.values()) {
      if (left === 0 || !this.#isCrowded) return;
      left -= 1;
      if (entry.session.isIdle && !entry.wasUsed) {
        this.#rest(entry);
        continue;
      }
      entry.wasUsed = false;
      this.#awake.delete(entry.session.id);
      this.#awake.set(entry.session.id, entry);
    }
  }

  get #isCrowded(): boolean {
    return this.#awake.size > this.#manyAwake || this.#awakeBytes > AWAKE_PART * this.#parts.cacheBytes;
  }
}

function slabBytesFor(cacheBytes: number): number {
  const bytes = 2 ** Math.floor(Math.log2(Math.max(1, cacheBytes / SLABS)));
  return Math.max(MIN_SLAB_BYTES, Math.min(MAX_SLAB_BYTES, bytes));
}
