// A daemon that is stopped, as a debugger, a frozen container or a starved machine may stop it: calls wait as long as for one that is
// gone, and no longer; and one that only has nothing to say is told apart from it.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../client/link/client.ts";
import type { ConnectOptions } from "../../client/options.ts";
import { RawWorker } from "../support/daemon/raw-worker.ts";
import {
  daemonPid,
  freshRoot,
  kill,
  killAndWait,
  removeRoot,
  startDaemonProcess,
  until,
  WorkerProcess,
} from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const WAIT_MS = 1_000;

let root: string;
let clients: Client[];

beforeEach(() => {
  root = freshRoot();
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.close();
  await removeRoot(root);
});

function client(options: ConnectOptions = {}): Client {
  const made = new Client({ root, spawn: false, waitMs: WAIT_MS, ...options });
  clients.push(made);
  return made;
}

async function create(by: Client): Promise<string> {
  const session = by.create();
  session.set("n", 0);
  await session.save();
  return session.id ?? "";
}

async function set(by: Client, id: string, key: string, value: unknown): Promise<void> {
  const session = await by.open(id);
  session?.set(key, value);
  await session?.save();
}

function sessiond(...words: readonly string[]): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const main = join(repository, "dist/daemon/main.js");
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...words, "--root", root], (error, _, stderr) => {
      resolve({ code: error?.code ?? 0, stderr });
    });
  });
}

describe("when the daemon is stopped", () => {
  test("commands about sessions say which process does not answer, and end", async () => {
    const daemon = await startDaemonProcess(root);
    kill(daemon.pid ?? Number.NaN, "SIGSTOP");
    try {
      const id = "10.0.0.1:0123456789ABCDEF01234567";
      const commands = [["list"], ["show", id], ["end", id]];
      for (const { code, stderr } of await Promise.all(commands.map((words) => sessiond(...words)))) {
        expect(code).toBe(3);
        expect(stderr).toContain(`(pid ${daemon.pid}) has not answered`);
      }
    } finally {
      kill(daemon.pid ?? Number.NaN, "SIGCONT");
      await killAndWait(daemon.pid ?? Number.NaN);
    }
  });

  test("calls fail after `waitMs` with what to do, and the same client goes on when the daemon does", async () => {
    const daemon = await startDaemonProcess(root);
    const [anna, bert] = [client(), client()];
    const id = await create(anna);
    await bert.ready();
    kill(daemon.pid ?? 0, "SIGSTOP");
    const beganMs = performance.now();
    const refused = { code: "ERR_DAEMON_UNAVAILABLE", message: expect.stringMatching(/1000 ms.*continue or kill/) };
    const calls = [set(anna, id, "a", 1), bert.status(), bert.transaction(id, (session) => session.set("b", 1))];
    for (const outcome of await Promise.allSettled(calls))
      expect(outcome).toMatchObject({ status: "rejected", reason: refused });
    expect(performance.now() - beganMs).toBeGreaterThan(WAIT_MS);
    // Nor does anybody who comes now wait for ever.
    await expect(client().ready()).rejects.toMatchObject(refused);
    await expect(anna.status()).rejects.toMatchObject(refused);
    kill(daemon.pid ?? 0, "SIGCONT");
    await bert.transaction(id, (session) => session.set("c", 1));
    await set(anna, id, "d", 1);
    expect((await bert.open(id))?.get("c")).toBe(1);
    expect((await bert.status()).pid).toBe(daemon.pid);
  });

  test("for less than `waitMs` nobody sees more than latency, and nothing is done twice", async () => {
    const daemon = await startDaemonProcess(root);
    const anna = client({ waitMs: 60_000 });
    const id = await create(anna);
    kill(daemon.pid ?? 0, "SIGSTOP");
    const adding = Array.from({ length: 20 }, () =>
      anna.transaction(id, (session) => session.set("n", Number(session.get("n")) + 1)),
    );
    const stoppedMs = performance.now();
    await until(() => performance.now() - stoppedMs > 200);
    kill(daemon.pid ?? 0, "SIGCONT");
    await Promise.all(adding);
    expect((await anna.open(id))?.get("n")).toBe(20);
  });

  test("and nobody is let in any more, who comes then waits all the same", async () => {
    const daemon = await startDaemonProcess(root);
    kill(daemon.pid ?? 0, "SIGSTOP");
    const crowd: RawWorker[] = [];
    const enter = (): Promise<void> =>
      RawWorker.connectSilently(join(root, "sessiond.sock")).then((one) => void crowd.push(one));
    await expect(
      (async () => {
        while (crowd.length < 10_000) await enter();
      })(),
    ).rejects.toMatchObject({ code: "EAGAIN" });
    const coming = client({ waitMs: 60_000 }).ready();
    kill(daemon.pid ?? 0, "SIGCONT");
    await coming;
    await Promise.all(crowd.map((one) => one.close()));
  });

  test("and is killed then, the calls that wait are answered by the next one", async () => {
    const worker = WorkerProcess.start("test/whole/worker.js", [], { GAMBAS_SESSION_ROOT: root });
    const id = await worker.call<string>("create", { n: 0 });
    const pid = daemonPid(root) ?? 0;
    kill(pid, "SIGSTOP");
    const setting = worker.call("set", id, "n", 1);
    await killAndWait(pid);
    await setting;
    expect(await worker.call("get", id, "n")).toBe(1);
    await worker.kill();
    expect(daemonPid(root)).not.toBe(pid);
  });
});

describe("a daemon that is alive", () => {
  test("may take longer than `waitMs` to give a lease that somebody else has", async () => {
    await startDaemonProcess(root);
    const [anna, bert] = [client({ waitMs: 60_000 }), client()];
    const id = await create(anna);
    let isHeld = false;
    let end: () => void = () => undefined;
    const held = anna.transaction(id, () => {
      isHeld = true;
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    });
    await until(() => isHeld);
    const beganMs = performance.now();
    const waiting = bert.transaction(id, (session) => session.set("n", 1));
    await until(() => performance.now() - beganMs > 2.5 * WAIT_MS);
    end();
    await held;
    await waiting;
    expect((await anna.open(id))?.get("n")).toBe(1);
  });
});

describe("what takes connections and is no daemon", () => {
  let server: Server;

  afterEach(async () => {
    server.close();
    await once(server, "close");
  });

  test("is given up after `waitMs`, also by a client that would start a daemon", async () => {
    server = createServer((socket) => socket.once("data", () => undefined).on("error", () => undefined));
    server.listen(join(root, "sessiond.sock"));
    await once(server, "listening");
    for (const spawn of [false, true])
      await expect(client({ spawn, waitMs: 100 }).ready()).rejects.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" });
  });
});
