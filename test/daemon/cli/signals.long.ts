// Every signal there is, sent to a daemon: each ends it cleanly, or does nothing, or is one that no program can hear.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../../client/link/client.ts";
import { freshRoot, isAlive, kill, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

/** They say that the process is broken, or cannot be heard: the next daemon finds what it finds after a `kill -9`. */
const BROKEN: readonly NodeJS.Signals[] = [
  ...(["SIGKILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGIOT", "SIGTRAP", "SIGSYS"] as const),
];
const STOPPING: readonly NodeJS.Signals[] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"];
const ENDING = {
  foreground: ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as readonly NodeJS.Signals[],
  spawned: ["SIGTERM"] as readonly NodeJS.Signals[],
};
type Kind = keyof typeof ENDING;

const log = (): string => readFileSync(join(root, "log"), "utf8");
let root: string;
let said: string;

beforeEach(() => {
  root = freshRoot();
  said = "";
});

afterEach(() => removeRoot(root));

async function start(kind: Kind): Promise<ChildProcess> {
  const main = join(repository, "dist/daemon/main.js");
  const args = [main, "--root", root, "--log-file", join(root, "log")];
  if (kind === "spawned") args.push("--ready-fd", "3");
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await once((kind === "spawned" ? child.stdio[3] : child.stdout) as NodeJS.ReadableStream, "data");
  return child;
}

/** What it says after this, it says after the signal: signals are seen at the end of a turn of its event loop. */
async function ask(client: Client, child: ChildProcess): Promise<unknown> {
  await client.status();
  const { pid } = await client.status();
  return isAlive(child.pid ?? 0) && pid === child.pid;
}

describe.each(["foreground", "spawned"] as const)("a daemon that is %s", (kind) => {
  test.each(ENDING[kind])("leaves cleanly at %s", async (signal) => {
    const child = await start(kind);
    kill(child.pid ?? 0, signal);
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(log()).toContain('"event":"stopped"');
    for (const name of ["sessiond.sock", "sessiond.pid", "sessiond.lock"])
      expect(existsSync(join(root, name))).toBe(false);
  });

  test("does not hear any other", async () => {
    const child = await start(kind);
    const client = new Client({ root, spawn: false });
    const others = Object.keys(constants.signals) as NodeJS.Signals[];
    const heard = [...ENDING[kind], ...BROKEN, ...(kind === "foreground" ? STOPPING : ["SIGSTOP"])];
    for (const signal of others.filter((name) => !heard.includes(name))) {
      kill(child.pid ?? 0, signal);
      expect(await ask(client, child), signal).toBe(true);
    }
    expect(said).toBe("");
    client.close();
    kill(child.pid ?? 0, "SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

test("a daemon that is asked to leave while it starts leaves cleanly", async () => {
  const main = join(repository, "dist/daemon/main.js");
  const child = spawn(process.execPath, [main, "--root", root, "--log-file", join(root, "log")], { stdio: "ignore" });
  const { pid = 0 } = child;
  // From the moment it hears of signals, as the system tells it. Node itself catches SIGTERM, for a terminal's sake, and nobody SIGUSR2.
  const hears = (): boolean => {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "0";
    return ((BigInt(`0x${mask}`) >> BigInt(constants.signals.SIGUSR2 - 1)) & 1n) === 1n;
  };
  while (!hears()) await new Promise(setImmediate);
  kill(pid, "SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  for (const name of ["sessiond.sock", "sessiond.pid", "sessiond.lock"])
    expect(existsSync(join(root, name))).toBe(false);
});
