// Commits that are written over the old bytes, in the session's file itself: when that is done and when not, what a kill leaves, and that nobody
// sees a part of one.

import { closeSync, linkSync, mkdirSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Log } from "../../../daemon/report/log.ts";
import { Session } from "../../../daemon/sessions/session.ts";
import { Evidence } from "../../../daemon/store/gambas-file/evidence.ts";
import { FileSystem } from "../../../daemon/store/gambas-file/file-system.ts";
import { Presence } from "../../../daemon/store/gambas-file/programs/programs.ts";
import { GambasFileStore } from "../../../daemon/store/gambas-file/store.ts";
import type { Staged } from "../../../daemon/store/store.ts";
import { newImage, startupBytes } from "../../../protocol/image/image.ts";
import { Lab, newId, presentAt } from "../../support/daemon/lab.ts";
import { valuesIn } from "../../support/daemon/raw-worker.ts";
import { freshRoot } from "../../support/processes.ts";

const HEAD = newImage({ nowMs: 0, timeoutSeconds: 60 });

function image(text: string): Buffer {
  return Buffer.concat([HEAD, Buffer.from(text)]);
}

describe("a new image", () => {
  let root: string;
  let store: GambasFileStore;
  let id: string;

  beforeEach(() => {
    root = freshRoot();
    store = open();
    id = newId();
    write(image("old"));
  });

  afterEach(() => {
    vi.restoreAllMocks();
    store.close();
    rmSync(root, { recursive: true });
  });

  function open(inPlace = true): GambasFileStore {
    const opened = new GambasFileStore({ root, openSessions: 10, inPlace, gambas: "3.18", log: new Log("silent", "") });
    opened.programs.look(() => 0);
    return opened;
  }

  function path(): string {
    return join(store.directory, id);
  }

  /** A program is there, as far as its directory tells. */
  function come(): void {
    mkdirSync(join(root, String(process.pid)));
    store.programs.look(() => 0);
  }

  function stage(bytes: Buffer): ReturnType<GambasFileStore["stage"]> {
    return store.stage(id, bytes, presentAt(store.stat(id)));
  }

  function write(bytes: Buffer): void {
    store.locks.take(id, true);
    expect(store.publish(id, stage(bytes))).toBe(true);
    store.locks.release(id);
  }

  /** Whether the next image of this size is written over the old one. */
  function isInPlace(bytes = image("new"), isLocked = true): boolean {
    if (isLocked) store.locks.take(id, true);
    const staged = stage(bytes);
    expect(store.publish(id, staged)).toBe(true);
    store.locks.release(id);
    expect(readFileSync(path()).equals(bytes)).toBe(true);
    expect(store.stat(id)).toEqual(staged.revision);
    return staged.checksum !== undefined;
  }

  test("goes into the file itself, which keeps its inode and gets another time", () => {
    const before = store.stat(id);
    expect(isInPlace()).toBe(true);
    const after = store.stat(id);
    expect(after?.ino).toBe(before?.ino);
    expect(after?.mtimeMs).toBeGreaterThan(before?.mtimeMs ?? 0);
  });

  test("goes there up to one page, and no further", () => {
    for (const bytes of [4096, 4097]) {
      const page = image("x".repeat(bytes - HEAD.length));
      write(page);
      expect(isInPlace(page)).toBe(bytes === 4096);
    }
  });

  const aside: Readonly<Record<string, () => void>> = {
    "a program is there": () => come(),
    "nobody has looked whether one is": () => {
      vi.spyOn(store.programs, "isNobodyThere", "get").mockReturnValue(false);
    },
    "the file has a second name, which may be a backup": () => linkSync(path(), join(root, "backup")),
    "somebody has written the file anew": () => {
      const bytes = readFileSync(path());
      rmSync(path());
      writeFileSync(path(), bytes);
    },
    "the file system is none of which it is known that a kill cuts no short write": () => without("wholeWrites"),
    "files cannot be locked": () => without("recordLocks"),
    "stat does not tell revisions apart": () => without("fineTimes"),
    "commits are to survive a loss of power": () => reopen(open(false)),
    "the daemon has just started": () => reopen(open()),
  };

  function without(feature: string): void {
    const has = FileSystem.prototype.has;
    vi.spyOn(FileSystem.prototype, "has").mockImplementation(function (this: FileSystem, name) {
      return name !== feature && has.call(this, name);
    });
  }

  function reopen(next: GambasFileStore): void {
    store.close();
    store = next;
  }

  test.each(Object.entries(aside))("goes aside when %s", (_, prepare) => {
    prepare();
    expect(isInPlace()).toBe(false);
  });

  test("goes aside when its size is another one", () => {
    expect(isInPlace(image("longer"))).toBe(false);
    expect(isInPlace(image("short!"))).toBe(true);
    expect(isInPlace(image("x"))).toBe(false);
  });

  test("goes aside when the lock is not held", () => {
    expect(isInPlace(image("new"), false)).toBe(false);
  });

  test("goes aside when somebody writes between the look and the write", () => {
    store.locks.take(id, true);
    const existing = store.stat(id);
    writeFileSync(path(), image("odd"));
    expect(store.stage(id, image("new"), presentAt(existing)).checksum).toBeUndefined();
  });

  describe("after a kill", () => {
    function attempt(staged: Staged): Parameters<GambasFileStore["recovery"]["wasPublished"]>[0] {
      return { id, revision: staged.revision, replaced: store.stat(id), checksum: staged.checksum };
    }

    test.each([
      ["before its bytes is not there", () => undefined, false],
      ["between its bytes and their time is there", () => writeFileSync(path(), image("new"), { flag: "r+" }), true],
      ["is not there if the bytes are others", () => writeFileSync(path(), image("odd"), { flag: "r+" }), false],
      [
        "is not there if another program has saved",
        () => {
          writeFileSync(join(root, "aside"), image("new"));
          rmSync(path());
          linkSync(join(root, "aside"), path());
        },
        false,
      ],
      ["is not there if there is no session", () => rmSync(path()), false],
    ])("%s", (_, happen, expected) => {
      store.locks.take(id, true);
      const told = attempt(stage(image("new")));
      expect(told.checksum).toBeDefined();
      happen();
      const next = open();
      expect(next.recovery.wasPublished(told)).toBe(expected);
      next.close();
    });

    test("after a touch that came later is there: that changes nothing but the time in the file", () => {
      store.locks.take(id, true);
      const staged = stage(image("new"));
      const told = attempt(staged);
      store.publish(id, staged);
      expect(store.stamp(id, startupBytes(Date.now()), staged.revision)).toBeDefined();
      expect(store.recovery.wasPublished(told)).toBe(true);
    });

    test("after its time is there", () => {
      store.locks.take(id, true);
      const staged = stage(image("new"));
      const told = attempt(staged);
      store.publish(id, staged);
      expect(store.recovery.wasPublished(told)).toBe(true);
    });
  });
});

describe("a program that goes on without the lock, as Gambas does when it has waited for a second", () => {
  let lab: Lab;
  let id: string;

  beforeEach(async () => {
    lab = await Lab.open();
    id = newId();
    await (await lab.worker()).create(id, { a: 1, b: 1 });
    mkdirSync(join(lab.root, String(process.pid)));
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await lab.close();
  });

  /** Reads the session in two steps, with a commit of both keys between them. */
  async function readAround(commit: () => Promise<unknown>): Promise<Record<string, unknown>> {
    const fd = openSync(lab.path(id), "r");
    const bytes = Buffer.alloc(4096);
    // The first of the two values, and the second. Not the first such byte: the time in the header may have one.
    const half = lab.image(id).lastIndexOf("b");
    readSync(fd, bytes, 0, half, 0);
    await commit();
    const rest = readSync(fd, bytes, half, bytes.length - half, half);
    closeSync(fd);
    return valuesIn(bytes.subarray(0, half + rest));
  }

  async function commit(n: number): Promise<void> {
    await (await lab.worker("anna")).commit(id, { a: n, b: n });
  }

  test("reads the old contents or the new ones, and never some of each", async () => {
    for (let n = 2; n < 6; n++) {
      const { a, b } = await readAround(() => commit(n));
      expect(a).toBe(b);
    }
  });

  test("would read some of each, if we wrote in place while it runs: so that would be found", async () => {
    vi.spyOn(Presence.prototype, "look").mockImplementation((clock) => ({ atMs: clock(), isAnybodyThere: false }));
    await commit(2);
    expect(await readAround(() => commit(3))).toMatchObject({ a: 2, b: 3 });
  });

  test("comes just before a commit that was to be written in place: that is written aside", async () => {
    const again = vi.spyOn(Session.prototype, "comeAgain");
    // The look before the commit has found nobody.
    vi.spyOn(Evidence.prototype, "isNobodyThere", "get").mockReturnValueOnce(true);
    expect(await readAround(() => commit(2))).toMatchObject({ a: 1, b: 1 });
    expect(again).toHaveBeenCalledOnce();
    expect(valuesIn(lab.image(id))).toEqual({ a: 2, b: 2 });
  });
});
