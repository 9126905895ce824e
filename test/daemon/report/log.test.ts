// The log: one line for each event that somebody must act on, few lines for what happens often, and nothing that could end the daemon.

import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Log } from "../../../daemon/report/log.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { RawWorker } from "../../support/daemon/raw-worker.ts";
import {
  freshRoot,
  keepLocked,
  kill,
  killAndWait,
  removeRoot,
  startDaemonProcess,
  until,
} from "../../support/processes.ts";

let root: string;
let file: string;

beforeEach(() => {
  root = freshRoot();
  file = join(root, "log");
});

afterEach(async () => {
  vi.useRealTimers();
  await removeRoot(root);
});

function lines(path = file): Record<string, unknown>[] {
  const text = readFileSync(path, "utf8").trimEnd();
  return text.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("a log", () => {
  test("has one JSON object a line, with time, pid, level and event", () => {
    const log = new Log("warn", file);
    log.info("unseen");
    log.warn("one", { session: 'a"b\nc' });
    log.error("two");
    const common = { time: expect.stringMatching(/^\d{4}-.*Z$/), pid: process.pid };
    expect(lines()).toEqual([
      { ...common, level: "warn", event: "one", session: 'a"b\nc' },
      { ...common, level: "error", event: "two" },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("tells of an event ten times a minute, and then how often it left it out", () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 60_000_000 });
    const log = new Log("info", file);
    for (let count = 0; count < 1000; count++) log.warn("often");
    log.warn("seldom");
    expect(lines().map(({ event }) => event)).toEqual([...Array.from({ length: 10 }, () => "often"), "seldom"]);
    vi.setSystemTime(60_060_000);
    log.tellSuppressed();
    expect(lines().at(-1)).toMatchObject({ level: "warn", event: "often", suppressed: 990 });
    log.tellSuppressed();
    expect(lines()).toHaveLength(12);
  });

  test("names no session where it is to hide them, wherever the id stands, and the same one alike", () => {
    const log = new Log("info", file, { hidesIds: true });
    const [one, other] = ["10.0.0.1:0123456789ABCDEF01234567", "ü:0123456789ABCDEF01234568"];
    log.warn("lease-lost", { session: one, fence: 7 });
    log.error("store-failed", { error: `Session ${one} could not be read, nor "${other}".` });
    const text = readFileSync(file, "utf8");
    expect(text).not.toMatch(/[0-9A-F]{24}|10\.0\.0\.1|ü/);
    const [alias] = /session~[0-9a-f]{8}/.exec(text) ?? [];
    expect(lines()).toMatchObject([
      { session: alias, fence: 7 },
      { error: expect.stringContaining(`Session ${alias} could not`) },
    ]);
  });

  test("begins a new file when one is large, and keeps the one before", () => {
    writeFileSync(file, `${"x".repeat(1024 * 1024)}\n`);
    new Log("info", file).info("first of the new one");
    expect(lines()).toHaveLength(1);
    expect(statSync(`${file}.old`).size).toBeGreaterThan(1024 * 1024);
  });

  test("that cannot be written loses its lines and nothing else", () => {
    mkdirSync(file);
    new Log("info", file).error("lost");
    expect(statSync(file).isDirectory()).toBe(true);
  });
});

describe("a daemon tells of", () => {
  async function withLab(use: (lab: Lab, worker: RawWorker) => Promise<void>): Promise<Record<string, unknown>[]> {
    const lab = await Lab.open({ logLevel: "info", logFile: file, lockWaitMs: 20, maxQueuedBytes: 1000 });
    await use(lab, await lab.worker("worker"));
    await lab.close();
    return lines();
  }

  test("its start with its version, and its end", async () => {
    const [first, last] = await withLab(async () => undefined);
    expect(first).toMatchObject({
      level: "info",
      event: "ready",
      version: expect.any(String),
      root: expect.any(String),
    });
    expect(last).toMatchObject({ level: "info", event: "stopped" });
  });

  test("a file it cannot read or write, with the session and the reason", async () => {
    const [damaged, directory] = [newId(), newId()];
    const all = await withLab(async (lab, worker) => {
      await worker.create(damaged, {});
      writeFileSync(lab.path(damaged), "no session");
      mkdirSync(lab.path(directory));
      expect(await codeOf(worker.open(damaged))).toBe("ERR_UNREADABLE");
      expect(await codeOf(worker.open(directory))).toBe("ERR_UNREADABLE");
    });
    const told = all.filter(({ event }) => event === "unreadable").map(({ error }) => String(error));
    expect(told).toEqual([expect.stringContaining(damaged), expect.stringContaining(directory)]);
  });

  test("a lock that another program keeps", async () => {
    const id = newId();
    const all = await withLab(async (lab, worker) => {
      await worker.create(id, {});
      const keeper = await keepLocked(`${lab.path(id)}.lock`);
      expect(await codeOf(worker.commit(id, { n: 1 }))).toBe("ERR_SESSION_BUSY");
      await killAndWait(keeper.pid ?? 0);
    });
    expect(all).toContainEqual(expect.objectContaining({ event: "lock-held", error: expect.stringContaining(id) }));
    // What would help sessions of type "sqlite" is nothing for those in files.
    expect(JSON.stringify(all)).not.toContain("koffi");
  });

  test("a worker that sends too much, calls what is not, or sends what is no call", async () => {
    const all = await withLab(async (lab, worker) => {
      const id = newId();
      await worker.create(id, {});
      const other = await lab.worker("other");
      const { fence } = await other.lease(id);
      const waiting = worker.commit(id, { long: "x".repeat(2000) });
      expect(await codeOf(worker.commit(id, { short: "x" }))).toBe("ERR_OVERLOADED");
      await other.call("release", id, fence);
      await waiting;
      expect(await codeOf(worker.callNumber(99))).toBe("ERR_PROTOCOL");
      worker.sendBytes(Buffer.from("ffffffff", "hex"));
      await worker.closed;
      const stranger = await lab.stranger();
      stranger.sendBytes(Buffer.from("0000000191", "hex"));
      await stranger.closed;
    });
    const told = all.filter(({ level }) => level === "warn").map(({ event, client }) => [event, client]);
    expect(told).toEqual([
      ["overloaded", "worker"],
      ["bad-call", "worker"],
      ["connection-cut", "worker"],
      ["connection-cut", undefined],
    ]);
  });

  test("nothing when a call fails that is the caller's own affair", async () => {
    const all = await withLab(async (_, worker) => {
      expect(await codeOf(worker.open("../x"))).toBe("ERR_BAD_ID");
      expect(await codeOf(worker.commit(newId(), {}))).toBe("ERR_SESSION_GONE");
    });
    expect(all.map(({ event }) => event)).toEqual(["ready", "stopped"]);
  });

  test("a stall of its own", async () => {
    const daemon = await startDaemonProcess(root, ["--log-level", "info", "--log-file", file]);
    kill(daemon.pid ?? 0, "SIGSTOP");
    const stoppedMs = performance.now();
    await until(() => performance.now() - stoppedMs > 2_500);
    kill(daemon.pid ?? 0, "SIGCONT");
    const stall = await until(() => lines().find(({ event }) => event === "stalled"));
    expect(stall.ms).toBeGreaterThan(1_000);
    const worker = await RawWorker.connect(join(root, "sessiond.sock"));
    await worker.close();
  });
});
