// Sessions that are moved from one type to another, with a real Redis, and what real daemons find there afterwards.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { resolveConfig } from "../../../daemon/config.ts";
import { HOLDINGS } from "../../../daemon/engines.ts";
import { departingValue, NO_MARKS, reservedValue, sessionValue } from "../../../daemon/redis/value/value.ts";
import { Log } from "../../../daemon/report/report.ts";
import { startDaemon } from "../../../daemon/start.ts";
import { imageOfFile, isExpired } from "../../../protocol/image/image.ts";
import {
  convert,
  converted,
  everyFile,
  filesThere,
  imageWith,
  openRoots,
  pathOf,
  root,
  run,
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

openRoots();

function isReadable(file: Buffer): boolean {
  try {
    imageOfFile(Buffer.from(file));
    return true;
  } catch {
    return false;
  }
}

describeWithRedis("sessions that are converted", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());
  beforeEach(() => {
    redis.cli("FLUSHALL");
    vi.stubEnv("GAMBAS_SESSION_REDIS", redis.socketUrl);
  });

  test("are the same byte for byte after the way there and back, every one that Gambas has written; damaged ones stay", async () => {
    const files = everyFile();
    for (const [id, file] of files) write(id, file);
    const whole = [...files].filter(([, file]) => isReadable(file));
    // Some have a life time of nothing, or of no number.
    const good = whole.filter(([, file]) => !isExpired(file, Date.now()));
    const [damaged, over] = [files.size - whole.length, whole.length - good.length];
    expect([good.length > 50, damaged > 0, over > 0]).toEqual([true, true, true]);

    expect(await convert("file", "redis")).toBe(1);
    expect(said).toContain(`${files.size} sessions of type file looked at, ${good.length} moved to type redis.`);
    expect(said).toContain(`${damaged} left: they cannot be read.`);
    expect(filesThere()).toHaveLength(damaged + over);
    expect(redis.cli("KEYS", "gs:*").split("\n").sort()).toEqual(good.map(([id]) => `gs:${id}`).sort());
    // What is left of their time is what Redis keeps them for, and a minute.
    const [first] = good[0] as readonly [string, Buffer];
    expect(Number(redis.cli("PTTL", `gs:${first}`))).toBeGreaterThan(0);

    expect(await converted("redis", "file")).toMatchObject({ seen: good.length, moved: good.length });
    expect(redis.cli("KEYS", "gs:*")).toBe("");
    for (const [id, file] of files) expect(readFileSync(pathOf(id)).equals(file), id).toBe(true);
  });

  test("are on the disk before they are removed from the old place, unless it is said that this may wait", async () => {
    const durabilities: string[] = [];
    const open = HOLDINGS.file;
    vi.spyOn(HOLDINGS, "file").mockImplementation(async () => {
      const holdings = await open();
      return (config, log) => {
        durabilities.push(config.durability);
        return holdings(config, log);
      };
    });
    expect(await convert("redis", "file")).toBe(0);
    expect(await convert("redis", "file", "--durability", "file")).toBe(0);
    // A place that is left, and Redis, which is asked in its own words.
    expect(await convert("file", "redis")).toBe(0);
    expect(durabilities).toEqual(["fsync", "file", "file"]);
  });

  test("go on under daemons of the other type with their values and what is left of their time, and are of their prefix", async () => {
    const ids = [newId("192.0.2.1"), newId("192.0.2.1"), newId("192.0.2.2")];
    const usedMs = Date.now() - 40_000;
    for (const [n, id] of ids.entries()) write(id, imageWith({ n, text: "ä" }, usedMs, 100));
    expect(await converted("file", "redis")).toMatchObject({ moved: 3, from: "file", to: "redis", does: "move" });
    const worker = await serve("redis");
    const { sessions } = await worker.call("list", "", null, 10);
    expect(sessions.map(({ id, startupMs, timeoutSeconds }) => [id, startupMs, timeoutSeconds])).toEqual(
      [...ids].sort().map((id) => [id, usedMs, 100]),
    );
    expect(await worker.values(ids[1] as string)).toEqual({ n: 1, text: "ä" });
    const unique = newId("192.0.2.1");
    await worker.commit(unique, { n: 9 }, { options: { create: true, unique: true } });
    expect((await worker.call("list", "", null, 10)).sessions.map(({ id }) => id)).toEqual([unique, ids[2]].sort());
  });

  test("take along what was appended to them in Redis", async () => {
    const id = newId();
    const there = await serve("redis");
    await there.create(id, { large: "x".repeat(8_000), n: 0 });
    for (const n of [1, 2, 3]) await there.commit(id, { n, [`key${n}`]: "y".repeat(20 * n) });
    const values = await there.values(id);
    await stopAll();
    // They are not in the image that Redis has at the beginning.
    expect(
      redis.cli("EVAL", "return redis.call('GET', KEYS[1]):sub(1, 7000):find('key3') and 1 or 0", "1", `gs:${id}`),
    ).toBe("0");
    expect(await converted("redis", "file")).toMatchObject({ moved: 1 });
    expect(await (await serve("file")).values(id)).toEqual(values);
    expect(values).toMatchObject({ n: 3, key3: "y".repeat(60) });
  });

  test("that have ended stay ended, both ways", async () => {
    const [early, late] = [newId(), newId()];
    const before = await serve("file");
    for (const id of [early, late]) await before.commit(id, { n: 1 }, { options: { create: true } });
    await before.call("abandon", early);
    await stopAll();
    expect(await converted("file", "redis")).toMatchObject({ moved: 1, tombstones: 1 });
    const there = await serve("redis");
    expect(await codeOf(there.commit(early, { n: 2 }, { options: { create: true } }))).toBe("ERR_ID_TAKEN");
    await there.call("abandon", late);
    await stopAll();
    expect(await converted("redis", "file")).toMatchObject({ seen: 0, tombstones: 1 });
    const back = await serve("file");
    for (const id of [early, late])
      expect(await codeOf(back.commit(id, { n: 3 }, { options: { create: true } }))).toBe("ERR_ID_TAKEN");
    await stopAll();
    // And of one that has ended here an older copy there ends as well.
    redis.cli("FLUSHALL");
    write(newId(), imageWith({ n: 1 }));
    await converted("file", "redis");
    expect(Number(redis.cli("DBSIZE"))).toBeGreaterThan(2);
  });

  test("end in the new place where they have ended in the old one", async () => {
    const id = newId();
    write(id, imageWith({ n: 1 }));
    await converted("file", "redis");
    const file = await serve("file");
    await file.commit(id, { n: 2 }, { options: { create: true } });
    await file.call("abandon", id);
    await stopAll();
    expect(await converted("file", "redis")).toMatchObject({ seen: 0, tombstones: 1 });
    expect((await (await serve("redis")).call("list", "", null, 10)).sessions).toEqual([]);
  });

  test("are left where their ids are in use, and counted, and where they have ended there", async () => {
    const [same, other, ended, over] = [newId(), newId(), newId(), newId()];
    const image = imageWith({ n: 1 });
    for (const id of [same, other, ended]) write(id, image);
    await converted("file", "redis");
    const there = await serve("redis");
    await there.commit(other, { n: 2 });
    await there.call("abandon", ended);
    await stopAll();
    for (const id of [same, other, ended]) write(id, image);
    write(over, imageWith({ n: 1 }, Date.now() - 200_000, 100));
    // The one that is the same is what a conversion leaves that was killed between its two steps.
    expect(await convert("file", "redis", "--json")).toBe(0);
    expect(JSON.parse(said)).toMatchObject({
      seen: 4,
      moved: 1,
      taken: 1,
      ended: 1,
      over: 1,
      failed: 0,
      unreadable: 0,
    });
    expect(filesThere().sort()).toEqual([other, ended, over].sort());
    expect(await (await serve("redis")).values(other)).toEqual({ n: 2 });
  });

  test("are only counted where it is asked what would be done", async () => {
    const ids = [newId(), newId()];
    for (const id of ids) write(id, imageWith({ n: 1 }));
    expect(await convert("file", "redis", "--dry-run")).toBe(0);
    expect(said).toBe("2 sessions of type file looked at, 2 would move to type redis.\n");
    expect([filesThere().sort(), redis.cli("DBSIZE")]).toEqual([[...ids].sort(), "0"]);
  });

  test("stay where they are while a daemon of their type serves, which is said with how to stop it", async () => {
    write(newId(), imageWith({ n: 1 }));
    await serve("file");
    expect(await convert("file", "redis")).toBe(1);
    expect(told).toContain(`ERR_DAEMON_RUNNING: The daemon (pid ${process.pid}) of type file serves ${root}`);
    expect(told).toContain(`gambas-sessiond stop --root ${root} --type file`);
    expect(redis.cli("DBSIZE")).toBe("0");
    // As the place where they would go it is in the way, too.
    expect(await convert("redis", "file")).toBe(1);
    await stopAll();
    await serve("redis");
    expect(await convert("redis", "file")).toBe(1);
    expect(told).toContain(`gambas-sessiond stop --root ${root} --type redis`);
    // What others do in a Redis at the same time harms nothing.
    expect(await convert("file", "redis")).toBe(0);
  });

  test("no daemon begins meanwhile", async () => {
    write(newId(), imageWith({ n: 1 }));
    const begun: Promise<string>[] = [];
    const read = redis.cli("DBSIZE");
    const moving = convert("file", "redis");
    begun.push(
      codeOf(until(() => existsSync(join(root, "sessiond.pid"))).then(() => startDaemon({ root, logLevel: "silent" }))),
    );
    expect([await moving, await Promise.all(begun), read]).toEqual([0, ["ERR_DAEMON_RUNNING"], "0"]);
  });

  test("are all there, each once, however the conversion was killed before", async () => {
    const ids = Array.from({ length: 200 }, () => newId());
    const image = imageWith({ text: "x".repeat(500) });
    for (const id of ids) write(id, image);
    const flags = ["--from", "file", "--to", "redis", "--root", root, "--redis", redis.socketUrl];
    for (const part of [20, 100]) {
      const child = spawn(process.execPath, [join(repository, "dist/daemon/main.js"), "convert", ...flags], {
        stdio: "ignore",
      });
      const exited = once(child, "exit");
      await until(() => filesThere().length <= ids.length - part);
      child.kill("SIGKILL");
      await exited;
    }
    expect(await convert("file", "redis")).toBe(0);
    expect(filesThere()).toEqual([]);
    expect(await converted("redis", "file")).toMatchObject({ moved: ids.length });
    for (const id of ids) expect(readFileSync(pathOf(id)).equals(image)).toBe(true);
  });

  test("that were on their way to another id when their daemon was killed arrive first", async () => {
    const [old, successor] = [newId(), newId()];
    const image = imageWith({ n: 7 });
    const value = sessionValue(image, { marks: NO_MARKS });
    const put = (id: string, bytes: Buffer): string =>
      redis.cli(
        "EVAL",
        `return redis.call('SET', KEYS[1], ARGV[1]:gsub('..', function(h) return string.char(tonumber(h, 16)) end), 'PX', 60000)`,
        "1",
        `gs:${id}`,
        bytes.toString("hex"),
      );
    expect(put(old, departingValue({ successor, value }, NO_MARKS))).toBe("OK");
    put(successor, reservedValue(old));
    expect(await converted("redis", "file")).toMatchObject({ moved: 1, tombstones: 1 });
    expect(filesThere()).toEqual([successor]);
    expect(readFileSync(pathOf(successor)).equals(image)).toBe(true);
  });

  test("something foreign under their keys is told of, and left", async () => {
    redis.cli("SET", `gs:${newId()}`, "foreign");
    redis.cli("RPUSH", `gs:${newId()}`, "a list");
    expect(await convert("redis", "file", "--json")).toBe(1);
    expect(JSON.parse(said)).toMatchObject({ seen: 2, moved: 0, unreadable: 2 });
    expect(told).toMatch(/is left: What Redis holds for session .* cannot be read/);
    expect(redis.cli("DBSIZE")).toBe("2");
  });
});

test("tombstones that cannot be written are a failure, and not a word in the log", async () => {
  const config = resolveConfig({ root });
  const open = await HOLDINGS.file();
  const holdings = await open(config, new Log("silent"));
  mkdirSync(join(root, "sessiond.journal.new"));
  expect(await holdings.end(newId(), Date.now() + 60_000)).toBe(true);
  await expect(holdings.close()).rejects.toThrow(/ERR_STORE|Tombstones could not be written/);
});

test.each([
  [["--from", "sqlite", "--to", "file", "--prefix", "user 42"], 'The session prefix "user 42" is not allowed'],
  [["--from", "memory", "--to", "file"], 'Unknown session type "memory"'],
  [["--from", "file", "--to", "file"], "Sessions of type file are of that type."],
  [["--from", "file"], "The command convert needs --to TYPE."],
  [
    ["--from", "file", "--to", "redis"],
    "Sessions of type redis need the option redis, --redis or GAMBAS_SESSION_REDIS",
  ],
  [["--from", "file", "--to", "redis", "--redis", "redis://:hidden@127.0.0.1"], "shows its password"],
])("nothing is converted by %j", async (flags, why) => {
  expect(await run("convert", "--root", root, ...flags)).toBe(2);
  expect(told).toContain(why);
});

test("a root that is not there has no sessions, and is not made", async () => {
  const gone = join(root, "gone");
  const flags = ["--from", "file", "--to", "redis", "--redis", "redis://127.0.0.1:1"];
  expect(await run("convert", "--root", gone, ...flags)).toBe(1);
  expect([told.includes(`There is no root directory ${gone}`), existsSync(gone)]).toEqual([true, false]);
});
