// The package as npm packs it, and what becomes of it in projects: its files, its declarations, its scripts, what may be left out, and two
// copies at once. The linters come from the registry: `npm run test:consumers`.

import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changePackage } from "../support/copied-package.ts";
import { installed, installPackage, PATIENCE_MS, packInto, programOf } from "../support/installed.ts";
import { freshRoot, removeRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const LINTERS = { publint: "0.3.25", "@arethetypeswrong/cli": "0.18.5" };
/** Of the tarball, a third of it documents. More than this is worth a thought, and then another number. */
const MAX_PACKED_BYTES = 640_000;
const DOCUMENTS = [
  ...["ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "protocol/PROTOCOL.md"],
  ...["FAQ", "FRAMEWORKS", "MIGRATING", "SESSION", "TYPESCRIPT"].map((page) => `client/${page}.md`),
  ...["daemon/HOSTS.md", "daemon/OPERATING.md", "daemon/SECURITY.md"],
];
const OTHERS = [
  /^package\.json$/,
  /^dist\/(?:entries|daemon|protocol)\/[\w/-]+\.js$/,
  /^dist\/(?:client|daemon|protocol)\/(?!examples\/)[\w/-]+\.d\.ts$/,
  /^client\/examples\/(?:ecosystem\.config\.cjs|systemd\/[\w-]+\.service)$/,
];

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  readonly scripts: Readonly<Record<string, string>>;
}

let home: string;
let tarball: string;
const manifest: Manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

beforeAll(() => {
  home = freshRoot();
  tarball = packInto(home);
}, PATIENCE_MS);

afterAll(() => removeRoot(home));

/** A project of this name, and what npm said when the package was installed into it. */
function makeProject(name: string, ...args: readonly string[]): { readonly folder: string; readonly said: string } {
  const folder = join(home, name);
  const said = installPackage(folder, args);
  copyFileSync(join(repository, "dist/test/package/sharing.js"), join(folder, "sharing.js"));
  return { folder, said };
}

/** Runs the program of this folder; what it says on both channels. */
async function share(folder: string, ...packages: readonly string[]): Promise<string> {
  const root = join(folder, "root");
  const { stdout, stderr } = spawnSync(process.execPath, ["sharing.js", ...packages], {
    cwd: folder,
    env: { ...process.env, GAMBAS_SESSION_ROOT: root },
    encoding: "utf8",
  });
  await removeRoot(root);
  return `${stdout}${stderr}`;
}

/** Every file of declarations that these ones need. */
function reachedFrom(entries: readonly string[]): ReadonlySet<string> {
  const reached = new Set(entries);
  for (const path of reached) {
    const text = readFileSync(join(repository, path), "utf8");
    for (const [, specifier = ""] of text.matchAll(/(?:\bfrom |\bimport\(|^import )"(\.[^"]+)"/gm)) {
      reached.add(join(dirname(path), specifier).replace(/\.[jt]s$/, ".d.ts"));
    }
  }
  return reached;
}

describe("the tarball", () => {
  const packed = (): readonly string[] =>
    execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map((path) => path.replace(/^package\//, ""));

  it("has what users need and nothing else, and stays small", () => {
    const files = packed();
    expect(files.filter((path) => !DOCUMENTS.includes(path) && !OTHERS.some((other) => other.test(path)))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(DOCUMENTS));
    expect(readFileSync(tarball).length).toBeLessThan(MAX_PACKED_BYTES);
  });

  it("has every file of declarations that its exports reach", () => {
    const entries = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === "string" ? [] : [entry.types],
    );
    const files = new Set(packed());
    expect(entries.length).toBeGreaterThan(1);
    expect([...reachedFrom(entries.map((path) => join(path)))].filter((path) => !files.has(path))).toEqual([]);
  });

  it(
    "passes publint",
    () => {
      const linter = programOf(installed("linters", LINTERS), "publint");
      expect(execFileSync(linter, ["run", "--strict", tarball], { encoding: "utf8" })).toContain("All good!");
    },
    PATIENCE_MS,
  );

  it(
    "passes attw, in every export",
    () => {
      const linter = programOf(installed("linters", LINTERS), "attw");
      const said = execFileSync(linter, [tarball, "--profile", "esm-only", "--format", "json"], { encoding: "utf8" });
      // It has ended with 0: what it still lists is of how CommonJS and older compilers look for packages.
      expect(Object.keys(JSON.parse(said).analysis.entrypoints).sort()).toEqual(Object.keys(manifest.exports).sort());
    },
    PATIENCE_MS,
  );
});

describe("in a project", () => {
  it("it brings no script that npm would run or warn of, and of what it needs only an optional package does", () => {
    const { said } = makeProject("plain", tarball);
    const warned = [...said.matchAll(/([\w@/-]+)@[\d.]+ \((?:preinstall|install|postinstall|prepare): /g)];
    expect(warned.map(([, name]) => name).filter((name) => name !== "msgpackr-extract")).toEqual([]);
    expect(said).not.toContain("gambas-session");
    expect(Object.keys(manifest.scripts)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(?:preinstall|install|postinstall|prepare)$/)]),
    );
  });

  it("it works, with record locks, where no script has run and nothing optional is there", async () => {
    const { folder } = makeProject("bare", tarball, "--ignore-scripts", "--omit=optional");
    expect(existsSync(join(folder, "node_modules/msgpackr-extract"))).toBe(false);
    const said = await share(folder, "gambas-session", "gambas-session");
    expect(JSON.parse(said)).toEqual({ value: 3, stored: 3, type: "Float", hasRecordLocks: true });
  });

  it("two copies of it share their sessions, and two versions refuse each other by name", async () => {
    const { folder } = makeProject("twice", `first@file:${tarball}`, `second@file:${tarball}`);
    expect(JSON.parse(await share(folder, "first", "second"))).toMatchObject({ value: 3, stored: 3, type: "Float" });

    changePackage(join(folder, "node_modules/second"), `"${manifest.version}"`, '"9.9.9"');
    const said = await share(folder, "first", "second");
    for (const part of [
      manifest.version,
      "9.9.9",
      join(folder, "node_modules/first"),
      join(folder, "node_modules/second"),
    ])
      expect(said).toContain(part);
  });
});
