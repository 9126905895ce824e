// A program that is started as nobody's child: whose it is, what it is told, what is heard of it, and what is left.

import type * as ChildProcesses from "node:child_process";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startNobodysChild } from "../../../client/link/nobodys-child.ts";
import { freshRoot, isAlive, kill, removeRoot, until } from "../../support/processes.ts";

/** Programs that cannot be started, as if they were not there. */
const missing = new Set<string>();

vi.mock("node:child_process", async (original) => {
  const module = await original<typeof ChildProcesses>();
  const spawn = (command: string, ...rest: [string[], ChildProcesses.SpawnOptions]) =>
    module.spawn(missing.has(command) ? `${command}/missing` : command, ...rest);
  return { ...module, spawn };
});

const PATIENCE_MS = 60_000;

let root: string;

beforeEach(() => {
  root = freshRoot();
});

afterEach(async () => {
  missing.clear();
  await removeRoot(root);
});

/** A script of Node that first writes down who it is. */
function start(script: string, ...args: readonly string[]): ReturnType<typeof startNobodysChild> {
  const path = join(root, "script.cjs");
  const head = `
    const { writeFileSync, writeSync, readFileSync } = require("node:fs");
    const stat = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ").map(Number);
    const [, parent, group, session, terminal] = stat;
    const me = { pid: process.pid, parent, group, session, terminal, args: process.argv.slice(2) };
    writeFileSync(${JSON.stringify(join(root, "new"))}, JSON.stringify(me));
    require("node:fs").renameSync(${JSON.stringify(join(root, "new"))}, ${JSON.stringify(join(root, "me"))});`;
  writeFileSync(path, head + script);
  return startNobodysChild(process.execPath, [path, ...args], process.env, PATIENCE_MS);
}

interface Me {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly terminal: number;
  readonly args: readonly string[];
}

const me = (): Me => JSON.parse(readFileSync(join(root, "me"), "utf8"));
const READY = 'writeSync(3, "\\n"); setInterval(() => undefined, 1000);';
const children = (): string => readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");

/** The parent as it is now: at its first look the middle process may not have ended yet. */
function parentOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1]);
}

const SHELL = "/bin/sh";

describe.each([
  ["through a shell", []],
  ["where there is no shell, through Node", [SHELL]],
])("%s", (_, without) => {
  beforeEach(() => {
    for (const name of without) missing.add(name);
  });

  test("it is in no tree, group, session or terminal of its starter, and nothing else stays", async () => {
    const before = children();
    expect(await start(READY)).toEqual({ outcome: "ready", said: "" });
    const { pid, group, session, terminal } = me();
    const own = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ").map(Number) ?? [];
    await until(() => children() === before);
    expect(parentOf(pid)).not.toBe(process.pid);
    expect(readdirSync(`/proc/${pid}/task`).length).toBeGreaterThan(0);
    expect([group === own[2], session === own[3], terminal]).toEqual([false, false, 0]);
    // Nobody else is in its session: the middle process has ended.
    const others = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== String(pid));
    expect(others.filter((name) => sessionOf(name) === session)).toEqual([]);
    kill(pid);
    await until(() => !isAlive(pid));
  });

  test("it gets its arguments as they are", async () => {
    const args = ["", " ", "a b", "$HOME", "`id`", '"', "'", "\\", "*", "--root", "-e", "&", "a\nb", "ñ"];
    await start(READY, ...args);
    expect(me().args).toEqual(args);
    kill(me().pid);
  });

  test("it is heard why it ended before it was ready", async () => {
    const problem = await start('console.error("no place"); process.exitCode = 3;');
    expect(problem).toEqual({ outcome: "ended", said: "no place" });
  });

  test("it is told from one that was killed, which says nothing", async () => {
    const outcome = start("setInterval(() => undefined, 1000);");
    kill((await until(() => (readdirSync(root).includes("me") ? me() : undefined))).pid);
    expect(await outcome).toEqual({ outcome: "ended", said: "" });
  });

  test("a program that cannot be started is named", async () => {
    const path = join(root, "no-program");
    writeFileSync(path, "");
    chmodSync(path, 0o600);
    const start = await startNobodysChild(path, [], process.env, PATIENCE_MS);
    expect(start.outcome).toBe(without.length === 0 ? "ended" : "failed");
    expect(start.said).toContain("no-program");
  });

  test("it is not waited for longer than was said", async () => {
    const path = join(root, "slow.cjs");
    writeFileSync(
      path,
      `require("node:fs").writeFileSync(${JSON.stringify(join(root, "pid"))}, String(process.pid));
      setInterval(() => undefined, 1000);`,
    );
    expect((await startNobodysChild(process.execPath, [path], process.env, 1)).outcome).toBe("late");
    // The file is there before the number is in it.
    const pid = (): number => (readdirSync(root).includes("pid") ? Number(readFileSync(join(root, "pid"), "utf8")) : 0);
    kill(await until(() => pid() > 0 && pid()));
  });
});

function sessionOf(pid: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[3]);
  } catch {
    // It has ended meanwhile.
    return -1;
  }
}
