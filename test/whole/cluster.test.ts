// A node:cluster as an application runs it: workers that find a daemon, one daemon for all of them, and the death of either.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  daemonPid,
  daemonsOf,
  freshRoot,
  isAlive,
  kill,
  killAndWait,
  removeRoot,
  until,
  WorkerProcess,
} from "../support/processes.ts";

class Cluster {
  readonly #primary: WorkerProcess;
  pids: number[] = [];

  constructor(root: string) {
    this.#primary = WorkerProcess.start("test/whole/cluster-primary.js", [], { GAMBAS_SESSION_ROOT: root });
  }

  async fork(count: number): Promise<number[]> {
    const pids = await this.#primary.call<number[]>("fork", count);
    this.pids.push(...pids);
    return pids;
  }

  /** Calls a function of the worker with this place in `pids`. */
  call<T = unknown>(place: number, name: string, ...args: readonly unknown[]): Promise<T> {
    return this.#primary.call("call", this.pids[place], name, args);
  }

  all<T = unknown>(name: string, ...args: readonly unknown[]): Promise<T[]> {
    return Promise.all(this.pids.map((_, place) => this.call<T>(place, name, ...args)));
  }

  async killWorker(place: number): Promise<void> {
    const [pid] = this.pids.splice(place, 1);
    kill(pid ?? 0);
    expect(await this.#primary.call("ended", pid)).toBe("SIGKILL");
  }

  close(): Promise<void> {
    return this.#primary.kill();
  }
}

let root: string;
let cluster: Cluster;

beforeEach(() => {
  root = freshRoot();
  cluster = new Cluster(root);
});

afterEach(async () => {
  await cluster.close();
  await removeRoot(root);
});

describe("four workers of a node:cluster", () => {
  test("that start at once without a daemon get exactly one, and all find it", async () => {
    await cluster.fork(4);
    await cluster.all("hello");
    const pids = new Set(await cluster.all("daemonPid"));
    expect([...pids]).toEqual([daemonPid(root)]);
    // Those that were not elected leave.
    await until(() => daemonsOf(root).length === 1);
    expect(daemonsOf(root)).toEqual([daemonPid(root)]);
  });

  test("read what any of them has written as soon as it was written", async () => {
    await cluster.fork(4);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    for (let n = 1; n <= 200; n++) {
      await cluster.call(n % 4, "set", id, "n", n);
      expect(await cluster.all("get", id, "n")).toEqual([n, n, n, n]);
    }
  });

  test("lose no increment of one counter, and no key set beside it", async () => {
    await cluster.fork(4);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    const adding = cluster.all("add", id, "n", 100);
    for (let n = 0; n < 50; n++) await cluster.call(n % 4, "set", id, `key${n}`, n);
    await adding;
    expect(await cluster.call(1, "get", id, "n")).toBe(400);
    const kept = await Promise.all(Array.from({ length: 50 }, (_, n) => cluster.call(n % 4, "get", id, `key${n}`)));
    expect(kept).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  test("all see at once that a session was abandoned by one of them", async () => {
    await cluster.fork(4);
    const id = await cluster.call<string>(0, "create", { user: "anna" });
    expect(await cluster.all("exists", id)).toEqual([true, true, true, true]);
    await cluster.call(2, "abandon", id);
    expect(await cluster.all("exists", id)).toEqual([false, false, false, false]);
  });
});

describe("when a worker is killed", () => {
  test("its turn passes on at once and nothing of its transaction is written", async () => {
    await cluster.fork(3);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    await cluster.call(2, "holdTurn", id, "n", 60_000);
    const next = cluster.call(1, "add", id, "n", 1);
    await cluster.killWorker(2);
    await next;
    expect(await cluster.call(0, "get", id, "n")).toBe(1);
  });

  test("what it had written is there, and a new worker goes on with it", async () => {
    await cluster.fork(2);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    await cluster.call(1, "add", id, "n", 10);
    await cluster.killWorker(1);
    await cluster.fork(1);
    await cluster.call(1, "add", id, "n", 10);
    expect(await cluster.all("get", id, "n")).toEqual([20, 20]);
  });
});

describe("when a worker stalls in a transaction", () => {
  test("it loses its turn at the deadline, and the daemon, which has to report that, goes on", async () => {
    await cluster.fork(2);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    const pid = daemonPid(root);
    for (let n = 1; n <= 20; n++) {
      await cluster.call(0, "holdTurn", id, "n", 1);
      await cluster.call(1, "add", id, "n", 1);
    }
    expect(await cluster.call(1, "get", id, "n")).toBe(20);
    expect(daemonPid(root)).toBe(pid);
  });
});

describe("when a worker is stopped", () => {
  test("in a transaction for longer than its lease, others go on, and what it commits then is refused", async () => {
    await cluster.fork(2);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    const pid = await cluster.call<number>(1, "begin", id, "n", 100);
    kill(pid, "SIGSTOP");
    await cluster.call(0, "add", id, "n", 5);
    kill(pid, "SIGCONT");
    expect(await cluster.call(1, "finish")).toBe("ERR_LEASE_LOST");
    expect(await cluster.all("get", id, "n")).toEqual([5, 5]);
    await cluster.call(1, "add", id, "n", 1);
    expect(await cluster.call(0, "get", id, "n")).toBe(6);
  });

  test("and does not read its answers, others go on, and it goes on where it was", async () => {
    await cluster.fork(3);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    const big = await cluster.call<string>(0, "create", { text: "x".repeat(3_000_000) });
    const pid = await cluster.call<number>(1, "hello");
    const asking = Array.from({ length: 20 }, () => cluster.call(1, "add", big, "n", 1));
    kill(pid, "SIGSTOP");
    await cluster.call(0, "add", id, "n", 20);
    await cluster.call(2, "add", big, "m", 5);
    kill(pid, "SIGCONT");
    await Promise.all(asking);
    expect(await cluster.all("get", big, "n")).toEqual([20, 20, 20]);
    expect(await cluster.all("get", big, "m")).toEqual([5, 5, 5]);
  });
});

describe("when the daemon is killed", () => {
  test("another one answers, and nothing that was acknowledged is lost", async () => {
    await cluster.fork(4);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    const old = daemonPid(root) ?? 0;
    await cluster.all("set", id, "last", "before");
    await killAndWait(old);
    expect(await cluster.all("get", id, "last")).toEqual(["before", "before", "before", "before"]);
    await cluster.call(3, "set", id, "last", "after");
    expect(await cluster.all("get", id, "last")).toEqual(["after", "after", "after", "after"]);
    expect(daemonPid(root)).not.toBe(old);
    await until(() => daemonsOf(root).length === 1);
  });

  test("calls in flight are answered, each carried out once", async () => {
    await cluster.fork(4);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    let isDone = false;
    const adding = cluster.all("add", id, "n", 100).finally(() => {
      isDone = true;
    });
    let kills = 0;
    while (!isDone && kills < 5) {
      const before = await cluster.call<number>(0, "get", id, "n");
      const pid = daemonPid(root);
      if (pid !== undefined && before < 300) {
        await killAndWait(pid);
        kills += 1;
      }
    }
    await adding;
    expect(kills).toBeGreaterThan(0);
    expect(await cluster.all("get", id, "n")).toEqual([400, 400, 400, 400]);
  });

  test("and the next ones as they start, calls wait until one lives", async () => {
    await cluster.fork(1);
    const id = await cluster.call<string>(0, "create", { n: 0 });
    await killAndWait(daemonPid(root) ?? 0);
    const setting = cluster.call(0, "set", id, "n", 1);
    for (let count = 0; count < 3; count++) await killAndWait(await until(() => daemonsOf(root)[0]));
    await setting;
    expect(await cluster.call(0, "get", id, "n")).toBe(1);
  });

  test("no worker notices who only reads what it has", async () => {
    await cluster.fork(1);
    const id = await cluster.call<string>(0, "create", { n: 7 });
    const pid = daemonPid(root) ?? 0;
    await killAndWait(pid);
    expect(await cluster.call(0, "get", id, "n")).toBe(7);
    expect(isAlive(pid)).toBe(false);
  });
});
