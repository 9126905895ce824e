// The commands about a daemon that runs and its sessions, as an operator types them: real processes, what they print, and how they end.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { show } from "../../../../daemon/cli/sessions/show.ts";
import { applyDelta, encodeDelta, fileOfImage, newImage } from "../../../../protocol/image/image.ts";
import { encodeValue } from "../../../../protocol/value/value.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { daemonPid, freshRoot, isAlive, removeRoot, startDaemonProcess } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";

const main = join(repository, "dist/daemon/main.js");
const shown = newId("192.0.2.1");
const many = Array.from({ length: 1_200 }, () => newId("192.0.2.2"));
const [old, late] = [newId("192.0.2.3"), newId("192.0.2.3")];
const [ended, kept] = [newId("192.0.2.4"), newId("192.0.2.4")];
let root: string;

beforeAll(async () => {
  root = freshRoot();
  mkdirSync(join(root, "session"), { mode: 0o700 });
  const both = [1, "two"];
  write(shown, {
    n: 5,
    text: "A\u001b[31m\u009b",
    bytes: Buffer.from("0123456789"),
    both,
    again: both,
    long: "x".repeat(1_000),
  });
  for (const id of [...many, ended, kept]) write(id, { n: 1 });
  for (const id of [old, late]) write(id, { n: 1 }, Date.now() - 1_000_000_000);
  await startDaemonProcess(root, ["--sweep-ms", "0"]);
});

afterAll(() => removeRoot(root));

function fileOf(values: Readonly<Record<string, unknown>>, nowMs: number, dialect: "3.18" | "3.19" = "3.18"): Buffer {
  const entries = new Map(Object.entries(values).map(([key, value]) => [key, encodeValue(value, key).bytes]));
  const image = applyDelta(newImage({ nowMs, timeoutSeconds: 86_400 }), { delta: encodeDelta(entries), nowMs });
  if (dialect === "3.19") image[16] = (image[16] ?? 0) + 1;
  return fileOfImage(image);
}

function write(id: string, values: Readonly<Record<string, unknown>>, nowMs = Date.now()): void {
  writeFileSync(join(root, "session", id), fileOf(values, nowMs), { mode: 0o600 });
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function sessiond(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, GAMBAS_SESSION_ROOT: root };
    const child = execFile(process.execPath, [main, ...args], { env }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

/** The same command in this process: a process for each would take long. */
async function shownHere(name: string, form: "text" | "json", what: "values" | "types" = "values"): Promise<string> {
  let said = "";
  const say = async (text: string): Promise<boolean> => {
    said += text;
    return true;
  };
  await show({ options: { root }, operands: [name], form, say }, what);
  return said;
}

describe("the list", () => {
  test("has every session that lives, over many pages, or those of a prefix", async () => {
    const [all, some] = await Promise.all([sessiond("list", "--json"), sessiond("list", "192.0.2.4")]);
    expect([all.code, all.stderr, some.code, some.stderr]).toEqual([0, "", 0, ""]);
    const sessions = JSON.parse(all.stdout) as { id: string }[];
    expect(sessions.map(({ id }) => id)).toEqual([shown, ...many, ended, kept].sort());
    expect(sessions[0]).toEqual({
      id: shown,
      bytes: expect.any(Number),
      lastUsed: expect.stringMatching(/^\d{4}-.*Z$/),
      expires: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    const [head, ...lines] = some.stdout.trimEnd().split("\n");
    expect(head).toMatch(/BYTES +LAST USE +EXPIRES +ID$/);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(new RegExp(`^ +\\d+ bytes +\\d+ s ago +in 24 h  ${ended}$`));
  });

  test("ends quietly when its reader has gone", async () => {
    const child = spawn(process.execPath, [main, "list", "--root", root], { stdio: ["ignore", "pipe", "pipe"] });
    let complaints = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaints += text;
    });
    child.stdout.destroy();
    expect(await once(child, "close")).toEqual([0, null]);
    expect(complaints).toBe("");
  });
});

describe("a session that is shown", () => {
  test("has its keys with their exact types and values, cut where they are long, and nothing that a terminal obeys", async () => {
    const { code, stdout } = await sessiond("show", shown);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}n +Integer +5$/m);
    expect(stdout).toMatch(/^ {2}text +String +"A\\u001b\[31m\\u009b"$/m);
    expect(stdout).toMatch(/^ {2}bytes +Byte\[\] +10 bytes: 30 31 32 33 34 35 36 37 38 39$/m);
    expect(stdout).toMatch(/^ {2}both +Variant\[\] +\[1,"two"\]$/m);
    expect(stdout).toMatch(/^ {2}long +String +"x{199}\.\.\. \(1002 characters\)$/m);
    expect(stdout).toMatch(/^ {2}last use +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(.* ago\)$/m);
    expect(stdout).toMatch(/^ {2}expires +.* UTC \(in 24 h\)$/m);
  });

  test("is told raw, or without its values", async () => {
    const bare = await shownHere(shown, "text", "types");
    const { keys, ...rest } = JSON.parse(await shownHere(shown, "json")) as { keys: readonly unknown[] };
    expect(rest).toMatchObject({ name: shown, dialect: "3.18", bytes: expect.any(Number) });
    expect(keys.slice(0, 3)).toEqual([
      { key: "n", type: "Integer", value: 5 },
      { key: "text", type: "String", value: "A\u001b[31m\u009b" },
      { key: "bytes", type: "Byte[]", value: { bytes: 10, hex: "30313233343536373839" } },
    ]);
    expect(bare).toMatch(/^ {2}text +String$/m);
    expect(bare).not.toContain("two");
  });

  test("comes from a file as well, of both dialects, and without a daemon", async () => {
    const elsewhere = freshRoot();
    for (const dialect of ["3.18", "3.19"] as const)
      writeFileSync(join(elsewhere, dialect), fileOf({ list: [1, "a"], map: { a: 1 } }, Date.now(), dialect));
    const circular = join(repository, "test/fixtures/refs_circular_array.session");
    const keys = [
      { key: "list", type: "Variant[]", value: [1, "a"] },
      { key: "map", type: "Collection", value: { a: 1 } },
    ];
    for (const dialect of ["3.18", "3.19"])
      expect(JSON.parse(await shownHere(join(elsewhere, dialect), "json"))).toMatchObject({ dialect, keys });
    expect(await shownHere(circular, "text")).toContain('{"@":');
    await removeRoot(elsewhere);
  });

  test("that is damaged is told with the place, one that is not there as not there", async () => {
    const damaged = join(root, "damaged");
    writeFileSync(damaged, fileOf({ text: "0123456789" }, Date.now()).subarray(0, 30));
    const broken = await sessiond("show", damaged);
    expect([broken.code, broken.stdout]).toEqual([1, ""]);
    expect(broken.stderr).toMatch(/ERR_UNREADABLE: .*damaged: .*byte \d+/);
    await expect(shownHere(old, "text")).rejects.toThrow(`There is no session ${old}`);
    const none = '"no-such-file" is no session id, and there is no such file.';
    await expect(shownHere("no-such-file", "json")).rejects.toThrow(none);
  });
});

test("sessions end by id and by prefix, and it is said what became of each, or would", async () => {
  const dry = await sessiond("end", "--prefix", "192.0.2.4", "--dry-run");
  expect(dry).toMatchObject({ code: 0, stdout: `would end  ${ended}\nwould end  ${kept}\n2 sessions would end.\n` });
  expect(existsSync(join(root, "session", ended))).toBe(true);
  const two = await sessiond("end", ended, old);
  expect(two).toMatchObject({
    code: 1,
    stdout: `ended      ${ended}\nnot there  ${old}\n1 session ended, 1 was not there.\n`,
  });
  expect(existsSync(join(root, "session", ended))).toBe(false);
  const rest = await sessiond("end", "--prefix", "192.0.2.4", "--json");
  expect(rest.code).toBe(0);
  expect(JSON.parse(rest.stdout)).toEqual([{ id: kept, fate: "ended" }]);
  expect(existsSync(join(root, "session", kept))).toBe(false);
});

test("sessions whose time is over are swept, damaged ones are left, and it is said how many, or would be", async () => {
  const damaged = join(root, "session", newId("192.0.2.5"));
  writeFileSync(damaged, "short");
  const dry = await sessiond("sweep", "--dry-run", "--json");
  const count = { seen: many.length + 3, ended: 1, unreadable: 1, failed: 0, kept: many.length + 1, does: "look" };
  expect([dry.code, JSON.parse(dry.stdout)]).toEqual([0, count]);
  expect(existsSync(join(root, "session", late))).toBe(true);
  const swept = await sessiond("sweep");
  const said = "1,203 sessions looked at: 1 ended, 1,201 kept, 1 cannot be read and is left.\n";
  expect(swept).toMatchObject({ code: 0, stdout: said });
  expect(existsSync(join(root, "session", late))).toBe(false);
  expect(readFileSync(damaged, "utf8")).toBe("short");
  rmSync(damaged);
});

test("the status has figures for people, the daemon leaves when it is asked to, and then a file still shows", async () => {
  const pid = daemonPid(root);
  const status = await sessiond("status");
  expect(status.stdout).toMatch(/^memoryBytes +\d+ MB$/m);
  expect(status.stdout).toMatch(/^openMicros +count \d+, p50 [\d.]+ (?:µs|ms|s),/m);
  const stopped = await sessiond("stop", "--json");
  expect(stopped).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(stopped.stdout)).toEqual({ pid, root, socket: join(root, "sessiond.sock") });
  expect(isAlive(pid ?? 0)).toBe(false);
  const [again, left] = await Promise.all([sessiond("stop"), sessiond("show", shown, "--no-values")]);
  expect(again.code).toBe(3);
  expect(left).toMatchObject({ code: 0, stdout: expect.stringContaining(shown) });
});
