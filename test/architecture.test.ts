// ARCHITECTURE.md against the checkout: the code map is printed from the files' head comments, and every file it names exists.
// `npx vitest run test/architecture.test.ts -u` writes the code map.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "./support/repository.ts";
import { sourcesOf } from "./support/sources.ts";

const PATH = join(repository, "ARCHITECTURE.md");
const document = readFileSync(PATH, "utf8");
const FOLDERS = ["protocol", "client", "daemon"];
const BEGIN = "<!-- code map: printed from the head comments -->";
const END = "<!-- end of code map -->";
const GLOSSARY = [
  ...[
    "session",
    "contents",
    "entry",
    "value",
    "image",
    "dialect",
    "delta",
    "outlet",
    "revision",
    "turn",
    "lease",
    "fence",
    "record lock",
  ],
  ...["election lock", "commit", "foreign writer", "tombstone", "twin", "worker", "owner", "shelf"],
];

/** The first sentence of the comment a file begins with. */
function firstSentence(text: string): string {
  const lines = text.replace(/^#!.*\n/, "").split("\n");
  const comment = lines.slice(
    0,
    lines.findIndex((line) => !/^\/\/ \S/.test(line)),
  );
  const words = comment.map((line) => line.slice(3)).join(" ");
  return /^.*?\.(?= [A-Z`]|$)/.exec(words)?.[0] ?? words;
}

function codeMap(): string {
  const parts = FOLDERS.map((folder) => {
    const lines = sourcesOf(folder).map(({ name, text }) => `- \`${name}.ts\` ${firstSentence(text)}`);
    return `\n### ${folder}/\n\n${lines.join("\n")}\n`;
  });
  return parts.join("");
}

function section(heading: string): string {
  const text = document.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0];
  if (text === undefined) throw new Error(`ARCHITECTURE.md has no section "${heading}"`);
  return text;
}

describe("ARCHITECTURE.md", () => {
  it("lists every file with what it says of itself", async () => {
    const [before, rest] = document.split(BEGIN);
    const printed = `${before}${BEGIN}\n${codeMap()}\n${END}${rest?.split(END)[1]}`;
    await expect(printed).toMatchFileSnapshot(PATH);
  });

  it("names only files that exist", () => {
    const named = [...document.matchAll(/`((?:protocol|client|daemon|test|bench)\/[\w./-]+\.(?:ts|md))/g)];
    const missing = named.map(([, path]) => path ?? "").filter((path) => !existsSync(join(repository, path)));
    expect(missing).toEqual([]);
  });

  it("numbers its invariants and names a test for each", () => {
    const items = section("Invariants").match(/^\d+\. [^\n]*(?:\n {2,}[^\n]*)*/gm) ?? [];
    expect(items.map((item) => Number.parseInt(item, 10))).toEqual(items.map((_, index) => index + 1));
    expect(items.length).toBeGreaterThan(10);
    expect(items.filter((item) => !/`test\/[\w/-]+\.(?:test|fault|storm)\.ts`/.test(item))).toEqual([]);
  });

  it("draws the state machine that daemon/sessions/session.ts describes", () => {
    const { text } = sourcesOf("daemon").find(({ name }) => name === "daemon/sessions/session") ?? { text: "" };
    const drawn = text.match(/^\/\/ {3}(?:COLD|WARM|any).*$/gm)?.map((line) => line.slice(5)) ?? [];
    expect(drawn.length).toBeGreaterThan(3);
    expect(section("The states of a session")).toContain(drawn.join("\n"));
  });

  it("has the words of the glossary, each once", () => {
    const words = [...section("Glossary").matchAll(/^\| \*\*([^*]+)\*\* \|/gm)].map(([, word]) => word);
    expect([...words].sort()).toEqual([...GLOSSARY].sort());
  });
});
