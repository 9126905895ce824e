// The history checker is worth something only if it finds what it is for: faults are planted in a daemon and in clients of this process,
// and the same load that finds nothing wrong without them must find them.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Cache } from "../../client/copies/cache.ts";
import { OpenFile, OpenFiles } from "../../client/copies/open-files.ts";
import { type Client, Client as Worker } from "../../client/link/client.ts";
import { type CommitTurn, Sessions as Registry } from "../../daemon/sessions/sessions.ts";
import { type Daemon, startDaemon } from "../../daemon/start.ts";
import { COUNTER, readEverything, runLoad, type Sessions } from "../storms/load.ts";
import { Recorder, readRecords } from "../storms/recorder.ts";
import { judge, type Verdict } from "../storms/verdict.ts";
import { freshRoot, removeRoot } from "../support/processes.ts";

const WORKERS = ["a", "b", "c", "d"];

let root: string;
let daemon: Daemon;
let clients: Client[];

beforeEach(async () => {
  root = freshRoot();
  mkdirSync(join(root, "records"));
  daemon = await startDaemon({ root, logLevel: "silent" });
  clients = WORKERS.map(() => new Worker({ root, spawn: false }));
  await Promise.all(clients.map((client) => client.ready()));
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const client of clients) client.close();
  await daemon.stop();
  await removeRoot(root);
});

/** Each client stands for a worker: it has a connection and copies of its own. */
function sessionsOf(client: Client): Sessions {
  return {
    async read(id, key) {
      return (await client.open(id))?.get(key);
    },
    async commit(id, key, value) {
      const handle = await client.open(id);
      handle?.set(key, value);
      await handle?.save();
    },
    transaction: (id, fn) => client.transaction(id, fn),
  };
}

const SHAPE = { sessions: 1, operations: 400, readShare: 48 };
/** Files are kept open only of sessions that are left alone for a while. */
const MOSTLY_READS = { sessions: 8, operations: 4_000, readShare: 98 };

async function runHistory(use: (client: Client) => Sessions = sessionsOf, shape = SHAPE): Promise<Verdict> {
  const { sessions, operations, readShare } = shape;
  const sessionIds = await Promise.all(Array.from({ length: sessions }, create));
  const pathOf = (name: string): string => join(root, "records", name);
  const loads = WORKERS.map(async (name, index) => {
    const recorder = new Recorder(pathOf(name));
    const client = clients[index] as Client;
    await runLoad({ name, sessionIds, seed: index + 1, operations, width: 2, readShare }, use(client), recorder);
    recorder.close();
  });
  await Promise.all(loads);
  const reader = new Recorder(pathOf("reader"));
  await readEverything({ sessionIds, names: WORKERS }, sessionsOf(clients[0] as Client), reader);
  reader.close();
  return judge([...WORKERS, "reader"].flatMap((name) => readRecords(pathOf(name), name)));
}

async function create(): Promise<string> {
  const session = clients[0]?.create({ prefix: "planted" });
  session?.set(COUNTER, 0);
  await session?.save();
  return session?.id ?? "";
}

/** Neither the first of its session nor the end of a transaction. */
function isPlain({ options }: CommitTurn): boolean {
  return options.fence === undefined && options.create !== true;
}

describe("the history checker", () => {
  test("finds nothing wrong when nothing is planted", async () => {
    expect(await runHistory()).toMatchObject({ violations: [], unknown: 0 });
    expect(await runHistory(sessionsOf, MOSTLY_READS)).toMatchObject({ violations: [], unknown: 0 });
  });

  test("finds a daemon that answers before it writes", async () => {
    const { commit } = Registry.prototype;
    vi.spyOn(Registry.prototype, "commit").mockImplementation(function (this: Registry, id, turn) {
      if (!isPlain(turn)) return commit.call(this, id, turn);
      const answered: CommitTurn = { ...turn, answer: () => undefined };
      const write = (): void => void setImmediate(() => setImmediate(() => commit.call(this, id, answered)));
      this.read(id, { ...turn, known: 0, answer: (state) => [turn.answer(state), write()] });
    });
    expect((await runHistory()).violations.join("\n")).toMatch(/stale/);
  });

  test("finds a worker that uses its copies without looking at the file", async () => {
    vi.spyOn(Cache.prototype, "current").mockImplementation(function (this: Cache, id) {
      return this.peek(id);
    });
    expect((await runHistory()).violations.join("\n")).toMatch(/stale/);
  });

  test("finds a worker that keeps a file open and never looks at it again", async () => {
    vi.spyOn(OpenFiles.prototype, "hasUseFor").mockReturnValue(true);
    vi.spyOn(OpenFile.prototype, "isCurrent").mockReturnValue(true);
    expect((await runHistory(sessionsOf, MOSTLY_READS)).violations.join("\n")).toMatch(/stale/);
  });

  test("finds transactions that are not alone", async () => {
    const verdict = await runHistory((client) => ({
      ...sessionsOf(client),
      async transaction(id, fn) {
        const handle = await client.open(id);
        if (handle !== undefined) await fn(handle);
        await handle?.save();
      },
    }));
    expect(verdict.violations.join("\n")).toMatch(/lost update/);
    expect(verdict.lost).toBeGreaterThan(0);
  });

  test("finds commits that are applied a second time", async () => {
    const { enter } = Registry.prototype;
    let count = 0;
    vi.spyOn(Registry.prototype, "commit").mockImplementation(function (this: Registry, id, turn) {
      enter.call(this, id, turn);
      count += 1;
      if (count % 10 !== 0 || !isPlain(turn)) return;
      const silent = { ...turn, answer: () => undefined, fail: () => undefined };
      setTimeout(() => enter.call(this, id, silent), 5);
    });
    expect((await runHistory()).violations.length).toBeGreaterThan(0);
  });

  test("finds commits that are acknowledged and dropped", async () => {
    const { commit } = Registry.prototype;
    let count = 0;
    vi.spyOn(Registry.prototype, "commit").mockImplementation(function (this: Registry, id, turn) {
      count += 1;
      if (count % 10 !== 0 || !isPlain(turn)) commit.call(this, id, turn);
      else this.read(id, { ...turn, known: 0 });
    });
    expect((await runHistory()).violations.length).toBeGreaterThan(0);
  });
});
