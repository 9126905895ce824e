// Tests with whole processes run what is in dist. `npm test` has built it; a lone `vitest run` builds it here, once.
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.ts";

const sources = ["protocol", "daemon", "client", "bench", "test"];
const stamp = join(repository, "dist/.tsbuildinfo");

export default function buildOnce(): void {
  if (newestOf(sources) <= modifiedAt(join(repository, "dist/protocol/errors.js"), stamp)) return;
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  // Incremental, so that only what changed is written while other test runs may be reading the rest.
  const args = ["-p", join(repository, "tsconfig.json"), "--incremental", "--tsBuildInfoFile", stamp];
  const { status, stdout } = spawnSync(process.execPath, [compiler, ...args], { encoding: "utf8" });
  if (status !== 0) console.warn(`dist was built with type errors, the first: ${stdout.split("\n", 1)[0]}`);
  execFileSync("npm", ["run", "build:entries"], { cwd: repository, stdio: ["ignore", "ignore", "inherit"] });
}

function newestOf(folders: readonly string[]): number {
  const files = folders.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(repository, folder, name)),
  );
  return modifiedAt(...files);
}

/** The latest time among the files that exist. */
function modifiedAt(...files: readonly string[]): number {
  return Math.max(0, ...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}
