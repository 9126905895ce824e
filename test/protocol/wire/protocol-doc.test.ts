// The tables in PROTOCOL.md are the tables in the code. `npx vitest run test/protocol/wire/protocol-doc.test.ts -u` writes them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ERRORS } from "../../../protocol/errors.ts";
import { OPERATIONS, PROTOCOL_VERSION } from "../../../protocol/wire/operations.ts";
import { describeErrors, describeOperations } from "../../support/protocol-tables.ts";
import { repository } from "../../support/repository.ts";

const PATH = join(repository, "protocol/PROTOCOL.md");
const document = readFileSync(PATH, "utf8");

/** The document with a table between the two marks of its name. */
function withTable(text: string, name: string, table: string): string {
  const [begin, end] = [`<!-- ${name}: printed from the code -->`, `<!-- end of ${name} -->`];
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`PROTOCOL.md has no place for ${name}`);
  return `${before}${begin}\n${table}\n${end}${after}`;
}

function section(heading: string): string {
  return document.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
}

it("prints the tables of the code", async () => {
  const operations = withTable(document, "operations", describeOperations());
  await expect(withTable(operations, "errors", describeErrors())).toMatchFileSnapshot(PATH);
});

it("has one row for every operation and every error, none broken by its text", () => {
  const rows = (table: string): number[] => table.split("\n").map((row) => row.split(/(?<!\\)\|/).length);
  expect(rows(describeOperations())).toEqual(Array(Object.keys(OPERATIONS).length + 2).fill(9));
  expect(rows(describeErrors())).toEqual(Array(Object.keys(ERRORS).length + 2).fill(6));
});

it("names the present version last in its table", () => {
  const versions = section("hello and version").match(/^\| (\d+) \|/gm) ?? [];
  expect(versions.at(-1)).toBe(`| ${PROTOCOL_VERSION} |`);
});

it("names no error code that does not exist", () => {
  const named = document.match(/\bERR_[A-Z_]+\b/g) ?? [];
  expect(named.filter((code) => !Object.hasOwn(ERRORS, code))).toEqual([]);
});
