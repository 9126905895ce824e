// Compiles test/gambas/oracle with the Gambas tools. The result is kept under the hash of its sources, so that any number
// of test processes may ask for it at once.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programs } from "../private-tmp.ts";
import { repository } from "../repository.ts";

const project = join(repository, "test/gambas/oracle");

let known: string | undefined;

/** The compiled program's path; compiles when no test did before. Throws when the tools are missing or refuse. */
export function oracleProgram(): string {
  known ??= findOrCompile();
  return known;
}

function findOrCompile(): string {
  const program = join(programs, `oracle-${sourcesHash()}.gambas`);
  if (!existsSync(program)) compileInto(program);
  return program;
}

function sourcesHash(): string {
  const sources = readdirSync(join(project, ".src")).sort();
  const hash = createHash("sha256").update(readFileSync(join(project, ".project")));
  for (const name of sources) hash.update(name).update(readFileSync(join(project, ".src", name)));
  return hash
    .update(execFileSync("gbc3", ["--version"]))
    .digest("hex")
    .slice(0, 16);
}

function compileInto(program: string): void {
  const folder = mkdtempSync(join(tmpdir(), "gambas-session-oracle-"));
  try {
    cpSync(project, join(folder, "oracle"), { recursive: true });
    execFileSync("gbc3", ["-ga", join(folder, "oracle")], { stdio: "pipe" });
    execFileSync("gba3", ["-o", join(folder, "oracle.gambas"), join(folder, "oracle")], { stdio: "pipe" });
    mkdirSync(programs, { recursive: true });
    copyFileSync(join(folder, "oracle.gambas"), `${program}.${process.pid}`);
    renameSync(`${program}.${process.pid}`, program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
