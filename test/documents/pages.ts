// The pages that people read, as what tests ask of them: blocks of code, tables, headings, links, and the text around these.

import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { repository } from "../support/repository.ts";

const FOLDERS = ["client", "daemon", "protocol"];
const FENCE = /^( *)```(\S*) *(.*)$/;

export interface Block {
  readonly page: string;
  /** Of its first line of code. */
  readonly line: number;
  readonly language: string;
  /** What stands behind the language: see CONTRIBUTING, "Documents". */
  readonly word: string;
  readonly text: string;
}

export interface Table {
  readonly page: string;
  readonly line: number;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Page {
  /** From the repository on. */
  readonly path: string;
  readonly text: string;
  /** All lines that are no code, those of code empty. */
  readonly prose: string;
  readonly blocks: readonly Block[];
  readonly tables: readonly Table[];
  /** As links name headings. */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly { readonly line: number; readonly target: string }[];
}

/** Every page at the top and beside the sources; what tests or benchmarks print is theirs. */
export function readPages(): readonly Page[] {
  const beside = FOLDERS.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" }).map((name) =>
      posix.join(folder, name),
    ),
  );
  const paths = [...readdirSync(repository), ...beside].filter((path) => path.endsWith(".md")).sort();
  return paths.map((path) => readPage(path, readFileSync(join(repository, path), "utf8")));
}

export function readPage(path: string, text: string): Page {
  const { prose, blocks } = partsOf(path, text.split("\n"));
  return {
    path,
    text,
    prose: prose.join("\n"),
    blocks,
    tables: tablesOf(path, prose),
    anchors: anchorsOf(prose),
    links: linksOf(prose),
  };
}

function partsOf(page: string, lines: readonly string[]): { prose: string[]; blocks: Block[] } {
  const prose: string[] = [];
  const blocks: Block[] = [];
  let open: { head: Omit<Block, "text">; indent: string; code: string[] } | undefined;
  for (const [index, line] of lines.entries()) {
    const [, indent = "", language = "", word = ""] = FENCE.exec(line) ?? [];
    const isFence = FENCE.test(line);
    prose.push(isFence || open !== undefined ? "" : line);
    if (open === undefined) {
      if (isFence) open = { head: { page, line: index + 2, language, word: word.trim() }, indent, code: [] };
    } else if (isFence) {
      blocks.push({ ...open.head, text: `${open.code.join("\n")}\n` });
      open = undefined;
    } else open.code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
  }
  if (open !== undefined) throw new Error(`${page}:${open.head.line} begins a block that does not end`);
  return { prose, blocks };
}

function tablesOf(page: string, prose: readonly string[]): Table[] {
  const tables: Table[] = [];
  for (const [index, line] of prose.entries()) {
    if (!/^\|(?:-+\|)+$/.test(line)) continue;
    const end = prose.findIndex((next, at) => at > index && !next.startsWith("|"));
    const rows = prose.slice(index + 1, end === -1 ? undefined : end).map(cellsOf);
    tables.push({ page, line: index, heads: cellsOf(prose[index - 1] ?? ""), rows });
  }
  return tables;
}

function cellsOf(row: string): string[] {
  return row
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** As GitHub makes them of headings: the second of the same name gets a number. */
function anchorsOf(prose: readonly string[]): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of prose) {
    const [, heading] = /^#+ (.*)$/.exec(line) ?? [];
    if (heading === undefined) continue;
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

function linksOf(prose: readonly string[]): { line: number; target: string }[] {
  return prose.flatMap((line, index) =>
    [...line.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => ({
      line: index + 1,
      target,
    })),
  );
}

/** What is in backticks, anywhere in the text. */
export function codeWordsOf(prose: string): readonly string[] {
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, word = ""]) => word);
}
