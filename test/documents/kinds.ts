// What becomes of a block of code in a page: by its language, and by the word behind it. CONTRIBUTING, "Documents", says it to writers.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../support/repository.ts";
import { importsOf } from "../support/sources.ts";
import type { Block } from "./pages.ts";

/** How blocks of a language are checked. */
const CHECKS: Readonly<Record<string, Check>> = {
  js: "run",
  ts: "compile",
  tsx: "compile",
  sh: "commands",
  json: "parse",
  ini: "parse",
  gambas: "program",
  php: "program",
  nginx: "program",
  lighttpd: "program",
};
/** "program": by the one that reads it, in the second suite. */
export type Check = "run" | "compile" | "commands" | "parse" | "program" | "none";

/** Languages that are not checked, and why. */
const UNCHECKED: Readonly<Record<string, string>> = {
  text: "what a program prints, a drawing, the shape of bytes",
};
/** Behind a language: code of another package, as it was before. It is only parsed. */
export const BEFORE = "before";
/** Paths that pages name are the reader's: here they are below a folder of the test. */
const FOREIGN_PATHS = /(?<=["'])\/(?:var\/lib|srv)(?=\/)/g;
/** A server that pages name: of who tries them it is a real one. */
export const REDIS = "redis://redis.example:6379/0";
const PLACE = "// block\n";
const FRAMES = join(repository, "test/documents/frames");

/** The name of how it is checked, or what is wrong with it. */
export function checkOf({ language, word, page, line }: Block): Check | Error {
  const check = CHECKS[language];
  if (check === undefined)
    return language in UNCHECKED ? "none" : new Error(`${page}:${line}: no test knows the language "${language}"`);
  if (word === "" || word === BEFORE || existsSync(frameOf(language, word))) return check;
  return new Error(`${page}:${line}: there is no frame ${word}.${language}`);
}

function frameOf(language: string, word: string): string {
  return join(FRAMES, `${word}.${language}`);
}

/** The block as a whole module: in its frame, if it names one. */
export function moduleOf({ language, word, text }: Block, home: string, redis = REDIS): string {
  const isBare = word === "" || word === BEFORE;
  const frame = isBare ? PLACE : readFileSync(frameOf(language, word), "utf8");
  if (!frame.includes(PLACE)) throw new Error(`The frame ${word}.${language} has no line "// block"`);
  const [before = "", after = ""] = frame.split(PLACE);
  return `${before}${text.replace(FOREIGN_PATHS, home).replaceAll(REDIS, redis)}${after}`;
}

/** Modules of CommonJS say so by what they use. */
export function extensionOf(language: string, code: string): string {
  const isCommon = /\bmodule\.exports\b|\brequire\(/.test(code);
  // The folder they are written to is of modules.
  if (!isCommon && language !== "js") return `.${language}`;
  return `.${isCommon ? "c" : "m"}${language}`;
}

/** The packages that a module needs, besides ours and Node's. */
export function packagesOf(code: string): readonly string[] {
  const names = importsOf("block.ts", code).map(({ target }) => target);
  const packages = names.map((name) => name.split("/", name.startsWith("@") ? 2 : 1).join("/"));
  return [...new Set(packages)].filter((name) => name !== "node" && name !== "gambas-session" && name !== "block");
}
