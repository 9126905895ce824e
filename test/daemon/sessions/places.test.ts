// Where a daemon may live: roots and sockets that are refused, with the reason, and what it makes of those it takes.

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resolvePlaces } from "../../../client/options.ts";
import { resolveConfig } from "../../../daemon/config.ts";
import { type DaemonOptions, startDaemon } from "../../../daemon/start.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { freshRoot, removeRoot, until } from "../../support/processes.ts";

let base: string;

beforeEach(() => {
  base = freshRoot();
});

afterEach(() => removeRoot(base));

function start(options: DaemonOptions): ReturnType<typeof startDaemon> {
  return startDaemon({ logLevel: "silent", ...options });
}

describe("a root is refused", () => {
  test("that is a symbolic link, even to a proper directory", async () => {
    mkdirSync(join(base, "real"), { mode: 0o700 });
    symlinkSync(join(base, "real"), join(base, "link"));
    await expect(start({ root: join(base, "link") })).rejects.toMatchObject({ code: "ERR_BAD_ROOT" });
    await expect(start({ root: join(base, "link") })).rejects.toThrow(/symbolic link/);
    expect(readdirSync(join(base, "real"))).toEqual([]);
  });

  test("that is a file", async () => {
    writeFileSync(join(base, "file"), "");
    await expect(start({ root: join(base, "file") })).rejects.toMatchObject({ code: "ERR_BAD_ROOT" });
  });

  test("that is a link to nowhere", async () => {
    symlinkSync(join(base, "nowhere"), join(base, "link"));
    await expect(start({ root: join(base, "link") })).rejects.toMatchObject({ code: "ERR_BAD_ROOT" });
    expect(existsSync(join(base, "nowhere"))).toBe(false);
  });

  test("that belongs to somebody else", async () => {
    const theirs = process.getuid?.() === 0 ? join(base, "theirs") : "/proc";
    if (theirs !== "/proc") {
      mkdirSync(theirs);
      chownSync(theirs, 65534, 65534);
    }
    await expect(start({ root: theirs, socket: join(base, "s") })).rejects.toThrow(/belongs to uid/);
  });

  test("whose socket would have too long a path, with the length and the limit", async () => {
    const root = join(base, "x".repeat(120));
    const length = Buffer.byteLength(join(root, "sessiond.sock"));
    await expect(start({ root })).rejects.toMatchObject({ code: "ERR_SOCKET_PATH" });
    await expect(start({ root })).rejects.toThrow(new RegExp(`${length} bytes.*107`));
    expect(existsSync(root)).toBe(false);
  });
});

describe("a root is taken", () => {
  test("that is missing: it is made for the user alone", async () => {
    const root = join(base, "new");
    const daemon = await start({ root });
    expect(statSync(root).mode & 0o777).toBe(0o700);
    await daemon.stop();
  });

  test("that others may enter: its mode is repaired, as Gambas does", async () => {
    const root = join(base, "open");
    mkdirSync(root);
    chmodSync(root, 0o777);
    const daemon = await start({ root });
    expect(statSync(root).mode & 0o777).toBe(0o700);
    await daemon.stop();
  });

  test("with a socket elsewhere that is just short enough", async () => {
    const folder = join(base, "y".repeat(107 - base.length - 3));
    mkdirSync(folder);
    const socket = `${folder}/s`;
    expect(Buffer.byteLength(socket)).toBe(107);
    const lab = await Lab.open({ socket });
    const id = newId();
    const worker = await lab.worker();
    await worker.create(id, { n: 0 });
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await lab.close();
    expect(existsSync(socket)).toBe(false);
  });

  test("once: a second daemon of this process is refused, and the first goes on", async () => {
    const lab = await Lab.open();
    expect(await codeOf(start({ root: lab.root }))).toBe("ERR_DAEMON_RUNNING");
    const id = newId();
    const worker = await lab.worker();
    await worker.create(id, { n: 0 });
    expect(await worker.values(id)).toEqual({ n: 0 });
    await lab.close();
  });

  test("by one of two that start in the same moment", async () => {
    for (let round = 0; round < 10; round++) {
      const root = join(base, `r${round}`);
      const outcomes = await Promise.allSettled([start({ root }), start({ root })]);
      const started = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      expect(started).toHaveLength(1);
      await started[0]?.stop();
      expect(readdirSync(root).filter((name) => name.startsWith("sessiond.") && /lock|sock|pid/.test(name))).toEqual(
        [],
      );
    }
  });

  test("again after it was given back", async () => {
    const lab = await Lab.open();
    const id = newId();
    await (await lab.worker()).create(id, { n: 0 });
    await lab.stop();
    await lab.start();
    expect(await (await lab.worker()).values(id)).toEqual({ n: 0 });
    await lab.close();
  });
});

test("a daemon whose socket was taken from it leaves and writes nothing any more", async () => {
  const lab = await Lab.open();
  const worker = await lab.worker();
  const id = newId();
  await worker.create(id, { n: 0 });
  writeFileSync(join(lab.root, "other"), "");
  renameSync(join(lab.root, "other"), lab.daemon.socket);
  await lab.daemon.stopped;
  await until(() => worker.isClosed);
  expect(statSync(lab.daemon.socket).isFile()).toBe(true);
  await lab.close();
});

test.each(["sessiond.sock", "sessiond.pid", "sessiond.lock"])(
  "a daemon whose %s was deleted leaves, and the next one serves what was there",
  async (name) => {
    const lab = await Lab.open();
    const id = newId();
    await (await lab.worker()).create(id, { n: 1 });
    rmSync(join(lab.root, name), { recursive: true });
    await lab.daemon.stopped;
    await lab.start();
    expect(await (await lab.worker()).values(id)).toEqual({ n: 1 });
    await lab.close();
  },
);

test.each<DaemonOptions>([
  { durability: "later" as "file" },
  { type: "paper" as "memory" },
  { leaseMs: -1 },
  { cacheBytes: Number.NaN },
  { sweepMs: "soon" as unknown as number },
  { typo: 1 } as DaemonOptions,
  { root: "" },
  { socket: "" },
  // Timers of so many milliseconds would be over at once.
  { sweepMs: 3e9 },
  { leaseMs: 0 },
  { leaseMs: 60_001 },
])("the setting %o is refused by name", async (options) => {
  const [name] = Object.keys(options);
  const refused = start({ root: join(base, "r"), ...options });
  const modeBefore = statSync(".").mode;
  await expect(refused).rejects.toMatchObject({ code: "ERR_BAD_OPTION" });
  await expect(refused).rejects.toThrow(name);
  expect(statSync(".").mode).toBe(modeBefore);
  expect(existsSync(join(base, "r"))).toBe(false);
});

test("a lease when none is asked for is no longer than the longest that may be", async () => {
  const lab = await Lab.open({ maxLeaseMs: 100 });
  const [worker, id] = [await lab.worker(), newId()];
  await worker.create(id, { n: 0 });
  const { fence } = await worker.lease(id);
  await worker.commitLeased(id, { n: 1 }, fence);
  await lab.close();
});

test("an empty variable is one that is not set", () => {
  const env = { GAMBAS_SESSION_ROOT: "", GAMBAS_SESSION_SOCKET: "", GAMBAS_SESSION_TYPE: "" };
  const { root, socket } = resolveConfig({}, env);
  expect(root).toMatch(/^\/tmp\/gambas\.\d+$/);
  expect(socket).toBe(join(root, "sessiond.sock"));
  expect(resolvePlaces({}, env)).toEqual({ root, socket, type: "file" });
});

describe("a socket is refused", () => {
  test("whose name is a file's with something in it, which is left as it is", async () => {
    const file = join(base, "precious.json");
    writeFileSync(file, "precious");
    const refused = start({ root: join(base, "r"), socket: file });
    await expect(refused).rejects.toMatchObject({ code: "ERR_SOCKET_PATH" });
    expect(readFileSync(file, "utf8")).toBe("precious");
  });

  test("on which the daemon of another root serves, which goes on", async () => {
    const lab = await Lab.open();
    const [worker, id] = [await lab.worker(), newId()];
    const refused = start({ root: join(base, "r"), socket: lab.daemon.socket });
    await expect(refused).rejects.toMatchObject({ code: "ERR_SOCKET_PATH" });
    await expect(refused).rejects.toThrow(lab.root);
    await worker.create(id, { n: 0 });
    expect(lab.values(id)).toEqual({ n: 0 });
    await lab.close();
  });

  test("on which a daemon of this root and another type serves, which goes on", async () => {
    const lab = await Lab.open();
    const refused = start({ root: lab.root, type: "memory", socket: lab.daemon.socket });
    await expect(refused).rejects.toMatchObject({ code: "ERR_SOCKET_PATH" });
    await expect(refused).rejects.toThrow(`The daemon of ${lab.root} serves on ${lab.daemon.socket} already.`);
    await (await lab.worker()).create(newId(), { n: 0 });
    await lab.close();
  });
});

test("a root has a daemon of each type, with a socket, an election and a log of its own", async () => {
  const lab = await Lab.open();
  const daemon = await startDaemon({ root: lab.root, type: "memory", logLevel: "silent" });
  expect(daemon.socket).toBe(join(lab.root, "sessiond-memory.sock"));
  const files = ["lock", "pid", "sock"].flatMap((ending) => [`sessiond-memory.${ending}`, `sessiond.${ending}`]);
  expect(readdirSync(lab.root)).toEqual(expect.arrayContaining(files));
  const again = startDaemon({ root: lab.root, type: "memory", logLevel: "silent" });
  await expect(again).rejects.toThrow(`already serves ${lab.root} (type memory).`);
  await daemon.stop();
  expect(readdirSync(lab.root).filter((name) => name.startsWith("sessiond-"))).toEqual([]);
  await (await lab.worker()).create(newId(), { n: 0 });
  await lab.close();
});

test("what a type needs, and what means nothing to it, is said before anything is touched", async () => {
  const root = join(base, "r");
  await expect(start({ root, type: "redis" })).rejects.toThrow(/Sessions of type redis need the option redis/);
  await expect(start({ root, redis: "redis://db" })).rejects.toThrow(
    /redis is for sessions of type redis; the type is file/,
  );
  await expect(start({ root, engine: "memory" } as DaemonOptions)).rejects.toThrow(
    /There is no setting "engine"; that is the type/,
  );
  expect(existsSync(root)).toBe(false);
});
