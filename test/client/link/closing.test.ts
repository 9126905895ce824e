// A client that is closed while it connects: as its application ends, say, at the moment a daemon is replaced. It is closed.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Client } from "../../../client/link/client.ts";
import { until } from "../../support/processes.ts";
import { makeRoot, SessionHouse } from "../../support/session-house.ts";

const CLOSED = { code: "ERR_CLOSED" };
const FOR_EVER_MS = 600_000;

let house: SessionHouse;
beforeEach(async () => {
  house = await SessionHouse.open();
});
afterEach(() => house.close());

it.each([
  ["before it has said hello", async () => undefined],
  ["when it has, and has no answer", () => new Promise((resolve) => setImmediate(resolve))],
])("keeps no connection, %s", async (_, pass) => {
  const worker = house.worker();
  const watcher = house.worker();
  await watcher.ready();
  const before = (await watcher.status()).connections;
  const ready = worker.ready();
  await pass();
  worker.close();
  await expect(ready).rejects.toMatchObject(CLOSED);
  await expect.poll(async () => (await watcher.status()).connections).toBe(before);
});

it("waits for no daemon any more", async () => {
  const worker = house.worker({ waitMs: FOR_EVER_MS });
  await worker.ready();
  await house.stopDaemon();
  const isConnected = (): Promise<boolean> =>
    Promise.race([worker.ready().then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
  await until(async () => !(await isConnected()));
  const told = worker.status();
  const ready = worker.ready();
  worker.close();
  await expect(told).rejects.toMatchObject(CLOSED);
  await expect(ready).rejects.toMatchObject(CLOSED);
});

it("starts none", async () => {
  const root = makeRoot();
  const [daemonPath, started] = [join(root, "daemon.mjs"), join(root, "started")];
  writeFileSync(daemonPath, `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(started)}, "");`);
  const client = new Client({ root, daemonPath, waitMs: 100 });
  const ready = client.ready();
  client.close();
  await expect(ready).rejects.toMatchObject(CLOSED);
  expect(existsSync(started)).toBe(false);
  rmSync(root, { recursive: true });
});
