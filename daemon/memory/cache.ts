// Which sessions are in memory, and as what: awake, as an object that takes turns, or at rest on the shelf. Bounds both together by
// `cacheBytes`: who was not used lately goes to the shelf, and what has been there longest is forgotten. Gives no turns.
//
// A session that was only read rests at once, and is read where it rests. Whatever else is wanted of it wakes it.

import { type Contents, isCurrent } from "../sessions/contents.ts";
import { Session } from "../sessions/session.ts";
import type { Surroundings } from "../sessions/sessions.ts";
import { MAX_SLAB_BYTES, MIN_SLAB_BYTES, Shelf } from "./shelf.ts";

/** What a session that is awake takes besides its contents, about. */
const AWAKE_BYTES = 1700;
/** With fewer awake nobody is sent to rest for want of room, unless the cache is small. */
const MANY_AWAKE = 2048;
/** What has just been written lies in the pool that Node cuts small buffers from, and may keep a whole slab of it: part of the cache, besides. */
const POOL_PART = 1 / 4;
/** Part of the cache that those awake may take before they are too many. */
const AWAKE_PART = 1 / 2;
/** The shelf has at least so many slabs when it is full. */
const SLABS = 64;
/** Sessions that are asked to rest at one time. */
const HAND_STEPS = 8;

export class Cache {
  readonly #house: Surroundings;
  /** The hand of the clock is at the first. */
  #awake = new Map<string, Session>();
  readonly #shelf: Shelf;
  readonly #manyAwake: number;
  #awakeBytes = 0;

  constructor(house: Surroundings) {
    const { cacheBytes } = house.config;
    this.#house = house;
    this.#shelf = new Shelf(slabBytesFor(cacheBytes));
    this.#manyAwake = Math.min(MANY_AWAKE, (POOL_PART * cacheBytes) / Buffer.poolSize);
  }

  get count(): number {
    return this.#awake.size + this.#shelf.count;
  }

  /** Memory that counts towards `cacheBytes`. */
  get bytes(): number {
    return this.#awakeBytes + this.#shelf.bytes;
  }

  /** Only these may have turns or a lease. */
  get awake(): ReadonlyMap<string, Session> {
    return this.#awake;
  }

  isAtRest(id: string): boolean {
    return this.#shelf.has(id);
  }

  /** The contents of a session at rest, if they are what its file holds now. The image is a view of the shelf. */
  currentAtRest(id: string): Contents | undefined {
    const contents = this.#shelf.get(id)?.contents;
    return contents !== undefined && isCurrent(contents, id, this.#house) ? contents : undefined;
  }

  /** The session with all that is known of it; a new one where nothing is. */
  wake(id: string): Session {
    const awake = this.#awake.get(id);
    if (awake !== undefined) return awake;
    const session = new Session(id, this.#house, this.#shelf.take(id));
    this.#awake.set(id, session);
    this.#count(session);
    return session;
  }

  /** It has had a turn, or written: lets it rest if there is no more to it than its contents, and makes room for what it has grown. */
  settle(session: Session): void {
    // Who was woken anew meanwhile is another one.
    if (!session.isAwake) return;
    if (session.isIdle && (session.bytes === 0 || session.wasOnlyRead)) {
      this.#rest(session);
      // Whoever comes back finds it in memory: open files are for those that are written.
      this.#house.store.open?.cool(session.id);
    } else {
      this.#count(session);
      this.#turnHand();
    }
    const { cacheBytes, repairSeconds } = this.#house.config;
    if (this.bytes <= cacheBytes) return;
    this.#shelf.fit(cacheBytes - this.#awakeBytes, this.#house.steadyMs() - repairSeconds * 1000);
  }

  /** Looks whether other programs have changed anything in memory, some at a time. */
  *lookAgainAtAll(): Generator<void> {
    for (const session of [...this.#awake.values()]) {
      session.lookAgain();
      yield;
    }
    for (const { id, contents } of this.#shelf.all()) {
      if (!isCurrent(contents, id, this.#house)) this.wake(id).lookAgain();
      yield;
    }
  }

  stop(): void {
    for (const session of this.#awake.values()) {
      session.stop();
      session.isAwake = false;
    }
    this.#awake.clear();
    this.#shelf.clear();
    this.#awakeBytes = 0;
  }

  #count(session: Session): void {
    const bytes = session.bytes + AWAKE_BYTES;
    this.#awakeBytes += bytes - session.countedBytes;
    session.countedBytes = bytes;
  }

  #rest(session: Session): void {
    const { resting } = session;
    this.#awake.delete(session.id);
    session.isAwake = false;
    this.#awakeBytes -= session.countedBytes;
    if (resting !== undefined) this.#shelf.put(resting);
    // A Map keeps each table it has outgrown with a link to the next. Once such a table is old garbage all that follow are kept with it.
    if (this.#awake.size === 0) this.#awake = new Map();
  }

  /** Who was used since the hand last passed gets another chance, and so does who is busy. */
  #turnHand(): void {
    let left = HAND_STEPS;
    for (const session of this.#awake.values()) {
      if (left === 0 || !this.#isCrowded) return;
      left -= 1;
      if (session.isIdle && !session.wasUsed) {
        this.#rest(session);
        continue;
      }
      session.wasUsed = false;
      this.#awake.delete(session.id);
      this.#awake.set(session.id, session);
    }
  }

  get #isCrowded(): boolean {
    return this.#awake.size > this.#manyAwake || this.#awakeBytes > AWAKE_PART * this.#house.config.cacheBytes;
  }
}

function slabBytesFor(cacheBytes: number): number {
  const bytes = 2 ** Math.floor(Math.log2(Math.max(1, cacheBytes / SLABS)));
  return Math.max(MIN_SLAB_BYTES, Math.min(MAX_SLAB_BYTES, bytes));
}
