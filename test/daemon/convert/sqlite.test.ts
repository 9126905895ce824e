// Sessions that are moved between databases and the other types, and what is there afterwards: each value to the byte, in its row or in its file.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { HOLDINGS } from "../../../daemon/engines.ts";
import {
  dialectOf,
  imageByRows,
  imageOfFile,
  isExpired,
  isSameButStamp,
  layoutOf,
  readDaysOf,
} from "../../../protocol/image/image.ts";
import { databaseName, mappedId, prefixOf } from "../../../protocol/session-id.ts";
import {
  convert,
  converted,
  everyFile,
  filesThere,
  imageWith,
  openRoots,
  pathOf,
  root,
  said,
  serve,
  stopAll,
  told,
  write,
} from "../../support/daemon/converting.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { until } from "../../support/processes.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { repository } from "../../support/repository.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { change, contentsOf, Databases, fixtures, folder } from "../store/gambas-sqlite/databases.ts";

const main = join(repository, "dist/daemon/main.js");

openRoots();

function databaseOf(id: string): string {
  return pathOf(databaseName(id));
}

/** A database of Gambas, with what lies beside it. */
function put(id: string, name: string): void {
  for (const ending of ["", "-wal", "-shm"]) {
    const path = join(folder, `${name}.db${ending}`);
    if (!existsSync(path)) continue;
    copyFileSync(path, databaseOf(id) + ending);
    // Of long ago: no program is still making it.
    utimesSync(databaseOf(id) + ending, 0, 0);
  }
}

function imageAt(path: string): Buffer {
  const file = readFileSync(path);
  imageOfFile(file);
  return file;
}

/** Names in `session/` but of what belongs to a database, too: a kill may leave that of one it has removed. */
function sessionsThere(): string[] {
  return filesThere().filter((name) => !/-(?:wal|shm)$/.test(name));
}

/** What a file holds where each key has objects of its own; undefined for one that is damaged, or that rows cannot hold. */
function byRows(file: Buffer): Buffer | undefined {
  try {
    const image = Buffer.from(file);
    imageOfFile(image);
    return imageByRows(image);
  } catch {
    return undefined;
  }
}

describeSqlite("sessions in databases that are converted", () => {
  test("to files and back are what they were, row by row, every one that Gambas has written", async () => {
    // An id of the kind that each was made with.
    const ids = new Map(Object.entries(fixtures).map(([name, { id }]) => [name, newId(prefixOf(id))] as const));
    for (const [name, id] of ids) put(id, name);
    const alive = [...ids].filter(([name]) => name !== "never_saved");
    const rows = new Databases();
    const read = (name: string, id: string) => {
      rows.put(id, join(folder, `${name}.db`));
      return contentsOf(rows.path(id));
    };
    const before = new Map(alive.map(([name, id]) => [name, read(name, id)]));

    expect(await converted("sqlite", "file")).toMatchObject({ seen: ids.size, moved: alive.length, over: 1 });
    expect(filesThere()).toEqual([databaseName(ids.get("never_saved") ?? ""), ...alive.map(([, id]) => id)].sort());
    for (const [name, id] of alive) {
      const { startup, timeout } = readDaysOf(imageAt(pathOf(id)));
      const [config] = before.get(name)?.config ?? [];
      expect([startup, timeout], name).toEqual([config?.fStartup, config?.fTimeout]);
    }

    expect(await converted("file", "sqlite")).toMatchObject({ seen: alive.length, moved: alive.length, asAddress: 0 });
    for (const [name, id] of alive) {
      const [then, now] = [before.get(name), contentsOf(databaseOf(id))];
      const plain = (of: typeof now | undefined) => of?.values.map(({ rowid: _, ...row }) => row);
      expect(plain(now), name).toEqual(plain(then));
      expect(now.schema, name).toEqual(then?.schema);
      const [was, is] = [then?.config[0], now.config[0]];
      expect(is, name).toMatchObject({ fTimeout: was?.fTimeout, sCookiePath: was?.sCookiePath ?? null });
      expect(is?.fStartup).toBe(Number(Number(was?.fStartup).toPrecision(15)));
    }
    await rows.close();
  });

  test("from files are what they were but for objects that several keys had, every one that Gambas has written", async () => {
    const files = everyFile();
    for (const [id, file] of files) write(id, file);
    const good = [...files].filter(([, file]) => byRows(file) !== undefined && !isExpired(file, Date.now()));
    const { seen, moved, unreadable, over } = await converted("file", "sqlite");
    expect([seen, moved]).toEqual([files.size, good.length]);
    expect(Number(unreadable) + Number(over)).toBe(files.size - good.length);
    const left = [...files].filter(([id]) => existsSync(pathOf(id)));
    expect(left.map(([id]) => id).sort()).toEqual(
      [...files.keys()].filter((id) => !good.some(([one]) => one === id)).sort(),
    );
    for (const [id, file] of left) expect(readFileSync(pathOf(id)).equals(file)).toBe(true);
    expect(await converted("sqlite", "file")).toMatchObject({
      seen: good.length,
      moved: good.length,
      asAddress: good.length,
    });
    for (const [id, file] of good)
      expect(isSameButStamp(imageAt(pathOf(id)), byRows(file) ?? Buffer.of()), id).toBe(true);
  });

  test("go on under a daemon of the other type with their values, their order and what is left of their time", async () => {
    const [here, there] = [newId("192.0.2.1"), newId("bob")];
    const usedMs = Date.now() - 40_000;
    const both = [1, { two: 2 }];
    write(here, imageWith({ z: 1, a: { both, again: both }, text: "ä" }, usedMs, 100));
    write(there, imageWith({ n: 1 }));
    expect(await converted("file", "sqlite")).toMatchObject({ from: "file", to: "sqlite", moved: 2, does: "move" });
    const databases = await serve("sqlite");
    const values = (await databases.values(here)) as { a: { both: unknown; again: unknown } };
    expect(values).toEqual({ z: 1, a: { both, again: both }, text: "ä" });
    expect(values.a.both).toBe(values.a.again);
    const { sessions } = await databases.call("list", "", null, 10);
    const [listed] = sessions.filter(({ id }) => id === mappedId(here));
    expect(listed?.timeoutSeconds).toBe(100);
    expect(Math.abs((listed?.startupMs ?? 0) - usedMs)).toBeLessThan(1);
    await databases.commit(here, { n: 2 });
    await stopAll();
    expect(await convert("sqlite", "file")).toBe(0);
    expect(said).toBe(
      "2 sessions of type sqlite looked at, 2 moved to type file.\n1 of them went by the address that their name shows: 10_0_0_1 is 10.0.0.1.\n",
    );
    const files = await serve("file");
    expect(await files.values(here)).toEqual({ z: 1, a: { both, again: both }, text: "ä", n: 2 });
  });

  test("stay where the name does not tell the id, which is said with what to do, and go where that is done", async () => {
    const [known, named, doubtful] = [newId("bob"), newId("user-42"), newId("fe80::1:2")];
    write(known, imageWith({ n: 1 }));
    for (const id of [named, doubtful]) write(id, imageWith({ n: 2 }));
    await converted("file", "sqlite");
    const there = filesThere();
    expect(await convert("sqlite", "file")).toBe(1);
    expect(said).toContain("3 sessions of type sqlite looked at, 1 moved to type file.\n");
    expect(said).toContain("2 left: type sqlite does not know their ids. Say how those begin: --prefix FORM.\n");
    expect(told).toContain(`${mappedId(named)} is left: its name does not tell the id it was made with.\n`);
    const readings = `${doubtful} or fe80::1%2${doubtful.slice(-25)}`;
    expect(told).toContain(
      `${mappedId(doubtful)} is left: its name does not tell the id it was made with: it may have been ${readings}.\n`,
    );
    expect(filesThere()).toEqual([...there.filter((name) => name !== databaseName(known)), known].sort());

    expect(await convert("sqlite", "file", "--prefix", "user-*,fe80::*:*")).toBe(0);
    expect(filesThere()).toEqual([known, named, doubtful].sort());
    expect(await (await serve("file")).values(named)).toEqual({ n: 2 });
    await stopAll();
    expect(await convert("file", "sqlite", "--prefix", "user-*")).toBe(2);
    expect(told).toContain("Sessions of type file are known by their ids");
  });

  test("of no id that is allowed are named and stay", async () => {
    const names = [
      `${"x".repeat(190)}_0123456789ABCDEF01234567.db`,
      "10_0_0_1_0123456789abcdef01234567.db",
      "other.db",
    ];
    for (const name of names) copyFileSync(join(folder, "minimal.db"), pathOf(name));
    for (const name of ["_unique_lock.db", "other.db-wal", "file"]) writeFileSync(pathOf(name), "");
    expect(await convert("sqlite", "file")).toBe(1);
    expect(said).toContain("3 left: type sqlite does not know their ids.");
    for (const name of names) expect(told).toContain(`${name} is left: it has the name of no session id.\n`);
    expect(filesThere()).toHaveLength(6);
  });

  test("do not overwrite each other where their names would be one: both stay, until one has ended", async () => {
    const id = newId("10.0.0.1");
    const other = mappedId(id);
    const image = imageWith({ of: "address" });
    write(id, image);
    write(other, imageWith({ of: "prefix" }));
    const free = newId("bob");
    write(free, image);
    expect(await convert("file", "sqlite")).toBe(1);
    expect(said).toContain("2 left: type sqlite would know them as one session with others. End those, or these.\n");
    expect(told).toContain(`${id} is left: in the new place it would be one session with that of another id`);
    expect(filesThere()).toEqual([id, other, databaseName(free)].sort());
    // Those with the same contents, too: they are two visitors.
    write(other, image);
    expect(await converted("file", "sqlite", "--dry-run")).toMatchObject({ seen: 2, moved: 0, alike: 2 });
    const files = await serve("file");
    await files.call("abandon", other);
    await stopAll();
    // What has ended must not come back by the other's cookie, either.
    expect(await converted("file", "sqlite")).toMatchObject({ seen: 1, moved: 0, alike: 1, tombstonesLeft: 1 });
    expect(readFileSync(pathOf(id)).equals(image)).toBe(true);
  });

  test("are left where a Gambas program has made a database by their id and not saved it yet", async () => {
    const id = newId("bob");
    write(id, imageWith({ n: 1 }));
    copyFileSync(join(folder, "never_saved.db"), databaseOf(id));
    for (const flags of [["--dry-run"], []])
      expect(await converted("file", "sqlite", ...flags)).toMatchObject({ seen: 1, moved: 0, taken: 1, failed: 0 });
    expect(filesThere()).toEqual([databaseName(id), id].sort());
  });

  test.each(["3.18", "3.19"] as const)("are in files as Gambas %s reads them, if that is said", async (dialect) => {
    const id = newId("bob");
    put(id, "refs_in_value");
    expect(await converted("sqlite", "file", "--gambas", dialect)).toMatchObject({ moved: 1 });
    const image = imageAt(pathOf(id));
    expect([dialectOf(image), layoutOf(image).hasReferences]).toEqual([dialect, true]);
    // And the values in a database again.
    const before = contentsOf(join(folder, "refs_in_value.db")).values.map(({ value }) => value);
    expect(await converted("file", "sqlite", "--gambas", "3.18")).toMatchObject({ moved: 1 });
    expect(contentsOf(databaseOf(id)).values.map(({ value }) => value)).toEqual(before);
  });

  test("are left where their ids are in use, where they are damaged, and where their time is over", async () => {
    const [same, other, over, whole, broken] = [newId(), newId(), newId(), newId("bob"), newId()];
    for (const id of [same, other]) write(id, imageWith({ n: 1 }));
    await converted("file", "sqlite");
    // What a conversion leaves that was killed between its two steps.
    write(same, imageWith({ n: 1 }));
    write(other, imageWith({ n: 2 }));
    write(over, imageWith({ n: 1 }, Date.now() - 200_000, 100));
    expect(await converted("file", "sqlite")).toMatchObject({ seen: 3, moved: 1, taken: 1, over: 1 });
    expect(filesThere()).toEqual([databaseName(same), databaseName(other), other, over].sort());
    put(whole, "minimal");
    change(databaseOf(whole), `INSERT INTO "values" VALUES ('bad', X'7f01')`);
    writeFileSync(databaseOf(broken), "no database");
    const before = [whole, broken].map((id) => readFileSync(databaseOf(id)));
    expect(await convert("sqlite", "file", "--json")).toBe(1);
    expect(JSON.parse(said)).toMatchObject({ seen: 4, moved: 1, taken: 1, unreadable: 2 });
    expect(told).toContain(`The value of "bad" in session ${whole} is damaged`);
    expect(told).toContain(
      `${mappedId(broken)} is left: The database ${databaseOf(broken)} of session ${mappedId(broken)} is damaged`,
    );
    const keys = (id: string) => contentsOf(databaseOf(id)).values.map(({ key }) => key);
    expect(keys(whole)).toEqual(["5F", "61", "626164"]);
    expect(readFileSync(databaseOf(broken)).equals(before[1] ?? Buffer.of())).toBe(true);
  });

  test("that have ended stay ended, both ways, under the ids they were made with", async () => {
    const [early, late] = [newId(), newId("bob")];
    const before = await serve("sqlite");
    for (const id of [early, late]) await before.commit(id, { n: 1 }, { options: { create: true } });
    await before.call("abandon", early);
    await stopAll();
    expect(await converted("sqlite", "file")).toMatchObject({ moved: 1, tombstones: 1 });
    const there = await serve("file");
    expect(await codeOf(there.commit(early, { n: 2 }, { options: { create: true } }))).toBe("ERR_ID_TAKEN");
    await there.call("abandon", late);
    await stopAll();
    expect(await converted("file", "sqlite")).toMatchObject({ seen: 0, tombstones: 1 });
    const back = await serve("sqlite");
    for (const id of [early, late])
      expect(await codeOf(back.commit(id, { n: 3 }, { options: { create: true } }))).toBe("ERR_ID_TAKEN");
  });

  test("stay while a daemon of either type serves, which is said with how to stop it", async () => {
    const id = newId();
    write(id, imageWith({ n: 1 }));
    await serve("sqlite");
    expect(await convert("file", "sqlite")).toBe(1);
    expect(told).toContain(`gambas-sessiond stop --root ${root} --type sqlite`);
    expect(await convert("sqlite", "file")).toBe(1);
    await stopAll();
    await serve("file");
    expect(await convert("sqlite", "file")).toBe(1);
    expect(told).toContain(`gambas-sessiond stop --root ${root} --type file`);
    expect(filesThere()).toEqual([id]);
  });

  test("are only counted where it is asked what would be done", async () => {
    const [id, other] = [newId(), newId()];
    put(id, "minimal");
    write(other, imageWith({ n: 1 }));
    const before = readFileSync(databaseOf(id));
    expect(await converted("sqlite", "file", "--dry-run")).toMatchObject({ seen: 1, moved: 1, does: "look" });
    expect(await converted("file", "sqlite", "--dry-run")).toMatchObject({ seen: 1, moved: 1, does: "look" });
    expect(filesThere()).toEqual([databaseName(id), other].sort());
    expect(readFileSync(databaseOf(id)).equals(before)).toBe(true);
  });

  test("are all there, each once, however the conversion was killed before", async () => {
    const ids = Array.from({ length: 60 }, () => newId());
    const image = imageWith({ text: "x".repeat(500), list: [1, "two", { three: 3 }] });
    for (const id of ids) write(id, image);
    for (const [from, to] of [
      ["file", "sqlite"],
      ["sqlite", "file"],
    ] as const) {
      const isMoved = (name: string): boolean => name.endsWith(".db") === (to === "sqlite");
      const child = start("convert", "--from", from, "--to", to);
      const exited = once(child, "exit");
      await until(() => sessionsThere().filter((name) => isMoved(name)).length >= 10 || child.exitCode !== null);
      child.kill("SIGKILL");
      await exited;
      expect(await convert(from, to)).toBe(0);
      expect(sessionsThere()).toEqual(ids.map((id) => (to === "sqlite" ? databaseName(id) : id)).sort());
    }
    for (const id of ids) expect(isSameButStamp(imageAt(pathOf(id)), image)).toBe(true);
  });

  test("are made anew where a kill has left half of a database", async () => {
    const [empty, bare] = [newId(), newId("bob")];
    for (const id of [empty, bare]) write(id, imageWith({ n: 1 }));
    writeFileSync(databaseOf(empty), "");
    change(databaseOf(bare), "PRAGMA journal_mode = WAL");
    expect(await converted("file", "sqlite", "--dry-run")).toMatchObject({ moved: 2 });
    expect(await converted("file", "sqlite")).toMatchObject({ moved: 2 });
    const worker = await serve("sqlite");
    for (const id of [empty, bare]) expect(await worker.values(id)).toEqual({ n: 1 });
  });

  test.each([
    [2, "go as they are then"],
    [Number.POSITIVE_INFINITY, "stay, where that goes on"],
  ])("that another program saves %d times between the two steps %s", async (saves) => {
    const id = newId();
    put(id, "minimal");
    let saved = 0;
    const open = await HOLDINGS.file();
    vi.spyOn(HOLDINGS, "file").mockResolvedValue(async (config, log) => {
      const holdings = await open(config, log);
      const keep = holdings.keep.bind(holdings);
      holdings.keep = async (...given) => {
        const found = await keep(...given);
        if (saved < saves) change(databaseOf(id), saveOf(++saved));
        return found;
      };
      return holdings;
    });
    const isCalm = saves < 5;
    expect(await converted("sqlite", "file")).toMatchObject({ seen: 1, moved: isCalm ? 1 : 0, failed: isCalm ? 0 : 1 });
    expect(filesThere()).toEqual([isCalm ? id : databaseName(id)]);
    if (!isCalm) expect(told).toContain(`${mappedId(id)} is left: Another program changes session`);
    const worker = await serve(isCalm ? "file" : "sqlite");
    expect(await worker.values(id)).toMatchObject({ a: 1, late: saved });
  });

  function saveOf(n: number): string {
    return `INSERT OR REPLACE INTO "values" VALUES ('late', X'04${n.toString(16).padStart(2, "0")}000000')`;
  }

  function start(...args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [main, ...args, "--root", root], { stdio: "ignore" });
  }
});

describeSqlite("sessions in databases and in Redis", () => {
  describeWithRedis("that are converted", () => {
    let redis: RedisProcess;
    beforeAll(async () => {
      redis = await RedisProcess.start();
    });
    afterAll(() => redis.remove());

    test("are what they were on the way there and back, and damaged ones and those without a known id stay", async () => {
      const described = Object.keys(fixtures).filter((name) => name !== "never_saved");
      const ids = new Map(described.map((name) => [name, newId()] as const));
      for (const [name, id] of ids) put(id, name);
      const unnamed = newId("user-42");
      put(unnamed, "minimal");
      const rows = new Map([...ids].map(([name, id]) => [name, contentsOf(databaseOf(id)).values]));
      const flags = ["--redis", redis.socketUrl];
      expect(await converted("sqlite", "redis", ...flags)).toMatchObject({
        moved: ids.size,
        asAddress: ids.size,
        unnamed: 1,
      });
      expect(filesThere()).toEqual([databaseName(unnamed)]);
      expect(redis.cli("KEYS", "gs:*").split("\n").sort()).toEqual([...ids.values()].map((id) => `gs:${id}`).sort());
      expect(await converted("redis", "sqlite", ...flags)).toMatchObject({ seen: ids.size, moved: ids.size });
      expect(redis.cli("KEYS", "gs:*")).toBe("");
      for (const [name, id] of ids) {
        const plain = (of: ReturnType<typeof contentsOf>["values"] = []) => of.map(({ rowid: _, ...row }) => row);
        expect(plain(contentsOf(databaseOf(id)).values), name).toEqual(plain(rows.get(name)));
      }
    });
  });
});
