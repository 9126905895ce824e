// The sessions of a store of this machine, at rest, and the tombstones of its journal. Whoever opens them has the place of the daemon.

import { setTimeout as pause } from "node:timers/promises";
import { isCode, SessionError } from "../../../protocol/errors.ts";
import { damagedKeyIn, imageByRows, imageInDialect, isExpired, isSameButStamp } from "../../../protocol/image/image.ts";
import { daemonPath } from "../../../protocol/places.ts";
import type { Found, Held, Holdings, Lending, Lent, OpenHoldings } from "../../backend/backend.ts";
import { type Config, TYPES } from "../../config.ts";
import { Journal, replayJournal } from "../../once/once.ts";
import { type Log, Metrics } from "../../report/report.ts";
import { Tombstones } from "../../sessions/sessions.ts";
import { type Loaded, type Store, StoreBusy } from "../../store/store.ts";
import { onStore, type StoreOptions } from "../local.ts";

/** Between two tries where another program is in the way: it has the lock of the session, or is inside a transaction. */
const BUSY_PAUSE_MS = 5;

export function holdingsOn(open: (options: StoreOptions) => Store): OpenHoldings {
  return async (config, log) => {
    await tidy(open, config, log);
    return new LocalHoldings(open({ config, log, onLack: () => undefined }), config);
  };
}

/** Does what a daemon does that begins and leaves: what one that was killed has left half done is done, or taken back. */
async function tidy(open: (options: StoreOptions) => Store, config: Config, log: Log): Promise<void> {
  const metrics = new Metrics();
  try {
    const nothing = (): void => undefined;
    const backend = await onStore(open)({
      config,
      log,
      metrics,
      requestWork: nothing,
      mayWrite: () => true,
      every: nothing,
    });
    await backend.close(() => true);
  } finally {
    metrics.stop();
  }
}

class LocalHoldings implements Holdings {
  readonly nameOf: Holdings["nameOf"];
  readonly #store: Store;
  readonly #config: Config;
  readonly #tombstones: Tombstones;
  readonly #keepMs: number;
  #hasNewTombstones = false;
  readonly #flushes: Store["flushes"];
  /** The flush of names that begins next; all that were published before are in it. */
  #nextFlush: Promise<void> | undefined;
  #lastFlush: Promise<void> = Promise.resolve();

  constructor(store: Store, config: Config) {
    this.#store = store;
    this.nameOf = store.nameOf;
    this.#config = config;
    this.#keepMs = config.tombstoneSeconds * 1000;
    this.#tombstones = new Tombstones(config.maxTombstones, config.tombstoneSeconds);
    for (const [id, endedMs] of replayJournal(this.#journalPath).ended) this.#tombstones.add(id, endedMs);
    this.#tombstones.prune(Date.now());
    this.#flushes = config.durability === "fsync" ? store.flushes : undefined;
  }

  get #journalPath(): string {
    return daemonPath(this.#config, ".journal");
  }

  async *held(): AsyncGenerator<Held> {
    for (const [id, endedMs] of this.#tombstones.entries())
      yield { kind: "ended", id, forgetMs: endedMs + this.#keepMs };
    for await (const id of this.#store.ids()) yield { kind: "session", id };
    for await (const name of this.#store.strangers?.() ?? []) yield { kind: "stranger", name };
  }

  async *ids(): AsyncGenerator<string> {
    for (const [id] of this.#tombstones.entries()) yield id;
    yield* this.#store.ids();
  }

  async lend(id: string, use: (lent: Lent) => Promise<"keep" | "remove">): Promise<Lending> {
    if (this.#tombstones.has(id)) return "over";
    const isThere = await this.#patiently(id, () => this.#store.stat(id) !== undefined);
    if (!isThere) return "absent";
    return this.#locked(id, async () => {
      const loaded = await this.#patiently(id, () => this.#load(id));
      if (loaded === undefined) return "absent";
      const { image } = loaded;
      if (isExpired(image, Date.now())) return "over";
      const { hasDialect } = TYPES[this.#config.type];
      if (!hasDialect) checkIsWhole(id, image);
      if ((await use({ image, hasDialect })) === "keep") return "lent";
      return (await this.#patiently(id, () => this.#remove(id, image))) ? "lent" : "changed";
    });
  }

  async keep(given: string, lent: Lent): Promise<Found> {
    const id = this.#nameOf(given);
    try {
      return await this.#locked(id, () => this.#keep(id, this.#formOf(lent)));
    } catch (error) {
      throw storeError(id, error);
    }
  }

  find(given: string, lent: Lent): Promise<Found> {
    const id = this.#nameOf(given);
    return this.#patiently(id, () => this.#find(id, this.#formOf(lent)));
  }

  takeBack(given: string, lent: Lent): Promise<void> {
    const id = this.#nameOf(given);
    return this.#locked(id, () =>
      this.#patiently(id, () => {
        if (this.#find(id, this.#formOf(lent)) === "same") this.#store.remove(id);
      }),
    );
  }

  async end(given: string, forgetMs: number): Promise<boolean> {
    const id = this.#nameOf(given);
    if (this.#tombstones.has(id)) return false;
    const isThere = await this.#patiently(id, () => this.#store.stat(id) !== undefined);
    if (isThere) await this.#locked(id, () => this.#patiently(id, () => this.#store.remove(id)));
    this.#tombstones.add(id, forgetMs - this.#keepMs);
    this.#hasNewTombstones = true;
    return true;
  }

  async close(): Promise<void> {
    try {
      if (this.#hasNewTombstones) this.#writeTombstones();
    } finally {
      await this.#store.close();
      this.#store.recovery?.removeAside();
    }
  }

  /** In the order of their time, as they are forgotten. */
  #writeTombstones(): void {
    const { commits } = replayJournal(this.#journalPath);
    const ended = [...this.#tombstones.entries()].sort(([, one], [, other]) => one - other);
    try {
      new Journal(this.#journalPath, commits, () => ended).close();
    } catch (error) {
      throw new SessionError("ERR_STORE", `Tombstones could not be written: ${String(error)}.`, { cause: error });
    }
  }

  #nameOf(id: string): string {
    return this.nameOf === undefined ? id : this.nameOf(id);
  }

  /** The image that this store has of contents that come. @throws SessionError ERR_UNREADABLE where it can have none. */
  #formOf({ image, hasDialect }: Lent): Buffer {
    if (!this.#store.keepsShares) return imageByRows(image);
    return hasDialect ? image : imageInDialect(image, () => this.#store.programs?.dialect ?? "3.18");
  }

  #load(id: string): Loaded | undefined {
    return this.#store.load(id, this.#config.maxSessionBytes);
  }

  #find(id: string, image: Buffer): Found {
    if (this.#tombstones.has(id)) return "ended";
    try {
      const there = this.#load(id)?.image;
      // What its program has not saved yet is no session, and in the way all the same.
      if (there === undefined) return this.#store.stat(id) === undefined ? "nothing" : "other";
      return isSameButStamp(there, image) ? "same" : "other";
    } catch (error) {
      if (!isCode(error, "ERR_UNREADABLE")) throw error;
      // A conversion that was killed has made it, and is being done again.
      return this.#store.recovery?.isUnfinished(id) === true ? "nothing" : "other";
    }
  }

  async #keep(id: string, image: Buffer): Promise<Found> {
    const found = await this.#patiently(id, () => this.#find(id, image));
    if (found !== "nothing") return found;
    await this.#patiently(id, () => {
      if (this.#store.recovery?.isUnfinished(id) === true) this.#store.remove(id);
    });
    const staged = await this.#patiently(id, () => this.#store.stage(id, image, undefined));
    await this.#flushes?.staged(id);
    const isPublished = await this.#patiently(id, () => this.#store.publish(id, staged));
    if (!isPublished) {
      this.#store.recovery?.discard(id);
      return "other";
    }
    await this.#flushNames();
    await this.#patiently(id, () => this.#checkIsKept(id, image));
    return "nothing";
  }

  /** What is stored in another form than it came in is looked at: a session that could not be stored as it is does not count as moved. */
  #checkIsKept(id: string, image: Buffer): void {
    if (this.#store.keepsShares || this.#find(id, image) === "same") return;
    this.#store.remove(id);
    throw new SessionError("ERR_UNREADABLE", `Sessions of type ${this.#config.type} cannot hold what is in it.`);
  }

  /** Removes it, where it is what it was when it was lent. False: another program has changed it. */
  #remove(id: string, image: Buffer): boolean {
    const { removeUnchanged } = this.#store;
    if (removeUnchanged === undefined) {
      this.#store.remove(id);
      return true;
    }
    const now = this.#load(id);
    return now?.image.equals(image) === true && this.#store.removeUnchanged?.(id, now.revision) === true;
  }

  /** One flush for all that wait for one. */
  #flushNames(): Promise<void> {
    const flushes = this.#flushes;
    if (flushes === undefined) return Promise.resolve();
    this.#nextFlush ??= this.#lastFlush.then(() => {
      this.#nextFlush = undefined;
      const flush = flushes.published();
      this.#lastFlush = flush.catch(() => undefined);
      return flush;
    });
    return this.#nextFlush;
  }

  async #locked<T>(id: string, act: () => Promise<T>): Promise<T> {
    const { locks } = this.#store;
    await this.#patiently(id, () => {
      if (locks?.take(id, true) === "busy") throw new StoreBusy("it has the lock");
    });
    try {
      return await act();
    } finally {
      locks?.release(id);
    }
  }

  /** A step of the store; again as long as another program is in the way. @throws SessionError ERR_SESSION_BUSY after lockWaitMs; ERR_STORE. */
  async #patiently<T>(id: string, step: () => T): Promise<T> {
    const deadlineMs = performance.now() + this.#config.lockWaitMs;
    for (;;) {
      try {
        return step();
      } catch (error) {
        if (!(error instanceof StoreBusy)) throw storeError(id, error);
        if (performance.now() > deadlineMs) {
          const what = `Another program has been at session ${id} for too long (${error.message}).`;
          throw new SessionError("ERR_SESSION_BUSY", what);
        }
      }
      await pause(BUSY_PAUSE_MS);
    }
  }
}

function storeError(id: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error;
  return new SessionError("ERR_STORE", `Session ${id} could not be read or written: ${String(error)}.`, {
    cause: error,
  });
}

/** One that no version of Gambas would read elsewhere, either, stays where the rest of it can be read. */
function checkIsWhole(id: string, image: Buffer): void {
  const key = damagedKeyIn(image);
  if (key === undefined) return;
  const what = `The value of ${JSON.stringify(key)} in session ${id} is damaged; set or delete that key, and the others can be moved.`;
  throw new SessionError("ERR_UNREADABLE", what);
}
