// The doctor at real roots in which something real is wrong: what is found, and that nothing is changed by looking.

import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { examine, type Finding } from "../../../daemon/doctor/doctor.ts";
import { lookForCleaners } from "../../../daemon/doctor/looks/cleaners.ts";
import { interpreters, leftDirectories } from "../../../daemon/doctor/looks/gambas.ts";
import { type DaemonOptions, startDaemon } from "../../../daemon/start.ts";
import { applyDelta, newImage } from "../../../protocol/image/image.ts";
import { databaseName } from "../../../protocol/session-id.ts";
import { newId } from "../../support/daemon/lab.ts";
import { deltaOf } from "../../support/daemon/raw-worker.ts";
import { freshRoot, keepLocked, killAndWait, removeRoot } from "../../support/processes.ts";
import { imprint } from "./imprint.ts";

const isAdministrator = process.getuid?.() === 0;
let place: string;
let root: string;

beforeEach(() => {
  place = freshRoot();
  root = join(place, "root");
});

afterEach(async () => {
  await removeRoot(root);
  await removeRoot(place);
});

function makeRoot(): string {
  mkdirSync(join(root, "session"), { recursive: true, mode: 0o700 });
  chmodSync(root, 0o700);
  return root;
}

/** A session file, whole. @param nowMs when it was used. */
function writeSession(cookiePath = "/", nowMs = Date.now()): string {
  const id = newId("10.0.0.9");
  const image = newImage({ nowMs, timeoutSeconds: 86_400, cookiePath });
  const path = join(root, "session", id);
  writeFileSync(path, applyDelta(image, { delta: deltaOf({ n: 1 }), nowMs }), { mode: 0o600 });
  return path;
}

async function found(options: DaemonOptions = {}): Promise<ReadonlyMap<string, Finding>> {
  const { findings } = await examine({ root, ...options });
  return new Map(findings.map((finding) => [`${finding.check}/${finding.name}`, finding]));
}

/** What is wrong, by check and row. */
async function wrongs(options: DaemonOptions = {}): Promise<readonly string[]> {
  const bad = [...(await found(options))].filter(([, { state }]) => state === "warning" || state === "problem");
  return bad.map(([name]) => name);
}

describe("a root", () => {
  test("that is not there yet is no problem, and is not made", async () => {
    const findings = await found();
    expect(findings.get("root/absent")?.state).toBe("note");
    expect(findings.get("socket/no-daemon")?.remedy?.command).toBe(`gambas-sessiond --root ${root}`);
    expect(readdirSync(place)).toEqual([]);
    expect(await wrongs()).toEqual([]);
  });

  test("without a daemon is looked at by itself, and its file system is tried elsewhere", async () => {
    makeRoot();
    writeSession();
    const findings = await found();
    expect(findings.get("root/fine")?.seen).toContain(root);
    expect(findings.get("file system/fine")?.seen).toContain("tried now in a temporary folder");
    expect(findings.get("sessions/fine")?.seen).toBe("1 session, all of them whole");
    expect(await wrongs()).toEqual([]);
  });

  test("in which temporary files are made is not tried at all", async () => {
    makeRoot();
    const before = process.env.TMPDIR;
    process.env.TMPDIR = join(root, "session");
    const { seen } = (await found()).get("file system/untried") ?? {};
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    expect(seen).toContain("is in the root");
  });

  test("is told for what it is where no daemon takes it", async () => {
    makeRoot();
    symlinkSync(root, join(place, "link"));
    writeFileSync(join(place, "file"), "");
    const link = await found({ root: join(place, "link") });
    expect(link.get("root/link")?.remedy?.command).toBe(`export GAMBAS_SESSION_ROOT=${root}`);
    expect(await wrongs({ root: join(place, "file") })).toEqual(["root/no-directory"]);
    expect(await wrongs({ root: join(place, "file", "below") })).toEqual(["root/unseen"]);
    chmodSync(root, 0o750);
    chmodSync(place, 0o777);
    expect(await wrongs()).toEqual(["root/mode", "root/open-parent"]);
    chmodSync(place, 0o700);
    expect(await wrongs({ root: join(place, "x".repeat(120)) })).toEqual(["socket/too-long"]);
  });

  test.runIf(isAdministrator)("that is another user's is told with whom to ask as", async () => {
    makeRoot();
    chownSync(root, 12_345, 12_345);
    const findings = await found();
    expect(findings.get("root/foreign")?.remedy?.command).toBe(
      `sudo -u '#12345' gambas-sessiond doctor --root ${root}`,
    );
  });

  test("has its odd sessions named, and other things that lie there", async () => {
    makeRoot();
    const sessions = join(root, "session");
    const [good, damaged, barred, future] = [
      writeSession("/shop"),
      writeSession(),
      writeSession("/blog"),
      writeSession("/", Date.now() + 7_300_000),
    ];
    writeFileSync(damaged ?? "", readFileSync(good ?? "").subarray(0, 20));
    chmodSync(barred ?? "", 0o044);
    mkdirSync(join(sessions, newId()));
    for (const name of [databaseName(newId()), "_unique_lock.db", ".unique.lock", "notes.txt"])
      writeFileSync(join(sessions, name), "");
    writeSession("/other");
    mkdirSync(join(root, "4194305"));
    const findings = await found();
    expect(findings.get("sessions/damaged")?.seen).toContain("1 session cannot be read: ");
    expect(findings.get("sessions/damaged")?.remedy?.command).toBe(`gambas-sessiond show ${damaged}`);
    expect(findings.get("sessions/barred")?.seen).toContain("(mode 0044)");
    expect(findings.get("sessions/future")?.seen).toMatch(/\(in 2 h\)/);
    expect(findings.get("sessions/no-files")?.seen).toContain("(a directory)");
    expect(findings.get("sessions/strays")?.seen).toBe("In session/ there is what no session is: notes.txt.");
    expect(findings.get("other type/in-use")?.seen).toContain("1 session of type sqlite in session/");
    expect(findings.get("applications/cookie-paths")?.seen).toContain("/shop");
    // Its program may still be there, out of sight: it is too young to tell.
    expect(findings.has("gambas/left-directories")).toBe(false);
    expect(future).toBeDefined();
  });

  test.runIf(isAdministrator)("has sessions that are other users' named", async () => {
    makeRoot();
    const path = writeSession();
    chownSync(path, 12_345, 12_345);
    expect((await found()).get("sessions/foreign")?.remedy?.command).toBe(`sudo chown 0 ${path}`);
  });

  test("has a session/ that is no directory, or elsewhere, told", async () => {
    makeRoot();
    rmSync(join(root, "session"), { recursive: true });
    writeFileSync(join(root, "session"), "");
    expect(await wrongs()).toEqual(["sessions/unseen"]);
  });
});

describe("a daemon", () => {
  test("that is well is told so, with all that it needs", async () => {
    makeRoot();
    writeSession();
    const daemon = await startDaemon({ root, logLevel: "silent" });
    const findings = await found();
    expect([...findings.values()].filter(({ state }) => state === "warning" || state === "problem")).toEqual([]);
    for (const check of ["socket", "election", "versions", "record locks", "watches", "descriptors", "umask"])
      expect(findings.has(`${check}/fine`), check).toBe(true);
    expect(findings.get("file system/fine")?.seen).toContain("as the daemon has tried");
    const others = await wrongs({ root: place, socket: join(root, "sessiond.sock") });
    expect(others).toEqual(["socket/other-root"]);
    await daemon.stop();
  });

  test("to which others can connect, and that keeps nothing, is told so", async () => {
    makeRoot();
    const daemon = await startDaemon({ root, logLevel: "silent", type: "memory" });
    chmodSync(daemon.socket, 0o666);
    expect(await wrongs({ root, type: "memory" })).toEqual(["socket/mode", "socket/loses-everything"]);
    await daemon.stop();
  });

  test("whose lock was removed is told so, as long as it has not noticed", async () => {
    makeRoot();
    const lookWithout = async (): Promise<readonly string[]> => {
      const daemon = await startDaemon({ root, logLevel: "silent" });
      rmSync(join(root, "sessiond.lock"), { recursive: true });
      const wrong = await wrongs();
      await daemon.stop();
      return wrong;
    };
    // On a busy machine it may notice first, and leave.
    await expect.poll(lookWithout, { timeout: 120_000 }).toEqual(["election/no-lock-directory"]);
  });

  test("that has the root and no socket is told so", async () => {
    makeRoot();
    const pidFile = join(root, "sessiond.pid");
    const { pid = 0 } = await keepLocked(pidFile);
    writeFileSync(pidFile, `${pid}\n`);
    expect((await found()).get("socket/lost")?.remedy?.command).toBe(`kill ${pid}`);
    await killAndWait(pid);
    expect(await wrongs()).toEqual([]);
  });

  test("that began before the clock was set is told to have done so", async () => {
    makeRoot();
    const daemon = await startDaemon({ root, logLevel: "silent" });
    const anHourAgo = Date.now() / 1000 - 3_600;
    utimesSync(join(root, "sessiond.pid"), anHourAgo, anHourAgo);
    expect((await found()).get("clock/moved")?.seen).toContain("set forth by 60 min");
    await daemon.stop();
  });

  test("that takes permissions from its own files is told so", async () => {
    makeRoot();
    const daemon = await startDaemon({ root, logLevel: "silent" });
    const umask = process.umask(0o277);
    expect((await found()).get("umask/takes-owner's-bits")?.seen).toContain("umask 0277");
    process.umask(umask);
    await daemon.stop();
  });

  test("is not what answers in its place, or lies there", async () => {
    makeRoot();
    const socket = join(root, "sessiond.sock");
    const server = createServer((peer) => peer.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(50))).listen(
      socket,
    );
    await once(server, "listening");
    expect(await wrongs()).toContain("socket/stranger");
    server.close();
    await once(server, "close");
    writeFileSync(socket, "");
    expect(await wrongs()).toEqual([]);
    writeFileSync(socket, "mine");
    expect(await wrongs()).toEqual(["socket/no-socket"]);
  });
});

describe("the machine", () => {
  test("has its cleaners told by their settings, of which those in /etc replace others of the same name", () => {
    const folders = ["etc/tmpfiles.d", "usr/lib/tmpfiles.d", "run/systemd/system"];
    for (const folder of folders) mkdirSync(join(place, folder), { recursive: true });
    writeFileSync(join(place, "usr/lib/tmpfiles.d/tmp.conf"), "q /tmp 1777 root root 10d\n");
    writeFileSync(join(place, "usr/lib/tmpfiles.d/other.conf"), "# nothing\n");
    writeFileSync(join(place, "usr/lib/tmpfiles.d/README"), "d /tmp - - - 1d\n");
    symlinkSync("/dev/null", join(place, "etc/tmpfiles.d/tmp.conf"));
    writeFileSync(join(place, "etc/tmpreaper.conf"), "TMPREAPER_TIME=7d\n");
    expect(lookForCleaners(place)).toEqual({
      tmpfiles: [
        { path: join(place, "etc/tmpfiles.d/tmp.conf"), text: "" },
        { path: join(place, "usr/lib/tmpfiles.d/other.conf"), text: "# nothing\n" },
      ],
      hasSystemd: true,
      reapers: [{ path: join(place, "etc/tmpreaper.conf"), text: "TMPREAPER_TIME=7d\n" }],
    });
  });

  test("has the directories told that killed Gambas programs have left, once they are old", () => {
    makeRoot();
    for (const pid of [4_194_305, process.pid]) mkdirSync(join(root, String(pid)));
    expect(leftDirectories(root, Date.now())).toEqual([]);
    expect(leftDirectories(root, Date.now() + 600_000)).toEqual(["4194305"]);
  });

  test("has its interpreters told with their versions, each once", async () => {
    for (const folder of ["a", "b"]) mkdirSync(join(place, folder));
    writeFileSync(join(place, "a/gbx3"), "#!/bin/sh\necho 3.22.1\n", { mode: 0o755 });
    writeFileSync(join(place, "b/gbx3"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const found = await interpreters({ PATH: `${place}/a:relative:${place}/a:${place}/b` });
    expect(found.slice(0, 2)).toEqual([
      { path: join(place, "a/gbx3"), version: "3.22.1" },
      { path: join(place, "b/gbx3"), version: "" },
    ]);
  });
});

describe("a look", () => {
  test("leaves a root without a daemon byte for byte and stamp for stamp as it was", async () => {
    makeRoot();
    await (await startDaemon({ root, logLevel: "silent" })).stop();
    const damaged = writeSession();
    for (const path of [writeSession(), damaged]) {
      if (path === damaged) writeFileSync(path, "short");
      // As old as it is, whoever reads the file moves it, unless they ask it not to be.
      utimesSync(path, 1, Date.now() / 1000);
    }
    const before = imprint(root);
    await examine({ root });
    expect(imprint(root)).toEqual(before);
  });

  test("leaves a root with a daemon as it was, but for the stamp that this renews on its lock", async () => {
    makeRoot();
    const path = writeSession();
    const daemon = await startDaemon({ root, logLevel: "silent", sweepMs: 0 });
    utimesSync(path, 1, Date.now() / 1000);
    const butLock = (): Readonly<Record<string, string>> => ({ ...imprint(root), [join(root, "sessiond.lock")]: "" });
    const before = butLock();
    await examine({ root });
    expect(butLock()).toEqual(before);
    await daemon.stop();
  });
});
