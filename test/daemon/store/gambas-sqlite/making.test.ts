// How a session's database is made: its user's alone from the first moment, whatever the process lets others read, in the place of nobody else's, and with no
// harm to a program that opens it too early.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Connection } from "../../../../daemon/store/gambas-sqlite/connection.ts";
import { newImage, readDaysOf } from "../../../../protocol/image/image.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { Databases, folder, MAX_BYTES } from "./databases.ts";

const PRIVATE = 0o600;
const LIBRARY = join(repository, "dist/daemon/store/gambas-sqlite/library.js");
/** What a Gambas program does that loads a session: of an empty database it is told that there is no such table. */
const LOAD = `
  const { findLibrary } = await import(process.argv[1]);
  const database = findLibrary().open(process.argv[2]);
  try {
    database.prepare("PRAGMA journal_mode = WAL").get();
    database.prepare('SELECT * FROM "config"').all();
  } catch (error) {
    process.stdout.write(error.message);
  }`;
/** An application that has a daemon in a worker thread, with one session. */
const APPLICATION = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { dist, root, type } = workerData;
  (async () => {
    const { startDaemon } = await import(dist + "/daemon/start.js");
    const { connect } = await import(dist + "/client/index.js");
    const daemon = await startDaemon({ root, type, logLevel: "silent" });
    const client = await connect({ root, type, spawn: false });
    const made = client.create();
    made.set("n", 1);
    await made.save();
    const value = (await client.open(made.id)).get("n");
    await client.close();
    await daemon.stop();
    return value;
  })().then((value) => parentPort.postMessage(value), (error) => parentPort.postMessage(error.stack));`;

describeSqlite("a database that is made", () => {
  let databases: Databases;
  let id: string;

  beforeEach(() => {
    databases = new Databases();
    id = databases.store.nameOf(newId());
  });
  afterEach(() => databases.close());

  const image = newImage({ nowMs: Date.now(), timeoutSeconds: 60 });
  const make = (): boolean => databases.store.publish(id, databases.store.stage(id, image, undefined));

  it("is its user's alone, with all that is beside it, and leaves the umask of the process as it is", () => {
    const before = process.umask(0);
    const umask = vi.spyOn(process, "umask");
    try {
      expect(make()).toBe(true);
      const { store } = databases;
      expect(store.publish(id, store.stage(id, image, store.load(id, MAX_BYTES)))).toBe(true);
      expect(umask).not.toHaveBeenCalled();
    } finally {
      umask.mockRestore();
      process.umask(before);
    }
    for (const ending of ["", "-wal", "-shm"])
      expect(statSync(databases.path(id) + ending).mode & 0o777, ending).toBe(PRIVATE);
  });

  it("takes the place of nothing that another program has made there, and removes none of it", () => {
    const path = databases.path(id);
    writeFileSync(path, "");
    expect(make).toThrow(/is empty/);
    expect(existsSync(path)).toBe(true);
    copyFileSync(join(folder, "minimal.db"), path);
    expect(make()).toBe(false);
    expect(readFileSync(path).equals(readFileSync(join(folder, "minimal.db")))).toBe(true);
  });

  it("is none yet for a program that opens it before anything is in it, which keeps nobody from making it", () => {
    const create = Connection.create.bind(Connection);
    const early = vi.spyOn(Connection, "create").mockImplementation((named, around, made) => {
      const args = ["--input-type=module", "-e", LOAD, LIBRARY, named.path];
      const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
      expect(stdout, stderr).toContain("no such table: config");
      return create(named, around, made);
    });
    expect(make()).toBe(true);
    expect(early).toHaveBeenCalledOnce();
    early.mockRestore();
    databases.store.close();
    const loaded = databases.store.load(id, MAX_BYTES)?.image;
    expect(loaded && readDaysOf(loaded).timeout).toBe(readDaysOf(image).timeout);
  });

  it.each(["file", "sqlite"])("is made by a daemon in a worker thread, too: type %s", async (type) => {
    const root = freshRoot();
    const workerData = { dist: join(repository, "dist"), root, type };
    const worker = new Worker(APPLICATION, { eval: true, workerData });
    try {
      const [value] = await once(worker, "message");
      expect(value).toBe(1);
    } finally {
      await worker.terminate();
      await removeRoot(root);
    }
  });
});
