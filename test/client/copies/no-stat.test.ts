// A worker that cannot stat the files asks the daemon, with the same guarantee.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Client } from "../../../client/link/client.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";

let root: string;
let daemon: Daemon;
let clients: Client[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "gs-no-stat-"));
  // This engine has no files at all: nothing a worker could stat.
  daemon = await startDaemon({ root, type: "memory", logLevel: "silent" });
  clients = [new Client({ root, type: "memory", spawn: false }), new Client({ root, type: "memory", spawn: false })];
});

afterEach(async () => {
  for (const client of clients) client.close();
  await daemon.stop();
  rmSync(root, { recursive: true, force: true });
});

it("sees every acknowledged write of another worker at once, and its end", async () => {
  const [writer, reader] = clients as [Client, Client];
  const session = writer.create({ prefix: "a" });
  for (let count = 1; count <= 50; count++) {
    session.set("count", count);
    await writer.commit(session);
    const seen = await reader.open(String(session.id));
    expect(seen?.get("count")).toBe(count);
  }
  const id = String(session.id);
  expect([writer.directory, session.path]).toEqual(["", null]);
  await writer.abandon(session);
  expect(await reader.open(id)).toBeUndefined();
});
