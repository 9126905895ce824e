// Files of both dialects under one daemon: who reads and writes what, how a program of 3.19 or later is told from one that changes
// something, and in which dialect a session is written whose first reference comes.

import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DialectInUse } from "../../../daemon/store/gambas-file/programs/dialect.ts";
import { type Dialect, dialectOf, fileOfImage, imageOfFile } from "../../../protocol/image/image.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { deltaOf, valuesIn } from "../../support/daemon/raw-worker.ts";
import { freshRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

/** Of an interpreter that hangs: far beyond what it is waited for. */
const ENDLESS_SECONDS = 30;

const newer = join(repository, "test/fixtures/newer");

function taken(file: Buffer): Buffer {
  const image = Buffer.from(file);
  imageOfFile(image);
  return image;
}

/** The same session as a program of 3.19 or later saves it: every tag is turned. */
function savedBy319(image: Buffer): Buffer {
  const file = Buffer.from(image);
  file[16] = 0x44;
  return fileOfImage(file);
}

function stamped(file: Buffer): Buffer {
  const now = Buffer.from(file);
  now.writeDoubleLE(Date.now() / 86_400_000 + 2_472_692, 0);
  return now;
}

describe("a session file of 3.19 and later", () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await Lab.open({ gambas: "3.18" });
  });
  afterEach(() => lab.close());

  it("is read, changed by key, and stays of that dialect to the byte", async () => {
    const id = newId();
    const file = stamped(readFileSync(join(newer, "refs_in_value.session")));
    lab.saveAsGambas(id, file);
    const worker = await lab.worker();
    const state = await worker.open(id);
    expect(Object.keys(valuesIn(state.image as Buffer))).toContain("r");
    await worker.commit(id, { n: 1 });
    const changed = lab.image(id);
    expect(dialectOf(changed)).toBe("3.19");
    const entry = Buffer.from("\x01n\x04\x01\0\0\0", "latin1");
    expect(changed.subarray(18, changed.length - 1 - entry.length).equals(file.subarray(18, -1))).toBe(true);
    await worker.commit(id, { n: undefined });
    expect(lab.image(id).subarray(8).equals(file.subarray(8))).toBe(true);
  });

  it("is refused with place and tag where it is damaged, and left as it is", async () => {
    const id = newId();
    const file = stamped(readFileSync(join(newer, "refs_across_keys.session")));
    file.writeInt32LE(3, file.indexOf("v@") + 2);
    lab.saveAsGambas(id, file);
    const worker = await lab.worker();
    expect(await codeOf(worker.open(id))).toBe("ERR_UNREADABLE");
    await expect(worker.commit(id, { n: 1 })).rejects.toThrow(
      new RegExp(`session ${id} cannot be read. .*byte ${file.indexOf("v@") + 1}: reference to object 3 of 2`),
    );
    expect(lab.image(id).equals(file)).toBe(true);
  });
});

describe("a program of 3.19 that saves a session of ours", () => {
  let lab: Lab;
  let id: string;
  let before: Buffer;

  beforeEach(async () => {
    lab = await Lab.open();
    id = newId();
    const worker = await lab.worker();
    await worker.create(id, { cart: { items: [1.5, "x"] }, list: [1, 2], nested: [[1], [{ a: 1 }]], n: 1 });
    before = taken(lab.image(id));
  });
  afterEach(() => lab.close());

  it("has changed nothing when all tags are turned and nothing else", async () => {
    const worker = await lab.worker();
    const state = await worker.open(id);
    lab.saveAsGambas(id, savedBy319(before));
    // A file that has just been written is always sent whole: its next save could look the same.
    utimesSync(lab.path(id), Date.now() / 1000, Date.now() / 1000 - 60);
    const again = await worker.open(id, state.mtimeMs);
    expect(again.image).toBeNull();
    expect(await worker.status()).toMatchObject({ foreignSaves: 1, repairs: 0 });
  });

  it("undoes nothing with a stale save: what it only wrote back in other tags is no change of its own", async () => {
    const worker = await lab.worker();
    await worker.commit(id, { cart: { items: [] }, list: undefined, more: { of: [1] } });
    lab.saveAsGambas(id, savedBy319(lab.changed(before, { n: 2 })));
    const state = await worker.open(id);
    expect(valuesIn(state.image as Buffer)).toEqual({
      cart: { items: [] },
      nested: [[1], [{ a: 1 }]],
      n: 2,
      more: { of: [1] },
    });
    expect(await worker.status()).toMatchObject({ repairs: 3 });
    expect(dialectOf(lab.image(id))).toBe("3.19");
  });
});

describe("the dialect in use", () => {
  let root: string;
  let sessions: string;
  let told: object[];
  beforeEach(() => {
    root = freshRoot();
    sessions = join(root, "session");
    mkdirSync(sessions, { recursive: true });
    told = [];
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const log = { info: (event: string, fields?: object) => void told.push({ event, ...fields }) };

  function inUse(setting: "auto" | Dialect, path = ""): DialectInUse {
    return new DialectInUse({ setting, sessions, log, env: { PATH: path || join(root, "nothing") } });
  }

  function install(version: string): string {
    const folder = join(root, `bin-${version}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "gbx3"), `#!/bin/sh\necho ${version}\n`);
    chmodSync(join(folder, "gbx3"), 0o755);
    return folder;
  }

  function put(file: string, ageSeconds: number, bytes?: Buffer): void {
    const path = join(sessions, newId());
    writeFileSync(path, bytes ?? readFileSync(join(repository, "test/fixtures", `${file}.session`)));
    const seconds = Date.now() / 1000 - ageSeconds;
    utimesSync(path, seconds, seconds);
  }

  it("is what the setting says", () => {
    put("newer/minimal", 0);
    expect(inUse("3.18").current).toBe("3.18");
    expect(inUse("3.19", install("3.18.0")).current).toBe("3.19");
  });

  it("is what the youngest file shows that shows one, before anything that is installed", () => {
    put("refs_circular_array", 50);
    put("realistic_cart", 1);
    put("zero", 0, Buffer.of());
    put("damaged", 0, Buffer.from("no session, of any dialect"));
    const itself = join(sessions, newId());
    symlinkSync(itself, itself);
    expect(inUse("auto", install("3.22.0")).current).toBe("3.18");
    put("newer/minimal", 20);
    expect(inUse("auto", install("3.18.4")).description).toBe("3.19 (files of this root)");
  });

  it("is what a program saved last, before what lies there", () => {
    put("newer/minimal", 0);
    const dialect = inUse("auto");
    dialect.noteForeignSave(readFileSync(join(repository, "test/fixtures/minimal.session")));
    expect(dialect.current).toBe("3.18");
    dialect.noteForeignSave(taken(readFileSync(join(newer, "minimal.session"))));
    expect(dialect.current).toBe("3.19");
    expect(told).toHaveLength(2);
  });

  it.each([
    ["3.18.0", "3.18"],
    ["3.5.4", "3.18"],
    ["3.19.0", "3.19"],
    ["3.22.0", "3.19"],
    ["4.0", "3.19"],
  ])("is that of the installed interpreter %s: %s", (version, expected) => {
    put("realistic_cart", 0);
    const dialect = inUse("auto", `relative:${join(root, "missing")}:${install(version)}`);
    expect(dialect.description).toBe(`${expected} (the installed Gambas ${version})`);
  });

  it("is not that of an interpreter that does not end, and would not by any signal but one", () => {
    const folder = install("3.18.0");
    writeFileSync(join(folder, "gbx3"), `#!/bin/sh\ntrap "" TERM\nexec sleep ${ENDLESS_SECONDS}\n`);
    const beganMs = performance.now();
    expect(inUse("auto", folder).description).toBe("3.19 (nothing tells)");
    expect(performance.now() - beganMs).toBeLessThan(ENDLESS_SECONDS * 1000);
  });

  it("is the newest where nothing tells, and where the root has no sessions yet", () => {
    expect(inUse("auto").description).toBe("3.19 (nothing tells)");
    rmSync(sessions, { recursive: true });
    expect(inUse("auto").current).toBe("3.19");
  });

  it("is told once, and is not asked for by a session without references", async () => {
    const lab = await Lab.open({ gambas: "3.19", logFile: join(root, "log"), logLevel: "info" });
    try {
      const [worker, plain, shared] = [await lab.worker(), newId(), newId()];
      await worker.create(plain, { cart: { items: [1] } });
      const saysSo = () => readFileSync(join(root, "log"), "utf8").match(/gambas-dialect/g)?.length ?? 0;
      expect([dialectOf(lab.image(plain)), saysSo()]).toEqual(["3.18", 0]);
      const self: unknown[] = [];
      self.push(self);
      await worker.create(shared, { self });
      await worker.commit(plain, { self });
      expect([lab.image(shared), lab.image(plain)].map(dialectOf)).toEqual(["3.19", "3.19"]);
      expect(lab.image(plain).includes("itemsb", 0, "latin1")).toBe(true);
      expect(saysSo()).toBe(1);
    } finally {
      await lab.close();
    }
  });
});

it("deltas hold one dialect: the newer tags are refused on the wire", async () => {
  const lab = await Lab.open();
  try {
    const [worker, id] = [await lab.worker(), newId()];
    await worker.create(id, { n: 1 });
    const delta = deltaOf({ cart: {} });
    delta[delta.lastIndexOf("C")] = 0x44;
    expect(await codeOf(worker.call("commit", id, 1, 0, delta, {}))).toBe("ERR_BAD_VALUE");
  } finally {
    await lab.close();
  }
});
