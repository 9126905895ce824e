// The doctor as an operator meets it: the command with what it prints, and roots on which whole processes, users or file systems are in trouble.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { doctor } from "../../../daemon/cli/doctor.ts";
import { examine, type Finding } from "../../../daemon/doctor/doctor.ts";
import { describeGambas, GambasHouse } from "../../support/gambas/gambas.ts";
import { hasPrivateTmp } from "../../support/private-tmp.ts";
import { freshRoot, kill, killAndWait, removeRoot, startDaemonProcess } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

const isAdministrator = process.getuid?.() === 0;
const NOBODY = 65_534;
const main = join(repository, "dist/daemon/main.js");
let place: string;
let root: string;

beforeEach(() => {
  place = freshRoot();
  root = join(place, "root");
  mkdirSync(join(root, "session"), { recursive: true, mode: 0o700 });
});

afterEach(async () => {
  await removeRoot(root);
  await removeRoot(place);
});

async function found(): Promise<ReadonlyMap<string, Finding>> {
  const { findings } = await examine({ root });
  return new Map(findings.map((finding) => [`${finding.check}/${finding.name}`, finding]));
}

function bad(findings: ReadonlyMap<string, Finding>): readonly string[] {
  return [...findings].filter(([, { state }]) => state === "warning" || state === "problem").map(([name]) => name);
}

/** A process that is connected, has a session open, and runs in a folder of its own. */
async function beginApplication(name: string): Promise<ChildProcess> {
  const folder = join(place, name);
  mkdirSync(folder);
  const script = `
    import { openSync } from "node:fs";
    import { connect } from ${JSON.stringify(join(repository, "dist/entries/index.js"))};
    const client = await connect({ root: ${JSON.stringify(root)}, spawn: false });
    const handle = client.create();
    handle.set("n", 1);
    await handle.save();
    openSync(${JSON.stringify(join(root, "session"))} + "/" + handle.id);
    console.log("ready");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout as NodeJS.ReadableStream, "data");
  return child;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(program, args, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

function findingsIn({ stdout }: Ended): ReadonlyMap<string, Finding> {
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return new Map(findings.map((finding) => [`${finding.check}/${finding.name}`, finding]));
}

describe("a root", () => {
  test.runIf(isAdministrator && hasPrivateTmp)("on a full disk in memory is told to be full", async () => {
    const script = `
      mount -t tmpfs -o size=256k,nr_inodes=20 none "$1" && mkdir "$1/session" && chmod 700 "$1"
      head -c 250k /dev/zero >"$1/session/.unique.lock"
      for n in 1 2 3 4 5 6 7 8 9 10; do : >"$1/session/$n.lock"; done
      exec "$2" "$3" doctor --json --root "$1"`;
    const ended = await run("unshare", "-m", "sh", "-c", script, "sh", root, process.execPath, main);
    const findings = findingsIn(ended);
    expect(ended.code).toBe(1);
    expect(findings.get("space/full")?.seen).toContain(`${root} is full: `);
    expect(findings.get("space/no-files-left")?.state).toBe("problem");
    expect(findings.get("file system/in-memory")?.seen).toContain("tmpfs is memory");
    expect(findings.get("file system/untried")?.state).toBe("note");
  });

  test.runIf(isAdministrator && hasPrivateTmp)("on a disk that is mounted read-only is told so", async () => {
    const script = `mount -t tmpfs -o ro none "$1" && exec "$2" "$3" doctor --json --root "$1"`;
    const ended = await run("unshare", "-m", "sh", "-c", script, "sh", root, process.execPath, main);
    expect(findingsIn(ended).get("file system/read-only")?.remedy?.command).toBe(`sudo mount -o remount,rw ${root}`);
  });

  test.runIf(isAdministrator)("of another user is told to that one who may see nothing of it", async () => {
    chmodSync(place, 0o755);
    // What this user may read.
    const copy = join(tmpdir(), `gs-copy-${process.pid}`);
    mkdirSync(copy);
    chmodSync(copy, 0o755);
    try {
      for (const part of ["dist/daemon", "dist/protocol", "package.json", "node_modules/msgpackr"])
        cpSync(join(repository, part), join(copy, part), { recursive: true, dereference: true });
      const asNobody = ["--reuid", String(NOBODY), "--clear-groups", process.execPath];
      const program = join(copy, "dist/daemon/main.js");
      const ended = await run("setpriv", ...asNobody, program, "doctor", "--json", "--root", root);
      const findings = findingsIn(ended);
      expect(ended.code).toBe(1);
      expect(findings.get("root/foreign")?.remedy?.command).toBe(`sudo -u '#0' gambas-sessiond doctor --root ${root}`);
      // That package is not whole here, and the doctor says so and goes on. What follows from the first is not told.
      expect(bad(findings)).toEqual(["root/foreign", "record locks/not-loaded"]);
    } finally {
      await removeRoot(copy);
    }
  });
});

describe("a daemon", () => {
  test("that was killed has left what the next one replaces", async () => {
    const { pid } = await startDaemonProcess(root);
    await killAndWait(pid ?? 0);
    const findings = await found();
    expect(findings.get("socket/stale")?.state).toBe("note");
    expect(findings.get("election/left-behind")?.state).toBe("note");
    expect(bad(findings)).toEqual([]);
  });

  test("that was stopped is told so, with how to let it go on", async () => {
    const { pid } = await startDaemonProcess(root);
    kill(pid ?? 0, "SIGSTOP");
    const findings = await found();
    expect(bad(findings)).toEqual(["election/stopped"]);
    expect(findings.get("election/stopped")?.remedy?.command).toBe(`kill -CONT ${pid}`);
    expect(findings.get("umask/fine")?.seen).toBe("the daemon's is 0077");
    kill(pid ?? 0, "SIGCONT");
  });

  test("that may have few descriptors is told so, with how to give it more", async () => {
    const args = [
      "-c",
      'ulimit -n 256; exec "$@"',
      "sh",
      process.execPath,
      main,
      "--root",
      root,
      "--log-level",
      "silent",
    ];
    const child = spawn("sh", args, { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout as NodeJS.ReadableStream, "data");
    const { seen, remedy } = (await found()).get("descriptors/few") ?? {};
    expect(seen).toContain("may have 256 descriptors");
    expect(remedy?.command).toBe(`sudo prlimit --pid ${child.pid} --nofile=65536`);
    await killAndWait(child.pid ?? 0);
  });

  test("has the applications named that seem to share its root", async () => {
    const { pid } = await startDaemonProcess(root);
    const workers = await Promise.all(["shop", "blog"].map(beginApplication));
    const { state, seen } = (await found()).get("applications/several") ?? {};
    for (const worker of workers) worker.kill("SIGKILL");
    await Promise.all(workers.map((worker) => once(worker, "close")));
    expect(state).toBe("warning");
    for (const name of ["shop", "blog"]) expect(seen).toContain(`${join(place, name)} (1 process)`);
    await killAndWait(pid ?? 0);
  });
});

describe("the command doctor", () => {
  const sessiond = (...args: readonly string[]): Promise<Ended> => run(process.execPath, main, "doctor", ...args);

  test("ends with 0 where there is no problem and with 1 where there is one, in 80 columns and without colours in a pipe", async () => {
    chmodSync(root, 0o755);
    const well = await sessiond("--root", root);
    expect([well.code, well.stderr]).toEqual([0, ""]);
    expect(well.stdout).toMatch(/^ {2}warning {2}root {11}.* has mode 0755: /m);
    expect(well.stdout).toContain(`\n    chmod 700 ${root}\n`);
    expect(well.stdout).toMatch(/\nNo problem, 1 warning, \d+ notes?; \d+ checks are well. Nothing was changed.\n$/);
    const prose = well.stdout.split("\n").filter((line) => !line.startsWith("    ") || line.startsWith("      "));
    expect(prose.filter((line) => line.length > 80 && line.includes(" ", 27))).toEqual([]);
    expect(well.stdout).not.toContain("\x1b");
    const file = join(place, "file");
    writeFileSync(file, "");
    const bad = await sessiond("--root", file, "--json");
    expect(bad.code).toBe(1);
    const report = JSON.parse(bad.stdout) as { findings: Finding[]; counts: Record<string, number> };
    expect(report.counts.problem).toBe(1);
    expect(report.findings.find(({ state }) => state === "problem")).toEqual({
      check: "root",
      name: "no-directory",
      state: "problem",
      seen: `${file} is no directory.`,
      remedy: { advice: "Move it away, or name another root.", command: `mv ${file} ${file}.away` },
    });
    expect((await sessiond("--root", "")).code).toBe(2);
  });

  test("has colours on a terminal that takes them", async () => {
    const told = async (env: NodeJS.ProcessEnv): Promise<string> => {
      let said = "";
      const say = async (text: string): Promise<boolean> => {
        said += text;
        return true;
      };
      const around = { stdout: { isTTY: true }, env } as unknown as NodeJS.Process;
      await doctor({ options: { root }, operands: [], form: "text", say }, around);
      return said;
    };
    expect(await told({ TERM: "xterm" })).toContain("\x1b[32mok");
    expect(await told({ TERM: "xterm", NO_COLOR: "1" })).not.toContain("\x1b");
  });
});

describeGambas("the doctor", () => {
  test("sees the Gambas programs that share the root, and what they leave there", async () => {
    const house = await GambasHouse.open();
    const oracle = house.startOracle();
    await oracle.do("put", [["n", { type: "Integer", value: 1 }]]);
    const { stdout } = await house.node(main, ["doctor", "--json"], { GAMBAS_SESSION_ROOT: "" });
    await oracle.end();
    const findings = findingsIn({ code: 0, stdout, stderr: "" });
    await house.close();
    expect(findings.get("gambas/fine")?.seen).toMatch(/^3\.\d+\.\d+ /);
    expect(findings.get("gambas/running")?.seen).toMatch(/oracle.* \(pid \d+\)/);
    expect(bad(findings)).toEqual([]);
  });
});
