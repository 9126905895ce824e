// What failed takes nothing of what is known with it: a stale save that comes after it, or that it kept from being repaired, undoes nothing.

import { closeSync, constants, mkdirSync, openSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { native } from "../../../daemon/files/native.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import type { RawWorker } from "../../support/daemon/raw-worker.ts";
import { failure, intercept, letThrough } from "../../support/daemon/system-calls.ts";

vi.mock("node:fs", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);

let lab: Lab;
let anna: RawWorker;
let id: string;
let loaded: Buffer;

afterEach(() => {
  letThrough();
  return lab.close();
});

/** A session that was changed after a program had loaded it. */
async function begin(options: Parameters<typeof Lab.open>[0] = {}): Promise<void> {
  lab = await Lab.open(options);
  anna = await lab.worker("anna");
  id = newId();
  await anna.create(id, { a: 1, b: 1 });
  loaded = lab.image(id);
  // As every interpreter does, for as long as it runs.
  mkdirSync(join(lab.root, String(process.pid)));
  await anna.commit(id, { a: 2 });
}

/** As an interpreter saves: it makes the file in its directory, and moves it from there. */
function saveStale(changes: Readonly<Record<string, unknown>> = { b: 5 }): void {
  const aside = join(lab.root, String(process.pid), "1.tmp");
  writeFileSync(aside, lab.changed(loaded, changes));
  unlinkSync(lab.path(id));
  renameSync(aside, lab.path(id));
}

const SETTLED = { a: 2, b: 5 };

/** Whatever is written to a file of such a name fails. */
function fillDisk(name: string): void {
  intercept((call) => (call.name === "writeSync" && call.path.includes(name) ? failure("ENOSPC", call) : "do"));
}

describe("a stale save is repaired", () => {
  beforeEach(() => begin({ lockWaitMs: 20 }));

  test("after a commit that the disk had no room for", async () => {
    fillDisk("sessiond.twins");
    expect(await codeOf(anna.commit(id, { c: 1 }))).toBe("ERR_STORE");
    letThrough();
    saveStale();
    expect(await anna.values(id)).toEqual(SETTLED);
  });

  test("after a commit that could not be noted in the journal", async () => {
    fillDisk("sessiond.journal");
    expect(await codeOf(anna.commit(id, { c: 1 }))).toBe("ERR_STORE");
    letThrough();
    saveStale();
    expect(await anna.values(id)).toEqual(SETTLED);
  });

  test("after a commit that waited in vain for the lock, which the program held while it saved", async () => {
    const lock = openSync(`${lab.path(id)}.lock`, constants.O_WRONLY);
    try {
      native?.tryLock(lock);
      expect(await codeOf(anna.commit(id, { c: 1 }))).toBe("ERR_SESSION_BUSY");
      saveStale();
    } finally {
      closeSync(lock);
    }
    expect(await anna.values(id)).toEqual(SETTLED);
  });

  test("after the file could not be read for a while", async () => {
    lab.saveAsGambas(id, Buffer.from("no session"));
    expect(await codeOf(anna.values(id))).toBe("ERR_UNREADABLE");
    saveStale();
    expect(await anna.values(id)).toEqual(SETTLED);
  });
});

describe("a repair that cannot be written", () => {
  beforeEach(() => begin());

  const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["read", () => anna.values(id)],
    ["commit", () => anna.commit(id, { c: 1 })],
    ["lease", () => anna.lease(id, 60_000)],
    ["touch", () => anna.call("touch", id, 0)],
  ];
  test.each(calls)("is told to a %s that waits for it, and made as soon as there is room", async (_what, call) => {
    saveStale();
    fillDisk("sessiond.twins");
    expect(await codeOf(call())).toBe("ERR_STORE");
    letThrough();
    expect(await anna.values(id)).toEqual(SETTLED);
    expect(lab.values(id)).toEqual(SETTLED);
  });

  test("is made by the next daemon's second try, too", async () => {
    await lab.stop();
    saveStale();
    await lab.start();
    const bert = await lab.worker("bert");
    fillDisk("sessiond.twins");
    expect(await codeOf(bert.values(id))).toBe("ERR_STORE");
    letThrough();
    expect(await bert.values(id)).toEqual(SETTLED);
  });
});

test("where two revisions may look the same, a stale save of the same size is told by its bytes", async () => {
  intercept(({ name, path }) => {
    if ((name !== "statSync" && name !== "fstatSync") || !/\/session\/|twins\//.test(path)) return "do";
    return (stat) => {
      if (stat === undefined) return stat;
      if ("mtimeNs" in (stat as object)) return Object.assign(stat as object, { mtimeNs: 1_000_000_000n });
      return Object.assign(stat as object, { mtimeMs: 1000, atimeMs: 1000, ino: path.length });
    };
  });
  await begin();
  saveStale({});
  expect(await anna.values(id)).toEqual({ a: 2, b: 1 });
});

test("what was changed too long ago to be repaired is not carried from daemon to daemon", async () => {
  await begin({ repairSeconds: 0 });
  await anna.commit(id, { text: "x".repeat(50_000) });
  const journal = join(lab.root, "sessiond.journal");
  expect(statSync(journal).size).toBeGreaterThan(50_000);
  await lab.stop();
  await lab.start();
  expect(statSync(journal).size).toBeLessThan(5_000);
});
