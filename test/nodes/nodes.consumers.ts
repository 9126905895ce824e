// Every Node that is promised: the packed package in a project of a user, by hand and under load, with sessions in files and in databases, and then our
// own tests of what depends on Node's inside. The binaries come from the registry: `npm run test:consumers`.

import { execFile } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";
import { installPackage, PATIENCE_MS, packInto, withPath } from "../support/installed.ts";
import { daemonPid, freshRoot, killAndWait, removeRoot, until } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { sqliteMissing } from "../support/sqlite.ts";
import { NODES, nodeFolder, TOO_OLD } from "./nodes.ts";
import { ask, askTogether, Program } from "./site.ts";

/** What Node will not do for ever is an error here, in all of our code and of what we depend on. */
const STRICT = ["--throw-deprecation", "--pending-deprecation"];
const EXPRESS = "express@5.3.0";
/** Tests that see whether a Node still is what the gate before a response, the codec, the frames and the SQLite of Node are taken for. */
const OF_NODES_INSIDE = [
  "test/client/http/node/",
  "test/protocol/value/",
  "test/protocol/image/fixtures",
  "test/protocol/image/references",
  "test/protocol/wire/message",
  "test/protocol/wire/operations",
  "test/daemon/store/gambas-sqlite/",
  "test/client/static/sqlite",
];

let home: string;
let tarball: string;

beforeAll(() => {
  home = freshRoot();
  tarball = packInto(home);
}, PATIENCE_MS);

afterAll(() => removeRoot(home));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What vitest tells of a file. */
interface Reported {
  readonly assertionResults: readonly { readonly fullName: string }[];
}

async function run(program: string, args: readonly string[], options: object): Promise<Outcome> {
  try {
    return { code: 0, ...(await promisify(execFile)(program, args, { ...options, encoding: "utf8" })) };
  } catch (error) {
    return error as Outcome;
  }
}

describe.each(NODES)("under Node %s", (version) => {
  let bin: string;
  let project: string;
  let root: string;
  let daemon: Program;
  let site: Program;
  let ports: readonly [number, number];
  let cookie: string;

  /** A program of the project, as a shell with this Node finds it. */
  const sessiond = (...args: readonly string[]): Promise<Outcome> =>
    run(join(project, "node_modules/.bin/gambas-sessiond"), args, { env: withPath(bin) });

  /** What the session holds, as another worker says it. */
  const shown = async (): Promise<Readonly<Record<string, readonly [type: string, value: unknown]>>> =>
    JSON.parse((await ask(ports[0], "/show", cookie)).text);

  /** Expects every number after those that were counted before, once. */
  const expectCounts = async (count: () => Promise<readonly string[]>): Promise<void> => {
    const before = Number((await shown()).n?.[1] ?? 0);
    const counts = (await count()).map(Number).sort((a, b) => a - b);
    expect(counts).toEqual(counts.map((_, index) => before + index + 1));
  };

  /** Requests at the same time, which both workers answer. */
  const countTogether = async (requests: number): Promise<readonly string[]> => {
    const replies = await Promise.all(Array.from({ length: requests }, () => ask(ports[0], "/count", cookie)));
    expect(new Set(replies.map(({ headers }) => headers.worker)).size).toBe(2);
    return replies.map(({ text }) => text);
  };

  beforeAll(async () => {
    bin = nodeFolder(version);
    project = join(home, `node-${version}`);
    root = join(home, `root-${version}`);
    expect((await run(join(bin, "node"), ["--version"], {})).stdout.trim()).toBe(`v${version}`);
    installPackage(project, [tarball, EXPRESS], withPath(bin));
    copyFileSync(join(repository, "dist/test/nodes/application.js"), join(project, "application.js"));
    copyFileSync(join(repository, "dist/client/examples/express.js"), join(project, "express.js"));
    const main = "node_modules/gambas-session/dist/daemon/main.js";
    daemon = new Program(join(bin, "node"), [...STRICT, main, "--root", root], {}, project);
    await daemon.says(/(ready)/i);
    const env = { GAMBAS_SESSION_ROOT: root };
    site = new Program(join(bin, "node"), [...STRICT, "application.js"], env, project);
    const [http1, http2] = (await site.says(/^ready (.*)$/m)).split(" ").map(Number);
    ports = [http1 ?? 0, http2 ?? 0];
    cookie = (await ask(http1 ?? 0, "/redirect")).cookie;
  }, PATIENCE_MS);

  afterAll(async () => {
    await site?.end();
    await daemon?.end();
    await removeRoot(root);
  });

  it("a redirect begins a session, and what it has set is there for the next worker, with its type", async () => {
    const begun = await ask(ports[0], "/redirect");
    expect([begun.status, begun.cookie]).toEqual([303, expect.stringMatching(/^SESSION=127\.0\.0\.1:[0-9A-F]{24}$/)]);
    expect(await shown()).toMatchObject({ redirected: ["Date", "1970-01-01T00:00:00.000Z"] });
  });

  it("transactions of two workers count exactly over HTTP/1 and HTTP/2", async () => {
    await expectCounts(() => countTogether(20));
    await expectCounts(() => askTogether(ports[1], "/count", cookie, 10));
  });

  it("a body that is written in parts arrives whole, with what was set between them saved", async () => {
    const streamed = await ask(ports[0], "/stream", cookie);
    expect([streamed.status, streamed.text]).toEqual([200, "one two three"]);
    expect(await askTogether(ports[1], "/stream", cookie, 2)).toEqual(["one two three", "one two three"]);
    expect(await shown()).toMatchObject({ middle: ["String", "yes"] });
  });

  it("require() takes the package, too", async () => {
    const args = ["--print", 'Object.keys(require("gambas-session")).join()'];
    const { stdout } = await run(join(bin, "node"), args, { cwd: project });
    expect(stdout).toContain("Session");
  });

  it("gambas-sessiond says its help, and how the daemon is", async () => {
    const status = await sessiond("status", "--root", root, "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({ pid: daemonPid(root), hasRecordLocks: true });
    const help = await sessiond("--help");
    expect([status.code, status.stderr, help.code, help.stderr]).toEqual([0, "", 0, ""]);
    expect(help.stdout).toContain("--root");
  });

  it("the daemon is killed while workers count, and no count is lost", async () => {
    const pid = daemonPid(root) ?? 0;
    await Promise.all([expectCounts(() => countTogether(20)), killAndWait(pid)]);
    expect(daemonPid(root)).not.toBe(pid);
  });

  it("a worker is killed, another one takes its place, and no count is lost", async () => {
    const { headers } = await ask(ports[0], "/show", cookie);
    await killAndWait(Number(headers.worker));
    await until(() => site.said.match(/^ready /gm)?.length === 2);
    await expectCounts(() => countTogether(10));
  });

  it("nobody has complained of anything, nor used what Node deprecates", async () => {
    expect(await site.end()).toBe("");
    const logged = (await daemon.end()).trim().split("\n");
    // Whatever is no line of the log is shown as it is.
    expect(logged.filter((line) => !line.startsWith("{") || JSON.parse(line).level !== "info")).toEqual([]);
  });

  it("the example for Express counts", async () => {
    const port = await freePort();
    const env = { GAMBAS_SESSION_ROOT: root, PORT: String(port) };
    const example = new Program(join(bin, "node"), [...STRICT, "express.js"], env, project);
    await example.says(/(Ready)/);
    const first = await ask(port, "/");
    const second = await ask(port, "/", first.cookie);
    expect([first.text, second.text]).toEqual([expect.stringMatching(/^Visit 1 /), expect.stringMatching(/^Visit 2 /)]);
    expect(await example.end()).toBe("");
  });

  it("sessions in databases count, too, by the SQLite that this Node has or the package that it needs", async () => {
    expect(sqliteMissing).toBeUndefined();
    const place = join(home, `databases-${version}`);
    const env = { GAMBAS_SESSION_ROOT: place, GAMBAS_SESSION_TYPE: "sqlite" };
    const own = new Program(join(bin, "node"), [...STRICT, "application.js"], env, project);
    const [port = 0] = (await own.says(/^ready (.*)$/m)).split(" ").map(Number);
    const { cookie: mine } = await ask(port, "/redirect");
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask(port, "/count", mine)));
    const counts = replies.map(({ text }) => Number(text)).sort((a, b) => a - b);
    expect(counts).toEqual(Array.from(counts, (_, index) => index + 1));
    const places = ["--root", place, "--type", "sqlite"];
    const { findings } = JSON.parse((await sessiond("doctor", ...places, "--json")).stdout);
    const seen = findings.filter(({ check }: { check: string }) => check === "sqlite");
    const library = version.startsWith("20.")
      ? "better-sqlite3 (version 12."
      : `node:sqlite (Node ${version}, SQLite 3.`;
    expect(seen).toEqual([expect.objectContaining({ state: "ok", seen: expect.stringContaining(library) })]);
    expect(seen[0].seen).toContain("the daemon's guard");
    expect(await own.end()).toBe("");
    expect((await sessiond("stop", ...places)).code).toBe(0);
  });

  it(
    "our own tests of what depends on its inside pass, and none is skipped",
    async () => {
      const report = join(home, `${version}.json`);
      const vitest = join(repository, "node_modules/vitest/vitest.mjs");
      // Each file has a process of its own, as everywhere: its client and its type are no other file's.
      // Places are the kernel's affair, and other users cannot run this Node.
      const how = ["--maxWorkers=1", "--reporter=json", `--outputFile=${report}`, "--exclude=**/places.test.ts"];
      const { stdout, stderr } = await run(join(bin, "node"), [vitest, "run", ...how, ...OF_NODES_INSIDE], {
        cwd: repository,
        env: outsideOfVitest(withPath(bin)),
      });
      const seen = JSON.parse(readFileSync(report, "utf8"));
      expect([seen.success, seen.numFailedTests, seen.numPendingTests], `${stdout}${stderr}`).toEqual([true, 0, 0]);
      expect(seen.numPassedTests).toBeGreaterThan(800);
      const names: readonly string[] = seen.testResults.flatMap(({ assertionResults }: Reported) =>
        assertionResults.map(({ fullName }) => fullName),
      );
      expect(names.filter((name) => name.includes("the engine gambas-sqlite")).length).toBeGreaterThan(15);
    },
    PATIENCE_MS,
  );
});

describe("a Node that is too old", () => {
  it(
    "is named by everything that can be imported or run, with the one that is wanted",
    async () => {
      const node = join(nodeFolder(TOO_OLD), "node");
      const project = join(home, "old");
      installPackage(project, [tarball]);
      const { exports } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
      const names = Object.keys(exports).filter((name) => !name.endsWith(".json"));
      const entries = names.map((name) => `await import("${name.replace(".", "gambas-session")}")`);
      const tried = entries.map((code) => run(node, ["--input-type=module", "--eval", code], { cwd: project }));
      const program = join(project, "node_modules/.bin/gambas-sessiond");
      tried.push(run(program, ["status"], { env: withPath(nodeFolder(TOO_OLD)) }));
      for (const { code, stderr } of await Promise.all(tried)) {
        expect(stderr).toContain(`gambas-session needs Node 20.19 or newer; this is ${TOO_OLD}.`);
        expect(code).not.toBe(0);
      }
    },
    PATIENCE_MS,
  );
});

/** The suite that runs this is another one; a test that passes only when tried again is told by this one. */
function outsideOfVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !/^(?:VITEST|TEST$|NODE_ENV$|GAMBAS_SESSION_TEST_(?:SUITE|RETRIES))/.test(name),
  );
  return Object.fromEntries(kept);
}
