// The folder in which a socket is bound: a daemon that is killed before its socket has its name leaves it, and the next one removes it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startDaemon } from "../../../daemon/start.ts";
import { Birthplace } from "../../../daemon/wire/birthplace.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

/** Ends the daemon as it is about to give its socket the name that workers know. */
const KILLED_AT_NAMING = `data:text/javascript,${encodeURIComponent(`
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  const { renameSync } = fs;
  fs.renameSync = (from, to) => {
    if (String(to).endsWith(".sock")) process.kill(process.pid, "SIGKILL");
    renameSync(from, to);
  };
  syncBuiltinESMExports();
`)}`;

let root: string;

beforeEach(() => {
  root = freshRoot();
});

afterEach(() => removeRoot(root));

function hidden(): readonly string[] {
  return readdirSync(root).filter((name) => name.startsWith("."));
}

async function killedAtNaming(...flags: readonly string[]): Promise<void> {
  const main = join(repository, "dist/daemon/main.js");
  const daemon = spawn(process.execPath, ["--import", KILLED_AT_NAMING, main, "--root", root, ...flags], {
    stdio: "ignore",
  });
  expect(await once(daemon, "exit")).toEqual([null, "SIGKILL"]);
}

test("is removed by the next daemon of the same socket, and by no other one", async () => {
  await killedAtNaming();
  await killedAtNaming("--type", "memory");
  const left = hidden();
  expect(left).toHaveLength(2);
  // What looks alike, and is none.
  mkdirSync(join(root, ".abc"));
  const other = await startDaemon({ root, type: "memory", logLevel: "silent" });
  const [left1, ...more] = hidden().filter((name) => name !== ".abc");
  expect([left.includes(String(left1)), more]).toEqual([true, []]);
  const daemon = await startDaemon({ root, logLevel: "silent" });
  expect(hidden()).toEqual([".abc"]);
  await Promise.all([daemon.stop(), other.stop()]);
});

test.each(["settings", "s"])(
  "of somebody else, that is called alike, stays with its %s, also where a daemon would have made its own",
  (name) => {
    const socket = join(root, "sessiond.sock");
    const folder = dirname(String(Birthplace.of(socket).path));
    const beginning = folder.replace(/-\d+$/, "");
    const next = 1 + Number(/-(\d+)$/.exec(folder)?.[1] ?? 0);
    const others = [`${beginning}-${next}`, `${beginning}-${next + 1}`, `${beginning.slice(0, -3)}fig`];
    for (const other of others) {
      mkdirSync(other);
      writeFileSync(join(other, name), "theirs");
    }
    const made = Birthplace.of(socket);
    expect(made.path).toBe(join(`${beginning}-${next + 2}`, "s"));
    made.remove();
    expect([folder, dirname(String(made.path)), ...others].map((path) => existsSync(path))).toEqual([
      ...[false, false],
      ...[true, true, true],
    ]);
    expect(others.map((other) => readdirSync(other))).toEqual([[name], [name], [name]]);
  },
);
