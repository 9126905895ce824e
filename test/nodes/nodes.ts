// The versions of Node that are tried, as binaries that the registry has as packages: the oldest that is promised, and of each later line one.

import { join } from "node:path";
import { installed } from "../support/installed.ts";

export const NODES = ["20.19.0", "22.23.5", "24.22.3", "26.12.1"];
/** Older than what is promised, and still met. */
export const TOO_OLD = "18.20.8";

/** The folder in which one version's program `node` is. */
export function nodeFolder(version: string): string {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = installed(`node-${version}`, { [name]: version });
  return join(folder, "node_modules", name, "bin");
}
