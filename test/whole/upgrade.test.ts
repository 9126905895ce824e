// Another version of the package on the same root: the newer one takes the place of the older, and the older one says so and is in nobody's way.

import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PROTOCOL_VERSION } from "../../protocol/wire/operations.ts";
import { changePackage, copyPackage } from "../support/copied-package.ts";
import {
  daemonPid,
  daemonsOf,
  freshRoot,
  isAlive,
  killAndWait,
  removeRoot,
  until,
  WorkerProcess,
} from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const NEXT = PROTOCOL_VERSION + 1;

let root: string;
let place: string;

beforeEach(() => {
  root = freshRoot();
  place = freshRoot();
  installNext(place);
});

afterEach(async () => {
  await removeRoot(root);
  await removeRoot(place);
});

/** The same package with the next number for its protocol. */
function installNext(folder: string): void {
  copyPackage(folder, "test/whole", "test/support");
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  changePackage(folder, `PROTOCOL_VERSION = ${PROTOCOL_VERSION};`, `PROTOCOL_VERSION = ${NEXT};`);
}

function startWorker(isNext: boolean): WorkerProcess {
  return WorkerProcess.start(join(isNext ? place : repository, "dist/test/whole/worker.js"), [], {
    GAMBAS_SESSION_ROOT: root,
  });
}

test("newer workers get a daemon of their version, one, and find what was there; an older one is told", async () => {
  const old = startWorker(false);
  const id = await old.call<string>("create", { n: 1 });
  const first = daemonPid(root) ?? 0;
  const adding = old.call("add", id, "n", 50);
  const workers = [startWorker(true), startWorker(true), startWorker(true)];
  const pids = new Set(await Promise.all(workers.map((worker) => worker.call("daemonPid"))));
  expect(pids.size).toBe(1);
  expect(pids).not.toContain(first);
  await until(() => !isAlive(first));
  const refused = {
    code: "ERR_PROTOCOL_VERSION",
    message: expect.stringMatching(new RegExp(`version ${PROTOCOL_VERSION} .*version ${NEXT}`)),
  };
  const outcome = await adding.catch((error: unknown) => error);
  if (outcome !== undefined && outcome !== null) expect(outcome).toMatchObject(refused);
  await expect(old.call("set", id, "n", 0)).rejects.toMatchObject(refused);
  const [worker] = workers;
  const before = (await worker?.call<number>("get", id, "n")) ?? 0;
  expect(before).toBeGreaterThanOrEqual(1);
  await Promise.all(workers.map((one) => one.call("add", id, "n", 10)));
  expect(await worker?.call("get", id, "n")).toBe(before + 30);
  expect(daemonPid(root)).toBe([...pids][0]);
  await Promise.all([old, ...workers].map((one) => one.kill()));
});

test("an older worker starts a daemon where none is, and is refused by a newer one that was there before", async () => {
  const [old, next] = [startWorker(false), startWorker(true)];
  await next.call("hello");
  await expect(old.call("hello")).rejects.toMatchObject({ code: "ERR_PROTOCOL_VERSION" });
  const pid = daemonPid(root) ?? 0;
  expect(daemonsOf(root)).toEqual([pid]);
  await next.kill();
  await killAndWait(pid);
  const another = startWorker(false);
  await another.call("hello");
  await Promise.all([old.kill(), another.kill()]);
});
