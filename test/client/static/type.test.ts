// Session.Type before the first session, which decides it for the process: so these tests follow each other.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { connect } from "../../../client/connect.ts";
import { sharedClient } from "../../../client/defaults.ts";
import { Client } from "../../../client/link/client.ts";
import { Session } from "../../../client/static/session.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";

let root: string;
const daemons: Daemon[] = [];
const clients: { close(): void }[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gs-type-"));
  for (const type of ["file", "memory"] as const) daemons.push(await startDaemon({ root, type, logLevel: "silent" }));
});

afterAll(async () => {
  vi.unstubAllEnvs();
  for (const client of clients) client.close();
  for (const daemon of daemons) await daemon.stop();
  rmSync(root, { recursive: true, force: true });
});

function keep<C extends { close(): void }>(client: C): C {
  clients.push(client);
  return client;
}

it("is that of the environment, or files, as long as nobody says another one", () => {
  expect(Session.Type).toBe("file");
  vi.stubEnv("GAMBAS_SESSION_TYPE", "REDIS");
  expect(Session.Type).toBe("redis");
  vi.stubEnv("GAMBAS_SESSION_TYPE", "paper");
  expect(() => Session.Type).toThrow(/Unknown session type/);
  vi.unstubAllEnvs();
});

it("may be changed until the first session is used, and then is that of clients made before", async () => {
  const client = keep(new Client({ root, spawn: false }));
  Session.Type = "REDIS";
  expect([Session.Type, client.type, client.places.socket]).toEqual(["redis", "redis", `${root}/sessiond-redis.sock`]);
  expect(client.directory).toBe("");
  Session.Type = "file";
  expect([Session.Type, client.type, client.places.socket]).toEqual(["file", "file", `${root}/sessiond.sock`]);
  const handle = client.create();
  handle.set("n", 1);
  await handle.save();
  expect(handle.path).toBe(`${root}/session/${handle.id}`);
});

it("is decided then, and says so", () => {
  expect(() => {
    Session.Type = "redis";
  }).toThrow(/cannot become "redis": sessions of type "file" are in use already/);
  Session.Type = "File";
  expect(Session.Type).toBe("file");
});

it("is no business of a client that names its own, beside others of the process", async () => {
  const inMemory = keep(await connect({ root, type: "Memory", spawn: false }));
  const onDisk = keep(await connect({ root, spawn: false }));
  const [one, other] = [inMemory.create(), onDisk.create()];
  for (const handle of [one, other]) {
    handle.set("n", 1);
    await handle.save();
  }
  expect([one.path, other.path]).toEqual([null, `${root}/session/${other.id}`]);
  expect([await inMemory.open(other.id ?? ""), await onDisk.open(one.id ?? "")]).toEqual([undefined, undefined]);
  expect([(await inMemory.status()).type, (await onDisk.status()).type]).toEqual(["memory", "file"]);
});

it("is one of the things by which clients are shared, or not", () => {
  const [one, same, other] = [{ root }, { root }, { root, type: "memory" } as const].map((options) =>
    keep(sharedClient({ ...options, spawn: false })),
  );
  expect([one === same, one === other, one?.type, other?.type]).toEqual([true, false, "file", "memory"]);
});

it("is, in a request or a Run, that of its client, and can only be set to what it is", async () => {
  await Session.Run({}, () => {
    const { Type } = Session;
    expect(Type).toBe("memory");
    expect(() => {
      Session.Type = "file";
    }).toThrow(/cannot become "file": sessions of type "memory" are in use/);
  });
  expect(Session.Type).toBe("memory");
});

it("of a daemon on the same socket is compared with what a worker wants", async () => {
  const [file = "", memory = ""] = daemons.map(({ socket }) => socket);
  const wrong = connect({ root, type: "memory", socket: file, spawn: false });
  await expect(wrong).rejects.toMatchObject({ code: "ERR_BAD_OPTION" });
  await expect(wrong).rejects.toThrow(
    `The daemon on ${file} keeps its sessions in file, and this process was configured for memory.`,
  );
  const other = connect({ root, socket: memory, spawn: false });
  await expect(other).rejects.toThrow("keeps its sessions in memory, and this process was configured for file.");
});
