// The documents against the checkout: the folders and files they name exist, what they draw is what the code says, and they stay short.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "./support/repository.ts";
import { sourcesOf } from "./support/sources.ts";

const FOLDERS = ["protocol", "client", "daemon"];
/** What a newcomer reads in ten minutes. */
const MAX_BYTES = 20 * 1024;
const MAX_STORY_LINES = 60;
const GLOSSARY = [
  ...["session", "contents", "entry", "value", "image", "dialect", "delta", "outlet", "revision", "turn", "lease"],
  ...["fence", "record lock", "election lock", "commit", "foreign writer", "tombstone", "twin", "worker", "owner"],
  ...["shelf", "successor", "type"],
];

const sources = FOLDERS.flatMap(sourcesOf);
const document = read("ARCHITECTURE.md");

function read(path: string): string {
  return readFileSync(join(repository, path), "utf8");
}

function section(text: string, heading: string): string {
  const found = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0];
  if (found === undefined) throw new Error(`there is no section "${heading}"`);
  return found;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Each folder of the package once, but for the examples. */
function folders(): readonly string[] {
  return [...new Set(sources.map(({ name }) => folderOf(name)))]
    .filter((name) => !name.startsWith("client/examples"))
    .sort();
}

/** The folders that have a story, and tell it. */
function stories(): readonly string[] {
  return folders()
    .map((folder) => `${folder}/README.md`)
    .filter((path) => existsSync(join(repository, path)));
}

/** The lines of a state machine in the head comment of a file. */
function drawnIn(file: string, states: RegExp): readonly string[] {
  const { text } = sources.find(({ name }) => name === file) ?? { text: "" };
  return text.split("\n").flatMap((line) => (states.test(line) ? [line.slice(5)] : []));
}

describe("ARCHITECTURE.md", () => {
  it("can be read in ten minutes", () => {
    expect(Buffer.byteLength(document)).toBeLessThanOrEqual(MAX_BYTES);
  });

  it("has a line for every folder", () => {
    const listed = [...section(document, "Folder map").matchAll(/^\| `([\w/-]+?)\/?` \|/gm)].map(
      ([, name]) => name ?? "",
    );
    expect([...listed].sort()).toEqual(folders());
  });

  it("numbers its invariants and names a test for each", () => {
    const items = section(document, "Invariants").match(/^\d+\. [^\n]*/gm) ?? [];
    expect(items.map((item) => Number.parseInt(item, 10))).toEqual(items.map((_, index) => index + 1));
    expect(items.length).toBeGreaterThan(10);
    expect(items.filter((item) => !/`test\/[\w/-]+\.(?:test|long|consumers|fault|storm)\.ts`/.test(item))).toEqual([]);
  });

  it("draws the states that sessions and handles describe", () => {
    const drawn = [
      drawnIn("daemon/sessions/session", /^\/\/ {3}(?:COLD|WARM|any) /),
      drawnIn("client/handle/handle", /^\/\/ {3}(?:OPEN|INSIDE|OVER) /),
    ];
    for (const lines of drawn) {
      expect(lines.length).toBeGreaterThan(3);
      expect(section(document, "States")).toContain(lines.join("\n"));
    }
  });
});

describe("the documents", () => {
  it("name only files that exist", () => {
    const paths = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "protocol/PROTOCOL.md", ...stories()];
    const missing = paths.flatMap((path) =>
      [...read(path).matchAll(/`((?:protocol|client|daemon|test|bench)\/[\w./-]+\.(?:ts|md|sh))`/g)]
        .map(([, named]) => named ?? "")
        .filter((named) => !existsSync(join(repository, named)))
        .map((named) => `${path}: ${named}`),
    );
    expect(missing).toEqual([]);
  });

  it("tell the story of a folder in the folder, in at most a screen or two", () => {
    const told = stories();
    expect(told.length).toBeGreaterThan(3);
    expect(told.filter((path) => read(path).split("\n").length > MAX_STORY_LINES)).toEqual([]);
    expect(told.filter((path) => !document.includes(`](${path})`))).toEqual([]);
  });

  it("have the words of the glossary, each once", () => {
    const words = [...section(read("CONTRIBUTING.md"), "Glossary").matchAll(/^\| \*\*([^*]+)\*\* \|/gm)].map(
      ([, word]) => word,
    );
    expect([...words].sort()).toEqual([...GLOSSARY].sort());
  });
});
