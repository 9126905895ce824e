// Where the checkout is, for tests run from the sources and for scripts run from dist.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

function nearestPackage(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json above ${start}`);
  }
}

export const repository: string = nearestPackage(import.meta.dirname);
