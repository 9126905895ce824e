// The supervisors that tests run, in the versions that people install: fetched once into the cache, and each PM2 with a home of its own.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { installed, programOf } from "../support/installed.ts";
import { freshRoot, removeRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const VERSIONS = { pm2: "7.0.4", nodemon: "3.1.14" };
export const APPLICATION = join(repository, "dist/test/supervisors/application.js");

/** Path of a program of the cache, whose package is fetched if it is not there in that version. */
export function supervisor(name: keyof typeof VERSIONS): string {
  return programOf(installed(name, { [name]: VERSIONS[name] }), name);
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
