// What an entry point of the package declares, read from the declarations that the compiler has written: every name it exports, and everything
// that their types reach.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "./repository.ts";

export interface Declaration {
  readonly name: string;
  readonly kind: string;
  /** Without comments; of a constant only the names of its properties, since types can be computed from no more. */
  readonly text: string;
  /** An application can import it. */
  readonly isExported: boolean;
}

/** One file of declarations. */
interface Module {
  readonly path: string;
  readonly declarations: ReadonlyMap<string, { readonly kind: string; readonly text: string }>;
  /** Names that come from elsewhere, as `[file, name there]`. */
  readonly imports: ReadonlyMap<string, readonly [path: string, name: string]>;
  readonly exports: ReadonlySet<string>;
}

const STATEMENT = /^(?:export |declare |import |interface |type |class |abstract )/;
const DECLARED = /^(?:export )?(?:declare )?(?:abstract )?(const|function|class|interface|type) (\w+)/;
const LISTED = /^(import|export) (?:type )?\{([^}]*)\}(?: from "([^"]+)")?/;
/** Members and parameters are followed by these at once; names of types are not. */
const NAME = /(?<![\w.$"#])([A-Za-z_]\w*)(?![\w(:?"])/g;

/** @param entry a file of `dist/`, without `.d.ts`. */
export function declarationsOf(entry: string): readonly Declaration[] {
  const modules = new Map<string, Module>();
  const found = new Map<string, Declaration>();
  const visit = (path: string, name: string, isExported: boolean): void => {
    const module = modules.get(path) ?? readModule(path);
    modules.set(path, module);
    const [elsewhere, there = name] = module.imports.get(name) ?? [];
    if (elsewhere !== undefined) {
      if (elsewhere !== "") visit(elsewhere, there, isExported);
      return;
    }
    const declaration = module.declarations.get(name);
    const known = found.get(`${path} ${name}`);
    if (declaration === undefined || known?.isExported === true || (known !== undefined && !isExported)) return;
    found.set(`${path} ${name}`, { name, ...declaration, isExported });
    for (const [, used = ""] of declaration.text.replace(/"[^"]*"/g, '""').matchAll(NAME)) visit(path, used, false);
  };
  const path = join(repository, "dist", `${entry}.d.ts`);
  for (const name of readModule(path).exports) visit(path, name, true);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readModule(path: string): Module {
  const declarations = new Map<string, { kind: string; text: string }>();
  const imports = new Map<string, [string, string]>();
  const exports = new Set<string>();
  for (const statement of statementsOf(readFileSync(path, "utf8"))) {
    const [, kind, name] = DECLARED.exec(statement) ?? [];
    if (kind !== undefined && name !== undefined) {
      declarations.set(name, { kind, text: kind === "const" ? outlineOf(statement) : bare(statement) });
      if (statement.startsWith("export ")) exports.add(name);
    }
    const [, keyword, list = "", specifier] = LISTED.exec(statement) ?? [];
    for (const item of keyword === undefined ? [] : list.split(",")) {
      const [there, here = there] = item
        .trim()
        .replace(/^type /, "")
        .split(" as ");
      if (there === undefined || there === "" || here === undefined) continue;
      if (keyword === "export") exports.add(here);
      if (specifier !== undefined) imports.set(here, [targetOf(path, specifier), there]);
    }
  }
  return { path, declarations, imports, exports };
}

/** Of another package: "". */
function targetOf(path: string, specifier: string): string {
  return specifier.startsWith(".") ? join(dirname(path), specifier.replace(/\.[tj]s$/, ".d.ts")) : "";
}

/** The compiler indents everything but the beginnings and ends of statements. */
function statementsOf(text: string): readonly string[] {
  const statements: string[][] = [];
  for (const line of text.replace(/^\s*\/\*\*[\s\S]*?\*\/\n/gm, "").split("\n")) {
    if (STATEMENT.test(line)) statements.push([line]);
    else if (line !== "") statements.at(-1)?.push(line);
  }
  return statements.map((lines) => lines.join("\n"));
}

function bare(statement: string): string {
  return statement.replace(/^export (?:declare )?|^declare /, "");
}

function outlineOf(statement: string): string {
  const [head = "", ...lines] = bare(statement).split("\n");
  const names = lines.flatMap((line) => /^ {4}readonly (\w+)/.exec(line)?.[1] ?? []);
  return names.length === 0 ? bare(statement) : `${head} ${names.join(", ")} }`;
}
