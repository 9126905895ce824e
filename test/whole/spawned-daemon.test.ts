// The daemon a client starts: what the client hears when it cannot start, and what becomes of its log when nobody listens any more.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Handle } from "../../client/index.ts";
import { Client } from "../../client/link/client.ts";
import {
  daemonsOf,
  freshRoot,
  isAlive,
  keepLocked,
  killAndWait,
  removeRoot,
  WorkerProcess,
} from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const DAEMON = join(repository, "dist/daemon/main.js");

let root: string;

beforeEach(() => {
  root = freshRoot();
});

afterEach(() => removeRoot(root));

test("a process with nothing else to do hears why its daemon could not start", async () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  const script = `
    import { connect } from "gambas-session";
    await connect({ root: ${JSON.stringify(file)} }).catch((error) => console.log(error.code, error.message));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { cwd: repository });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [code] = await once(child, "close");
  expect(said).toMatch(/^ERR_DAEMON_UNAVAILABLE .*ERR_BAD_ROOT.* is not a directory/s);
  // What the daemon says is the last word: the general remedy would be another one.
  expect(said.trim()).toMatch(/on a file system of Linux\.$/);
  expect(code).toBe(0);
});

test("a root whose election lock somebody else keeps, and serves nothing, is reported with his pid", async () => {
  const path = join(root, "sessiond.pid");
  const keeper = await keepLocked(path);
  writeFileSync(path, `${keeper.pid}\n`);
  const worker = WorkerProcess.start("test/whole/worker.js", [], { GAMBAS_SESSION_ROOT: root });
  await expect(worker.call("hello")).rejects.toMatchObject({
    code: "ERR_DAEMON_UNAVAILABLE",
    message: expect.stringMatching(new RegExp(`ERR_DAEMON_RUNNING.*pid ${keeper.pid}`, "s")),
  });
  await killAndWait(keeper.pid ?? 0);
  await worker.kill();
  expect(daemonsOf(root)).toEqual([]);
});

test("a daemon goes on when nobody reads its log any more", async () => {
  const daemon = spawn(process.execPath, [DAEMON, "--root", root], { stdio: ["ignore", "pipe", "pipe"] });
  await once(daemon.stdout, "data");
  daemon.stderr.destroy();
  const client = new Client({ root, spawn: false });
  const session = client.create();
  session.set("n", 1);
  await session.save();
  const outlive = async (own: Handle): Promise<void> => {
    own.set("n", 2);
    await leaseOver(client);
  };
  const late = client.transaction(session.id ?? "", outlive, { leaseMs: 20 });
  // The daemon logs that it took the lease away. Whoever notices first, worker or daemon: what was changed is refused.
  await expect(late).rejects.toMatchObject({ code: "ERR_LEASE_LOST" });
  expect((await client.status()).pid).toBe(daemon.pid);
  expect(isAlive(daemon.pid ?? 0)).toBe(true);
  client.close();
  await killAndWait(daemon.pid ?? 0);
});

/** Waits until the daemon has counted a lost lease. */
async function leaseOver(client: Client): Promise<void> {
  while (Number((await client.status()).leasesLost) === 0);
}
