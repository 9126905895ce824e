// The packed package in projects of its users: its declarations compile without skipLibCheck, under the oldest TypeScript that is promised and
// the newest, with the types of the oldest Node and of a new one. Installs what it needs: `npm run test:consumers`.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repository } from "../support/repository.ts";

const TYPESCRIPTS = ["5.6", "5.9", "7"];
const NODES = ["20", "24"];
/** How Node itself finds a package, and how bundlers do. */
const RESOLUTIONS = { nodenext: "nodenext", bundler: "esnext" } as const;
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  target: "es2022",
  lib: ["es2022"],
  types: ["node"],
};
/** Packages are fetched, and compilers that are not native take their time. */
const PATIENCE_MS = 600_000;

let home: string;

function npm(folder: string, ...args: readonly string[]): void {
  execFileSync("npm", [...args, "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, stdio: "pipe" });
}

function makeProject(folder: string, node: string): void {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  copyFileSync(join(repository, "test/consumers/application.ts"), join(folder, "application.ts"));
  for (const [moduleResolution, module] of Object.entries(RESOLUTIONS)) {
    const config = { compilerOptions: { ...STRICT, module, moduleResolution }, files: ["application.ts"] };
    writeFileSync(join(folder, `${moduleResolution}.json`), JSON.stringify(config));
  }
  npm(
    folder,
    "install",
    `@types/node@${node}`,
    ...readdirSync(home)
      .filter((name) => name.endsWith(".tgz"))
      .map((name) => join(home, name)),
  );
}

/** What the compiler complains of; empty: nothing. */
function compile(typescript: string, node: string, resolution: string): string {
  const compiler = join(home, `node_modules/typescript-${typescript}/bin/tsc`);
  try {
    return execFileSync(process.execPath, [compiler, "-p", `${resolution}.json`], {
      cwd: join(home, `node-${node}`),
      encoding: "utf8",
    });
  } catch (error) {
    return String((error as { readonly stdout?: unknown }).stdout);
  }
}

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "gs-consumers-"));
  writeFileSync(join(home, "package.json"), JSON.stringify({ private: true }));
  npm(repository, "pack", "--pack-destination", home);
  npm(home, "install", ...TYPESCRIPTS.map((version) => `typescript-${version}@npm:typescript@${version}`));
  for (const node of NODES) makeProject(join(home, `node-${node}`), node);
}, PATIENCE_MS);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("an application compiles without skipLibCheck", () => {
  for (const typescript of TYPESCRIPTS) {
    for (const node of NODES) {
      for (const resolution of Object.keys(RESOLUTIONS)) {
        it(
          `under TypeScript ${typescript}, with the types of Node ${node} and "${resolution}"`,
          () => {
            expect(compile(typescript, node, resolution)).toBe("");
          },
          PATIENCE_MS,
        );
      }
    }
  }
});
