// Two copies of the package in one process: of one version they are one package, of two they refuse each other.

import { execFile } from "node:child_process";
import { mkdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VERSION } from "../../protocol/version.ts";
import { changePackage, copyPackage } from "../support/copied-package.ts";
import { freshRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

let home: string;

beforeEach(() => {
  home = realpathSync(freshRoot());
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** The files of the package and the packages it needs; returns where its index is. */
function install(name: string, version = VERSION): string {
  const folder = join(home, name);
  mkdirSync(folder);
  copyPackage(folder);
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  changePackage(folder, `"${VERSION}"`, JSON.stringify(version));
  return join(folder, "dist/entries/index.js");
}

async function run(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: home });
  return stdout;
}

describe("two copies of one version", () => {
  it("have one context, one client, and sessions that both read and write", async () => {
    const [a, b] = [install("a"), install("b")];
    const root = join(home, "root");
    const main = join(repository, "dist/test/whole/two-copies-main.js");
    const seen = JSON.parse(await run(main, a, b, join(home, "a/dist/daemon/start.js"), root));
    expect(seen).toEqual({
      "/write": ["Float", 1, true, true],
      "/errors": [true, true, true, true],
      "/live": [1, 2],
      "/nested": [["price", "list", "n", [1, 2]], null],
      "/both": "outer",
      cookies: ["VISITS"],
      timeout: 77,
      connections: 3,
    });
  });
});

describe("two versions", () => {
  it("refuse each other, and say which they are and where they lie", async () => {
    const [a, b] = [install("a"), install("b", "9.9.9")];
    const script = `await import(${JSON.stringify(a)});
      await import(${JSON.stringify(b)}).catch((error) => console.log(error.code, error.message));`;
    const said = await run("--input-type=module", "--eval", script);
    expect(said).toMatch(/^ERR_TWO_VERSIONS /);
    expect(said).toContain(`gambas-session ${VERSION} is loaded already, from ${join(home, "a/dist/entries/")}`);
    expect(said).toContain(`so 9.9.9 from ${join(home, "b/dist/entries/")}`);
  });
});
