// Files that are not as we make them: of another mode or owner, with a second name, or no files at all; in the place of a session, of its
// lock file, of its twin. Once as the user of the tests, and once, where that is root, as one who is not: root may read everything.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Daemon, type DaemonOptions, startDaemon } from "../../../daemon/start.ts";
import { Places } from "../../../daemon/store/gambas-file/layout.ts";
import type { SessionError } from "../../../protocol/errors.ts";
import { applyDelta, newImage } from "../../../protocol/image/image.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { deltaOf, RawWorker, valuesIn } from "../../support/daemon/raw-worker.ts";
import { freshRoot, keepLocked, killAndWait, removeRoot, until } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

const DAEMON = join(repository, "dist/daemon/main.js");
const NOBODY = 65_534;
const HOUR_MS = 3_600_000;

const isRoot = process.getuid?.() === 0;
const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, DAEMON];
const canBeNobody = isRoot && spawnSync("setpriv", [...asNobody, "--help"], { cwd: "/" }).status === 0;
if (!canBeNobody)
  console.log(
    "*** SKIPPED: files of others for a daemon that is not root (needs root, setpriv, and a clone others may read)",
  );

/** It is ended with its root. */
async function startAsNobody(options: DaemonOptions): Promise<void> {
  const flags = Object.entries(options).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    String(value),
  ]);
  const child = spawn("setpriv", [...asNobody, ...flags], { cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
}

/** A directory, pipe or link in the place of a file. Each leaves `precious` alone. */
const THINGS: Readonly<Record<string, (path: string, precious: string) => void>> = {
  "a directory that is not empty": (path) => {
    mkdirSync(path);
    writeFileSync(join(path, "file"), "");
  },
  "a pipe": (path) => execFileSync("mkfifo", [path]),
  "a link": (path, precious) => symlinkSync(precious, path),
  "a link that leads nowhere": (path) => symlinkSync("/nowhere/at/all", path),
  "a second name of a file": (path, precious) => linkSync(precious, path),
  "a socket": (path) => {
    // Killed, so that it leaves its socket.
    const script =
      'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    spawnSync(process.execPath, ["-e", script, path]);
    expect(lstatSync(path).isSocket()).toBe(true);
  },
};

describe.each([
  ["the user of the tests", undefined],
  ["a user that is not root", NOBODY],
])("a daemon of %s", (_, wantedUid) => {
  const uid = wantedUid ?? process.getuid?.() ?? 0;
  /** Root may chown files to anybody. */
  const otherUid = uid === 0 ? 1 : 0;
  const mayReadAll = uid === 0;
  const itAs = test.skipIf(wantedUid !== undefined && !canBeNobody);
  const itWithOthers = test.skipIf(!isRoot || (wantedUid !== undefined && !canBeNobody));

  let root: string;
  let daemon: Daemon | undefined;
  let worker: RawWorker;
  let id: string;
  let path: string;
  let precious: string;

  beforeEach(() => {
    root = freshRoot();
    own(root);
    precious = join(root, "precious");
    writeFileSync(precious, "of great worth");
    own(precious);
    id = newId();
    path = join(root, "session", id);
  });

  afterEach(async () => {
    await worker?.close();
    await daemon?.stop();
    daemon = undefined;
    await removeRoot(root);
  });

  function own(file: string): void {
    if (wantedUid !== undefined) chownSync(file, wantedUid, wantedUid);
  }

  async function start(options: DaemonOptions = {}): Promise<void> {
    const all = { root, logLevel: "silent", lockWaitMs: 200, ...options } as const;
    if (wantedUid === undefined) daemon = await startDaemon(all);
    else await startAsNobody(all);
    worker = await RawWorker.connect(join(root, "sessiond.sock"), "odd");
  }

  /** As put back from a backup: another inode, of that mode and owner. */
  function putBack(image: Buffer, mode: number, owner = uid): void {
    const aside = join(root, "aside");
    writeFileSync(aside, image);
    chownSync(aside, owner, owner);
    chmodSync(aside, mode);
    renameSync(aside, path);
  }

  function imageOf(values: Readonly<Record<string, unknown>>, nowMs = Date.now()): Buffer {
    return applyDelta(newImage({ nowMs, timeoutSeconds: 86_400 }), { delta: deltaOf(values), nowMs });
  }

  const valuesNow = (): Record<string, unknown> => valuesIn(readFileSync(path));

  /** Reads, writes, prolongs and leases it; it is ours then, for no one else, and Gambas of the same user may use it. */
  async function expectWorks(): Promise<void> {
    expect(await worker.values(id)).toMatchObject({ n: 0 });
    for (let n = 1; n <= 5; n++) await worker.commit(id, { n });
    await worker.call("touch", id, 0);
    const { fence } = await worker.lease(id);
    await worker.commitLeased(id, { n: 6 }, fence);
    expect(valuesNow()).toMatchObject({ n: 6 });
    const stat = lstatSync(path);
    expect([stat.isFile(), stat.uid, stat.mode & 0o777, stat.nlink]).toEqual([true, uid, 0o600, 1]);
  }

  async function expectEnds(): Promise<void> {
    await worker.abandon(id);
    expect(existsSync(path)).toBe(false);
    expect(existsSync(`${path}.lock`)).toBe(false);
    expect(await worker.values(id)).toBeUndefined();
  }

  describe("works with a session file", () => {
    itAs.each([0o444, 0o400, 0o600, 0o644, 0o666, 0o777])("of its own whose mode is %o", async (mode) => {
      await start();
      putBack(imageOf({ n: 0 }), mode);
      await expectWorks();
      await expectEnds();
    });

    itWithOthers.each([0o644, 0o666, 0o444])("of another user whose mode is %o", async (mode) => {
      await start();
      putBack(imageOf({ n: 0 }), mode, otherUid);
      await worker.call("touch", id, 0);
      await expectWorks();
      await expectEnds();
    });

    itWithOthers("of another user that is old: prolonging it is enough to make it ours", async () => {
      await start();
      putBack(imageOf({ n: 0 }, Date.now() - HOUR_MS), 0o644, otherUid);
      const before = readFileSync(path);
      await worker.call("touch", id, 0);
      expect(readFileSync(path).subarray(0, 8).equals(before.subarray(0, 8))).toBe(false);
      expect(readFileSync(path).subarray(8).equals(before.subarray(8))).toBe(true);
    });

    itAs("that was ours and is put back between our writes", async () => {
      await start();
      await worker.create(id, { n: 0 });
      for (let n = 1; n < 10; n++) {
        await worker.commit(id, { n });
        putBack(imageOf({ n: 100 + n }), n % 2 === 0 ? 0o444 : 0o644);
        await worker.commit(id, { m: n });
        expect(valuesNow()).toMatchObject({ m: n });
      }
    });

    itAs("that has a second name, a backup say: what is behind that keeps its bytes", async () => {
      await start();
      await worker.create(id, { n: 0 });
      for (let n = 1; n < 8; n++) {
        const backup = join(root, `backup${n}`);
        const before = readFileSync(path);
        linkSync(path, backup);
        if (n % 3 === 0) await worker.call("touch", id, 0);
        await worker.commit(id, { n });
        await worker.commit(id, { n, m: n });
        await worker.commit(id, { n, m: -n });
        expect(readFileSync(backup).equals(before)).toBe(true);
      }
      putBack(imageOf({ n: 0 }, Date.now() - HOUR_MS), 0o600);
      linkSync(path, join(root, "old"));
      const old = readFileSync(path);
      await worker.call("touch", id, 0);
      expect(readFileSync(join(root, "old")).equals(old)).toBe(true);
      expect(readFileSync(path).equals(old)).toBe(false);
    });
  });

  describe("leaves a session file that it may not read as it is, says whose it is, and ends it where that is asked for:", () => {
    const unreadable = [
      ["its own, of mode 0000", 0o000, (): number => uid],
      ["another user's, of mode 0600", 0o600, (): number => otherUid],
    ] as const;

    itWithOthers.each(unreadable)("%s", async (_, mode, owner) => {
      await start();
      const image = imageOf({ n: 0 });
      putBack(image, mode, owner());
      if (mayReadAll) return expectWorks();
      const before = statSync(path);
      for (const call of [
        worker.open(id),
        worker.commit(id, { n: 1 }),
        worker.lease(id),
        worker.call("touch", id, 0),
      ]) {
        const error = await call.then(
          () => undefined,
          (problem: SessionError) => problem,
        );
        expect(error).toMatchObject({ code: "ERR_UNREADABLE" });
        expect(error?.message).toMatch(new RegExp(`uid ${owner()} and has mode 0${mode.toString(8).padStart(3, "0")}`));
      }
      expect([statSync(path).ino, statSync(path).mode, readFileSync(path).equals(image)]).toEqual([
        before.ino,
        before.mode,
        true,
      ]);
      await expectEnds();
      return undefined;
    });

    itWithOthers("one that had ended, put back", async () => {
      await start({ sweepMs: 50 });
      await worker.create(id, { n: 0 });
      const image = readFileSync(path);
      await worker.abandon(id);
      putBack(image, 0o000, otherUid);
      await until(() => !existsSync(path));
      expect(await worker.values(id)).toBeUndefined();
    });

    itWithOthers("another user's whose time is over, by the sweep", async () => {
      await start({ sweepMs: 50 });
      putBack(imageOf({ n: 0 }, Date.now() - 48 * HOUR_MS), 0o644, otherUid);
      await until(() => !existsSync(path));
      await until(() => !existsSync(`${path}.lock`));
    });
  });

  describe("in the place of a session", () => {
    itAs.each(Object.keys(THINGS).filter((name) => name !== "a second name of a file"))(
      "%s is no session, and is left; others are served",
      async (name) => {
        await start();
        THINGS[name]?.(path, precious);
        const before = lstatSync(path);
        for (const call of [worker.open(id), worker.commit(id, { n: 1 }), worker.lease(id)])
          expect(await codeOf(call.then(() => Promise.reject({ code: "none" })))).toMatch(
            /ERR_UNREADABLE|ERR_SESSION_GONE|none/,
          );
        if (name.startsWith("a directory")) expect(lstatSync(path).ino).toBe(before.ino);
        const other = newId();
        await worker.create(other, { n: 0 }, { unique: true });
        expect(await worker.values(other)).toEqual({ n: 0 });
        expect(readFileSync(precious, "utf8")).toBe("of great worth");
      },
    );
  });

  describe("makes its twin anew where there is", () => {
    async function expectTwinIsMade(): Promise<void> {
      for (let n = 1; n <= 4; n++) await worker.commit(id, { n });
      expect(valuesNow()).toMatchObject({ n: 4 });
      expect(lstatSync(path)).toMatchObject({ uid, nlink: 1 });
      expect(readFileSync(precious, "utf8")).toBe("of great worth");
    }

    /** With its files closed, so that the twin is opened again. */
    async function twinOfClosed(): Promise<string> {
      await start({ openSessions: 1 });
      await worker.create(id, { n: 0 });
      await worker.commit(id, { n: 0.5 });
      for (let count = 0; count < 3; count++) await worker.create(newId(), { n: 0 });
      const twin = new Places(root).twin(id);
      rmSync(twin, { force: true });
      return twin;
    }

    itAs.each(Object.keys(THINGS))("%s", async (name) => {
      const twin = await twinOfClosed();
      THINGS[name]?.(twin, precious);
      if (wantedUid !== undefined && !lstatSync(twin).isSymbolicLink()) own(twin);
      if (name.startsWith("a directory")) own(join(twin, "file"));
      await expectTwinIsMade();
    });

    itAs.each([0o444, 0o000, 0o644, 0o666])("a file of its own whose mode is %o", async (mode) => {
      const twin = await twinOfClosed();
      writeFileSync(twin, "longer than a session will be, by far ".repeat(100));
      own(twin);
      chmodSync(twin, mode);
      await expectTwinIsMade();
    });

    itWithOthers.each([0o600, 0o644, 0o666])("a file of another user whose mode is %o", async (mode) => {
      const twin = await twinOfClosed();
      writeFileSync(twin, "theirs");
      chownSync(twin, otherUid, otherUid);
      chmodSync(twin, mode);
      await expectTwinIsMade();
    });

    itAs.each(["a file", "a link", "nothing", "a directory of mode 0500"])(
      "%s in the place of all twins, before its start and under it",
      async (name) => {
        const twins = join(root, "sessiond.twins");
        const plant = (): void => {
          rmSync(twins, { recursive: true, force: true });
          if (name === "a file") writeFileSync(twins, "");
          if (name === "a link") symlinkSync("/nowhere/at/all", twins);
          if (name.startsWith("a directory")) mkdirSync(twins, 0o500);
          if (name !== "nothing" && name !== "a link") own(twins);
        };
        plant();
        await start({ openSessions: 1 });
        await worker.create(id, { n: 0 });
        await worker.commit(id, { n: 0.5 });
        plant();
        await expectTwinIsMade();
      },
    );
  });

  describe("takes the lock of a session", () => {
    async function expectLocks(): Promise<void> {
      await worker.commit(id, { n: 1 });
      expect(valuesNow()).toMatchObject({ n: 1 });
      const keeper = await keepLocked(`${path}.lock`);
      expect(await codeOf(worker.commit(id, { n: 2 }))).toBe("ERR_SESSION_BUSY");
      await killAndWait(keeper.pid ?? 0);
      await worker.commit(id, { n: 3 });
      expect(readFileSync(precious, "utf8")).toBe("of great worth");
      await expectEnds();
    }

    itAs.each([0o444, 0o000, 0o666])("whose lock file has mode %o", async (mode) => {
      await start();
      putBack(imageOf({ n: 0 }), 0o600);
      writeFileSync(`${path}.lock`, "");
      own(`${path}.lock`);
      chmodSync(`${path}.lock`, mode);
      await expectLocks();
    });

    itWithOthers.each([0o600, 0o644, 0o666])("whose lock file is another user's, of mode %o", async (mode) => {
      await start();
      putBack(imageOf({ n: 0 }), 0o600);
      writeFileSync(`${path}.lock`, "");
      chownSync(`${path}.lock`, otherUid, otherUid);
      chmodSync(`${path}.lock`, mode);
      await expectLocks();
    });

    itAs.each(["a pipe", "a link", "a link that leads nowhere", "a socket"])(
      "that has %s for its lock file",
      async (name) => {
        await start();
        putBack(imageOf({ n: 0 }), 0o600);
        THINGS[name]?.(`${path}.lock`, precious);
        await expectLocks();
      },
    );

    itAs("whose lock file has a second name, and then another one in its place", async () => {
      await start();
      await worker.create(id, { n: 0 });
      linkSync(`${path}.lock`, join(root, "second"));
      rmSync(`${path}.lock`);
      await expectLocks();
    });

    itAs(
      "of which another program holds the lock only when that gives it back, whatever the lock file's mode",
      async () => {
        await start();
        await worker.create(id, { n: 0 });
        const other = newId();
        const lock = join(root, "session", `${other}.lock`);
        writeFileSync(join(root, "session", other), imageOf({ n: 0 }));
        own(join(root, "session", other));
        writeFileSync(lock, "");
        own(lock);
        const keeper = await keepLocked(lock);
        chmodSync(lock, 0o444);
        expect(await codeOf(worker.commit(other, { n: 1 }))).toBe("ERR_SESSION_BUSY");
        await killAndWait(keeper.pid ?? 0);
        await worker.commit(other, { n: 2 });
      },
    );
  });
});
