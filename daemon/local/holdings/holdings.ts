// The sessions of a store of this machine, at rest, and the tombstones of its journal. Whoever opens them has the place of the daemon.

import { setTimeout as pause } from "node:timers/promises";
import { SessionError } from "../../../protocol/errors.ts";
import { isExpired, isSameButStamp } from "../../../protocol/image/image.ts";
import { daemonPath } from "../../../protocol/places.ts";
import type { Found, Held, Holdings, OpenHoldings } from "../../backend/backend.ts";
import type { Config } from "../../config.ts";
import { Journal, replayJournal } from "../../once/once.ts";
import { type Log, Metrics } from "../../report/report.ts";
import { Tombstones } from "../../sessions/sessions.ts";
import type { Store } from "../../store/store.ts";
import { onStore, type StoreOptions } from "../local.ts";

/** Between two tries to take the lock of a session, which another program has. */
const LOCK_PAUSE_MS = 5;

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
  }

  async lend(id: string, use: (image: Buffer) => Promise<"keep" | "remove">): Promise<"lent" | "absent" | "over"> {
    if (this.#tombstones.has(id)) return "over";
    if (this.#store.stat(id) === undefined) return "absent";
    return this.#locked(id, async () => {
      const loaded = this.#store.load(id, this.#config.maxSessionBytes);
      if (loaded === undefined) return "absent";
      if (isExpired(loaded.image, Date.now())) return "over";
      if ((await use(loaded.image)) === "remove") this.#store.remove(id);
      return "lent";
    });
  }

  keep(id: string, image: Buffer): Promise<Found> {
    return this.#writing(id, () => this.#keep(id, image));
  }

  find(id: string, image: Buffer): Promise<Found> {
    return this.#writing(id, async () => this.#find(id, image));
  }

  async end(id: string, forgetMs: number): Promise<boolean> {
    if (this.#tombstones.has(id)) return false;
    await this.#writing(id, async () => {
      if (this.#store.stat(id) !== undefined) await this.#locked(id, async () => this.#store.remove(id));
    });
    this.#tombstones.add(id, forgetMs - this.#keepMs);
    this.#hasNewTombstones = true;
    return true;
  }

  async close(): Promise<void> {
    try {
      if (this.#hasNewTombstones) this.#writeTombstones();
    } finally {
      this.#store.close();
      this.#store.recovery?.removeAside();
    }
  }

  /** In the order of their time, as they are forgotten. */
  #writeTombstones(): void {
    const { commits } = replayJournal(this.#journalPath);
    const ended = [...this.#tombstones.entries()].sort(([, one], [, other]) => one - other);
    new Journal(this.#journalPath, commits, () => ended).close();
  }

  #find(id: string, image: Buffer): Found {
    if (this.#tombstones.has(id)) return "ended";
    try {
      const there = this.#store.load(id, this.#config.maxSessionBytes)?.image;
      if (there === undefined) return "nothing";
      return isSameButStamp(there, image) ? "same" : "other";
    } catch (error) {
      if (error instanceof SessionError && error.code === "ERR_UNREADABLE") return "other";
      throw error;
    }
  }

  #keep(id: string, image: Buffer): Promise<Found> {
    return this.#locked(id, async () => {
      const found = this.#find(id, image);
      if (found !== "nothing") return found;
      const staged = this.#store.stage(id, image, undefined);
      await this.#flushes?.staged(id);
      if (!this.#store.publish(id, staged)) {
        this.#store.recovery?.discard(id);
        return "other";
      }
      await this.#flushNames();
      return "nothing";
    });
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
    const deadlineMs = performance.now() + this.#config.lockWaitMs;
    while (locks?.take(id, true) === "busy") {
      if (performance.now() > deadlineMs)
        throw new SessionError("ERR_SESSION_BUSY", `Another program has held the lock of session ${id} for too long.`);
      await pause(LOCK_PAUSE_MS);
    }
    try {
      return await act();
    } finally {
      locks?.release(id);
    }
  }

  async #writing<T>(id: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof SessionError) throw error;
      throw new SessionError("ERR_STORE", `Session ${id} could not be written: ${String(error)}.`, { cause: error });
    }
  }
}
