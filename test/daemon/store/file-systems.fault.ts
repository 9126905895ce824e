// File systems that lack something we use: every such call fails from the start, or from some moment on, as it does there. What promises
// hold without it hold, in another way; what cannot be is refused by name; and the status and the log say what was found.

import { createHash } from "node:crypto";
import { constants, existsSync, mkdirSync, readdirSync, readFileSync, type statSync, writeFileSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Client } from "../../../client/link/client.ts";
import { type DaemonOptions, startDaemon } from "../../../daemon/start.ts";
import type { SessionError } from "../../../protocol/errors.ts";
import { Lab } from "../../support/daemon/lab.ts";
import { countOpenFiles } from "../../support/daemon/left-behind.ts";
import {
  asAnotherProgram,
  failure,
  intercept,
  letThrough,
  type SystemCall,
} from "../../support/daemon/system-calls.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";

vi.mock("node:fs", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);
vi.mock("node:fs/promises", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);
vi.mock("../../../daemon/files/native.ts", async (original) => {
  const module = await original<typeof import("../../../daemon/files/native.ts")>();
  return {
    ...module,
    native: module.native && (await import("../../support/daemon/system-calls.ts")).observed(module.native),
  };
});

/** What the next servers are told when they want a socket. */
const bindError: { code: string | undefined } = vi.hoisted(() => ({ code: undefined }));

vi.mock("node:net", async (original) => {
  const net = await original<typeof import("node:net")>();
  const createServer = (onConnection: (socket: Socket) => void): Server => {
    const server = net.createServer(onConnection);
    const { code } = bindError;
    if (code === undefined) return server;
    server.listen = () => {
      process.nextTick(() => server.emit("error", Object.assign(new Error(`${code}: planted, listen`), { code })));
      return server;
    };
    return server;
  };
  return { ...net, createServer };
});

type Decide = Parameters<typeof intercept>[0];

/** Any call of this name fails so. */
function failing(code: string, ...names: readonly string[]): Decide {
  return (call) => (names.includes(call.name) ? failure(code, call) : "do");
}

/** Names cannot go from one mount to the other: `session/`, with all that is in it, is one of its own. */
const acrossMounts: Decide = (call) => {
  const isMove = call.name === "renameSync" || call.name === "exchange";
  const [from, to] = call.args.map((path) => String(path).includes("/session/"));
  return isMove && from !== to ? failure("EXDEV", call) : "do";
};

function failingToReadQuietly(code: string): Decide {
  const flag = constants.O_NOATIME;
  return (call) => (call.name === "openSync" && (Number(call.args[1]) & flag) !== 0 ? failure(code, call) : "do");
}

/** What every stat of a file tells is changed. Its numbers as they are with `bigint` are left to whoever asks for those. */
function telling(change: (stat: ReturnType<typeof statSync>, call: SystemCall) => object): Decide {
  return (call) => {
    if ((call.name !== "statSync" && call.name !== "fstatSync") || !/\/session\/|twins\//.test(call.path)) return "do";
    return (stat) => {
      const told = stat as ReturnType<typeof statSync> | undefined;
      return told?.isFile() === true ? Object.assign(told, change(told, call)) : told;
    };
  };
}

const keepingSeconds = (seconds: number): Decide => {
  const coarse = (ms: number): number => Math.floor(ms / 1000 / seconds) * 1000 * seconds;
  return telling((stat) => ({ mtimeMs: coarse(Number(stat?.mtimeMs)), atimeMs: coarse(Number(stat?.atimeMs)) }));
};

const inodesOfNames = telling((_, { path }) => ({
  ino: createHash("sha256").update(path).digest().readUIntBE(0, 6),
}));

const deletedFilesKeepTheirName = telling((stat) => ({ nlink: Math.max(1, Number(stat?.nlink)) }));

/** What is missing, how its lack shows, and what the status says then. */
const LACKS: readonly (readonly [name: string, how: Decide, lacking: readonly string[]])[] = [
  ...["EINVAL", "ENOSYS", "EPERM", "EOPNOTSUPP", "EIO"].map(
    (code) => [`names cannot be exchanged (${code})`, failing(code, "exchange"), ["exchange"]] as const,
  ),
  ["names are exchanged without effect", (call) => (call.name === "exchange" ? "skip" : "do"), ["exchange"]],
  ...["EINVAL", "ENOSYS", "ENOLCK", "EOPNOTSUPP"].map(
    (code) => [`files cannot be locked (${code})`, failing(code, "tryLock"), ["recordLocks"]] as const,
  ),
  ["locks keep nobody out", (call) => (call.name === "tryLock" ? () => true : "do"), ["recordLocks"]],
  ...["EPERM", "EINVAL", "EOPNOTSUPP"].map(
    (code) => [`O_NOATIME fails (${code})`, failingToReadQuietly(code), ["accessTimes", "quietReads"]] as const,
  ),
  ...["EPERM", "EINVAL", "ENOSYS"].map(
    (code) => [`times cannot be set (${code})`, failing(code, "futimesSync"), ["accessTimes", "times"]] as const,
  ),
  ["times are kept to one second", keepingSeconds(1), ["fineTimes"]],
  ["times are kept to two seconds", keepingSeconds(2), ["fineTimes"]],
  [
    "times are set without effect",
    (call) => (call.name === "futimesSync" ? "skip" : "do"),
    ["accessTimes", "fineTimes"],
  ],
  ["inode numbers belong to names", inodesOfNames, ["exchange", "inodes"]],
  ["deleted files keep a name", deletedFilesKeepTheirName, ["unlinks"]],
  ["session/ is another mount", acrossMounts, ["sameMount"]],
  [
    "nothing of all that works",
    (call) => {
      const decisions = [acrossMounts(call), failing("EINVAL", "exchange", "tryLock", "futimesSync")(call)];
      return decisions.find((decision) => decision !== "do") ?? failingToReadQuietly("EINVAL")(call);
    },
    ["accessTimes", "exchange", "recordLocks", "sameMount", "times"],
  ],
];

let lab: Lab | undefined;
const clients: Client[] = [];

afterEach(async () => {
  letThrough();
  for (const client of clients.splice(0)) client.close();
  await lab?.close();
  lab = undefined;
});

async function open(options: DaemonOptions = {}): Promise<[Client, Client]> {
  lab = await Lab.open(options);
  return [connect(lab), connect(lab)];
}

function connect({ root }: Lab): Client {
  const client = new Client({ root, spawn: false });
  clients.push(client);
  return client;
}

async function created(client: Client, values: Readonly<Record<string, unknown>>): Promise<string> {
  const handle = client.create({ prefix: "lacking" });
  for (const [key, value] of Object.entries(values)) handle.set(key, value);
  await handle.save();
  return handle.id ?? "";
}

async function put(client: Client, id: string, key: string, value: unknown): Promise<void> {
  const handle = await client.open(id);
  if (handle === undefined) throw new Error("it is gone");
  handle.set(key, value);
  await handle.save();
}

async function readBy(client: Client, id: string, key: string): Promise<unknown> {
  return (await client.open(id))?.get(key);
}

/** Everything that is promised of a session, in a short life of two. `n` is of equal size each time: only the time tells, if anything. */
async function live(house: Lab, [anna, bert]: readonly [Client, Client]): Promise<void> {
  const id = await created(anna, { n: 10 });
  const other = await created(bert, { m: 1 });
  for (let n = 11; n < 40; n++) {
    await put(n % 2 === 0 ? anna : bert, id, "n", n);
    for (const reader of [anna, bert]) expect(await readBy(reader, id, "n")).toBe(n);
  }
  await Promise.all(
    [anna, bert].map((client) => client.transaction(id, (own) => own.set("n", Number(own.get("n")) + 1))),
  );
  expect(await readBy(anna, id, "n")).toBe(41);
  asAnotherProgram(() => house.saveAsGambas(id, house.changed(house.image(id), { n: 50 })));
  for (const reader of [anna, bert]) expect(await readBy(reader, id, "n")).toBe(50);
  // And of another size each time.
  for (let n = 1; n < 6; n++) {
    await put(n % 2 === 0 ? anna : bert, id, "text", "x".repeat(n));
    for (const reader of [anna, bert]) expect(await readBy(reader, id, "text")).toHaveLength(n);
  }
  await put(bert, id, "theirs", true);
  expect(house.values(id)).toMatchObject({ n: 50, theirs: true });
  await anna.abandon(other);
  expect([house.hasFile(other), existsSync(`${house.path(other)}.lock`)]).toEqual([false, false]);
  expect(await readBy(bert, other, "m")).toBeUndefined();
  expect(namesIn(house)).toEqual([id, `${id}.lock`]);
}

/** What Gambas sees in the directory, but for what no pattern of Gambas' can mean. */
function namesIn({ root }: Lab): string[] {
  return readdirSync(join(root, "session"))
    .filter((name) => name !== ".sessiond.twins")
    .sort();
}

async function lackingOf(client: Client): Promise<string[]> {
  const { fileSystem } = (await client.status()) as { fileSystem: Record<string, boolean> };
  return Object.keys(fileSystem)
    .filter((name) => fileSystem[name] !== true)
    .sort();
}

test("a file system that has everything is said to", async () => {
  const [anna, bert] = await open();
  expect(await lackingOf(anna)).toEqual([]);
  if (lab !== undefined) await live(lab, [anna, bert]);
});

describe.each(LACKS)("where %s", (_, how, lacking) => {
  test("sessions are written, read at once by others, changed by Gambas and ended; the status says what is missing", async () => {
    const openBefore = countOpenFiles();
    intercept(how);
    const [anna, bert] = await open();
    expect(await lackingOf(anna)).toEqual(lacking);
    if (lab !== undefined) await live(lab, [anna, bert]);
    for (const client of clients.splice(0)) client.close();
    await lab?.stop();
    expect(readdirSync(join(lab?.root ?? "", "session")).filter((name) => name.startsWith("."))).toEqual([]);
    expect(countOpenFiles()).toBeLessThanOrEqual(openBefore);
  });

  test("and a file system that turns out so under a running daemon is used in the other way, or the error names it", async () => {
    const [anna, bert] = await open();
    const id = await created(anna, { n: 0 });
    await put(bert, id, "n", 1);
    intercept(how);
    let last = 1;
    for (let n = 2; n < 20; n++) {
      const problem = await put(n % 2 === 0 ? anna : bert, id, "n", n).catch((error: SessionError) => error);
      if (problem === undefined) last = n;
      else
        expect(problem).toMatchObject({
          code: "ERR_STORE",
          message: expect.stringMatching(/\b(EPERM|EIO|ENOLCK|EINVAL|ENOSYS|EOPNOTSUPP)\b/),
        });
    }
    letThrough();
    expect(lab?.values(id)).toMatchObject({ n: last });
    await put(anna, id, "n", 100);
    expect(await readBy(bert, id, "n")).toBe(100);
  });

  test("and the next daemon there finds what was acknowledged by the one before", async () => {
    intercept(how);
    const [anna] = await open();
    const id = await created(anna, { n: 0 });
    for (let n = 1; n < 5; n++) await put(anna, id, "n", n);
    await lab?.stop();
    await lab?.start();
    expect(await readBy(anna, id, "n")).toBe(4);
    await put(anna, id, "n", 5);
    expect(lab?.values(id)).toMatchObject({ n: 5 });
  });
});

describe("what a running daemon falls back from", () => {
  test.each([
    ["the exchange of names", failing("EINVAL", "exchange"), "exchange"],
    ["record locks", failing("ENOSYS", "tryLock"), "recordLocks"],
    ["one mount for all", acrossMounts, "sameMount"],
    ["times that can be set, once it was forbidden", failing("EPERM", "futimesSync"), "times"],
    ["times that can be set, once the disk fails", failing("EIO", "futimesSync"), "times"],
  ])("%s costs no commit, is in the status, and once in the log", async (_, how, feature) => {
    const root = freshRoot();
    const logFile = join(root, "log");
    const [anna, bert] = await open({ logLevel: "warn", logFile });
    const id = await created(anna, { n: 0 });
    await put(bert, id, "n", 1);
    intercept(how);
    // Of equal size each time, and then of another.
    for (let n = 2; n < 10; n++) await put(n % 2 === 0 ? anna : bert, id, "n", n);
    const created2 = await created(bert, { m: 1 });
    await put(anna, created2, "m", "another size");
    expect([lab?.values(id), lab?.values(created2)]).toMatchObject([{ n: 9 }, { m: "another size" }]);
    expect(await lackingOf(anna)).toEqual([feature]);
    const lines = readFileSync(logFile, "utf8")
      .split("\n")
      .filter((line) => line.includes('"file-system"'));
    expect(lines).toHaveLength(1);
    await removeRoot(root);
  });

  test("nor is a save of another program lost that came after the last look", async () => {
    intercept(failing("EINVAL", "exchange"));
    const [anna] = await open();
    const id = await created(anna, { n: 0 });
    for (let n = 1; n < 20; n++) {
      asAnotherProgram(() => lab?.saveAsGambas(id, lab.changed(lab.image(id), { theirs: n })));
      await put(anna, id, "n", n);
      expect(lab?.values(id)).toMatchObject({ n, theirs: n });
    }
  });
});

describe("what cannot be is refused by name", () => {
  async function refusal(options: DaemonOptions = {}): Promise<SessionError> {
    const root = freshRoot();
    try {
      const daemon = await startDaemon({ root, logLevel: "silent", ...options });
      await daemon.stop();
      throw new Error("it started");
    } catch (error) {
      return error as SessionError;
    } finally {
      letThrough();
      await removeRoot(root);
    }
  }

  test.each(["EINVAL", "ENOSYS", "EOPNOTSUPP"])("durability fsync where nothing is flushed (%s)", async (code) => {
    for (const name of ["fdatasyncSync", "fsyncSync"]) {
      intercept(failing(code, name));
      const { code: told, message } = await refusal({ durability: "fsync" });
      expect(told).toBe("ERR_BAD_OPTION");
      expect(message).toMatch(new RegExp(`fsync.*session.*${code}.*"file"`));
      intercept(failing(code, name));
      expect(await refusal()).toMatchObject({ message: "it started" });
    }
  });

  test.each(["EPERM", "EINVAL", "ENOSYS", "EOPNOTSUPP"])(
    "sockets (%s), and it is said how to have them elsewhere",
    async (code) => {
      bindError.code = code;
      try {
        expect(await refusal()).toMatchObject({
          code: "ERR_SOCKET_PATH",
          message: expect.stringMatching(new RegExp(`${code}.*--socket.*GAMBAS_SESSION_SOCKET`)),
        });
      } finally {
        bindError.code = undefined;
      }
    },
  );

  test("names with a colon", async () => {
    intercept((call) =>
      call.name === "openSync" && call.path.split("/").at(-1)?.includes(":") === true ? failure("EINVAL", call) : "do",
    );
    expect(await refusal()).toMatchObject({ code: "ERR_BAD_ROOT", message: expect.stringContaining("colon") });
  });

  test("a root that everybody may read, and whose mode cannot be changed", async () => {
    intercept((call) => {
      if (call.name === "chmodSync") return failure("EPERM", call);
      const isRoot = /\/gs-[^/]*$/.test(call.path);
      return isRoot && /stat/i.test(call.name) ? (stat) => Object.assign(stat as object, { mode: 0o40755 }) : "do";
    });
    expect(await refusal()).toMatchObject({ code: "ERR_BAD_ROOT", message: expect.stringContaining("other users") });
    intercept((call) => {
      if (call.name === "chmodSync") return "skip";
      const isRoot = /\/gs-[^/]*$/.test(call.path);
      return isRoot && /stat/i.test(call.name) ? (stat) => Object.assign(stat as object, { mode: 0o40755 }) : "do";
    });
    expect(await refusal()).toMatchObject({ code: "ERR_BAD_ROOT", message: expect.stringContaining("umask=077") });
  });

  test.each([
    ["a root", "EROFS", (path: string) => path.endsWith("sessiond.pid")],
    ["a directory for what is being written", "EROFS", (path: string) => path.includes("sessiond.twins")],
  ])("%s that cannot be written to", async (_, code, isThere) => {
    intercept((call) =>
      (call.name === "openSync" || call.name === "mkdirSync") && isThere(call.path) ? failure(code, call) : "do",
    );
    expect(await refusal()).toMatchObject({ code: "ERR_STORE", message: expect.stringContaining("EROFS") });
  });
});

test("a session directory that cannot be written to is served all the same, and what fails is told at each write", async () => {
  const [anna] = await open();
  const id = await created(anna, { n: 1 });
  await lab?.stop();
  const isWrite = (call: SystemCall): boolean => {
    const isThere = call.args.some((path) => typeof path === "string" && path.includes("/session/"));
    const isOpen = call.name === "openSync" && (Number(call.args[1]) & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
    return isThere && (isOpen || call.name === "renameSync" || call.name === "exchange" || call.name === "mkdirSync");
  };
  intercept((call) => (call.name !== "openSync" && isWrite(call) ? failure("EROFS", call) : "do"));
  await lab?.start();
  expect(await readBy(anna, id, "n")).toBe(1);
  await expect(put(anna, id, "n", 2)).rejects.toMatchObject({
    code: "ERR_STORE",
    message: expect.stringContaining("EROFS"),
  });
  letThrough();
  await put(anna, id, "n", 3);
  expect(await lackingOf(anna)).toEqual([]);
});

test("what an earlier daemon left inside a mount is removed by one that has its twins elsewhere", async () => {
  intercept(acrossMounts);
  const [anna] = await open();
  const id = await created(anna, { n: 1 });
  for (let n = 2; n < 5; n++) await put(anna, id, "n", "x".repeat(n));
  const inside = join(lab?.root ?? "", "session/.sessiond.twins");
  expect(readdirSync(inside)).toHaveLength(1);
  await lab?.stop();
  expect(existsSync(inside)).toBe(false);
  letThrough();
  mkdirSync(inside);
  writeFileSync(join(inside, "left"), "");
  await lab?.start();
  expect(existsSync(inside)).toBe(false);
  expect(await lackingOf(anna)).toEqual([]);
});
