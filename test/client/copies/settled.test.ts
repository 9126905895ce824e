// Copies of which only the log is looked at: they say of every commit that it happened, whoever makes it, stops in the middle of it, closes, or begins the log anew. This
// process is the worker; SQLite is in two others.

import fs, {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { type DatabaseCopy, Databases } from "../../../client/copies/databases.ts";
import { HEAD_BYTES, headOf, namesState, nextFrameAt } from "../../../protocol/log-head.ts";
import { until, WorkerProcess } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { Random } from "../../support/values/random.ts";

const LATE_MS = 100;
const CALLS = ["openSync", "closeSync", "readSync", "fstatSync", "lstatSync", "statSync"] as const;
/** Of `-shm`: where checkpoints and readers keep theirs, between the two heads and the index of the frames. */
const MARKS_AT = 96;
const INDEX_AT = 136;

let folder: string;
let path: string;
let outsiders: readonly [WorkerProcess, WorkerProcess];
let databases: Databases;
/** When a copy was last settled: it is looked at again after a second, which a busy machine may let pass at any time. */
let settledMs: number;

/** The row is written where it changes: there it has 1. */
const save = (n: number): string => `UPDATE "config" SET "fTimeout" = ${n + 1}`;
/** Many pages more than the connection may keep in memory: they go into the log before anybody has committed. */
const SPILL = `PRAGMA cache_size = 1; BEGIN; WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50)
  INSERT INTO "values" SELECT 'spilt' || n, randomblob(4000) FROM c`;

/** What a worker has that has looked before it asked the daemon; without a state if nothing could be told from what it saw. */
function copyNow(): DatabaseCopy {
  const state = databases.look(path, undefined, Date.now());
  return { path, state, database: undefined, looks: 0 };
}

const isCurrent = (copy: DatabaseCopy, nowMs = Date.now()): boolean => databases.isCurrent(copy, nowMs);

function isSettled({ state, database }: DatabaseCopy, nowMs = Date.now()): boolean {
  return state !== undefined && database?.isSettled(state, nowMs) === true;
}

async function settledCopy(): Promise<DatabaseCopy> {
  const copy = await until(() => {
    const seen = copyNow();
    return seen.state === undefined ? undefined : seen;
  });
  await until(() => {
    settledMs = Date.now();
    expect(isCurrent(copy, settledMs)).toBe(true);
    return isSettled(copy, settledMs);
  });
  return copy;
}

/** Looks at times at which it would settle. */
function neverSettles(copy: DatabaseCopy): void {
  const { ctimeMs } = statSync(`${path}-wal`);
  for (let n = 1; n <= 10; n++) {
    expect(isCurrent(copy, ctimeMs + n * LATE_MS)).toBe(true);
    expect(isSettled(copy, ctimeMs + n * LATE_MS)).toBe(false);
  }
}

function headNow(): Int32Array {
  return headOf(readFileSync(`${path}-shm`).subarray(0, HEAD_BYTES)) as Int32Array;
}

/**
 * A commit that saves `n`, cut in two by a writer that is stopped: all that it writes into the log, and then what it does in memory. It is made by SQLite on a copy of
 * the database and its log.
 */
async function cutCommit(n: number, before = ""): Promise<{ write(): void; finish(): void }> {
  const twin = join(folder, "twin.db");
  for (const ending of ["", "-wal"]) copyFileSync(path + ending, twin + ending);
  await outsiders[1].call("open", twin);
  await outsiders[1].call("run", `${before}; ${save(n)}`);
  const [log, memory] = [readFileSync(`${twin}-wal`), readFileSync(`${twin}-shm`)];
  await outsiders[1].call("close");
  unlinkSync(twin);
  return {
    write: () => plant("-wal", log, 0),
    finish() {
      plant("-shm", memory.subarray(INDEX_AT), INDEX_AT);
      plant("-shm", memory.subarray(0, MARKS_AT), 0);
    },
  };
}

function plant(ending: string, bytes: Buffer, at: number): void {
  const file = openSync(path + ending, constants.O_WRONLY);
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

const timeoutNow = (): Promise<unknown> => outsiders[0].call("get", 'SELECT "fTimeout" FROM "config"');

/** Any write from now on gets another time than what was written before. */
async function nextTick(): Promise<void> {
  const probe = join(folder, "probe");
  const { ctimeMs } = statSync(`${path}-wal`, { throwIfNoEntry: false }) ?? statSync(path);
  await until(() => {
    writeFileSync(probe, "");
    return statSync(probe).ctimeMs > ctimeMs;
  });
}

const places = [tmpdir(), "/dev/shm"].filter(
  (place) =>
    existsSync(place) && [0xef53, 0x01021994, 0x9123683e, 0x58465342, 0x794c7630].includes(statfsSync(place).type),
);

describeSqlite("a copy of which only the log is looked at", () => {
  beforeAll(() => {
    const start = (): WorkerProcess => WorkerProcess.start("test/client/copies/outsider-main.js");
    outsiders = [start(), start()];
  });
  afterAll(async () => {
    for (const outsider of outsiders) await outsider.kill();
  });
  beforeEach(async ({ task }) => {
    const place = places.find((one) => task.name.endsWith(`in ${one}`)) ?? tmpdir();
    folder = mkdtempSync(join(place, "gs-settled-"));
    path = join(folder, "session.db");
    copyFileSync(join(repository, "test/fixtures/sqlite/minimal.db"), path);
    databases = new Databases(folder, 8);
    await outsiders[0].call("open", path);
    await outsiders[0].call("run", "PRAGMA journal_mode = WAL; SELECT * FROM config");
  });
  afterEach(async () => {
    databases.closeAll();
    for (const outsider of outsiders) await outsider.call("close");
    rmSync(folder, { recursive: true });
  });

  it.each(places)("costs one question to the system, with frames in the log and without, in %s", async () => {
    for (const before of ["", save(1)]) {
      await outsiders[0].call("run", before);
      const copy = await settledCopy();
      expect(namesState(headNow())).toBe(before !== "");
      const calls: string[] = [];
      for (const name of CALLS) {
        const call = fs[name] as (...args: unknown[]) => unknown;
        vi.spyOn(fs, name).mockImplementation(((...args: unknown[]) => {
          calls.push(name);
          return call(...args);
        }) as never);
      }
      syncBuiltinESMExports();
      try {
        expect([isCurrent(copy, settledMs), isCurrent(copy, settledMs)]).toEqual([true, true]);
      } finally {
        vi.restoreAllMocks();
        syncBuiltinESMExports();
      }
      expect(calls).toEqual(["fstatSync", "fstatSync"]);
    }
  });

  it("is settled when the log was not written to for a tenth of a second, and looked at again after a second, by a clock that may be set", async () => {
    await outsiders[0].call("run", save(1));
    const copy = copyNow();
    const { ctimeMs } = statSync(`${path}-wal`);
    const at = (ms: number): boolean[] => {
      const wasSettled = copy.state !== undefined && copy.database?.isSettled(copy.state, ctimeMs + ms) === true;
      return [databases.isCurrent(copy, ctimeMs + ms), wasSettled];
    };
    for (const ms of [1, 2, 3, 4]) expect(at(ms)).toEqual([true, false]);
    expect(copy.database).toBeDefined();
    for (const ms of [LATE_MS - 1, -5000, LATE_MS - 1, -5000]) expect(at(ms)).toEqual([true, false]);
    expect(at(LATE_MS)).toEqual([true, false]);
    expect(at(LATE_MS + 999)).toEqual([true, true]);
    expect(at(LATE_MS + 1000)).toEqual([true, false]);
    expect(at(LATE_MS + 1001)).toEqual([true, true]);
    expect(at(0)).toEqual([true, false]);
    expect(at(1)).toEqual([true, false]);
  });

  it.each([512, 4096, 65_536])(
    "is settled where SQLite would write the next frame, with pages of %i bytes",
    async (size) => {
      await outsiders[0].call("run", `PRAGMA journal_mode = DELETE; PRAGMA page_size = ${size}; VACUUM`);
      await outsiders[0].call("run", `PRAGMA journal_mode = WAL; ${save(1)}; ${save(2)}`);
      expect(await outsiders[0].call("get", "PRAGMA page_size")).toBe(size);
      expect(nextFrameAt(headNow())).toBe(statSync(`${path}-wal`).size);
      await settledCopy();
    },
  );

  /** What makes a commit, by the name of that; the first is what comes before the copy. */
  const COMMITS: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
    "the first one": [[], [save(1)]],
    "one behind others": [[save(1), save(2)], [save(3)]],
    "one of nothing but what is there": [[save(1)], [`BEGIN; ${save(2)}; ${save(1)}; COMMIT`]],
    "one of many pages": [[save(1)], [SPILL, "COMMIT"]],
    "one behind many pages": [[SPILL, "COMMIT"], [save(1)]],
    "one over an older log": [
      [save(1), save(2)],
      ["PRAGMA wal_checkpoint(PASSIVE)", save(3)],
    ],
    "one before the rest of an older log": [[save(1), save(2), "PRAGMA wal_checkpoint(PASSIVE)", save(3)], [save(4)]],
    "one into a log that was cut off": [[save(1), "PRAGMA wal_checkpoint(TRUNCATE)"], [save(2)]],
    "one behind a log that was cut off": [[save(1)], ["PRAGMA wal_checkpoint(TRUNCATE)", save(2)]],
    "one in another journal": [[save(1)], ["PRAGMA journal_mode = DELETE", save(2)]],
    "one in another journal and back": [
      [save(1)],
      ["PRAGMA journal_mode = DELETE", save(2), "PRAGMA journal_mode = WAL", save(3)],
    ],
    "one by VACUUM": [[save(1)], ["VACUUM"]],
  };

  it.each(Object.keys(COMMITS))("is not current after a commit: %s", async (name) => {
    const [before, after] = COMMITS[name] ?? [[], []];
    for (const sql of before) await outsiders[0].call("run", sql);
    const copy = await settledCopy();
    for (const sql of after) await outsiders[0].call("run", sql);
    expect([isSettled(copy), isCurrent(copy)]).toEqual([false, false]);
  });

  it("is settled again once it is known that nothing was committed, whatever was done to the log", async () => {
    await outsiders[0].call("run", save(1));
    const copy = await settledCopy();
    const { atimeMs, mtimeMs } = statSync(`${path}-wal`);
    plant("-wal", readFileSync(`${path}-wal`), 0);
    utimesSync(`${path}-wal`, atimeMs / 1000, mtimeMs / 1000);
    expect([isSettled(copy), isCurrent(copy)]).toEqual([false, true]);
    await until(() => {
      settledMs = Date.now();
      return isCurrent(copy, settledMs) && isSettled(copy, settledMs);
    });
    await outsiders[0].call("run", "PRAGMA wal_checkpoint(PASSIVE)");
    expect([isSettled(copy, settledMs), isCurrent(copy, settledMs)]).toEqual([true, true]);
  });

  it("is not settled while a program is in the middle of a commit, nor by what one leaves that was given up", async () => {
    await outsiders[0].call("run", save(1));
    const copy = await settledCopy();
    await outsiders[0].call("run", SPILL);
    expect([isSettled(copy), isCurrent(copy)]).toEqual([false, true]);
    neverSettles(copy);
    await outsiders[0].call("run", "ROLLBACK");
    neverSettles(copy);
    await outsiders[0].call("run", save(2));
    expect(isCurrent(copy)).toBe(false);
    // The first of its pages was written over, and others follow, until the log is begun anew.
    await outsiders[0].call("run", "PRAGMA wal_checkpoint(PASSIVE)");
    await outsiders[0].call("run", save(3));
    await settledCopy();
  });

  /** What is there when a writer begins that is stopped, and what it does before it saves. */
  const STOPPED: Readonly<Record<string, readonly [readonly string[], string]>> = {
    "behind other commits": [[save(1)], ""],
    "with many pages": [[save(1)], `${SPILL}; COMMIT`],
    "in a log without any": [[], ""],
    "in a log that was cut off": [[save(1), "PRAGMA wal_checkpoint(TRUNCATE)"], ""],
    "before the rest of an older log": [[save(1), save(2), "PRAGMA wal_checkpoint(PASSIVE)", save(3)], ""],
  };

  it.each(Object.keys(STOPPED))(
    "is not current after a commit whose writer was stopped before it became visible: %s",
    async (name) => {
      const [before, first] = STOPPED[name] ?? [[], ""];
      for (const sql of before) await outsiders[0].call("run", sql);
      await settledCopy();
      const commit = await cutCommit(7, first);
      commit.write();
      const copy = await until(() => {
        const seen = copyNow();
        return seen.state === undefined ? undefined : seen;
      });
      neverSettles(copy);
      commit.finish();
      expect(isCurrent(copy)).toBe(false);
      expect(await timeoutNow()).toBe(8);
    },
  );

  it("is not current when a recovery finds the whole commit of a writer that was killed before it became visible", async () => {
    await outsiders[0].call("run", save(1));
    await settledCopy();
    (await cutCommit(7)).write();
    const copy = copyNow();
    neverSettles(copy);
    await outsiders[0].kill();
    expect(isCurrent(copy)).toBe(true);
    outsiders = [WorkerProcess.start("test/client/copies/outsider-main.js"), outsiders[1]];
    await outsiders[0].call("open", path);
    expect(isCurrent(copy)).toBe(false);
    expect(await timeoutNow()).toBe(8);
  });

  /** What a program does that has the database for itself alone, or somebody by hand, when all that had it open were killed. */
  const BESIDE_THE_HEAD: Readonly<Record<string, () => unknown>> = {
    "a commit of one that has it for itself alone": () => outsiders[1].call("runAlone", path, save(7)),
    "a commit in another journal": () =>
      outsiders[1].call("runAlone", path, `PRAGMA journal_mode = DELETE; ${save(7)}`),
    "the log removed": () => unlinkSync(`${path}-wal`),
  };

  it.each(Object.keys(BESIDE_THE_HEAD))(
    "is not current by a head that killed programs have left, from the next second on: %s",
    async (name) => {
      await outsiders[0].call("run", save(1));
      const copies = [copyNow(), await settledCopy()] as const;
      expect(isCurrent(copies[0])).toBe(true);
      await outsiders[0].kill();
      outsiders = [WorkerProcess.start("test/client/copies/outsider-main.js"), outsiders[1]];
      await BESIDE_THE_HEAD[name]?.();
      expect([existsSync(`${path}-shm`), existsSync(`${path}-wal`)]).toEqual([true, false]);
      const nextMs = Date.now() + 1000;
      expect(copies.map((copy) => isCurrent(copy, nextMs))).toEqual([false, false]);
      expect(copyNow().state).toBeUndefined();
    },
  );

  const BY_HAND: Readonly<Record<string, () => unknown>> = {
    "the log removed": () => unlinkSync(`${path}-wal`),
    "the log renamed": () => renameSync(`${path}-wal`, join(folder, "aside")),
    "the log replaced": () => {
      copyFileSync(`${path}-wal`, join(folder, "other"));
      renameSync(join(folder, "other"), `${path}-wal`);
    },
    "the head removed, and the next program makes one of its own": async () => {
      unlinkSync(`${path}-shm`);
      await outsiders[1].call("open", path);
      await outsiders[1].call("run", save(3));
    },
  };

  it.each(Object.keys(BY_HAND))(
    "is not current after the commit that follows when somebody has done by hand: %s",
    async (name) => {
      await outsiders[0].call("run", save(1));
      const copy = await settledCopy();
      await BY_HAND[name]?.();
      expect(isSettled(copy)).toBe(false);
      if (!name.includes("next program")) await outsiders[0].call("run", save(2));
      expect(isCurrent(copy)).toBe(false);
    },
  );

  it("shows each commit, whoever makes it, gives up, closes and begins the log anew, in whatever order", async () => {
    const seed = Date.now() % 1_000_000;
    const random = new Random(seed);
    const isOpen = [true, false];
    let [copy, held, settled] = [copyNow(), 0, 0];
    for (let n = 1; n <= 200; n++) {
      const who = random.below(2);
      const run = (sql: string): Promise<unknown> => (outsiders[who] as WorkerProcess).call("run", sql);
      const step = random.below(10);
      let last = held;
      if (step === 0) {
        await outsiders[who]?.call(isOpen[who] ? "close" : "open", path);
        isOpen[who] = !isOpen[who];
      } else if (isOpen[who]) {
        if (step < 5) await run(save(n));
        else if (step === 5) await run(`PRAGMA wal_checkpoint(${["PASSIVE", "RESTART", "TRUNCATE"][random.below(3)]})`);
        else if (step === 6) await run(`${SPILL}; ROLLBACK`);
        else if (step === 7) await run(`${SPILL}; DELETE FROM "values"; ${save(n)}; COMMIT`);
        if (step < 5 || step === 7) last = n;
      }
      // Where nothing was committed it need not be current: a checkpoint may have begun another log.
      const isKept = isSettled(copy) || isCurrent(copy);
      expect(isKept && held !== last, `seed ${seed}, step ${n}`).toBe(false);
      held = last;
      if (!isCurrent(copy)) {
        databases.close(copy);
        copy = copyNow();
      }
      await nextTick();
      // As many looks as it takes, now and then.
      for (let looks = random.below(2) * 6; looks > 0; looks--)
        databases.isCurrent(copy, Date.now() + (7 - looks) * LATE_MS);
      if (isSettled(copy)) settled += 1;
    }
    expect(settled).toBeGreaterThan(10);
  });
});
