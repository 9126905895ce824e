// Ends sessions whose time is over and undoes resurrections, by reading headers only. Takes a small share of the daemon's time,
// however many files there are.

import { isExpired } from "../../protocol/image/image.ts";
import type { Log } from "../report/report.ts";
import type { SessionFiles } from "../store/store.ts";

const FILES_PER_SLICE = 32;
/** The first sweep begins soon: it removes sessions that expired while no daemon ran, and counts the others. */
const FIRST_PAUSE_MS = 1_000;
/** After a slice the sweep rests this many times as long as its own work took. */
const REST_FACTOR = 40;

interface SweepParts {
  readonly store: Pick<SessionFiles, "ids" | "header">;
  /** Ends a session whose time is over, in its turn. */
  readonly sessions: { endIfExpired(id: string): void };
  readonly tombstones: { has(id: string): boolean; prune(nowMs: number): void };
  readonly log: Log;
  readonly now: () => number;
}

export class Sweep {
  readonly #parts: SweepParts;
  readonly #pauseMs: number;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;
  /** Sessions seen by the last complete sweep; null before there was one. */
  onDisk: number | null = null;

  constructor(parts: SweepParts, pauseMs: number) {
    this.#parts = parts;
    this.#pauseMs = pauseMs;
  }

  start(): void {
    if (this.#pauseMs > 0) this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#wake?.();
    await this.#running;
  }

  /** Looks at every session once. Resolves to how many there are. */
  async sweepOnce(): Promise<number> {
    const { store, tombstones, now } = this.#parts;
    tombstones.prune(now());
    let count = 0;
    let workedMs = 0;
    for await (const id of store.ids()) {
      if (this.#isStopped) break;
      // Not the time between two files: a busy daemon does other things then.
      const beganMs = performance.now();
      this.#check(id);
      workedMs += performance.now() - beganMs;
      count += 1;
      if (count % FILES_PER_SLICE !== 0) continue;
      await this.#rest(REST_FACTOR * workedMs);
      workedMs = 0;
    }
    return count;
  }

  #check(id: string): void {
    const { store, sessions, tombstones, log, now } = this.#parts;
    try {
      if (tombstones.has(id)) {
        sessions.endIfExpired(id);
        return;
      }
      const header = store.header(id);
      if (header !== undefined && isExpired(header, now())) sessions.endIfExpired(id);
    } catch (error) {
      log.warn("sweep-failed", { session: id, error: String(error) });
    }
  }

  async #run(): Promise<void> {
    for (let pauseMs = Math.min(FIRST_PAUSE_MS, this.#pauseMs); !this.#isStopped; pauseMs = this.#pauseMs) {
      await this.#rest(pauseMs);
      if (this.#isStopped) return;
      try {
        this.onDisk = await this.sweepOnce();
      } catch (error) {
        this.#parts.log.warn("sweep-failed", { error: String(error) });
      }
    }
  }

  #rest(ms: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, ms);
      this.#timer.unref();
    });
  }
}
