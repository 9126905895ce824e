// Databases of sessions that are shown: what is in them, also while another program is at work on one, and that nobody notices who looks.

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { show } from "../../../../daemon/cli/sessions/show.ts";
import { startDaemon } from "../../../../daemon/start.ts";
import { databaseName, mappedId } from "../../../../protocol/session-id.ts";
import { codeOf, newId } from "../../../support/daemon/lab.ts";
import { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import type { TypedJson } from "../../../support/values/typed-json.ts";
import { change, contentsOf, fixtures, folder } from "../../store/gambas-sqlite/databases.ts";

interface Shown {
  readonly name: string;
  readonly bytes: number;
  readonly dialect?: string;
  readonly lastUsed: string;
  readonly timeoutSeconds: number;
  readonly keys: readonly {
    readonly key: string;
    readonly type: string;
    readonly value?: unknown;
    readonly problem?: string;
  }[];
}

let root: string;
let id: string;
let path: string;

beforeEach(() => {
  root = freshRoot();
  mkdirSync(join(root, "session"), { mode: 0o700 });
  id = newId();
  path = join(root, "session", databaseName(id));
});
afterEach(() => removeRoot(root));

async function said(name: string, form: "text" | "json", type?: "sqlite"): Promise<string> {
  let text = "";
  const say = async (some: string): Promise<boolean> => {
    text += some;
    return true;
  };
  const options = type === undefined ? { root } : { root, type };
  await show({ options, operands: [name], form, say }, "values");
  return text;
}

async function shown(name: string, type?: "sqlite"): Promise<Shown> {
  return JSON.parse(await said(name, "json", type)) as Shown;
}

/** The same by a process of its own, as an operator has it: this one may have the database open. */
async function printed(name: string): Promise<string> {
  const main = join(repository, "dist/daemon/main.js");
  const { stdout } = await promisify(execFile)(process.execPath, [main, "show", name, "--json"]);
  return stdout;
}

function put(name: string): void {
  for (const ending of ["", "-wal", "-shm"]) {
    const from = join(folder, `${name}.db${ending}`);
    if (existsSync(from)) copyFileSync(from, path + ending);
  }
}

/** Everything that whoever looks at the folder of the sessions can see. */
function traces(): unknown {
  const directory = join(root, "session");
  const files = readdirSync(directory).map((name) => {
    const { ino, size, mtimeMs, ctimeMs } = statSync(join(directory, name));
    return { name, ino, size, mtimeMs, ctimeMs, bytes: readFileSync(join(directory, name), "hex") };
  });
  return { changedMs: statSync(directory).mtimeMs, files };
}

/** A program in which this code has `database`, until it is killed or its input ends. */
async function program(code: string): Promise<ChildProcess> {
  const library = JSON.stringify(join(repository, "dist/daemon/store/gambas-sqlite/library.js"));
  const source = `
    import { copyFileSync, renameSync } from "node:fs";
    import { findLibrary } from ${library};
    const path = ${JSON.stringify(path)};
    const database = findLibrary().open(path);
    process.on("disconnect", () => process.exit());
    ${code}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "message");
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

function typeOf(json: TypedJson): string {
  return json.type === "Array" ? json.class : json.type;
}

describeSqlite("a database of a session that is shown", () => {
  test.each(Object.entries(fixtures))(
    "has its keys with their types, its stamp and life time: %s",
    async (name, described) => {
      put(name);
      const before = traces();
      const { keys, lastUsed, timeoutSeconds, dialect, bytes } = await shown(path);
      expect(traces()).toEqual(before);
      const json = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Record<string, TypedJson>;
      const values = Array.isArray(json)
        ? json.map(([, value]) => value)
        : described.keys.map((key) => json[String(key)]);
      expect(keys.map(({ type }) => type)).toEqual(values.map(typeOf));
      if (!Array.isArray(json)) expect(keys.map(({ key }) => key)).toEqual(described.keys);
      expect(keys.filter(({ problem }) => problem !== undefined)).toEqual([]);
      expect([timeoutSeconds, dialect]).toEqual([described.timeoutDays * 86_400, undefined]);
      const days = new Date(lastUsed).getTime() / 86_400_000 + 2_472_692;
      expect(Math.abs(days - described.startup)).toBeLessThan(1e-7);
      expect(bytes).toBeGreaterThanOrEqual(statSync(path).size);
    },
  );

  test("is found by its id, without a daemon and by one, and in text", async () => {
    put("collection");
    const alone = await shown(id, "sqlite");
    expect(alone).toMatchObject({
      name: id,
      keys: expect.arrayContaining([expect.objectContaining({ key: "_", value: "/app" })]),
    });
    expect(await shown(mappedId(id), "sqlite")).toEqual({ ...alone, name: mappedId(id) });
    const daemon = await startDaemon({ root, type: "sqlite", logLevel: "silent", sweepMs: 0 });
    try {
      const asked = await shown(id, "sqlite");
      expect({ ...asked, bytes: 0 }).toEqual({ ...alone, bytes: 0 });
      // Nobody of it is in the way of the other.
      const worker = await RawWorker.connect(daemon.socket);
      await worker.commit(id, { late: 1 });
      const keys = (JSON.parse(await printed(path)) as Shown).keys;
      expect(keys.at(-1)).toEqual({ key: "late", type: "Integer", value: 1 });
      await worker.commit(id, { late: 2 });
      await worker.close();
    } finally {
      await daemon.stop();
    }
    const text = await said(path, "text");
    expect(text.split("\n", 1)).toEqual([path]);
    expect(text).toMatch(/^ {2}bytes {6}\d+ kB$/m);
    expect(text).toMatch(/^ {2}life time {2}24 h$/m);
    expect(text).toMatch(/^ {2}late +Integer +2$/m);
    const link = join(root, "link.db");
    symlinkSync(path, link);
    expect((await shown(link)).keys.at(-1)).toMatchObject({ value: 2 });
  });

  test("is what was committed last, while another program has it open, locked, and in the middle of a save", async () => {
    put("minimal_wal");
    const open = await program(`
      database.exec('PRAGMA wal_autocheckpoint = 0; SELECT * FROM "config"');
      database.exec("INSERT INTO \\"values\\" VALUES ('b', X'0402000000')");
      database.exec("BEGIN IMMEDIATE; DELETE FROM \\"values\\"");
      process.send("inside");`);
    const before = traces();
    expect((await shown(path)).keys).toMatchObject([{ key: "_" }, { key: "a", value: 1 }, { key: "b", value: 2 }]);
    expect(traces()).toEqual(before);
    await kill(open);
    // Nobody has brought the log into it since.
    const left = traces();
    expect((await shown(path)).keys.map(({ key }) => key)).toEqual(["_", "a", "b"]);
    expect(traces()).toEqual(left);
  });

  test("is what it was before a save without a log that was killed before its end, and that stays to be taken back", async () => {
    put("minimal");
    // The journal as it is before the commit, and the database as it is after that.
    const killed = await program(`
      database.exec("PRAGMA synchronous = OFF; BEGIN EXCLUSIVE; UPDATE \\"values\\" SET \\"sValue\\" = X'0409000000' WHERE \\"sKey\\" = 'a'");
      copyFileSync(path + "-journal", path + "-kept");
      database.exec("COMMIT");
      renameSync(path + "-kept", path + "-journal");
      process.send("done");`);
    await kill(killed);
    const before = traces();
    expect((await shown(path)).keys).toMatchObject([{ key: "_" }, { key: "a", value: 1 }]);
    expect(traces()).toEqual(before);
    expect(contentsOf(path).values.map(({ value }) => value)).toEqual(["09042F617070", "0401000000"]);
  });

  test("is never older than what was brought into it from its log while it was read", async () => {
    const newer = join(root, "newer.db");
    put("minimal");
    copyFileSync(path, newer);
    change(newer, `UPDATE "values" SET "sValue" = X'0407000000' WHERE "sKey" = 'a'`);
    // Whoever reads this log waits until the database has changed and the log is gone.
    execFileSync("mkfifo", [`${path}-wal`]);
    const other = spawn("sh", ["-c", `exec 3> "$1-wal"; cat "$2" > "$1"; rm "$1-wal"`, "sh", path, newer]);
    const exited = once(other, "exit");
    expect((await shown(path)).keys).toMatchObject([{ key: "_" }, { key: "a", value: 7 }]);
    expect(await exited).toEqual([0, null]);
  });

  test.each(["wal", "delete"])("is never a mixture of two saves, with the journal %s", async (mode) => {
    put("minimal");
    const writer = await program(`
      database.exec("PRAGMA journal_mode = ${mode}; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 3");
      const save = database.prepare("INSERT INTO \\"values\\" VALUES (?, ?) ON CONFLICT DO UPDATE SET \\"sValue\\" = excluded.\\"sValue\\"");
      const write = (n) => {
        const value = Buffer.alloc(5);
        value[0] = 4;
        value.writeInt32LE(n, 1);
        database.exec("BEGIN IMMEDIATE");
        for (const key of ["first", "second"]) save.run(key, value);
        database.exec("COMMIT");
        if (n === 1) process.send("begun");
        setTimeout(write, n % 4 === 0 ? 1 : 0, n + 1);
      };
      write(1);`);
    const seen = new Set<unknown>();
    for (let n = 0; n < 20 || seen.size < 2; n++) {
      const values = new Map((await shown(path)).keys.map(({ key, value }) => [key, value]));
      expect(values.get("second")).toBe(values.get("first"));
      seen.add(values.get("first"));
    }
    await kill(writer);
  });

  test("that is damaged is told with what is wrong, and left as it is", async () => {
    const damages: readonly (readonly [how: () => void, why: RegExp])[] = [
      [() => writeFileSync(path, ""), /is empty/],
      [() => writeFileSync(path, "no database at all"), /is damaged \(.*not a database/],
      [() => truncateSync(path, 9_000), /is damaged/],
      [() => change(path, 'DROP TABLE "config"'), /is no database of a session \(no such table: config\)/],
      [() => change(path, 'DELETE FROM "config"'), /has no row in "config"/],
    ];
    for (const [how, why] of damages) {
      put("minimal");
      how();
      const before = traces();
      expect(await codeOf(shown(path))).toBe("ERR_UNREADABLE");
      await expect(shown(path)).rejects.toThrow(why);
      await expect(shown(path)).rejects.toThrow(new RegExp(`^The database ${path} (?!of session)`));
      expect(traces()).toEqual(before);
    }
    put("minimal");
    // Beside values that refer to each other and such that do not.
    for (const more of ["", `, ('x', X'43020161430001624002000000')`]) {
      put("minimal");
      change(path, `INSERT INTO "values" VALUES ('bad', X'7f01')${more}`);
      const { keys } = await shown(path);
      expect(keys.slice(1, 3)).toEqual([
        { key: "a", type: "Integer", value: 1 },
        { key: "bad", type: "Damaged", problem: expect.stringContaining("is damaged") },
      ]);
      expect(keys.slice(3).map(({ value }) => value)).toEqual(more === "" ? [] : [{ a: {}, b: { "@": "x.a" } }]);
    }
    await expect(shown(newId(), "sqlite")).rejects.toThrow("No daemon answers");
    await expect(shown(id)).rejects.toThrow(
      `There is no session ${id} of type file in ${root}, but one of type sqlite`,
    );
  });
});
