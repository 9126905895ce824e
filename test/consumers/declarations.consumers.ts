// The packed package in projects of its users: its declarations compile without skipLibCheck, under the oldest TypeScript that is promised and
// the newest, with the types of the oldest Node and of a new one, and beside those of frameworks. Installs what it needs: `npm run test:consumers`.

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
/** Programs of users: each is compiled for itself, since what it declares holds for all of its project. */
const PROGRAMS = ["application", "typed", "frameworks", "express-session"];
/** Their own declarations need not compile under every compiler; ours must, with them. */
const FRAMEWORKS = [
  "express@5.3.0",
  "@types/express@5.0.6",
  "express-session@1.19.0",
  "@types/express-session@1.19.0",
  "fastify@5.12.8",
];
/** Programs that need the declarations of others. */
const WITH_OTHERS = ["frameworks", "express-session"];
/** Packages are fetched, and compilers that are not native take their time. */
const PATIENCE_MS = 600_000;

let home: string;

function npm(folder: string, ...args: readonly string[]): void {
  execFileSync("npm", [...args, "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, stdio: "pipe" });
}

function makeProject(folder: string, node: string): void {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  for (const [moduleResolution, module] of Object.entries(RESOLUTIONS)) {
    for (const program of PROGRAMS) writeProgram(folder, program, { module, moduleResolution });
  }
  npm(
    folder,
    "install",
    `@types/node@${node}`,
    ...FRAMEWORKS,
    ...readdirSync(home)
      .filter((name) => name.endsWith(".tgz"))
      .map((name) => join(home, name)),
  );
}

function writeProgram(folder: string, program: string, options: Readonly<Record<string, string>>): void {
  const ofFrameworks = WITH_OTHERS.includes(program) ? { skipLibCheck: true, esModuleInterop: true } : {};
  const config = { compilerOptions: { ...STRICT, ...ofFrameworks, ...options }, files: [`${program}.ts`] };
  copyFileSync(join(repository, `test/consumers/programs/${program}.ts`), join(folder, `${program}.ts`));
  writeFileSync(join(folder, `${program}-${options.moduleResolution}.json`), JSON.stringify(config));
}

/** What the compiler complains of; empty: nothing. */
function compile(typescript: string, node: string, project: string): string {
  const compiler = join(home, `node_modules/typescript-${typescript}/bin/tsc`);
  try {
    return execFileSync(process.execPath, [compiler, "-p", `${project}.json`], {
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

for (const typescript of TYPESCRIPTS) {
  describe(`under TypeScript ${typescript}`, () => {
    for (const node of NODES) {
      it.each(Object.keys(RESOLUTIONS))(
        `an application compiles without skipLibCheck, with the types of Node ${node} and "%s"`,
        (resolution) => expect(compile(typescript, node, `application-${resolution}`)).toBe(""),
        PATIENCE_MS,
      );
    }

    it.each([
      ["one that says what its keys hold", "20", "typed-nodenext"],
      ["one that says what its keys hold, and is bundled", "24", "typed-bundler"],
      ["frameworks that take the middleware", "20", "frameworks-nodenext"],
      ["express-session with our store, and our session() beside its types", "20", "express-session-nodenext"],
    ])("so does %s", (_name, node, project) => expect(compile(typescript, node, project)).toBe(""), PATIENCE_MS);
  });
}
