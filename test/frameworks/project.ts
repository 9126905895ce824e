// A project with the frameworks of this folder and the packed package, as a user would have it: installed once for each set of versions,
// below node_modules/.cache, with the applications and examples compiled against the types of their frameworks.

import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { repository } from "../support/repository.ts";

const FOLDER = join(repository, "test/frameworks");
const COMPILER = join(repository, "node_modules/typescript/bin/tsc");
const COMPILER_OPTIONS = {
  strict: true,
  target: "es2023",
  module: "nodenext",
  moduleResolution: "nodenext",
  types: ["node"],
  rewriteRelativeImportExtensions: true,
  verbatimModuleSyntax: true,
  // The declarations of frameworks do not all compile; ours are checked in test/consumers.
  skipLibCheck: true,
};

export function npm(folder: string, ...args: readonly string[]): void {
  execFileSync("npm", [...args, "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, stdio: "pipe" });
}

/** What the package.json of a folder names, installed; again only when it names something else. */
function installed(folder: string): string {
  const manifest = readFileSync(join(folder, "package.json"));
  const hash = createHash("sha256").update(manifest).digest("hex").slice(0, 12);
  const place = join(repository, "node_modules/.cache/gambas-session", `frameworks-${hash}`);
  if (existsSync(place)) return place;
  mkdirSync(dirname(place), { recursive: true });
  const making = mkdtempSync(`${place}-`);
  writeFileSync(join(making, "package.json"), manifest);
  try {
    npm(making, "install", "--no-package-lock");
    renameSync(making, place);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return place;
}

export class Project {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param from another project, whose copy of the package is used. */
  static make(versions: "." | "older", from?: Project): Project {
    const project = new Project(mkdtempSync(join(installed(join(FOLDER, versions)), "run-")));
    const { folder } = project;
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
    if (from === undefined) installPackage(folder);
    else {
      mkdirSync(join(folder, "node_modules"));
      symlinkSync(join(from.folder, "node_modules/gambas-session"), join(folder, "node_modules/gambas-session"));
    }
    return project;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** In a place of its own: Next.js takes what is below a node_modules for other people's, and compiles it in another way. */
  static makeOutside(versions: "next"): Project {
    const project = new Project(mkdtempSync(join(realpathSync(tmpdir()), `gs-${versions}-`)));
    const { folder } = project;
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
    installPackage(folder);
    const packages = join(installed(join(FOLDER, versions)), "node_modules");
    const isPackage = (path: string): boolean => basename(path) !== ".package-lock.json";
    cpSync(packages, join(folder, "node_modules"), { recursive: true, verbatimSymlinks: true, filter: isPackage });
    return project;
  }

  /** Compiles these files of a folder of the repository; what the compiler complains of. */
  compile(from: string, isWanted: (name: string) => boolean = () => true, more: object = {}): string {
    const folder = join(this.folder, from);
    cpSync(join(repository, from), folder, { recursive: true });
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const files = names.filter((name) => /\.tsx?$/.test(name) && isWanted(name));
    const config = join(folder, "tsconfig.json");
    writeFileSync(config, JSON.stringify({ compilerOptions: { ...COMPILER_OPTIONS, ...more }, files }));
    try {
      return execFileSync(process.execPath, [COMPILER, "-p", config], { encoding: "utf8" });
    } catch (error) {
      return String((error as { readonly stdout?: unknown }).stdout);
    }
  }

  start(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Application> {
    return Application.start(join(this.folder, file), args, env);
  }
}

export function installPackage(folder: string): void {
  npm(repository, "pack", "--pack-destination", folder);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  npm(folder, "install", "--no-package-lock", join(folder, tarball));
}

/** A server in a process of its own. It ends when its input does, with this process at the latest. */
export class Application {
  readonly port: number;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, port: number) {
    this.#process = child;
    this.port = port;
  }

  static async start(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Application> {
    const child = spawn(process.execPath, [file, ...args], {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let said = "";
    for await (const text of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      said += text;
      const port = /(?:port |127\.0\.0\.1:)(\d+)/.exec(said)?.[1];
      if (port === undefined) continue;
      child.stdout.resume();
      return new Application(child, Number(port));
    }
    throw new Error(`${file} ended before it listened: ${said}`);
  }

  stop(): void {
    this.#process.kill();
  }
}
