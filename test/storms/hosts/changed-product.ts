// The daemon's program with a fault in it: a copy of what was built, in which some words are others.

import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

export interface Change {
  /** Below dist/daemon/redis. */
  readonly file: string;
  /** Found exactly once. */
  readonly from: RegExp;
  readonly to: string;
}

/** The source of a module after which the clock of a process is ahead. */
export function wrongClock(aheadMs: number): string {
  return `const Real = Date, ahead = ${aheadMs};
    globalThis.Date = class Date extends Real {
      constructor(...args) { if (args.length === 0) super(Real.now() + ahead); else super(...args); }
      static now() { return Real.now() + ahead; }
    };`;
}

export class ChangedProduct {
  readonly #folder = freshRoot();

  /** @param aheadMs so far the clock of its processes is ahead. */
  constructor(changes: readonly Change[], aheadMs = 0) {
    for (const part of ["protocol", "daemon"])
      cpSync(join(repository, "dist", part), join(this.#folder, "dist", part), { recursive: true });
    cpSync(join(repository, "package.json"), join(this.#folder, "package.json"));
    symlinkSync(join(repository, "node_modules"), join(this.#folder, "node_modules"));
    for (const change of changes) this.#change(change);
    writeFileSync(join(this.#folder, "dist/daemon/clock.js"), wrongClock(aheadMs));
    const main = readFileSync(this.daemonPath, "utf8");
    writeFileSync(this.daemonPath, main.replace(/^import /m, 'import "./clock.js";\nimport '));
  }

  get daemonPath(): string {
    return join(this.#folder, "dist/daemon/main.js");
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #change({ file, from, to }: Change): void {
    const path = join(this.#folder, "dist/daemon/redis", file);
    const text = readFileSync(path, "utf8");
    const found = text.match(new RegExp(from, "g"))?.length ?? 0;
    if (found !== 1) throw new Error(`${file} has ${found} places like ${from}: the fault has to be planted anew`);
    writeFileSync(path, text.replace(from, to));
  }
}
