// The watch on the session directory: one for all files, however many, and chokidar's "raw" events, which nobody promises.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Log } from "../../../daemon/report/log.ts";
import { Watch } from "../../../daemon/store/gambas-file/watch.ts";

const MANY = 20_000;

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
