// What may happen to a daemon in operation, and is not a single call that fails: directories that go away, a clock that jumps, descriptors
// that run out, a process that is stopped, workers that send more than can be written.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Client } from "../../../client/link/client.ts";
import type { DaemonOptions } from "../../../daemon/start.ts";
import type { SessionError } from "../../../protocol/errors.ts";
import { PROTOCOL_VERSION } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { RawWorker } from "../../support/daemon/raw-worker.ts";
import {
  freshRoot,
  isAlive,
  keepLocked,
  kill,
  killAndWait,
  removeRoot,
  startDaemonProcess,
  until,
} from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

const HOUR_MS = 3_600_000;

let lab: Lab;

afterEach(async () => {
  vi.useRealTimers();
  await lab?.close();
});

async function open(options: DaemonOptions = {}): Promise<[RawWorker, RawWorker]> {
  lab = await Lab.open(options);
  return [await lab.worker("anna"), await lab.worker("bert")];
}

describe("under load", () => {
  test("the twins' directory may be removed again and again, and no commit fails", async () => {
    const [anna, bert] = await open();
    const ids = Array.from({ length: 10 }, () => newId());
    await Promise.all(ids.map((id) => anna.create(id, { n: 0 })));
    for (let n = 1; n <= 50; n++) {
      const commits = ids.map((id, place) => (place % 2 === 0 ? anna : bert).commit(id, { n }));
      rmSync(join(lab.root, "sessiond.twins"), { recursive: true, force: true });
      await Promise.all(commits);
      if (n % 10 === 0) expect(ids.map((id) => lab.values(id).n)).toEqual(ids.map(() => n));
    }
  });

  test("the directory of the sessions may be removed: its sessions are gone, and new ones are kept", async () => {
    const [anna, bert] = await open();
    for (let round = 0; round < 10; round++) {
      const ids = Array.from({ length: 10 }, () => newId());
      await Promise.all(ids.map((id) => anna.create(id, { n: 0 })));
      const commits = ids.map((id) => bert.commit(id, { n: 1 }).catch((error: SessionError) => error.code));
      rmSync(join(lab.root, "session"), { recursive: true, force: true });
      if (round % 2 === 0) mkdirSync(join(lab.root, "session"), { mode: 0o700 });
      for (const outcome of await Promise.all(commits))
        if (typeof outcome === "string") expect(outcome).toBe("ERR_SESSION_GONE");
      for (const id of ids) if (lab.hasFile(id)) expect(lab.values(id)).toEqual({ n: 1 });
    }
    const last = newId();
    await anna.create(last, { n: 7 });
    expect(lab.values(last)).toEqual({ n: 7 });
    expect(await bert.values(last)).toEqual({ n: 7 });
  });

  test("what is sent faster than it is written is refused beyond a bound, and what was accepted is in the file", async () => {
    const [anna, bert] = await open({ maxQueuedBytes: 20_000, durability: "fsync" });
    const id = newId();
    await anna.create(id, {});
    const commits = Array.from({ length: 100 }, (_, n) =>
      anna.commit(id, { [`k${n}`]: "x".repeat(1000) }).then(
        () => `k${n}`,
        (error: SessionError) => error.code,
      ),
    );
    await bert.commit(id, { bert: 1 });
    const outcomes = await Promise.all(commits);
    expect(outcomes).toContain("ERR_OVERLOADED");
    const accepted = outcomes.filter((outcome) => outcome !== "ERR_OVERLOADED");
    expect(accepted.length).toBeGreaterThanOrEqual(19);
    expect(Object.keys(lab.values(id)).sort()).toEqual([...accepted, "bert"].sort());
    await anna.commit(id, { again: 1 });
  });
});

describe("when the clock", () => {
  function setClock(aheadMs: number): void {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + aheadMs });
  }

  test.each([
    ["forth", HOUR_MS],
    ["back", -HOUR_MS],
  ])("jumps %s an hour, revisions still differ and grow", async (_, jumpMs) => {
    const [anna, bert] = await open();
    const id = newId();
    const times = [(await anna.create(id, { n: 0 })).mtimeMs];
    for (let n = 1; n < 30; n++) {
      if (n === 10) setClock(jumpMs);
      if (n === 20) vi.useRealTimers();
      times.push((await anna.commit(id, { n })).mtimeMs);
      expect(await bert.values(id)).toEqual({ n });
    }
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    lab.saveAsGambas(id, lab.changed(lab.image(id), { n: 100 }));
    expect(await bert.values(id)).toEqual({ n: 100 });
  });

  test("jumps back, a session in use stays, and one that is not used ends when its time is over by the new clock", async () => {
    const [anna, bert] = await open();
    const [used, idle] = [newId(), newId()];
    await anna.create(used, { n: 0 }, { timeoutSeconds: 100 });
    await anna.create(idle, { n: 0 }, { timeoutSeconds: 100 });
    setClock(-HOUR_MS);
    await anna.commit(used, { n: 1 });
    expect([await bert.values(used), await bert.values(idle)]).toEqual([{ n: 1 }, { n: 0 }]);
    setClock(-HOUR_MS + 60_000);
    await anna.call("touch", used, 0);
    setClock(-HOUR_MS + 120_000);
    expect(await bert.values(used)).toEqual({ n: 1 });
    setClock(120_000);
    expect(await bert.values(idle)).toBeUndefined();
  });

  test("jumps forth by less than a session's timeout, the session stays; by more, its time is over, as for Gambas", async () => {
    const [anna, bert] = await open();
    const id = newId();
    await anna.create(id, { n: 0 }, { timeoutSeconds: 2 * 3600 });
    setClock(HOUR_MS);
    expect(await bert.values(id)).toEqual({ n: 0 });
    setClock(3 * HOUR_MS);
    expect(await bert.values(id)).toBeUndefined();
  });

  test.each([
    ["forth", HOUR_MS],
    ["back", -HOUR_MS],
  ])("jumps %s, leases last as long as they would, and their numbers only grow", async (_, jumpMs) => {
    const [anna, bert] = await open();
    const id = newId();
    await anna.create(id, { n: 0 });
    const first = await anna.lease(id, 60_000);
    const second = bert.lease(id, 20);
    setClock(jumpMs);
    await anna.commitLeased(id, { n: 1 }, first.fence);
    const { fence } = await second;
    expect(fence).toBeGreaterThan(first.fence);
    // It ends by itself, whatever the clock says: the next one gets its turn.
    await anna.commit(id, { n: 2 });
    expect(await codeOf(bert.commitLeased(id, { n: 3 }, fence))).toBe("ERR_LEASE_LOST");
  });

  test.each([
    ["forth", HOUR_MS],
    ["back", -HOUR_MS],
  ])("jumps %s, a lock that another program keeps is waited for as long as ever", async (_, jumpMs) => {
    const [anna] = await open({ lockWaitMs: 100 });
    const id = newId();
    await anna.create(id, { n: 0 });
    const keeper = await keepLocked(`${lab.path(id)}.lock`);
    const commit = codeOf(anna.commit(id, { n: 1 }));
    const beganMs = performance.now();
    await anna.settle();
    setClock(jumpMs);
    expect(await commit).toBe("ERR_SESSION_BUSY");
    expect(performance.now() - beganMs).toBeGreaterThan(50);
    await killAndWait(keeper.pid ?? 0);
    await anna.commit(id, { n: 2 });
  });
});

describe("a daemon process", () => {
  let root: string;
  let socket: string;

  beforeEach(() => {
    root = freshRoot();
    socket = join(root, "sessiond.sock");
  });

  afterEach(() => removeRoot(root));

  async function startWithDescriptors(count: number): Promise<void> {
    const args = [join(repository, "dist/daemon/main.js"), "--root", root, "--log-level", "silent"];
    const limited = ["-c", `ulimit -n ${count} && exec "$0" "$@"`, process.execPath, ...args];
    const child = spawn("sh", limited, { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
  }

  test("that runs out of descriptors keeps fewer files open, and nothing fails", async () => {
    await startWithDescriptors(70);
    const worker = await RawWorker.connect(socket);
    const ids = Array.from({ length: 60 }, () => newId());
    for (const id of ids) await worker.create(id, { n: 0 });
    for (let n = 1; n <= 3; n++) for (const id of ids) await worker.commit(id, { n });
    for (const id of ids) expect(await worker.values(id)).toEqual({ n: 3 });
    // Its files leave some of them for those who come now.
    const others = await Promise.all(Array.from({ length: 10 }, (_, count) => RawWorker.connect(socket, `w${count}`)));
    for (const other of [worker, ...others]) await other.close();
  });

  test("that runs out of descriptors with many sessions at once takes as many at a time as it can", async () => {
    await startWithDescriptors(70);
    const worker = await RawWorker.connect(socket);
    const ids = Array.from({ length: 100 }, () => newId());
    await Promise.all(ids.map((id) => worker.create(id, { n: 0 })));
    for (let n = 1; n <= 3; n++) await Promise.all(ids.map((id) => worker.commit(id, { n })));
    for (const id of ids) expect(await worker.values(id)).toEqual({ n: 3 });
    await worker.close();
  });

  test("whose descriptors were all taken by leases gives them back with the leases", async () => {
    await startWithDescriptors(70);
    const worker = await RawWorker.connect(socket);
    const ids = Array.from({ length: 60 }, () => newId());
    for (const id of ids) await worker.create(id, { n: 0 });
    const fences: { id: string; fence: number }[] = [];
    for (const id of ids) {
      const lease = await worker.lease(id).catch(() => undefined);
      if (lease !== undefined) fences.push({ id, fence: lease.fence });
    }
    for (const { id, fence } of fences) await worker.call("release", id, fence);
    const others = await Promise.all(Array.from({ length: 10 }, (_, count) => RawWorker.connect(socket, `w${count}`)));
    for (const other of [worker, ...others]) await other.close();
  });

  test("whose log and whose word that it is ready cannot be written serves all the same", async () => {
    const full = openSync("/dev/full", "w");
    const args = [
      join(repository, "dist/daemon/main.js"),
      "--root",
      root,
      "--log-level",
      "debug",
      "--lock-wait-ms",
      "1",
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", full, full] });
    closeSync(full);
    const worker = await until(() => existsSync(socket)).then(() => RawWorker.connect(socket));
    const id = newId();
    await worker.create(id, { n: 0 });
    const keeper = await keepLocked(join(root, "session", `${id}.lock`));
    // What fails here is logged.
    expect(await codeOf(worker.commit(id, { n: 1 }))).toBe("ERR_SESSION_BUSY");
    await killAndWait(keeper.pid ?? 0);
    await worker.commit(id, { n: 2 });
    await worker.close();
    child.kill("SIGHUP");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("that has none left for workers tells how it is, lets those wait who come, and goes on when others have left", async () => {
    await startWithDescriptors(70);
    const worker = await RawWorker.connect(socket);
    const id = newId();
    await worker.create(id, { n: 0 });
    const crowd: RawWorker[] = [];
    for (let isFull = false; !isFull; ) {
      const one = await RawWorker.connectSilently(socket);
      isFull = (await one.call("hello", PROTOCOL_VERSION, "crowd").catch(() => undefined)) === undefined;
      if (!isFull) crowd.push(one);
    }
    expect(await worker.status()).toMatchObject({ connections: crowd.length + 1 });
    expect(await worker.values(id)).toEqual({ n: 0 });
    const client = new Client({ root, spawn: false, waitMs: 60_000 });
    const coming = client.ready();
    for (const one of crowd) await one.close();
    await coming;
    client.close();
    await worker.commit(id, { n: 1 });
    await worker.close();
  });

  test("that is stopped for longer than a lease stays the only one, and nothing acknowledged is lost", async () => {
    const daemon = await startDaemonProcess(root);
    const pid = daemon.pid ?? 0;
    const [anna, bert] = [await RawWorker.connect(socket, "anna"), await RawWorker.connect(socket, "bert")];
    const id = newId();
    await anna.create(id, { n: 0 });
    const { fence } = await anna.lease(id, 50);
    const waiting = bert.lease(id, 60_000);
    await anna.settle();
    kill(pid, "SIGSTOP");
    const late = anna.commitLeased(id, { n: 1 }, fence).then(
      () => "acknowledged",
      (error: SessionError) => error.code,
    );
    const stoppedMs = performance.now();
    await expect(startDaemonProcess(root)).rejects.toThrow("ended with 1");
    await until(() => performance.now() - stoppedMs > 100);
    kill(pid, "SIGCONT");
    const outcome = await late;
    expect(["acknowledged", "ERR_LEASE_LOST"]).toContain(outcome);
    const { fence: next, image } = await waiting;
    expect(next).toBeGreaterThan(fence);
    await bert.commitLeased(id, { m: 2 }, next);
    expect(image).not.toBeNull();
    expect(await anna.values(id)).toEqual(outcome === "acknowledged" ? { n: 1, m: 2 } : { n: 0, m: 2 });
    await Promise.all([anna.close(), bert.close()]);
  });

  test("whose lock directory has grown stale while it was stopped is not replaced, and leaves if it finds itself replaced", async () => {
    const daemon = await startDaemonProcess(root);
    const pid = daemon.pid ?? 0;
    const worker = await RawWorker.connect(socket);
    const id = newId();
    await worker.create(id, { n: 1 });
    kill(pid, "SIGSTOP");
    utimesSync(join(root, "sessiond.lock"), 1, 1);
    await expect(startDaemonProcess(root)).rejects.toThrow("ended with 1");
    kill(pid, "SIGCONT");
    // It finds a time on its lock that it did not put there: either it goes on as the only one or it leaves, and the next one serves.
    await until(() => !isAlive(pid) || statSync(join(root, "sessiond.lock")).mtimeMs > 1_000);
    if (!isAlive(pid)) await startDaemonProcess(root);
    const again = await RawWorker.connect(socket);
    expect(await again.values(id)).toEqual({ n: 1 });
    await again.close();
    await worker.close();
  });
});
