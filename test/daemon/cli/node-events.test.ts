// A daemon of which Node has something to say, while nobody reads its standard error: it goes on, or the log tells why it did not.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client } from "../../../client/link/client.ts";
import { startDaemon } from "../../../daemon/start.ts";
import { freshRoot, kill, removeRoot, until } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

const WARNINGS = 3;
/** Warnings at one signal, a fault at another. */
const PLANTED = `
  process.on("SIGUSR2", () => {
    for (let n = 1; n <= ${WARNINGS}; n++) setImmediate(() => process.emitWarning("planted " + n, "DeprecationWarning"));
  });
  process.on("SIGPROF", () => {
    throw new Error("planted fault of a:0123456789ABCDEF01234567");
  });
`;

let root: string;

beforeEach(() => {
  root = freshRoot();
});

afterEach(() => removeRoot(root));

async function start(): Promise<ChildProcess> {
  const planted = join(root, "planted.cjs");
  writeFileSync(planted, PLANTED);
  const main = join(repository, "dist/daemon/main.js");
  const args = ["--require", planted, main, "--root", root, "--log-file", join(root, "log"), "--ready-fd", "3"];
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "ignore", "pipe", "pipe"] });
  await once(child.stdio[3] as NodeJS.ReadableStream, "data");
  child.stderr?.destroy();
  await once(child.stderr as NodeJS.ReadableStream, "close");
  return child;
}

function logged(event: string): readonly Record<string, string>[] {
  const lines = readFileSync(join(root, "log"), "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line)).filter((line) => line.event === event);
}

describe("what Node says of a daemon", () => {
  it("is in its log as warnings, and the daemon goes on", async () => {
    const child = await start();
    const ended = once(child, "exit");
    kill(child.pid ?? 0, "SIGUSR2");
    await Promise.race([until(() => logged("node-warning").length === WARNINGS), ended]);
    expect(logged("node-warning")).toEqual(
      [1, 2, 3].map((n) =>
        expect.objectContaining({
          level: "warn",
          warning: expect.stringMatching(new RegExp(`^DeprecationWarning: planted ${n}\\n +at .*planted\\.cjs`)),
        }),
      ),
    );
    const client = new Client({ root, spawn: false });
    expect(await client.status()).toMatchObject({ pid: child.pid });
    client.close();
    kill(child.pid ?? 0, "SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  it("is in its log before it ends of a fault", async () => {
    const child = await start();
    const ended = once(child, "exit");
    kill(child.pid ?? 0, "SIGPROF");
    expect(await ended).toEqual([1, null]);
    expect(logged("crashed")).toEqual([
      expect.objectContaining({ level: "error", error: expect.stringMatching(/^Error: planted fault of .*\n +at /) }),
    ]);
  });

  it("is left alone where the daemon is in the process of somebody else", async () => {
    const before = process.listeners("warning");
    const daemon = await startDaemon({ root, logLevel: "silent" });
    expect(process.listeners("warning")).toEqual(before);
    expect(process.listenerCount("uncaughtExceptionMonitor")).toBe(0);
    await daemon.stop();
  });
});
