// The packed package inside of bundles: one file, built by a bundler, that starts a daemon all the same.
// Installs what it needs: `npm run test:consumers`.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installed, installPackage, PATIENCE_MS, packInto } from "../support/installed.ts";

const BUNDLERS = { esbuild: "0.28.2", webpack: "5.113.0" };
const APPLICATION = `
import { connect, SessionError } from "gambas-session";
try {
  const [daemonPath] = process.argv.slice(2);
  const named = daemonPath === undefined ? {} : { daemonPath };
  const client = await connect({ daemon: { sweepMs: 0 }, idleExitMs: 1000, ...named });
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
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString());
  `,
};

let home: string;
let application: string;

/** Runs a bundle far from everything. */
function run(file: string, env: NodeJS.ProcessEnv = {}, ...args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    cwd: "/",
    env: { ...process.env, GAMBAS_SESSION_ROOT: join(home, "root"), ...env },
    encoding: "utf8",
  });
  return stdout + stderr;
}

beforeAll(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "gs-bundles-")));
  // Below the bundlers, which it finds as a package of its own would be found.
  application = mkdtempSync(join(installed("bundlers", BUNDLERS), "application-"));
  installPackage(application, [packInto(home), "--ignore-scripts"]);
  writeFileSync(join(application, "application.js"), APPLICATION);
  for (const [name, script] of Object.entries(BUILDS)) {
    writeFileSync(join(application, `${name}.mjs`), script);
    execFileSync(process.execPath, [`${name}.mjs`], { cwd: application, stdio: "pipe" });
  }
}, PATIENCE_MS);

afterAll(() => {
  for (const folder of [home, application]) rmSync(folder, { recursive: true, force: true });
});

describe.each(Object.keys(BUILDS))("a bundle of %s", (name) => {
  const bundle = (): string => join(application, name, "server.mjs");

  it("starts the daemon of the package that is installed where the bundle lies, wherever it is started", () => {
    expect(run(bundle())).toBe("1 of a daemon\n");
  });

  it("that lies elsewhere starts the daemon that the option or the variable names, and else says where it has looked", () => {
    const elsewhere = join(home, `only-${name}`);
    cpSync(join(application, name), elsewhere, { recursive: true });
    const file = join(elsewhere, "server.mjs");
    const daemon = join(application, "node_modules/gambas-session/dist/daemon/main.js");
    const rootOf = (use: string): NodeJS.ProcessEnv => ({ GAMBAS_SESSION_ROOT: join(home, `${use}-${name}`) });
    expect(run(file, { ...rootOf("variable"), GAMBAS_SESSIOND: daemon })).toBe("1 of a daemon\n");
    expect(run(file, rootOf("option"), daemon)).toBe("1 of a daemon\n");
    // It has put the path in the package into the bundle, where the package still is.
    if (name === "webpack") return;
    const said = run(file, rootOf("nothing"));
    expect(said).toMatch(/^true ERR_DAEMON_UNAVAILABLE .*its program was not found.*daemonPath.*GAMBAS_SESSIOND/s);
    expect(said).toContain(file);
  });
});
