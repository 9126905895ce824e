// The engine for Gambas' files: what every engine does, and what only files need.

import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Log } from "../../../daemon/report/log.ts";
import { RecordLock } from "../../../daemon/store/gambas-file/record-lock.ts";
import { GambasFileStore } from "../../../daemon/store/gambas-file/store.ts";
import type { Revision } from "../../../daemon/store/store.ts";
import { newImage } from "../../../protocol/image/image.ts";
import { newId, presentAt } from "../../support/daemon/lab.ts";
import { freshRoot } from "../../support/processes.ts";
import { describeStore } from "./conformance.ts";

const roots: string[] = [];

function open(openSessions: number): GambasFileStore {
  const root = freshRoot();
  roots.push(root);
  return new GambasFileStore({ root, openSessions, inPlace: true, gambas: "3.18", log: new Log("silent", "") });
}

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

describeStore("gambas-file", { open: () => open(100), close: (store) => store.close() });
describeStore("gambas-file that keeps next to nothing open", { open: () => open(1), close: (store) => store.close() });

test("locks of many more sessions than are kept open: to lock one more costs as many looks at others as before", () => {
  const store = open(10);
  const looks = vi.spyOn(RecordLock.prototype, "isHeld", "get");
  const looksFor = (count: number): number => {
    const before = looks.mock.calls.length;
    for (let n = 0; n < count; n++) expect(store.locks.take(newId(), true)).toBe("held");
    return looks.mock.calls.length - before;
  };
  try {
    looksFor(100);
    const early = looksFor(100);
    looksFor(200);
    expect(looksFor(100)).toBeLessThanOrEqual(early);
  } finally {
    looks.mockRestore();
    store.close();
  }
});

test("second files of many sessions: the oldest are looked for once for many that come, and no more of them stay", () => {
  const store = open(13);
  const [max, more] = [20 * 13, 60];
  const write = (id: string): void => {
    store.locks.take(id, true);
    const staged = store.stage(id, Buffer.from("contents"), presentAt(store.stat(id)));
    expect(store.publish(id, staged)).toBe(true);
    store.locks.release(id);
  };
  let walks = 0;
  const walk = Set.prototype[Symbol.iterator];
  vi.spyOn(Set.prototype, Symbol.iterator).mockImplementation(function (this: Set<unknown>) {
    if (this.size > max - 100) walks += 1;
    return walk.call(this);
  });
  try {
    for (let n = 0; n < max + more; n++) {
      const id = newId();
      // A new session has no second file yet. One in place would need none.
      write(id);
      saveAside(store, id);
      write(id);
    }
  } finally {
    vi.restoreAllMocks();
    store.close();
  }
  expect(readdirSync(join(store.directory, "..", "sessiond.twins")).length).toBeLessThanOrEqual(max);
  expect(walks).toBeGreaterThan(0);
  expect(walks).toBeLessThanOrEqual(more / 3);
});

/** As another program does it. */
function saveAside(store: GambasFileStore, id: string): void {
  const aside = join(store.directory, "..", "aside");
  writeFileSync(aside, "another one");
  renameSync(aside, join(store.directory, id));
}

describe("a file of the engine", () => {
  let store: GambasFileStore;
  let id: string;
  let path: string;

  beforeEach(() => {
    store = open(100);
    id = newId();
    path = join(store.directory, id);
  });

  afterEach(() => store.close());

  function stage(text: string): ReturnType<GambasFileStore["stage"]> {
    store.locks.take(id, true);
    return store.stage(id, Buffer.from(text), presentAt(store.stat(id)));
  }

  function write(text: string): void {
    store.publish(id, stage(text));
    store.locks.release(id);
  }

  function saveAsGambas(text: string): void {
    const aside = join(store.directory, "..", "aside");
    writeFileSync(aside, text);
    if (existsSync(path)) unlinkSync(path);
    renameSync(aside, path);
  }

  test("is replaced in one step: whoever has it open goes on reading the old one whole", () => {
    write("the old contents, longer");
    const { ino } = statSync(path);
    write("new");
    expect(statSync(path).ino).not.toBe(ino);
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  test("that another program saved after the last look stands, and publishing says so", () => {
    for (const hasTwin of [false, true]) {
      write("ours");
      if (hasTwin) write("ours again");
      const staged = stage("ours, too late");
      saveAsGambas("theirs, of whatever length it is");
      expect(store.publish(id, staged)).toBe(false);
      store.locks.release(id);
      expect(readFileSync(path, "utf8")).toBe("theirs, of whatever length it is");
    }
  });

  test("that another program saved with the same size at once stands as well", () => {
    write("ours 1");
    for (let round = 0; round < 200; round++) {
      const staged = stage("ours 2");
      saveAsGambas("theirs");
      expect(store.publish(id, staged)).toBe(false);
      store.locks.release(id);
      expect(readFileSync(path, "utf8")).toBe("theirs");
      store.recovery.discard(id);
    }
  });

  test("that another program deleted after the last look is not brought back", () => {
    write("ours");
    write("ours again");
    const staged = stage("ours, too late");
    unlinkSync(path);
    expect(store.publish(id, staged)).toBe(false);
    store.locks.release(id);
    expect(existsSync(path)).toBe(false);
  });

  test("of ours never looks like one of another program, of equal size within one tick", () => {
    const [ours, theirs] = [new Set<string>(), new Set<string>()];
    for (let round = 0; round < 100; round++) {
      write(`ours ${round % 10}`);
      ours.add(nameOf(store.stat(id)));
      saveAsGambas(`them ${round % 10}`);
      theirs.add(nameOf(store.stat(id)));
    }
    expect(ours.size).toBe(100);
    expect([...ours].filter((name) => theirs.has(name))).toEqual([]);
  });

  test("is told to be fleeting while it is younger than the clock can tell", () => {
    writeFileSync(path, newImage({ nowMs: Date.now(), timeoutSeconds: 60 }));
    const nowSeconds = Date.now() / 1000;
    utimesSync(path, nowSeconds, nowSeconds + 60);
    expect(store.load(id, 1000)?.isFleeting).toBe(true);
    utimesSync(path, nowSeconds, nowSeconds - 60);
    expect(store.load(id, 1000)?.isFleeting).toBe(false);
  });

  test("leaves no name behind in the directory that Gambas' Unique would meet", () => {
    write("ours");
    stage("ours again");
    store.locks.release(id);
    expect(existsSync(path)).toBe(true);
    store.remove(id);
    expect(existsSync(path) || existsSync(`${path}.lock`)).toBe(false);
  });
});

function nameOf(revision: Revision | undefined): string {
  return `${revision?.ino} ${revision?.size} ${revision?.mtimeMs}`;
}
