// Files that stay open: they say of every change that can happen to a file or its name that it happened, and are used no longer than that is certain.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  constants,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OpenFiles } from "../../../client/copies/open-files.ts";
import { native } from "../../../daemon/files/native.ts";
import { applyDelta, encodeDelta } from "../../../protocol/image/image.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import { SessionHouse } from "../../support/session-house.ts";

const TICK_MS = 20;
/** A temporary directory may be on a file system that is not used this way (XFS, an overlay). */
const places = [tmpdir(), "/dev/shm"].filter((place) => isTelling(place));

function isTelling(place: string): boolean {
  if (process.platform !== "linux" || !existsSync(place)) return false;
  return [0xef53, 0x01021994, 0x9123683e].includes(statfsSync(place).type);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What changed in the same tick could look unchanged: then a file is not used yet. */
async function untilUsable(path: string): Promise<void> {
  while (Date.now() - statSync(path).ctimeMs < TICK_MS) await turn();
}

describe.each(places)("a file kept open in %s", (place) => {
  let folder: string;
  let path: string;
  let files: OpenFiles;

  beforeEach(async () => {
    folder = mkdtempSync(join(place, "gs-open-"));
    path = join(folder, "session");
    writeFileSync(path, "contents");
    writeFileSync(join(folder, "other"), "contents");
    files = new OpenFiles(4);
    files.directory = folder;
    await untilUsable(path);
  });
  afterEach(() => {
    files.closeAll();
    rmSync(folder, { recursive: true });
  });

  const CHANGES: Readonly<Record<string, () => void>> = {
    removed: () => unlinkSync(path),
    "replaced by a rename": () => renameSync(join(folder, "other"), path),
    "removed and replaced, as Gambas saves": () => {
      unlinkSync(path);
      renameSync(join(folder, "other"), path);
    },
    "renamed aside": () => renameSync(path, join(folder, "aside")),
    "renamed aside and back": () => {
      renameSync(path, join(folder, "aside"));
      renameSync(join(folder, "aside"), path);
    },
    "written to": () => writeFileSync(path, "contentz"),
    "written to, with its old times put back": () => {
      const { atimeMs, mtimeMs } = statSync(path);
      writeFileSync(path, "contentz");
      utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
    },
    "appended to": () => appendFileSync(path, "."),
    "cut off": () => truncateSync(path, 1),
    stamped: () => utimesSync(path, 1, 1),
    linked: () => linkSync(path, join(folder, "link")),
  };

  it.each(Object.keys(CHANGES))("tells that it was %s", (name) => {
    const file = files.open(path, statSync(path), Date.now());
    expect(file?.isCurrent(Date.now())).toBe(true);
    CHANGES[name]?.();
    expect(file?.isCurrent(Date.now())).toBe(false);
  });

  it.skipIf(native === undefined)("tells that it was exchanged, and exchanged back", () => {
    const file = files.open(path, statSync(path), Date.now());
    native?.exchange(path, join(folder, "other"));
    expect(file?.isCurrent(Date.now())).toBe(false);
    native?.exchange(path, join(folder, "other"));
    expect(file?.isCurrent(Date.now())).toBe(false);
  });

  it("is not opened within a tick of its last change", () => {
    const { ctimeMs } = statSync(path);
    expect(files.open(path, statSync(path), ctimeMs + TICK_MS - 1)).toBeUndefined();
    expect(files.hasUseFor(ctimeMs, ctimeMs + TICK_MS - 1)).toBe(false);
    expect(files.open(path, statSync(path), ctimeMs + TICK_MS)).toBeDefined();
  });

  it("is not opened within a second of its last change where times are whole seconds", () => {
    const usable = [1_019, 1_020].map((ms) => files.hasUseFor(1_800_000_000_000, 1_800_000_000_000 + ms));
    expect(usable).toEqual([false, true]);
  });

  it("is not opened when it is another version than the one that is meant", () => {
    const version = statSync(path);
    for (const other of [{ ino: version.ino + 1 }, { size: version.size + 1 }, { mtimeMs: version.mtimeMs + 1 }]) {
      expect(files.open(path, Object.assign(statSync(path), other), Date.now())).toBeUndefined();
    }
    expect([files.count, openPaths(folder)]).toEqual([0, []]);
  });

  it("is not opened when it is a link or not there, and a pipe keeps nobody waiting", () => {
    const version = statSync(path);
    unlinkSync(path);
    expect(files.open(path, version, Date.now())).toBeUndefined();
    execFileSync("ln", ["-s", join(folder, "other"), path]);
    expect(files.open(path, version, Date.now())).toBeUndefined();
    unlinkSync(path);
    execFileSync("mkfifo", [path]);
    expect(files.open(path, version, Date.now())).toBeUndefined();
    expect(openPaths(folder)).toEqual([]);
  });

  it("is trusted for a second after its name was looked at, by a clock that may be set", () => {
    const nowMs = Date.now();
    const { ctimeMs } = statSync(path);
    const file = files.open(path, statSync(path), nowMs);
    const isCurrentAt = (ms: number): boolean | undefined => file?.isCurrent(nowMs + ms);
    expect([isCurrentAt(999), isCurrentAt(1000), isCurrentAt(-1000)]).toEqual([true, false, false]);
    expect(file?.noteLook(ctimeMs, nowMs + 5000)).toBe(true);
    expect([isCurrentAt(5999), isCurrentAt(0)]).toEqual([true, false]);
    expect(file?.noteLook(ctimeMs + 1, nowMs + 5000)).toBe(false);
  });

  it("is one of so many and no more", () => {
    const opened = Array.from({ length: 5 }, () => files.open(path, statSync(path), Date.now()));
    expect([files.count, opened[4]]).toEqual([4, undefined]);
    if (opened[0] !== undefined) files.close(opened[0]);
    expect(files.open(path, statSync(path), Date.now())).toBeDefined();
  });

  it("is closed when nobody asked for it in between", () => {
    const [used, unused] = [1, 2].map(() => files.open(path, statSync(path), Date.now()));
    files.closeIdle();
    expect(files.count).toBe(2);
    expect(used?.isCurrent(Date.now())).toBe(true);
    files.closeIdle();
    expect([files.count, used?.isCurrent(Date.now()), unused?.isCurrent(Date.now())]).toEqual([1, true, false]);
    files.closeAll();
    expect([files.count, used?.isCurrent(Date.now()), openPaths(folder)]).toEqual([0, false, []]);
  });
});

it("keeps nothing open on a file system it knows nothing of, nor where there is no directory", () => {
  for (const directory of ["/proc/self", "/nowhere/at/all"]) {
    const files = new OpenFiles(4);
    files.directory = directory;
    expect(files.hasUseFor(0, Date.now())).toBe(false);
  }
});

describe.skipIf(!isTelling(tmpdir()))("a worker that reads a session again and again", () => {
  let house: SessionHouse;
  let id: string;

  beforeEach(async () => {
    house = await SessionHouse.open();
    const handle = house.worker().create({ prefix: "read" });
    handle.set("n", 1);
    await handle.save();
    id = String(handle.id);
  });
  afterEach(() => house.close());

  /** Reads until the worker has the file open. */
  async function readerOf(n = 1): Promise<() => Promise<unknown>> {
    const worker = house.worker();
    const read = async (): Promise<unknown> => (await worker.open(id))?.get("n");
    while (!openPaths(house.root).includes(house.pathOf(id))) {
      expect(await read()).toBe(n);
      await turn();
    }
    return read;
  }

  it("sees what another worker commits, the first and the second time, and its end", async () => {
    const read = await readerOf();
    const writer = await house.worker().open(id);
    for (const n of [2, 3]) {
      writer?.set("n", n);
      await writer?.save();
      expect(await read()).toBe(n);
    }
    await writer?.abandon();
    expect(await read()).toBeUndefined();
    // The daemon in this process may be listing the directory.
    const files = openPaths(house.root).filter((open) => open !== dirname(house.pathOf(id)));
    expect(files).toEqual([]);
  });

  it("sees what another program saves, in place of the file or into it", async () => {
    const read = await readerOf();
    writeFileSync(join(house.root, "new"), imageWith(2));
    renameSync(join(house.root, "new"), house.pathOf(id));
    expect(await read()).toBe(2);
    const readAgain = await readerOf(2);
    writeFileSync(house.pathOf(id), imageWith(3));
    expect(await readAgain()).toBe(3);
  });

  function imageWith(n: number): Buffer {
    const delta = encodeDelta(new Map([["n", encodeValue(n, "n").bytes]]));
    return applyDelta(house.fileOf(id), { delta, nowMs: Date.now() });
  }

  it("closes its files with its connection", async () => {
    const worker = house.worker();
    while (!openPaths(house.root).includes(house.pathOf(id))) {
      await worker.open(id);
      await turn();
    }
    worker.close();
    expect(openPaths(house.root)).toEqual([]);
  });
});

/** What this process has open below a folder, to be read only: the daemon in it opens what it opens to write. */
function openPaths(folder: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const [, flags = ""] = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1")) ?? [];
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(folder) && (Number.parseInt(flags, 8) & 3) === constants.O_RDONLY ? [path] : [];
    } catch {
      // The one this list was read from is gone again.
      return [];
    }
  });
}
