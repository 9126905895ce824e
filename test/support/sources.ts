// The source files of the package and what each of them imports, read from their text.

import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { repository } from "./repository.ts";

export interface Import {
  /** A file of ours as path from the repository without `.ts`; "node" for Node's modules; else the name of a package. */
  readonly target: string;
  /** Gone after compilation: `import type`, `export type`, `typeof import()`. */
  readonly isType: boolean;
}

export interface Source {
  /** Path from the repository, without `.ts`. */
  readonly name: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const STATIC = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^;"']*?\sfrom\s+)?["']([^"']+)["']/gm;
const DYNAMIC = /(typeof\s+)?\bimport\(\s*["']([^"']+)["']/g;
const REQUIRED = /()(?:createRequire\([^)]*\)|\brequire)\(\s*["']([^"']+)["']/g;

/** Every TypeScript file of a folder, declarations of other people's packages left out. */
export function sourcesOf(folder: string): readonly Source[] {
  const names = readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts")).sort();
  return files.map((file) => readSource(posix.join(folder, file)));
}

function readSource(path: string): Source {
  const text = readFileSync(join(repository, path), "utf8");
  return { name: path.slice(0, -".ts".length), text, imports: importsOf(path, withoutComments(text)) };
}

export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

export function importsOf(path: string, code: string): readonly Import[] {
  return [STATIC, DYNAMIC, REQUIRED].flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([, type, specifier]) => ({
      target: targetOf(path, specifier ?? ""),
      isType: Boolean(type),
    })),
  );
}

function targetOf(path: string, specifier: string): string {
  if (specifier.startsWith("node:")) return "node";
  // A door of a package is that package, but for ours.
  if (!specifier.startsWith(".")) return specifier.startsWith("msgpackr/") ? "msgpackr" : specifier;
  return posix.join(posix.dirname(path), specifier).replace(/\.[tj]s$/, "");
}
