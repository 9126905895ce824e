// Copies of sessions in databases: a worker answers from its own without a question as long as nobody has committed, and never after somebody has. The worker is this
// process; the daemon is another one, and so is the program beside it: SQLite in this one would lose its locks by what workers do.

import { type ChildProcess, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readlinkSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { Cache } from "../../../client/copies/cache.ts";
import { OpenDatabase } from "../../../client/copies/databases.ts";
import { Client } from "../../../client/link/client.ts";
import { Connection } from "../../../client/link/connection.ts";
import { databaseName } from "../../../protocol/session-id.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import {
  freshRoot,
  killAndWait,
  removeRoot,
  startDaemonProcess,
  until,
  WorkerProcess,
} from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { Random } from "../../support/values/random.ts";

let root: string;
let daemon: ChildProcess;
let outsider: WorkerProcess;
let clients: Client[];
let asked: () => number;

function worker(): Client {
  const client = new Client({ root, type: "sqlite", spawn: false });
  clients.push(client);
  return client;
}

function pathOf(id: string): string {
  return join(root, "session", databaseName(id));
}

async function make(n = 1, id?: string): Promise<string> {
  const handle = worker().create(id === undefined ? { prefix: "a" } : { id });
  handle.set("n", n);
  await handle.save();
  return handle.id ?? "";
}

async function commit(client: Client, id: string, n: number): Promise<void> {
  const handle = await client.open(id);
  handle?.set("n", n);
  await handle?.save();
}

const read = async (client: Client, id: string): Promise<unknown> => (await client.open(id))?.get("n");

/** As Gambas saves. */
const saveOf = (n: number): string =>
  `BEGIN; UPDATE "values" SET "sValue" = X'${encodeValue(n, "n").bytes.toString("hex")}' WHERE "sKey" = 'n'; COMMIT`;

/** A worker that answers from its copy. */
async function readerOf(id: string, n = 1): Promise<Client> {
  const client = worker();
  for (let before = -1; before !== asked(); ) {
    before = asked();
    expect(await read(client, id)).toBe(n);
  }
  return client;
}

/** The same, and has the files open, of a log with a frame. */
async function keeperOf(id: string, n = 1): Promise<Client> {
  const client = await readerOf(id, n);
  const handle = await client.open(id);
  handle?.set("kept", asked());
  await handle?.save();
  const others = openHere().length;
  while (openHere().length === others) expect(await read(client, id)).toBe(n);
  expect(await read(client, id)).toBe(n);
  return client;
}

/** What this process has open below the root. */
function openHere(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(join(root, "session/")) ? [path] : [];
    } catch {
      // The one this list was read from is gone again.
      return [];
    }
  });
}

/** The daemon closes a database when it opens another one. */
async function closeInDaemon(id: string): Promise<void> {
  await make();
  await until(() => !existsSync(`${pathOf(id)}-shm`));
}

/** One that keeps no more than one database open. */
async function begin(): Promise<void> {
  daemon = await startDaemonProcess(root, ["--type", "sqlite", "--sweep-ms", "0", "--open-sessions", "1"]);
}

describeSqlite("a worker's copy of a session in a database", () => {
  beforeAll(async () => {
    root = freshRoot();
    outsider = WorkerProcess.start("test/client/copies/outsider-main.js");
    await begin();
  });
  afterAll(async () => {
    await outsider.kill();
    await killAndWait(daemon.pid ?? 0);
    await removeRoot(root);
  });
  beforeEach(() => {
    clients = [];
    const calls = vi.spyOn(Connection.prototype, "call");
    asked = () => calls.mock.calls.filter(([name]) => name === "open").length;
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const client of clients) client.close();
    await outsider.call("close");
    expect(openHere()).toEqual([]);
  });

  it("answers without a question as long as nobody commits, after a commit of its own as well", async () => {
    const id = await make();
    const reader = await keeperOf(id);
    await commit(reader, id, 2);
    const before = asked();
    for (let count = 0; count < 20; count++) expect(await read(reader, id)).toBe(2);
    await reader.touch(id);
    expect(await read(reader, id)).toBe(2);
    expect(asked()).toBe(before);
  });

  it("is asked for again when another worker has committed, and once for each commit", async () => {
    const id = await make();
    const [reader, writer] = [await keeperOf(id), await readerOf(id)];
    for (let n = 2; n < 12; n++) {
      await commit(writer, id, n);
      const before = asked();
      expect(await read(reader, id)).toBe(n);
      expect(await read(reader, id)).toBe(n);
      expect(asked()).toBe(before + 1);
    }
    await writer.abandon(id);
    expect(await read(reader, id)).toBeUndefined();
  });

  it("shows each save of another program at once, and what its checkpoints leave", async () => {
    const id = await make();
    const reader = await keeperOf(id);
    await outsider.call("open", pathOf(id));
    for (let n = 2; n < 12; n++) {
      await outsider.call("run", saveOf(n));
      expect(await read(reader, id)).toBe(n);
      await outsider.call("run", `PRAGMA wal_checkpoint(${n % 2 === 0 ? "TRUNCATE" : "PASSIVE"})`);
      expect(await read(reader, id)).toBe(n);
    }
    await outsider.call("close");
    expect(await read(reader, id)).toBe(11);
  });

  it("shows a save into a database that everybody had closed in between", async () => {
    const id = await make();
    for (let n = 2; n < 6; n++) {
      const reader = await keeperOf(id, n - 1);
      await closeInDaemon(id);
      await outsider.call("open", pathOf(id));
      await outsider.call("run", saveOf(n));
      // As long as it is open nothing of that is in the database itself.
      if (n % 2 === 0) await outsider.call("close");
      expect(await read(reader, id)).toBe(n);
      if (n % 2 === 1) await outsider.call("close");
      expect(await read(reader, id)).toBe(n);
    }
  });

  it("tells logs without a frame apart by the database that they are over", async () => {
    const id = await make();
    for (let n = 2; n < 6; n++) {
      await closeInDaemon(id);
      // Reading begins a log, and its head is the same each time.
      await outsider.call("open", pathOf(id));
      const reader = await readerOf(id, n - 1);
      await outsider.call("run", saveOf(n));
      await outsider.call("close");
      await closeInDaemon(id);
      await outsider.call("open", pathOf(id));
      expect(await read(reader, id)).toBe(n);
      await outsider.call("close");
    }
  });

  it("needs no question for a database that nobody has open", async () => {
    const id = await make();
    const reader = worker();
    for (let before = -1; before !== asked(); ) {
      await closeInDaemon(id);
      before = asked();
      expect(await read(reader, id)).toBe(1);
    }
    await outsider.call("open", pathOf(id));
    await outsider.call("run", saveOf(2));
    await outsider.call("close");
    expect(await read(reader, id)).toBe(2);
  });

  it("is gone with its session, by whatever id, and shows one that is made anew under that name", async () => {
    const digits = "0123456789ABCDEF01234567";
    const [id, other] = [`10.0.0.1:${digits}`, `10_0_0_1:${digits}`];
    await make(1, id);
    const readers = [await keeperOf(id), await keeperOf(other)] as const;
    await commit(readers[0], id, 2);
    expect(await Promise.all([read(readers[0], id), read(readers[1], other)])).toEqual([2, 2]);
    // As `Unique` of a Gambas program does it, without a lock.
    await keeperOf(id, 2);
    for (const ending of ["", "-wal", "-shm"]) unlinkSync(pathOf(id) + ending);
    expect(await Promise.all([read(readers[0], id), read(readers[1], other)])).toEqual([undefined, undefined]);
    const next = await make();
    const reader = await keeperOf(next);
    await worker().abandon(next);
    expect(await read(reader, next)).toBeUndefined();
  });

  it("ends by the worker's clock", async () => {
    const id = await make();
    const handle = await worker().open(id);
    if (handle !== undefined) handle.timeout = 60;
    await handle?.save();
    const reader = await keeperOf(id);
    const nowMs = Date.now();
    expect(reader.current(id)).toBeDefined();
    vi.spyOn(Date, "now").mockReturnValue(nowMs + 61_000);
    expect(reader.current(id)).toBeUndefined();
  });

  it("is not believed when a database was removed alone, or the directory renamed, from the next second on", async () => {
    const [id, other] = [await make(), await make()];
    const readers = [await keeperOf(id), await keeperOf(other)] as const;
    const nowMs = Date.now();
    unlinkSync(pathOf(id));
    vi.spyOn(Date, "now").mockReturnValue(nowMs + 1_000);
    expect([readers[0].current(id), readers[1].current(other)]).toEqual([undefined, expect.anything()]);
    renameSync(join(root, "session"), join(root, "aside"));
    expect(readers[1].current(other)).toBeDefined();
    vi.spyOn(Date, "now").mockReturnValue(nowMs + 2_000);
    expect(readers[1].current(other)).toBeUndefined();
    renameSync(join(root, "aside"), join(root, "session"));
  });

  it("shows a commit that came between the daemon's answer and its arrival", async () => {
    const id = await make();
    expect(await readAfterLateSave(id)).toBe(2);
  });

  it("would not if the worker looked at the database when the answer has come", async () => {
    const id = await make();
    const { keep } = Cache.prototype;
    const late = vi.spyOn(Cache.prototype, "keep").mockImplementation(function (this: Cache, sid, keeping, fresh) {
      keep.call(this, sid, { ...keeping, state: this.look(sid, Date.now()) }, fresh);
    });
    expect(await readAfterLateSave(id)).toBe(1);
    late.mockRestore();
  });

  /** What a worker reads when another program has saved 2 in that moment. */
  async function readAfterLateSave(id: string): Promise<unknown> {
    const reader = worker();
    await read(reader, id);
    const { keep } = Cache.prototype;
    let hasSaved = false;
    vi.spyOn(Cache.prototype, "keep").mockImplementationOnce(function (this: Cache, ...kept) {
      saveNow(pathOf(id));
      hasSaved = true;
      keep.apply(this, kept);
    });
    await reader.load(id);
    expect(hasSaved).toBe(true);
    return read(reader, id);
  }

  it("would be stale if files that are kept open were believed without their names", async () => {
    const id = await make();
    const reader = await keeperOf(id);
    const { look } = OpenDatabase.prototype;
    const naive = vi.spyOn(OpenDatabase.prototype, "look").mockImplementation(function (this: OpenDatabase, nowMs) {
      look.call(this, nowMs);
      return true;
    });
    await closeInDaemon(id);
    await outsider.call("open", pathOf(id));
    await outsider.call("run", saveOf(2));
    expect(await read(reader, id)).toBe(1);
    naive.mockRestore();
    expect(await read(reader, id)).toBe(2);
    await outsider.call("close");
  });

  it("is never stale, whoever commits, closes and opens in whatever order", async () => {
    const seed = Date.now() % 1_000_000;
    const random = new Random(seed);
    const ids = [await make(0), await make(0), await make(0)];
    const held = new Map(ids.map((id) => [id, 0]));
    const [writer, ...readers] = [worker(), worker(), worker()];
    let opened: string | undefined;
    for (let n = 1; n <= 300; n++) {
      const id = ids[random.below(ids.length)] ?? "";
      const step = random.below(8);
      if (step === 0) {
        await commit(writer, id, n);
        held.set(id, n);
      } else if (step === 1 && opened !== undefined) {
        await outsider.call("run", saveOf(n));
        held.set(opened, n);
      } else if (step === 2) {
        if (opened !== undefined) await outsider.call("close");
        opened = opened === undefined ? id : undefined;
        if (opened !== undefined) await outsider.call("open", pathOf(id));
      } else if (step === 3 && opened !== undefined) {
        await outsider.call("run", `PRAGMA wal_checkpoint(${random.below(2) === 0 ? "RESTART" : "PASSIVE"})`);
      }
      for (const reader of readers) expect(await read(reader, id), `seed ${seed}, step ${n}`).toBe(held.get(id));
    }
  });

  it("is not looked at without a connection, and shows what the next daemon knows", async () => {
    const id = await make();
    const reader = await keeperOf(id);
    await killAndWait(daemon.pid ?? 0);
    await until(() => openHere().length === 0);
    expect(reader.current(id)).toBeUndefined();
    await outsider.call("open", pathOf(id));
    await outsider.call("run", saveOf(2));
    await outsider.call("close");
    await begin();
    expect(await read(reader, id)).toBe(2);
    await keeperOf(id, 2);
  });

  it("is asked for each time in the process of the daemon, where a descriptor that is closed would cost locks", async () => {
    const house = await SessionHouse.open({ type: "sqlite" });
    try {
      const [client, writer] = [house.worker({ type: "sqlite" }), house.worker({ type: "sqlite" })];
      const handle = writer.create({ prefix: "a" });
      handle.set("n", 1);
      await handle.save();
      const id = handle.id ?? "";
      await read(client, id);
      const before = asked();
      for (let count = 0; count < 10; count++) expect(await read(client, id)).toBe(1);
      expect(asked()).toBe(before + 10);
    } finally {
      await house.close();
    }
  });
});

/** In the middle of whatever this process does. */
function saveNow(path: string): void {
  const script = `
    const { findLibrary } = await import(process.argv[1]);
    const database = findLibrary().open(process.argv[2]);
    database.exec(process.argv[3]);`;
  const library = join(repository, "dist/daemon/store/gambas-sqlite/library.js");
  const args = ["--input-type=module", "--eval", script, library, path, saveOf(2)];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}
