// Hints that foreign writers have changed session files: one watch on the directory, whatever the number of files.
// Events may be late, merged or lost, and freshness never depends on them: every access looks at the file itself. With
// the hints the daemon repairs files, and undoes resurrections, sooner.

import { statSync } from "node:fs";
import { FSWatcher } from "chokidar";
import { isSessionId } from "../../../protocol/session-id.ts";
import type { Log } from "../../report/report.ts";
import type { ChangeEvents, ChangeWatch } from "../store.ts";

/**
 * Events within a window beyond which most must come from the daemon's own writes. The watch rests then, and the daemon
 * looks at all sessions in memory instead.
 */
const MAX_EVENTS = 500;
const WINDOW_MS = 250;
const REST_MS = 2_000;
/** A watch that failed, for want of inotify say, is tried again after so long: what others had of it they may have given back. */
const AGAIN_MS = 60_000;
/** Most events of one file come within a moment: they are told as one change. */
const TELL_AFTER_MS = 30;

/**
 * chokidar 5.0.0 without its scans of the directory: while anything changes it would do a readdir, and an lstat of
 * every file, once a second. The daemon wants only the events of the watch on the directory itself. A test guards this,
 * since "raw" is not a documented promise.
 */
class EntryEvents extends FSWatcher {
  override _readdirp(): undefined {
    return undefined;
  }
}

export class Watch implements ChangeWatch {
  readonly #directory: string;
  readonly #events: ChangeEvents;
  readonly #log: Pick<Log, "warn">;
  #watcher: FSWatcher | undefined;
  #watched: string | undefined;
  #count = 0;
  #windowBeganMs = 0;
  #restTimer: NodeJS.Timeout | undefined;
  /** The ids of changed files that the daemon has not been told yet. */
  readonly #heard = new Set<string>();
  /** performance.now() of when the watch failed; undefined: it has not. */
  #failedMs: number | undefined;
  #tellTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(directory: string, events: ChangeEvents, log: Pick<Log, "warn">) {
    this.#directory = directory;
    this.#events = events;
    this.#log = log;
  }

  /** False: there are no hints, for want of inotify, say. The daemon's regular looks find changes then, later. */
  get isWatching(): boolean {
    return this.#watched !== undefined && this.#failedMs === undefined;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#watched = identityOf(this.#directory);
    if (this.#watched === undefined) return;
    const watcher = new EntryEvents({ depth: 0, ignoreInitial: true });
    watcher.on("raw", (_event, name) => this.#receive(name));
    this.#failedMs = undefined;
    watcher.on("error", (error) => {
      this.#failedMs = performance.now();
      this.#log.warn("watch-failed", { directory: this.#directory, error: String(error) });
    });
    watcher.add(this.#directory);
    this.#watcher = watcher;
  }

  /** Watches anew if the directory was replaced, or the watch has failed a while ago. Costs one stat. */
  check(): void {
    if (this.#restTimer !== undefined || this.#isStopped) return;
    const isDue = this.#failedMs !== undefined && performance.now() - this.#failedMs > AGAIN_MS;
    if (!isDue && identityOf(this.#directory) === this.#watched) return;
    void this.#closeWatcher();
    this.start();
    this.#events.onMissed();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#restTimer);
    clearTimeout(this.#tellTimer);
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
    if (typeof name !== "string" || !isSessionId(name)) return;
    this.#heard.add(name);
    this.#tellTimer ??= setTimeout(() => this.#tell(), TELL_AFTER_MS);
  }

  #tell(): void {
    this.#tellTimer = undefined;
    const heard = [...this.#heard];
    this.#heard.clear();
    for (const id of heard) this.#events.onChange(id);
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
    const closed = watcher?.close();
    // It forgets all listeners, and a look of its own that is under way may fail yet: such an event without a listener would end the process.
    watcher?.on("error", () => undefined);
    await closed;
  }
}

/**
 * Tells the directory that has the name from another one, by its birth time, too: a new directory may get the inode
 * number of the one before. Undefined: there is no directory that the daemon can look at.
 */
function identityOf(directory: string): string | undefined {
  try {
    const stat = statSync(directory, { throwIfNoEntry: false });
    return stat && `${stat.ino} ${stat.birthtimeMs}`;
  } catch {
    // Any system error: the next `check` tries again.
    return undefined;
  }
}
