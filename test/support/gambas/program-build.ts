// Compiles projects with the Gambas tools: test/gambas/oracle above all. The result is kept under the hash of its sources, so that any number
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
import { basename, join } from "node:path";
import { programs } from "../private-tmp.ts";
import { repository } from "../repository.ts";

const known = new Map<string, string>();

/** The path of the compiled oracle. */
export function oracleProgram(): string {
  return compiledProgram("test/gambas/oracle");
}

/** The path of a compiled project of the repository; compiles when no test did before. Throws when the tools are missing or refuse. */
export function compiledProgram(project: string): string {
  const program = known.get(project) ?? findOrCompile(join(repository, project));
  known.set(project, program);
  return program;
}

function findOrCompile(project: string): string {
  const program = join(programs, `${basename(project)}-${sourcesHash(project)}.gambas`);
  if (!existsSync(program)) compileInto(program, project);
  return program;
}

function sourcesHash(project: string): string {
  const sources = readdirSync(join(project, ".src")).sort();
  const hash = createHash("sha256").update(readFileSync(join(project, ".project")));
  for (const name of sources) hash.update(name).update(readFileSync(join(project, ".src", name)));
  return hash
    .update(execFileSync("gbc3", ["--version"]))
    .digest("hex")
    .slice(0, 16);
}

function compileInto(program: string, project: string): void {
  const folder = mkdtempSync(join(tmpdir(), "gambas-session-program-"));
  try {
    cpSync(project, join(folder, "program"), { recursive: true });
    execFileSync("gbc3", ["-ga", join(folder, "program")], { stdio: "pipe" });
    execFileSync("gba3", ["-o", join(folder, "program.gambas"), join(folder, "program")], { stdio: "pipe" });
    mkdirSync(programs, { recursive: true });
    copyFileSync(join(folder, "program.gambas"), `${program}.${process.pid}`);
    renameSync(`${program}.${process.pid}`, program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
