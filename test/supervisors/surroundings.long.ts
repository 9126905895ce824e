// What a service manager sets for a process: mode mask, limits, priority, descriptors, working directory, environment. None of it decides whether
// a daemon works, be it started by a worker or by the manager, or who may read what it writes.

import { type ChildProcess, spawn } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../client/link/client.ts";
import { daemonPid, freshRoot, killAndWait, removeRoot, until, WorkerProcess } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

interface Surroundings {
  /** What a shell does before it becomes the program. */
  readonly prelude?: string;
  readonly env?: () => NodeJS.ProcessEnv;
}

const VARIABLES = {
  ...{ NODE_APP_INSTANCE: "0", pm_id: "3", pm_exec_path: "/nowhere", PM2_HOME: "/nowhere", PM2_USAGE: "CLI" },
  ...{ NOTIFY_SOCKET: "/nowhere", LISTEN_FDS: "1", LISTEN_PID: "1", WATCHDOG_USEC: "1", NODE_UNIQUE_ID: "7" },
  WATCH_REPORT_DEPENDENCIES: "1",
};

const SURROUNDINGS: Readonly<Record<string, Surroundings>> = {
  "the mask 0777": { prelude: "umask 0777" },
  "the mask 0000": { prelude: "umask 0000" },
  "the mask 0277": { prelude: "umask 0277" },
  "64 descriptors": { prelude: "ulimit -n 64" },
  "a limit to the size of files": { prelude: "ulimit -f 128" },
  "no core files, and no memory that is locked": { prelude: "ulimit -c 0; ulimit -l 0" },
  "the lowest priority": { prelude: 'set -- 19 "$0" "$@"; set -- nice -n "$@"; exec "$@"' },
  "signals that are ignored": { prelude: "trap '' TERM HUP INT USR1 USR2 CHLD PIPE" },
  "a working directory that is gone": { prelude: 'cd "$GONE" && rmdir "$GONE"' },
  "an empty environment": {},
  "no descriptor open but those it needs": { prelude: "exec <&- >&- 2>&-" },
  "the variables of supervisors": { env: () => VARIABLES },
  "a debugger": { env: () => ({ NODE_OPTIONS: "--inspect=127.0.0.1:0" }) },
  "a module to load first that is gone": { env: () => ({ NODE_OPTIONS: `--require ${gone()}` }) },
};

let root: string;
let place: string;
let child: ChildProcess;

beforeEach(() => {
  root = freshRoot();
  place = freshRoot();
});

afterEach(async () => {
  await killAndWait(child.pid ?? 0);
  await removeRoot(root);
  await removeRoot(place);
});

/** It is there when a process starts, and taken away by the test. */
function gone(): string {
  const path = join(place, "first.cjs");
  writeFileSync(path, "");
  return path;
}

function begin({ prelude = ":", env }: Surroundings, args: readonly string[], isWorker: boolean): void {
  const folder = join(place, "gone");
  mkdirSync(folder);
  const stdio: ("ignore" | "ipc")[] = ["ignore", "ignore", "ignore"];
  child = spawn("/bin/sh", ["-c", `${prelude}; exec "$0" "$@"`, process.execPath, ...args], {
    env: { GAMBAS_SESSION_ROOT: root, GONE: folder, ...env?.() },
    stdio: isWorker ? [...stdio, "ipc"] : stdio,
  });
}

/** Everything under the root with its mode, if others may do anything with it, or we may not do everything. */
function wrongModes(): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const stat = lstatSync(join(root, name), { throwIfNoEntry: false });
    const mode = (stat?.mode ?? 0) & 0o777;
    const isRight = stat === undefined || mode === (stat.isDirectory() ? 0o700 : 0o600);
    return isRight ? [] : [`${name} ${mode.toString(8)}`];
  });
}

describe.each(Object.entries(SURROUNDINGS))("with %s", (_, surroundings) => {
  test("a worker starts a daemon that works", async () => {
    begin(surroundings, [join(repository, "dist/test/whole/worker.js")], true);
    const worker = new WorkerProcess(child);
    await worker.call("no such function").catch(() => undefined);
    rmSync(join(place, "first.cjs"), { force: true });
    const id = await worker.call<string>("create", { n: 1 });
    await worker.call("add", id, "n", 3);
    expect(await worker.call("get", id, "n")).toBe(4);
    expect(wrongModes()).toEqual([]);
    const names = readFileSync(`/proc/${daemonPid(root)}/environ`, "utf8")
      .split("\0")
      .map((line) => line.split("=")[0]);
    expect(names.filter((name) => name === "NODE_OPTIONS" || Object.hasOwn(VARIABLES, name ?? ""))).toEqual([]);
  });

  test("a daemon in the foreground works", async () => {
    begin(surroundings, [join(repository, "dist/daemon/main.js"), "--root", root], false);
    await until(
      () => daemonPid(root) === child.pid && lstatSync(join(root, "sessiond.sock"), { throwIfNoEntry: false }),
    );
    const client = new Client({ root, spawn: false });
    const handle = client.create();
    handle.set("n", 1);
    await handle.save();
    expect((await client.open(handle.id ?? ""))?.get("n")).toBe(1);
    expect(wrongModes()).toEqual([]);
    client.close();
  });
});

test("what is larger than a limit is refused, in a process of the application's as well, and all else goes on", async () => {
  const script = `
    import { startDaemon } from "gambas-session/daemon";
    await startDaemon({ logLevel: "silent" });`;
  begin({ prelude: `cd ${repository}; ulimit -f 128` }, ["--input-type=module", "--eval", script], false);
  await until(() => lstatSync(join(root, "sessiond.sock"), { throwIfNoEntry: false }));
  const client = new Client({ root, spawn: false });
  const handle = client.create();
  handle.set("n", 1);
  await handle.save();
  handle.set("large", "x".repeat(1_000_000));
  await expect(handle.save()).rejects.toMatchObject({ code: "ERR_STORE", message: expect.stringContaining("EFBIG") });
  const again = await client.open(handle.id ?? "");
  expect(again?.get("n")).toBe(1);
  again?.set("n", 2);
  await again?.save();
  client.close();
});
