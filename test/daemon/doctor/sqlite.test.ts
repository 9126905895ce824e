// The doctor at roots of type "sqlite": what databases need, what is wrong with those that are there, and sessions of the other type.

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { examine, type Finding } from "../../../daemon/doctor/doctor.ts";
import { lookAtSessions } from "../../../daemon/doctor/looks/sessions.ts";
import { startDaemon } from "../../../daemon/start.ts";
import { databaseName } from "../../../protocol/session-id.ts";
import { newId } from "../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { imprint } from "./imprint.ts";

const CART = readFileSync(join(repository, "test/fixtures/realistic_cart.db"));
const FILE = readFileSync(join(repository, "test/fixtures/realistic_cart.session"));
const hasBuiltin = process.getBuiltinModule?.("node:sqlite") !== undefined;
let place: string;
let root: string;

beforeEach(() => {
  place = freshRoot();
  root = join(place, "root");
  mkdirSync(join(root, "session"), { recursive: true, mode: 0o700 });
});

afterEach(async () => {
  await removeRoot(root);
  await removeRoot(place);
});

function put(bytes: Buffer | string = CART, name = databaseName(newId())): string {
  const path = join(root, "session", name);
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}

type Findings = ReadonlyMap<string, Finding>;

function byName(findings: readonly Finding[]): Findings {
  return new Map(findings.map((finding) => [`${finding.check}/${finding.name}`, finding]));
}

async function found(type: "file" | "sqlite"): Promise<Findings> {
  return byName((await examine({ root, type })).findings);
}

function wrongs(findings: Findings): readonly string[] {
  return [...findings].filter(([, { state }]) => state === "warning" || state === "problem").map(([name]) => name);
}

/** The command in a process that finds other packages. */
function doctor(modules: string): { readonly status: number | null; readonly findings: Findings } {
  const args = [join(repository, "dist/daemon/main.js"), "doctor", "--json", "--root", root, "--type", "sqlite"];
  const { status, stdout } = spawnSync(process.execPath, args, {
    env: { ...process.env, NODE_PATH: modules },
    encoding: "utf8",
  });
  return { status, findings: byName(JSON.parse(stdout).findings) };
}

describeSqlite("a root of databases", () => {
  test("without a daemon has them counted, odd ones named by their heads, and nothing changed by looking", async () => {
    put();
    for (const bytes of ["", "no database".repeat(10), CART.subarray(0, 50), CART.subarray(0, 8_192)]) put(bytes);
    // What is missing may be in the log.
    const logged = put(CART.subarray(0, 8_192));
    writeFileSync(`${logged}-wal`, "");
    chmodSync(put(), 0o044);
    mkdirSync(join(root, "session", databaseName(newId())));
    for (const name of ["_unique_lock.db", "notes.txt", "notes.db"]) put("", name);
    const before = imprint(root);
    const findings = await found("sqlite");
    expect(imprint(root)).toEqual(before);
    expect(wrongs(findings)).toEqual(["sessions/damaged", "sessions/barred", "sessions/no-files"]);
    expect(findings.get("sessions/damaged")?.seen).toMatch(/^4 sessions cannot be read: /);
    expect(findings.get("sessions/strays")?.seen).toMatch(/: notes\.(?:txt, notes\.db|db, notes\.txt)\.$/);
    expect(findings.get("other type/fine")?.seen).toBe("no sessions of type file are in this root");
    const { facts } = lookAtSessions(root, { type: "sqlite", uid: process.getuid?.() ?? 0, nowMs: Date.now() });
    expect([facts.count, facts.read]).toEqual([8, 8]);
    expect(new Set(facts.damaged.map(({ why }) => why))).toEqual(
      new Set(["it is empty", "it is no database", "it ends early", `it ends early: 8192 of ${CART.length} bytes`]),
    );
  });

  test("is told by which SQLite it is used, and that the guard and the file system are well", async () => {
    put();
    const alone = await found("sqlite");
    expect(wrongs(alone)).toEqual([]);
    const library = hasBuiltin
      ? `node:sqlite \\(Node ${process.versions.node}, SQLite 3\\.\\d+\\.\\d+\\)`
      : "better-sqlite3 \\(version 12\\.\\d+\\.\\d+, SQLite 3\\.\\d+\\.\\d+\\)";
    expect(alone.get("sqlite/fine")?.seen).toMatch(new RegExp(`^${library}; the guard keeps`));
    expect(alone.get("file system/fine")?.seen).toContain("has all that is used (tried now in a temporary folder)");
    expect(alone.get("sessions/fine")?.seen).toBe("1 session, all of them databases, as far as their heads tell");
    const daemon = await startDaemon({ root, type: "sqlite", logLevel: "silent" });
    const findings = await found("sqlite");
    await daemon.stop();
    expect(wrongs(findings)).toEqual([]);
    expect(findings.get("sqlite/fine")?.seen).toMatch(/; the daemon's guard keeps saves of Gambas programs whole$/);
    expect([...findings.keys()].filter((name) => /^(?:record locks|watches)\//.test(name))).toEqual([]);
  });

  test("is tried in a folder of its own that is gone again, where that for temporary files is elsewhere", async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = join(root, "session");
    const findings = await found("sqlite");
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    expect(findings.get("file system/fine")?.seen).toContain("(tried now in a folder of the root that is gone again)");
    expect(readdirSync(join(root, "session"))).toEqual([]);
  });

  test("and one of files have each told what the other type keeps there, how fresh it is, and who serves it", async () => {
    const database = put();
    const file = put(FILE, newId());
    const [inFiles, inDatabases] = [await found("file"), await found("sqlite")];
    expect(inFiles.get("other type/in-use")).toMatchObject({
      seen: expect.stringMatching(/^1 session of type sqlite in session\/ \(.*\.db\), the last one used \d+ s ago: /),
      remedy: { command: "export GAMBAS_SESSION_TYPE=sqlite" },
    });
    expect(inDatabases.get("other type/in-use")).toMatchObject({
      seen: expect.stringMatching(/^1 session of type file in session\/ \(.*\), the last one used \d+ s ago: /),
      remedy: { command: "export GAMBAS_SESSION_TYPE=file" },
    });
    const longAgo = Date.now() / 1000 - 3 * 86_400;
    for (const path of [database, file]) utimesSync(path, longAgo, longAgo);
    for (const type of ["file", "sqlite"] as const)
      expect((await found(type)).get("other type/left")?.seen).toContain("the last one used 3 d ago");
    // A commit that is in the log alone is a use as well.
    writeFileSync(`${database}-wal`, "");
    expect((await found("file")).has("other type/in-use")).toBe(true);
    const daemon = await startDaemon({ root, type: "sqlite", logLevel: "silent", sweepMs: 0 });
    const served = await found("file");
    await daemon.stop();
    expect(served.has("other type/in-use")).toBe(false);
    expect(served.get("other type/served")?.remedy?.command).toBe(
      `gambas-sessiond doctor --root ${root} --type sqlite`,
    );
  });
});

test("without their packages a root of databases is told the commands that install them", () => {
  const { status, findings } = doctor("");
  expect(findings.get("sqlite/no-guard")).toMatchObject({
    state: "warning",
    seen: expect.stringContaining("(it needs the package koffi): nothing is written while one of this user runs"),
    remedy: { command: "npm install koffi" },
  });
  expect(findings.get("sqlite/no-library")?.remedy?.command).toBe(
    hasBuiltin ? undefined : "npm install better-sqlite3@12",
  );
  expect(status).toBe(hasBuiltin ? 0 : 1);
});

// A Node that has SQLite never looks for it.
if (!hasBuiltin) {
  test("a library that is there and cannot be loaded is to be built again", () => {
    const folder = join(place, "node_modules/better-sqlite3");
    mkdirSync(folder, { recursive: true });
    const code =
      'module.exports = class { constructor() { throw new Error("Could not locate the bindings file. Tried:\\n x"); } };';
    writeFileSync(join(folder, "index.js"), code);
    const { status, findings } = doctor(join(place, "node_modules"));
    expect(status).toBe(1);
    expect(findings.get("sqlite/no-library")).toMatchObject({
      seen: expect.stringContaining("is there and cannot be loaded (Could not locate the bindings file. Tried:)"),
      remedy: { advice: "No daemon starts until then.", command: "npm rebuild better-sqlite3" },
    });
  });
}
