// Blocks as files, in a folder from which Node and the compiler find the package and whatever else they import.

import { type ExecFileException, execFile, fork } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { removeFolder, removeRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { extensionOf, moduleOf } from "./kinds.ts";
import type { Block } from "./pages.ts";

const COMPILER = join(repository, "node_modules/typescript/bin/tsc");
const SESSION_DATA = join(repository, "test/documents/frames/session-data.d.ts");
const RUNNER = join(repository, "dist/test/documents/run-blocks.js");
const COMPILER_OPTIONS = {
  strict: true,
  noEmit: true,
  target: "es2023",
  module: "nodenext",
  moduleResolution: "nodenext",
  jsx: "preserve",
  types: ["node"],
  // The declarations of frameworks do not all compile; ours are checked in test/consumers.
  skipLibCheck: true,
};
/** What is declared for a whole program, other blocks would see. */
const AUGMENTS = /^\s*declare (?:module|global)\b/m;

/** What the runner tells of a file: undefined: all went well. */
export interface Told {
  readonly file: string;
  readonly failure: string | undefined;
}

export class Workshop {
  readonly #folder: string;
  readonly #home: string;
  /** The URL of the server that blocks name. */
  readonly #redis: string | undefined;
  readonly #compilerOptions: object;

  /**
   * @param home where paths lead that blocks name.
   * @param more options of the compiler beyond those of all, and the Redis that there is.
   */
  constructor(folder: string, home: string, { redis, ...more }: { readonly redis?: string } & object = {}) {
    this.#redis = redis;
    this.#folder = folder;
    this.#home = home;
    this.#compilerOptions = { ...COMPILER_OPTIONS, ...more };
    mkdirSync(folder, { recursive: true });
  }

  /** The complaints about these blocks, each with its page and line. */
  async run(blocks: readonly Block[]): Promise<readonly string[]> {
    const files = blocks.map((block) => this.#write(block));
    const told = await tellAll(
      files.map(({ file }) => file),
      this.#home,
    );
    return files.flatMap(({ file, name }) => {
      const answer = told.find((one) => one.file === file);
      if (answer === undefined) return [`${name}: the process ended before it was told of: ${told.at(-1)?.failure}`];
      return answer.failure === undefined ? [] : [`${name}: ${answer.failure}`];
    });
  }

  /** The errors that the compiler finds in these blocks. Those that declare something for everybody are programs of their own. */
  async compile(blocks: readonly Block[]): Promise<readonly string[]> {
    const files = blocks.map((block) => ({ ...this.#write(block), isAlone: AUGMENTS.test(block.text) }));
    const declarations = join(this.#folder, "session-data.d.ts");
    copyFileSync(SESSION_DATA, declarations);
    const together = [declarations, ...files.filter(({ isAlone }) => !isAlone).map(({ file }) => file)];
    const programs = [together, ...files.filter(({ isAlone }) => isAlone).map(({ file }) => [file])];
    const said = await Promise.all(programs.map((program, index) => this.#check(program, index)));
    return said.flatMap((text) => text.split(/\n(?=\S)/)).filter((text) => text.trim() !== "");
  }

  /** Whether Node can read them. */
  async parse(blocks: readonly Block[]): Promise<readonly string[]> {
    const said = await Promise.all(
      blocks.map(async (block) => ["--check", this.#write(block).file]).map(async (args) => outputOf(await args)),
    );
    return said.filter((text) => text !== "");
  }

  /** Deletes all of it, and ends the daemons that blocks have started. */
  async close(): Promise<void> {
    const pidFiles = readdirSync(this.#home, { recursive: true, encoding: "utf8" }).filter((name) =>
      /sessiond[\w-]*\.pid$/.test(name),
    );
    for (const name of pidFiles) await removeRoot(join(this.#home, dirname(name)));
    for (const folder of [this.#folder, this.#home]) await removeFolder(folder);
  }

  #write(block: Block): { readonly file: string; readonly name: string } {
    const code = moduleOf(block, this.#home, this.#redis);
    const name = `${block.page}:${block.line}`;
    const file = join(this.#folder, `${name.replace(/[/:]/g, "-")}${extensionOf(block.language, code)}`);
    // A file without an import would be a script, whose names are everybody's.
    const isModule = file.endsWith(".ts") && !/^(?:import|export)\b/m.test(code);
    writeFileSync(file, isModule ? `${code}export {};\n` : code);
    return { file, name };
  }

  async #check(files: readonly string[], index: number): Promise<string> {
    const config = join(this.#folder, `tsconfig-${index}.json`);
    writeFileSync(config, JSON.stringify({ compilerOptions: this.#compilerOptions, files }));
    return outputOf([COMPILER, "-p", config]);
  }
}

/** Runs Node; what it says if it fails, else nothing. */
async function outputOf(args: readonly string[]): Promise<string> {
  try {
    await promisify(execFile)(process.execPath, args);
    return "";
  } catch (error) {
    const { stdout = "", stderr = "" } = error as ExecFileException;
    return `${stdout}${stderr}`;
  }
}

/** All files in one process, one after the other, with sessions below `home`. */
function tellAll(files: readonly string[], home: string): Promise<readonly Told[]> {
  if (files.length === 0) return Promise.resolve([]);
  const env = { ...process.env, GAMBAS_SESSION_ROOT: join(home, "root"), NODE_ENV: "test" };
  const child = fork(RUNNER, files, { env, silent: true });
  const told: Told[] = [];
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  // Whoever does not read what it prints would have it wait.
  child.stdout?.resume();
  child.on("message", (message) => told.push(message as Told));
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      const failure = `${said}with ${signal ?? code}`;
      resolve(told.length === files.length ? told : [...told, { file: "", failure }]);
    });
  });
}
