// A project with the frameworks of this folder and the packed package, as a user would have it: installed once for each set of versions,
// below node_modules/.cache, with the applications and examples compiled against the types of their frameworks.

import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { installed, installPackage, packInto } from "../support/installed.ts";
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

/** What the package.json of a folder names, installed. */
function frameworksOf(folder: string): string {
  return installed("frameworks", JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).dependencies);
}

export class Project {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param from another project, whose copy of the package is used. */
  static make(versions: "." | "older" | "next", from?: Project): Project {
    const project = new Project(mkdtempSync(join(frameworksOf(join(FOLDER, versions)), "run-")));
    const { folder } = project;
    if (from === undefined) installPackage(folder, [packInto(folder), "--ignore-scripts"]);
    else {
      writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
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
    installPackage(folder, [packInto(folder), "--ignore-scripts"]);
    const packages = join(frameworksOf(join(FOLDER, versions)), "node_modules");
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
