// What the second suite fetches, exactly by version and once: projects below node_modules/.cache, and the package as `npm pack` makes it.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.ts";

/** Packages are fetched in a first run. */
export const PATIENCE_MS = 600_000;

const CACHE = join(repository, "node_modules/.cache/gambas-session");
const QUIET = ["--no-audit", "--no-fund", "--no-package-lock"];

/** Names of packages with their exact versions, or `npm:<package>@<version>`. */
export type Packages = Readonly<Record<string, string>>;

/** A folder in whose node_modules these packages are, without their scripts having run. The next run finds them there. */
export function installed(name: string, packages: Packages): string {
  const hash = createHash("sha256").update(JSON.stringify(packages)).digest("hex").slice(0, 12);
  const place = join(CACHE, `${name}-${hash}`);
  if (existsSync(place)) return place;
  mkdirSync(CACHE, { recursive: true });
  // Whoever else installs the same at the same time has a folder of its own; the first that is whole stays.
  const making = mkdtempSync(`${place}-`);
  writeFileSync(join(making, "package.json"), JSON.stringify({ private: true, dependencies: packages }));
  try {
    npm(making, ["install", "--ignore-scripts", ...QUIET]);
    if (!existsSync(place)) renameSync(making, place);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return place;
}

/** Path of a program of an installed package. */
export function programOf(folder: string, name: string): string {
  return join(folder, "node_modules/.bin", name);
}

/** The tarball of the package as it is now, in a folder. */
export function packInto(folder: string): string {
  const said = execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], {
    cwd: repository,
    encoding: "utf8",
  });
  return join(folder, said.trim());
}

/** An empty project with the package; what npm says on the way. */
export function installPackage(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  return npm(folder, ["install", ...QUIET, ...args], env);
}

/** Everything that npm says, on both channels. */
export function npm(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr, error } = spawnSync("npm", args, { cwd: folder, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed: ${stdout}${stderr}${error?.message ?? ""}`);
  return `${stdout}${stderr}`;
}

/** The environment in which a folder's programs come first, as `node` above all. */
export function withPath(folder: string, env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: `${folder}:${env.PATH ?? ""}` };
}
