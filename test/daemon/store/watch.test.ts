// The watch on the session directory: one for all files, however many, and chokidar's "raw" events, which nobody promises.

import { execFileSync } from "node:child_process";
import fs, {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Log } from "../../../daemon/report/log.ts";
import { Watch } from "../../../daemon/store/gambas-file/watch.ts";

const MANY = 20_000;
const POOL_THREADS = Number(process.env.UV_THREADPOOL_SIZE ?? 4);

let root: string;
let directory: string;
let watch: Watch;
/** Resolvers of those who wait for the next event. */
let waiting: (() => void)[];
let changed: Set<string>;
let missed: number;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "gs-watch-"));
  directory = join(root, "session");
  mkdirSync(directory);
  waiting = [];
  changed = new Set();
  missed = 0;
  const wake = (): void => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  const onChange = (id: string): void => {
    changed.add(id);
    wake();
  };
  const onMissed = (): void => {
    missed += 1;
    wake();
  };
  watch = new Watch(directory, { onChange, onMissed }, new Log("silent"));
});

afterEach(async () => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  await watch.stop();
  rmSync(root, { recursive: true, force: true });
});

it("needs one watch for 20 000 files and hears of each that changes", async () => {
  for (let number = 0; number < MANY; number++) writeFileSync(join(directory, idOf(number)), "");
  const before = watchCount();
  await begin();
  const [saved, removed] = [idOf(7), idOf(MANY - 1)];
  saveAsGambas(saved);
  unlinkSync(join(directory, removed));
  while (changed.size < 2) await nextEvent();
  expect([...changed].sort()).toEqual([saved, removed]);
  expect(watchCount()).toBe(before + 1);
});

it("is tried again after a while where there was none to be had", async () => {
  const failing = vi.spyOn(fs, "watch").mockImplementation(() => {
    throw Object.assign(new Error("EMFILE: too many open files, watch"), { code: "EMFILE" });
  });
  syncBuiltinESMExports();
  watch.start();
  while (watch.isWatching) await new Promise((resolve) => setImmediate(resolve));
  failing.mockRestore();
  syncBuiltinESMExports();
  watch.check();
  expect(watch.isWatching).toBe(false);
  const presentMs = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => presentMs + 61_000);
  const before = watchCount();
  watch.check();
  expect(watch.isWatching).toBe(true);
  expect(missed).toBe(1);
  while (watchCount() <= before) await new Promise((resolve) => setImmediate(resolve));
  saveAsGambas(idOf(1));
  while (!changed.has(idOf(1))) await nextEvent();
});

it("that is closed while it begins, and cannot begin, ends nobody", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  // Each keeps a thread of Node's pool waiting for a writer: what is asked for now is looked at behind them.
  const pipe = join(root, "pipe");
  execFileSync("mkfifo", [pipe]);
  const readers = Array.from({ length: POOL_THREADS }, () => promises.open(pipe, "r"));
  watch.start();
  rmSync(directory, { recursive: true });
  symlinkSync(directory, directory);
  const stopped = watch.stop();
  const writer = openSync(pipe, constants.O_RDWR);
  for (const reader of await Promise.all(readers)) await reader.close();
  closeSync(writer);
  await stopped;
  // Behind the look of the watch.
  await expect(promises.stat(directory)).rejects.toThrow("ELOOP");
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

it("begins again when the directory was replaced, though it may have the same inode number", async () => {
  await begin();
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  const before = watchCount();
  watch.check();
  expect(missed).toBe(1);
  while (watchCount() <= before) await new Promise((resolve) => setImmediate(resolve));
  saveAsGambas(idOf(2));
  while (!changed.has(idOf(2))) await nextEvent();
});

/** Starts the watch and resolves when the kernel watches. */
async function begin(): Promise<void> {
  const before = watchCount();
  watch.start();
  while (watchCount() === before) await new Promise((resolve) => setImmediate(resolve));
}

function nextEvent(): Promise<void> {
  return new Promise((resolve) => waiting.push(resolve));
}

function idOf(number: number): string {
  return `10.0.0.1:${number.toString(16).toUpperCase().padStart(24, "0")}`;
}

/** Writes aside, unlinks, renames. */
function saveAsGambas(id: string): void {
  const path = join(directory, id);
  writeFileSync(join(root, "aside"), "saved");
  rmSync(path, { force: true });
  renameSync(join(root, "aside"), path);
}

/** inotify watches of this process. */
function watchCount(): number {
  let count = 0;
  for (const fd of readdirSync("/proc/self/fdinfo")) {
    try {
      count += readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").match(/^inotify wd/gm)?.length ?? 0;
    } catch {
      // Closed since it was listed.
    }
  }
  return count;
}
