// Deploys that take the old release away under workers that go on: what of it is missing, who starts a daemon then, and what they say when
// nobody does.

import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PROTOCOL_VERSION } from "../../protocol/wire/operations.ts";
import { changePackage, copyPackage } from "../support/copied-package.ts";
import { daemonPid, freshRoot, isAlive, killAndWait, removeRoot, until, WorkerProcess } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const PATIENT_MS = 30_000;
const HASTY_MS = 3_000;

let root: string;
let place: string;
let release: string;
const workers: WorkerProcess[] = [];

beforeEach(() => {
  root = freshRoot();
  place = freshRoot();
  release = join(place, "release");
  install(release);
});

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.kill();
  await removeRoot(root);
  rmSync(place, { recursive: true, force: true });
});

/** A copy of the package, with the packages it needs of its own: links to them, each by itself. */
function install(folder: string, protocol = PROTOCOL_VERSION): void {
  copyPackage(folder, "test/whole", "test/support");
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["msgpackr", "chokidar", "proper-lockfile", "fs-native-extensions"])
    symlinkSync(join(repository, "node_modules", name), join(folder, "node_modules", name));
  changePackage(folder, `PROTOCOL_VERSION = ${PROTOCOL_VERSION};`, `PROTOCOL_VERSION = ${protocol};`);
}

interface How {
  readonly waitMs?: number;
  readonly cwd?: string;
  readonly execPath?: string;
}

function worker(folder: string, { waitMs = PATIENT_MS, cwd, execPath }: How = {}): WorkerProcess {
  const script = join(folder, "dist/test/whole/released-worker.js");
  const env = { ...process.env, GAMBAS_SESSION_ROOT: root };
  const child = fork(script, [String(waitMs)], { env, ...(cwd && { cwd }), ...(execPath && { execPath }) });
  const started = new WorkerProcess(child);
  workers.push(started);
  return started;
}

async function killDaemon(): Promise<void> {
  await killAndWait(await until(() => daemonPid(root)));
}

/** What a deploy may do to a release. */
const LOSSES: Readonly<Record<string, () => void>> = {
  "the whole release": () => rmSync(release, { recursive: true }),
  "the release, moved elsewhere": () => renameSync(release, join(place, "old")),
  "the daemon's program": () => rmSync(join(release, "dist/daemon/main.js")),
  "a part of the daemon": () => rmSync(join(release, "dist/daemon/start.js")),
  "a part of the daemon that was only half copied": () =>
    writeFileSync(join(release, "dist/daemon/start.js"), "export const x ="),
  "the packages it needs": () => rmSync(join(release, "node_modules"), { recursive: true }),
  "one of the packages it needs": () => rmSync(join(release, "node_modules/chokidar")),
  "the addon": () => rmSync(join(release, "node_modules/fs-native-extensions")),
  "the addon's file": () => {
    const path = join(release, "node_modules/fs-native-extensions");
    rmSync(path);
    cpSync(join(repository, "node_modules/fs-native-extensions"), path, { recursive: true });
    rmSync(join(path, "prebuilds"), { recursive: true });
    for (const name of ["require-addon", "which-runtime", "bare-addon-resolve", "bare-module-resolve", "bare-semver"])
      symlinkSync(join(repository, "node_modules", name), join(release, "node_modules", name));
  },
};

describe.each(Object.entries(LOSSES))("when a worker has lost %s, and then the daemon is killed", (_, lose) => {
  test("its calls wait for a daemon that a worker of the next release starts, and are done by it", async () => {
    const old = worker(release);
    const id = await old.call<string>("create", { n: 1 });
    lose();
    await killDaemon();
    const call = old.call("set", id, "n", 2);
    const next = join(place, "next");
    install(next);
    const young = worker(next);
    expect(await young.call("get", id, "n")).toBeOneOf([1, 2]);
    expect(await call).toBe(true);
    expect([await old.call("get", id, "n"), await young.call("get", id, "n")]).toEqual([2, 2]);
  });

  test("and they say what is missing and what to do when nobody starts one", async () => {
    const old = worker(release, { waitMs: HASTY_MS });
    const id = await old.call<string>("create", { n: 1 });
    lose();
    await killDaemon();
    const problem = await old.call("set", id, "n", 2).catch((error: unknown) => error);
    expect(problem).toMatchObject({
      code: "ERR_DAEMON_UNAVAILABLE",
      message: expect.stringMatching(/dist\/daemon\/main\.js.*restart this process from it/s),
    });
    const next = join(place, "next");
    install(next);
    await worker(next).call("get", id, "n");
    expect(await old.call("set", id, "n", 3)).toBe(true);
  });
});

test("a worker that never had a daemon before its release was removed waits for one as well", async () => {
  const old = worker(release);
  await old.call("create", { n: 1 });
  const another = worker(release);
  // It runs, and has not called yet.
  await expect(another.call("no such function")).rejects.toThrow();
  rmSync(release, { recursive: true });
  await killDaemon();
  const call = another.call<string>("create", { n: 1 });
  const next = join(place, "next");
  install(next);
  await worker(next).call("daemonPid");
  expect(await call).toMatch(/^released:/);
});

test("a worker from which the daemon's program was missing from the beginning is told at once", async () => {
  rmSync(join(release, "dist/daemon"), { recursive: true });
  const beganMs = performance.now();
  await expect(worker(release).call("create", { n: 1 })).rejects.toMatchObject({
    code: "ERR_DAEMON_UNAVAILABLE",
    message: expect.stringMatching(
      /dist\/daemon\/main\.js \(beside the package\) is not there\..*install the package again/s,
    ),
  });
  expect(performance.now() - beganMs).toBeLessThan(PATIENT_MS);
});

test("a release that is there again under the same path starts daemons again", async () => {
  const old = worker(release);
  const id = await old.call<string>("create", { n: 1 });
  rmSync(release, { recursive: true });
  await killDaemon();
  const call = old.call("set", id, "n", 2);
  install(release);
  expect(await call).toBe(true);
});

test("a newer version under the same path serves, and older workers are told to restart", async () => {
  const old = worker(release);
  const id = await old.call<string>("create", { n: 1 });
  rmSync(release, { recursive: true });
  install(release, PROTOCOL_VERSION + 1);
  await killDaemon();
  await expect(old.call("set", id, "n", 2)).rejects.toMatchObject({
    code: "ERR_PROTOCOL_VERSION",
    message: expect.stringMatching(new RegExp(`version ${PROTOCOL_VERSION} .*version ${PROTOCOL_VERSION + 1}`)),
  });
  expect(await worker(release).call("set", id, "n", 3)).toBe(true);
});

describe("with a Node of its own", () => {
  test.each([
    ["removed", (program: string) => rmSync(program)],
    [
      "replaced by something that is no program",
      (program: string) => {
        rmSync(program);
        writeFileSync(program, "no program");
      },
    ],
  ])("that was %s, a worker starts daemons with the one that it runs", async (_, change) => {
    const program = join(place, "node");
    copyFileSync(process.execPath, program);
    const old = worker(release, { execPath: program });
    const id = await old.call<string>("create", { n: 1 });
    change(program);
    await killDaemon();
    expect(await old.call("set", id, "n", 2)).toBe(true);
    expect(isAlive(await old.call<number>("daemonPid"))).toBe(true);
  });
});

test("a worker whose working directory is deleted starts daemons, and a daemon started from one serves", async () => {
  const cwd = join(place, "cwd");
  mkdirSync(cwd);
  const old = worker(release, { cwd });
  const id = await old.call<string>("create", { n: 1 });
  rmSync(cwd, { recursive: true });
  await killDaemon();
  expect(await old.call("set", id, "n", 2)).toBe(true);
  await killDaemon();
  mkdirSync(cwd);
  const main = join(release, "dist/daemon/main.js");
  const script = 'rmdir "$PWD" && exec "$0" "$@"';
  const child = spawn("sh", ["-c", script, process.execPath, main, "--root", root, "--log-level", "silent"], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  expect(existsSync(cwd)).toBe(false);
  expect(await old.call("get", id, "n")).toBe(2);
  expect(await old.call("daemonPid")).toBe(child.pid);
});
