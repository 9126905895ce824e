// The blocks of code that need frameworks, tried with the packed package beside these; and commands, in processes of their own. Installs what it needs: `npm run test:consumers`.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Project } from "../frameworks/project.ts";
import { PATIENCE_MS } from "../support/installed.ts";
import { freshRoot, startDaemonProcess } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { harmlessOf } from "./commands.ts";
import { BEFORE, checkOf, moduleOf, packagesOf } from "./kinds.ts";
import { type Block, readPages } from "./pages.ts";
import { Workshop } from "./workshop.ts";

/** As Next.js has its users set it. */
const LIKE_NEXT_CONFIG = { module: "preserve", moduleResolution: "bundler" };
const FRAMEWORKS = ["test/frameworks", "test/frameworks/next"];

const home = freshRoot();
const own = dependenciesOf("package.json");
const blocks = readPages().flatMap((page) => page.blocks);

function dependenciesOf(path: string): readonly string[] {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(repository, path), "utf8"));
  return Object.keys({ ...dependencies, ...devDependencies });
}

function neededBy(block: Block): readonly string[] {
  return packagesOf(moduleOf(block, home));
}

/** Those for whom these packages are the ones that are missing. */
function blocksWith(check: string, folder: string): readonly Block[] {
  const packages = dependenciesOf(`${folder}/package.json`);
  return blocks.filter((block) => {
    if (checkOf(block) !== check || block.word === BEFORE) return false;
    const needed = neededBy(block);
    return (
      needed.some((name) => !own.includes(name)) &&
      needed.every((name) => packages.includes(name) || own.includes(name))
    );
  });
}

let project: Project;
let next: Project;
let workshop: Workshop;

beforeAll(() => {
  project = Project.make(".");
  next = Project.make("next", project);
  workshop = new Workshop(join(project.folder, "blocks"), home);
}, PATIENCE_MS);

afterAll(async () => {
  await workshop?.close();
  project?.remove();
  next?.remove();
});

describe("every block of code in the pages that needs a framework", () => {
  it("needs one that is installed here", () => {
    const known = [...own, ...FRAMEWORKS.flatMap((folder) => dependenciesOf(`${folder}/package.json`))];
    const checked = blocks.filter(
      (block) => ["run", "compile"].includes(String(checkOf(block))) && block.word !== BEFORE,
    );
    const stray = checked.flatMap((block) =>
      neededBy(block)
        .filter((name) => !known.includes(name))
        .map((name) => `${block.page}:${block.line} needs ${name}`),
    );
    expect(stray).toEqual([]);
  });

  it("of JavaScript runs, and what it serves is answered", async () => {
    expect(await workshop.run(blocksWith("run", "test/frameworks"))).toEqual([]);
  });

  it("of TypeScript compiles", async () => {
    expect(await workshop.compile(blocksWith("compile", "test/frameworks"))).toEqual([]);
  });

  it("of Next.js compiles", async () => {
    const ofNext = new Workshop(join(next.folder, "blocks"), home, LIKE_NEXT_CONFIG);
    expect(await ofNext.compile(blocksWith("compile", "test/frameworks/next"))).toEqual([]);
    expect(blocksWith("run", "test/frameworks/next")).toEqual([]);
  });
});

describe("every command in the pages", () => {
  it("that only looks at a daemon does so", async () => {
    const root = join(home, "looked-at");
    const daemon = await startDaemonProcess(root);
    const wanted = new Set(
      blocks
        .filter((block) => checkOf(block) === "commands")
        .flatMap(harmlessOf)
        .map((words) => words.join(" ")),
    );
    for (const words of wanted) {
      const args = [join(repository, "dist/daemon/main.js"), ...words.split(" ")];
      const env = { ...process.env, GAMBAS_SESSION_ROOT: root };
      const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
      expect({ words, status, stderr }).toEqual({ words, status: 0, stderr: "" });
    }
    await daemon.kill();
  });
});
