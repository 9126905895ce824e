// What restarts an application while it is being written, and what kills a whole group: nodemon, node --watch, a terminal that is closed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { daemonPid, daemonsOf, freshRoot, isAlive, kill, removeRoot, until } from "../support/processes.ts";
import { answering, ask } from "./load.ts";
import { APPLICATION, supervisor } from "./supervisors.ts";

const RESTARTS = 3;

let root: string;
let folder: string;
let port: number;
let child: ChildProcess;

beforeEach(async () => {
  root = freshRoot();
  folder = freshRoot();
  port = await freePort();
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  save(0);
});

afterEach(async () => {
  if (child.pid !== undefined) kill(-child.pid);
  await removeRoot(root);
  await removeRoot(folder);
});

/** Saves the application anew, as an editor does. */
function save(version: number): void {
  writeFileSync(join(folder, "application.js"), `// Version ${version}\nimport ${JSON.stringify(APPLICATION)};\n`);
}

function run(args: readonly string[], settings: NodeJS.ProcessEnv = {}): void {
  const env = { ...process.env, GAMBAS_SESSION_ROOT: root, PORT: String(port), ...settings };
  child = spawn(process.execPath, args, { cwd: folder, env, detached: true, stdio: "ignore" });
}

describe.each([
  ["nodemon", () => [supervisor("nodemon"), "application.js"]],
  ["node --watch", () => ["--watch", "application.js"]],
])("%s", (_, args) => {
  test("restarts the application and leaves the daemon alone", async () => {
    run(args());
    await answering(port);
    const pid = daemonPid(root);
    let { cookie, worker } = await ask(port);
    for (let version = 1; version <= RESTARTS; version++) {
      save(version);
      worker = await anotherThan(worker, cookie);
    }
    expect(daemonPid(root)).toBe(pid);
  });
});

/** Who answers when the worker that answered has been replaced. */
function anotherThan(worker: string, cookie: string | undefined): Promise<string> {
  return until(async () => {
    const answer = await ask(port, cookie).catch(() => undefined);
    return answer !== undefined && answer.worker !== worker && answer.worker;
  });
}

test.each(["SIGKILL", "SIGHUP", "SIGINT"] as const)(
  "%s to the whole group of an application leaves the daemon alone, and it leaves by itself",
  async (signal) => {
    run(["application.js"], { IDLE_EXIT_MS: "1500" });
    await answering(port);
    const pid = daemonPid(root) ?? 0;
    kill(-(child.pid ?? Number.NaN), signal);
    await once(child, "exit");
    expect(isAlive(pid)).toBe(true);
    await until(() => !isAlive(pid));
    expect(daemonsOf(root)).toEqual([]);
  },
);
