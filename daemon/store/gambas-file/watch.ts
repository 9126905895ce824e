// Hints that other programs changed session files: one watch on the directory, whatever the number of files. Events may be late, merged or
// lost; freshness never depends on them (every access looks at the file itself). They bring repairs and undone resurrections sooner.

import { statSync } from "node:fs";
import { type FSWatcher, watch } from "chokidar";
import type { Log } from "../../log.ts";
import { idOfName } from "./layout.ts";

/** More events than this within a window are mostly our own: then the watch rests, and all cached sessions are looked at instead. */
const MAX_EVENTS = 500;
const WINDOW_MS = 250;
const REST_MS = 2_000;

interface WatchEvents {
  readonly onChange: (id: string) => void;
  /** Anything may have changed. */
  readonly onMissed: () => void;
}

export class Watch {
  readonly #directory: string;
  readonly #events: WatchEvents;
  readonly #log: Log;
  #watcher: FSWatcher | undefined;
  #ino = 0;
  #count = 0;
  #windowBeganMs = 0;
  #restTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(directory: string, events: WatchEvents, log: Log) {
    this.#directory = directory;
    this.#events = events;
    this.#log = log;
  }

  start(): void {
    if (this.#isStopped) return;
    const stat = statSync(this.#directory, { throwIfNoEntry: false });
    this.#ino = stat?.ino ?? 0;
    if (stat === undefined) return;
    // Everything but the directory itself is ignored, so that no file gets a watch of its own; "raw" tells of its entries.
    const watcher = watch(this.#directory, {
      depth: 0,
      ignoreInitial: true,
      ignored: (path) => path !== this.#directory,
    });
    watcher.on("raw", (_event, name) => this.#receive(name));
    watcher.on("error", (error) =>
      this.#log.warn("watch-failed", { directory: this.#directory, error: String(error) }),
    );
    this.#watcher = watcher;
  }

  /** Begins again when the directory was replaced. Cheap: one stat. */
  check(): void {
    if (this.#restTimer !== undefined || this.#isStopped) return;
    const ino = statSync(this.#directory, { throwIfNoEntry: false })?.ino ?? 0;
    if (ino === this.#ino) return;
    void this.#closeWatcher();
    this.start();
    this.#events.onMissed();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#restTimer);
    await this.#closeWatcher();
  }

  #receive(name: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#windowBeganMs > WINDOW_MS) {
      this.#windowBeganMs = nowMs;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > MAX_EVENTS) this.#rest();
    const id = typeof name === "string" ? idOfName(name) : undefined;
    if (id !== undefined) this.#events.onChange(id);
  }

  #rest(): void {
    void this.#closeWatcher();
    this.#restTimer ??= setTimeout(() => {
      this.#restTimer = undefined;
      this.start();
      this.#events.onMissed();
    }, REST_MS);
    this.#restTimer.unref();
  }

  async #closeWatcher(): Promise<void> {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    await watcher?.close();
  }
}
