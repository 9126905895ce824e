// What a daemon leaves behind when it is killed, and what the next one makes of it. Every daemon here is a process of its own.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InheritedChanges } from "../../../daemon/foreign/inherited-changes.ts";
import { Journal, replayJournal } from "../../../daemon/once/once.ts";
import { Log } from "../../../daemon/report/log.ts";
import { startDaemon } from "../../../daemon/start.ts";
import { GambasFileStore } from "../../../daemon/store/gambas-file/store.ts";
import { applyDelta } from "../../../protocol/image/image.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { deltaOf, RawWorker, valuesIn, valuesOf } from "../../support/daemon/raw-worker.ts";
import {
  freshRoot,
  isAlive,
  kill,
  killAndWait,
  removeRoot,
  startDaemonProcess,
  until,
} from "../../support/processes.ts";

let root: string;
let socket: string;
let daemon: ChildProcess;

beforeEach(() => {
  root = freshRoot();
  socket = join(root, "sessiond.sock");
});

afterEach(() => removeRoot(root));

async function start(flags: readonly string[] = []): Promise<void> {
  daemon = await startDaemonProcess(root, flags);
}

async function crash(): Promise<void> {
  await killAndWait(daemon.pid ?? 0);
}

async function restart(): Promise<void> {
  await crash();
  await start();
}

function connect(name = "anna"): Promise<RawWorker> {
  return RawWorker.connect(socket, name);
}

describe("after a kill", () => {
  test("everything that was acknowledged is there", async () => {
    await start();
    const worker = await connect();
    const ids = Array.from({ length: 50 }, () => newId());
    await Promise.all(ids.map((id, n) => worker.create(id, { n })));
    await Promise.all(ids.map((id, n) => worker.commit(id, { n: n + 1 })));
    await restart();
    const again = await connect();
    expect(await Promise.all(ids.map((id) => again.values(id)))).toEqual(ids.map((_, n) => ({ n: n + 1 })));
  });

  test("the next daemon starts, however soon: it waits for one that is only ending", async () => {
    for (let round = 0; round < 10; round++) {
      await start();
      kill(daemon.pid ?? 0);
      // Nobody has waited until its last thread was gone, with which its locks go.
      const next = await startDaemon({ root, logLevel: "silent" });
      await next.stop();
      await until(() => !isAlive(daemon.pid ?? 0));
    }
  });

  test("what had ended stays ended", async () => {
    await start();
    const worker = await connect();
    const id = newId();
    const state = await worker.create(id, { n: 0 });
    const image = readFileSync(join(root, "session", id));
    await worker.abandon(id);
    await restart();
    const again = await connect();
    expect(await codeOf(again.create(id, { n: 0 }))).toBe("ERR_ID_TAKEN");
    writeFileSync(join(root, "session", id), image);
    expect(await again.values(id)).toBeUndefined();
    await until(() => !existsSync(join(root, "session", id)));
    expect(state.size).toBe(image.length);
  });

  test("a lease of before is worth nothing", async () => {
    await start();
    const worker = await connect();
    const id = newId();
    await worker.create(id, { n: 0 });
    const { fence } = await worker.lease(id, 60_000);
    await restart();
    const again = await connect();
    expect(await codeOf(again.commit(id, { n: 1 }, { sequence: 10, options: { fence } }))).toBe("ERR_LEASE_LOST");
    const next = await again.lease(id);
    expect(next.fence).toBeGreaterThan(fence);
  });

  test.each([1, 2, 3])("a commit whose answer was lost is not applied again, %i kills later", async (kills) => {
    await start();
    const [anna, bert] = [await connect("anna"), await connect("bert")];
    const id = newId();
    await anna.create(id, { n: 0 }, {});
    await anna.commit(id, { n: 1 }, { sequence: 10 });
    await bert.commit(id, { n: 2 });
    for (let count = 0; count < kills; count++) await restart();
    const again = await connect("anna");
    expect(valuesOf(await again.commit(id, { n: 1 }, { sequence: 10 }))).toEqual({ n: 2 });
  });

  test("neither is one that created a session, and it is not taken for a second one", async () => {
    await start();
    const id = newId();
    await (await connect()).commit(id, { n: 1 }, { sequence: 10, options: { create: true } });
    await restart();
    const answer = await (await connect()).commit(id, { n: 1 }, { sequence: 10, options: { create: true } });
    expect(valuesOf(answer)).toEqual({ n: 1 });
  });

  test("nothing of the daemon's own is left but what the next one uses", async () => {
    await start();
    const worker = await connect();
    const id = newId();
    await worker.create(id, { n: 0 });
    for (let n = 1; n < 10; n++) await worker.commit(id, { n });
    await restart();
    await connect();
    expect(readdirSync(join(root, "sessiond.twins"))).toEqual([]);
    expect(readdirSync(join(root, "session")).sort()).toEqual([id, `${id}.lock`]);
    daemon.kill("SIGTERM");
    await once(daemon, "exit");
    expect(daemon.exitCode).toBe(0);
    const left = readdirSync(root).filter((name) => !["session", "sessiond.twins", "sessiond.journal"].includes(name));
    expect(left).toEqual([]);
  });
});

describe("a program that had the session loaded before our last commits, and saves it", () => {
  let id: string;
  let loaded: Buffer;

  /** Sessions of two keys, the first of which was changed after the program had loaded them. */
  beforeEach(async () => {
    await start();
    id = newId();
    const worker = await connect();
    await worker.create(id, { a: 1, b: 1, old: true });
    loaded = readFileSync(join(root, "session", id));
    // As every interpreter does, for as long as it runs.
    mkdirSync(join(root, String(process.pid)));
    await worker.commit(id, { a: 2, old: undefined });
    await worker.commit(id, { a: 3, c: 1 });
  });

  function saveStale(changes: Readonly<Record<string, unknown>>): void {
    const aside = join(root, "stale");
    writeFileSync(aside, applyDelta(loaded, { delta: deltaOf(changes), nowMs: Date.now() }), { mode: 0o600 });
    renameSync(aside, join(root, "session", id));
  }

  test.each([1, 2])("does not undo them, when the daemon was killed in between, %i times", async (kills) => {
    for (let count = 1; count < kills; count++) await restart();
    await crash();
    saveStale({ b: 2 });
    await start();
    expect(await (await connect("bert")).values(id)).toEqual({ a: 3, b: 2, c: 1 });
    expect(valuesIn(readFileSync(join(root, "session", id)))).toEqual({ a: 3, b: 2, c: 1 });
  });

  test("does not undo them either after the next daemon has looked", async () => {
    await restart();
    const bert = await connect("bert");
    expect(await bert.values(id)).toEqual({ a: 3, b: 1, c: 1 });
    saveStale({ b: 2 });
    expect(await bert.values(id)).toEqual({ a: 3, b: 2, c: 1 });
  });

  test("is not held back from what it changed itself", async () => {
    await crash();
    saveStale({ a: 10, c: 11, old: undefined });
    await start();
    expect(await (await connect("bert")).values(id)).toEqual({ a: 10, b: 1, c: 11 });
  });

  test("is repaired where there is something to repair, and only there", async () => {
    await restart();
    const bert = await connect("bert");
    expect(await bert.values(id)).toEqual({ a: 3, b: 1, c: 1 });
    expect((await bert.status()).repairs).toBe(0);
  });
});

test("a change in the journal that a loss of power has damaged keeps no daemon from starting", () => {
  const path = join(root, "sessiond.journal");
  const journal = new Journal(path, [], () => []);
  const [damaged, whole] = [newId(), newId()];
  const revision = { ino: 1, size: 1, mtimeMs: 1 };
  const note = (id: string, delta: Buffer): void =>
    journal.noteCommit({ id, client: "anna", sequence: 1 }, { revision, change: { whenMs: 1_000, delta, prints: [] } });
  note(damaged, Buffer.alloc(100));
  note(whole, deltaOf({ n: 1 }));
  journal.append();
  journal.close();
  const inherited = new InheritedChanges(replayJournal(path).commits, 60_000);
  expect(inherited.find(damaged, 1_000)).toBeUndefined();
  expect(inherited.find(whole, 1_000)).toMatchObject({ writtenMs: 1_000 });
});

test("what the daemon before had changed is forgotten when it is too old to matter, asked for or not", () => {
  const ids = Array.from({ length: 50 }, () => newId());
  const commits = ids.map((id, n) => ({
    ...{ id, client: "anna", sequence: n, isLast: false, revision: { ino: 1, size: 1, mtimeMs: 1 } },
    change: { whenMs: 1_000 * n, delta: deltaOf({ n }), prints: [] },
  }));
  const inherited = new InheritedChanges(commits, 10_000);
  inherited.prune(49_000);
  expect(inherited.count).toBe(10);
  expect(inherited.find(ids[49] ?? "", 49_000)).toMatchObject({ writtenMs: 49_000 });
  inherited.prune(100_000);
  expect(inherited.count).toBe(0);
});

test("a journal that begins with more ended sessions than are written at one time tells all of them", () => {
  const path = join(root, "sessiond.journal");
  const ended = new Map(Array.from({ length: 30_000 }, (_, n) => [newId(), n + 1] as const));
  new Journal(path, [], () => ended).close();
  expect(readFileSync(path).length).toBeGreaterThan(1024 * 1024);
  expect(replayJournal(path).ended).toEqual(ended);
});

describe("a kill between the journal and the file", () => {
  const client = "anna";

  /** Does what a daemon does up to the kill, on a session that holds n = 0 and then n = 5. */
  function leave(id: string, isPublished: boolean): void {
    const store = new GambasFileStore({
      root,
      openSessions: 10,
      inPlace: true,
      gambas: "3.18",
      log: new Log("silent", ""),
    });
    const journal = new Journal(join(root, "sessiond.journal"), [], () => []);
    store.locks.take(id, true);
    const before = store.load(id, 1_000_000);
    if (before === undefined) throw new Error("the session is not there");
    const image = applyDelta(before.image, { delta: deltaOf({ n: 5 }), nowMs: Date.now() });
    const staged = store.stage(id, image, before);
    journal.noteCommit({ id, client, sequence: 10 }, { revision: staged.revision });
    journal.append();
    if (isPublished) expect(store.publish(id, staged)).toBe(true);
    store.locks.release(id);
    // Neither is closed: a kill does not do so either.
  }

  async function prepareSession(): Promise<string> {
    const id = newId();
    await start();
    const worker = await connect("preparer");
    await worker.create(id, { n: 0 });
    await worker.commit(id, { m: 0 });
    await crash();
    return id;
  }

  test("leaves the old contents whole, and the commit is applied when it is sent again", async () => {
    const id = await prepareSession();
    leave(id, false);
    await start();
    const worker = await connect(client);
    expect(await worker.values(id)).toEqual({ n: 0, m: 0 });
    expect(valuesOf(await worker.commit(id, { n: 5 }, { sequence: 10 }))).toEqual({ n: 5, m: 0 });
  });

  test("that comes after the file was published applies the commit once", async () => {
    const id = await prepareSession();
    leave(id, true);
    await start();
    const [worker, other] = [await connect(client), await connect("bert")];
    expect(await worker.values(id)).toEqual({ n: 5, m: 0 });
    await other.commit(id, { n: 6 });
    expect(valuesOf(await worker.commit(id, { n: 5 }, { sequence: 10 }))).toEqual({ n: 6, m: 0 });
  });

  test("is not forgotten by the daemon after the next, which was killed as well", async () => {
    const id = await prepareSession();
    leave(id, false);
    await start();
    await restart();
    const worker = await connect(client);
    expect(valuesOf(await worker.commit(id, { n: 5 }, { sequence: 10 }))).toEqual({ n: 5, m: 0 });
  });
});

describe("a journal", () => {
  const revision = { ino: 1, size: 2, mtimeMs: 3 };

  test("whose end is torn off tells everything before it", async () => {
    const path = join(root, "sessiond.journal");
    const journal = new Journal(path, [], () => []);
    for (let sequence = 1; sequence <= 3; sequence++) {
      journal.noteCommit({ id: newId(), client: "anna", sequence }, { revision });
      journal.append();
    }
    journal.close();
    const whole = readFileSync(path);
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const sequences = replayJournal(path).commits.map(({ sequence }) => sequence);
      expect([[], [1], [1, 2], [1, 2, 3]]).toContainEqual(sequences);
    }
    expect(replayJournal(path).commits).toHaveLength(3);
  });

  test("with noise behind it does not keep a daemon from starting, and loses no tombstone", async () => {
    await start();
    const worker = await connect();
    const id = newId();
    await worker.create(id, { n: 0 });
    await worker.abandon(id);
    await crash();
    appendFileSync(join(root, "sessiond.journal"), Buffer.from("ffffff7f00112233", "hex"));
    await start();
    expect(await codeOf((await connect()).create(id, { n: 0 }))).toBe("ERR_ID_TAKEN");
    await restart();
    expect(await codeOf((await connect()).create(id, { n: 0 }))).toBe("ERR_ID_TAKEN");
  });

  test("of noise alone is no reason not to start", async () => {
    writeFileSync(join(root, "sessiond.journal"), Buffer.from("08000000040000000102030405060708090a", "hex"));
    await start();
    const worker = await connect();
    const id = newId();
    await worker.create(id, { n: 0 });
    expect(await worker.values(id)).toEqual({ n: 0 });
  });

  test.each([1, 4, 9, 24, 60, 200])(
    "whose last %i bytes are zeros does not keep a daemon from starting",
    async (zeros) => {
      await start();
      const worker = await connect();
      const id = newId();
      await worker.create(id, { n: 0 });
      for (let n = 1; n < 5; n++) await worker.commit(id, { n });
      await crash();
      const path = join(root, "sessiond.journal");
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0, bytes.length - zeros));
      await start();
      expect(await (await connect()).values(id)).toEqual({ n: 4 });
    },
  );

  test("tells of no session whose id cannot be one", () => {
    const path = join(root, "sessiond.journal");
    const journal = new Journal(path, [], () => [["a\0:000000000000000000000001", 5]]);
    journal.noteCommit({ id: "../etc/passwd", client: "anna", sequence: 1 }, { revision });
    journal.append();
    journal.close();
    expect(replayJournal(path)).toEqual({ commits: [], ended: new Map() });
  });

  test("that millions of ended sessions have made large is not begun anew for a few commits, and knows them all", () => {
    const path = join(root, "sessiond.journal");
    const ended = Array.from({ length: 120_000 }, (_, index): [string, number] => [
      `a:${index.toString(16).toUpperCase().padStart(24, "0")}`,
      5,
    ]);
    const journal = new Journal(path, [], () => ended);
    for (let sequence = 1; sequence <= 3; sequence++) {
      journal.noteCommit({ id: newId(), client: "anna", sequence }, { revision });
      journal.append();
    }
    journal.close();
    expect(existsSync(`${path}.old`)).toBe(false);
    const replay = replayJournal(path);
    expect(replay.commits.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(replay.ended.size).toBe(ended.length);
  });

  test("that somebody deleted is there again within a second, with all it told", async () => {
    await start();
    const worker = await connect();
    const [id, ended] = [newId(), newId()];
    await worker.create(id, { n: 0 });
    await worker.create(ended, {});
    await worker.abandon(ended);
    const path = join(root, "sessiond.journal");
    rmSync(path);
    await worker.commit(id, { n: 1 }, { sequence: 7 });
    await until(() => existsSync(path));
    await worker.commit(id, { n: 2 }, { sequence: 8 });
    await restart();
    const again = await connect();
    await again.commit(id, { n: 1 }, { sequence: 7 });
    await again.commit(id, { n: 3 }, { sequence: 8 });
    expect(await again.values(id)).toEqual({ n: 2 });
    expect(await codeOf(again.create(ended, {}))).toBe("ERR_ID_TAKEN");
  });

  test("that has begun a new file still knows what was in the one before", async () => {
    const path = join(root, "sessiond.journal");
    const journal = new Journal(path, [], () => [["ended:000000000000000000000001", 5]]);
    const id = newId();
    let sequence = 0;
    while (!existsSync(`${path}.old`)) {
      sequence += 1;
      journal.noteCommit({ id, client: "anna", sequence }, { revision });
      journal.append();
    }
    journal.close();
    const { commits, ended } = replayJournal(path);
    expect(commits).toHaveLength(sequence);
    expect([...ended.keys()]).toEqual(["ended:000000000000000000000001"]);
  });
});

describe("of several daemons", () => {
  test("that start at once for one root exactly one serves, and the others say why not", async () => {
    const starts = await Promise.allSettled(Array.from({ length: 4 }, () => startDaemonProcess(root)));
    const started = starts.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    const reasons = starts.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
    expect(started).toHaveLength(1);
    for (const reason of reasons) expect(reason).toMatch(/ERR_DAEMON_RUNNING/);
    expect(readFileSync(join(root, "sessiond.pid"), "utf8").trim()).toBe(String(started[0]?.pid));
    expect((await (await connect()).status()).pid).toBe(started[0]?.pid);
  });

  test("that start for different roots all serve", async () => {
    const other = freshRoot();
    await start();
    const second = await startDaemonProcess(other);
    expect(isAlive(daemon.pid ?? 0) && isAlive(second.pid ?? 0)).toBe(true);
    await removeRoot(other);
  });
});

describe("a daemon whose pid file and socket were deleted together, by a cleaner of the directory say,", () => {
  test("writes nothing once another one has its place, and takes nothing of the other's along", async () => {
    await start();
    const old = daemon;
    const [anna, id] = [await connect("anna"), newId()];
    await anna.create(id, { n: 0 });
    await anna.commit(id, { n: 1 });
    rmSync(join(root, "sessiond.pid"));
    rmSync(socket);
    const left = once(old, "exit");
    await start();
    const bert = await connect("bert");
    for (let n = 2; n < 6; n++) await bert.commit(id, { n });
    // Whether it looks because of this call or has looked before: it answers no more.
    await anna.commit(id, { n: 100 }).catch(() => undefined);
    await anna.closed;
    expect(valuesIn(readFileSync(join(root, "session", id)))).toEqual({ n: 5 });
    expect(await left).toEqual([1, null]);
    for (let n = 6; n < 9; n++) await bert.commit(id, { n });
    expect(await bert.values(id)).toEqual({ n: 8 });
    expect(existsSync(join(root, "sessiond.lock"))).toBe(true);
    expect(existsSync(join(root, "sessiond.twins"))).toBe(true);
  });
});

describe("left-overs of a daemon that was killed", () => {
  test("do not keep the next one from starting at once", async () => {
    await start();
    await crash();
    expect(existsSync(join(root, "sessiond.lock"))).toBe(true);
    expect(existsSync(socket)).toBe(true);
    await start();
    await connect();
  });

  test("with a pid that is somebody else's by now are left-overs all the same", async () => {
    mkdirSync(join(root, "sessiond.lock"));
    writeFileSync(join(root, "sessiond.pid"), `${process.pid}\n`);
    writeFileSync(socket, "");
    await start();
    await connect();
  });
});

test("SIGTERM answers what is in flight and leaves with 0", async () => {
  await start();
  const worker = await connect();
  const ids = Array.from({ length: 200 }, () => newId());
  const creating = Promise.allSettled(ids.map((id, n) => worker.create(id, { n })));
  daemon.kill("SIGTERM");
  const answered = (await creating).map(({ status }) => status === "fulfilled");
  if (daemon.exitCode === null) await once(daemon, "exit");
  expect(daemon.exitCode).toBe(0);
  for (const [n, id] of ids.entries()) {
    const path = join(root, "session", id);
    if (answered[n]) expect(valuesIn(readFileSync(path))).toEqual({ n });
  }
});
