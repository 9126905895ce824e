// The supervisors that tests run, in the versions that people install: fetched once into the cache, and each PM2 with a home of its own.

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freshRoot, removeRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const VERSIONS: Readonly<Record<string, string>> = { pm2: "7.0.4", nodemon: "3.1.14" };
const HOME = join(repository, "node_modules/.cache/gambas-session/supervisors");
export const APPLICATION = join(repository, "dist/test/supervisors/application.js");

/** Path of a program of the cache, whose package is fetched if it is not there in that version. */
export function supervisor(name: "pm2" | "nodemon"): string {
  const folder = join(HOME, name);
  const program = join(folder, "node_modules", name, "bin", `${name}${name === "pm2" ? "" : ".js"}`);
  if (installedVersion(folder, name) !== VERSIONS[name]) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
    const flags = ["--save-exact", "--ignore-scripts", "--no-audit", "--no-fund"];
    execFileSync("npm", ["install", `${name}@${VERSIONS[name]}`, ...flags], { cwd: folder, stdio: "pipe" });
  }
  return program;
}

function installedVersion(folder: string, name: string): string | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** One PM2, with its own god. */
export class Pm2 {
  readonly #program = supervisor("pm2");
  readonly #home = freshRoot();

  /** Runs a command of PM2, and waits until it says that it is done. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [this.#program, ...args], {
      cwd: this.#home,
      env: { ...process.env, ...env, PM2_HOME: this.#home, PM2_DISABLE_VERSION_CHECK: "true" },
    });
    return stdout;
  }

  /** Ends it and everything it has started. */
  async end(): Promise<void> {
    await this.run(["kill"]);
    await removeRoot(this.#home);
  }
}
