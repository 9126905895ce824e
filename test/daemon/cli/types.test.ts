// The commands beside daemons of several types: each finds the one it is asked about, and shows no secret of another.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../../client/connect.ts";
import { runCommandLine } from "../../../daemon/cli/command-line.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";
import { newId } from "../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

let root: string;
let said: string;
const daemons: Daemon[] = [];

beforeEach(() => {
  root = freshRoot();
  said = "";
  const hear = (text: string | Uint8Array, ...rest: unknown[]): boolean => {
    said += String(text);
    for (const done of rest) if (typeof done === "function") done();
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(hear);
  vi.spyOn(process.stderr, "write").mockImplementation(hear);
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  for (const daemon of daemons.splice(0)) await daemon.stop();
  await removeRoot(root);
});

async function type(...args: readonly string[]): Promise<number> {
  said = "";
  return runCommandLine(args);
}

test("each command finds the daemon of the type that a flag or the environment names", async () => {
  for (const one of ["file", "memory"] as const)
    daemons.push(await startDaemon({ root, type: one, logLevel: "silent", sweepMs: 0 }));
  const client = await connect({ root, type: "memory", spawn: false });
  const handle = client.create({ prefix: "10.0.0.1" });
  handle.set("n", 7);
  await handle.save();
  client.close();
  const at = ["--root", root, "--type", "MEMORY"];
  expect([await type("status", ...at), /^type +memory$/m.test(said)]).toEqual([0, true]);
  expect([await type("list", ...at), said.includes(String(handle.id))]).toEqual([0, true]);
  expect([await type("list", "--root", root), said]).toEqual([0, "No sessions.\n"]);
  expect([await type("show", String(handle.id), ...at), /n +Integer +7/.test(said)]).toEqual([0, true]);
  expect(await type("show", String(handle.id), "--root", root)).toBe(1);
  expect(said).toContain(`There is no session ${handle.id} in ${root}.`);
  vi.stubEnv("GAMBAS_SESSION_TYPE", "memory");
  expect([await type("sweep", "--root", root), said.includes("1 session")]).toEqual([0, true]);
  expect([
    await type("end", String(handle.id), "--root", root),
    await type("show", String(handle.id), "--root", root),
  ]).toEqual([...[0, 1]]);
  expect(said).toContain(`There is no session ${handle.id} of type memory.`);
});

test("a daemon that is not there is said with how to start one of this type, and no file is looked for", async () => {
  daemons.push(await startDaemon({ root, logLevel: "silent" }));
  for (const args of [["status"], ["list"], ["show", newId()], ["stop"]]) {
    expect(await type(...args, "--root", root, "--type", "redis")).toBe(3);
    expect(said).toContain(
      `No daemon answers on ${root}/sessiond-redis.sock.\nStart one: gambas-sessiond --root ${root} --type redis\n`,
    );
  }
});

test.each([
  [["--type", "redis"], "Sessions of type redis need the option redis, --redis or GAMBAS_SESSION_REDIS"],
  [["--redis", "redis://127.0.0.1"], "The setting redis is for sessions of type redis; the type is file."],
  [["--type", "redis", "--redis", "http://127.0.0.1"], "The option redis begins with no scheme that is known"],
  [
    ["--type", "redis", "--redis", "redis://127.0.0.1", "--gambas", "3.18"],
    "The setting gambas is for sessions of type file",
  ],
  [["--durability", "replica"], "The setting durability must be one of file, fsync for sessions of type file"],
])("run refuses %j", async (args, why) => {
  expect(await type("--root", root, ...args)).toBe(2);
  expect(said).toContain(why);
});

test.each([
  "redis://app:hidden@127.0.0.1",
  "redis://:hidden@127.0.0.1/1",
  "redis+sentinel://127.0.0.1/db?sentinelPassword=hidden",
])("run refuses a password as a flag, with the remedy, and does not repeat it: %s", async (url) => {
  expect(await type("--root", root, "--type", "redis", "--redis", url)).toBe(2);
  expect(said).toMatch(/Give the URL by GAMBAS_SESSION_REDIS, or leave the password in a file/);
  expect(said).not.toContain("hidden");
});

test("a daemon of files loads nothing of Redis", async () => {
  const place = freshRoot();
  for (const part of ["protocol", "daemon"])
    cpSync(join(repository, "dist", part), join(place, "dist", part), { recursive: true });
  rmSync(join(place, "dist/daemon/redis"), { recursive: true });
  cpSync(join(repository, "package.json"), join(place, "package.json"));
  mkdirSync(join(place, "node_modules"));
  for (const name of ["msgpackr", "proper-lockfile", "chokidar", "fs-native-extensions"])
    symlinkSync(join(repository, "node_modules", name), join(place, "node_modules", name));
  const main = join(place, "dist/daemon/main.js");
  const daemon = spawn(process.execPath, [main, "--root", root, "--log-level", "silent"], { stdio: "pipe" });
  const [ready] = (await once(daemon.stdout, "data")) as [Buffer];
  expect(String(ready)).toContain(`gambas-sessiond is ready on ${root}/sessiond.sock`);
  daemon.kill("SIGTERM");
  await once(daemon, "exit");
  await removeRoot(place);
});
