// Links of the pages lead somewhere: to files and headings that exist, and in the tarball to what is in it. README stays short.

import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "../support/repository.ts";
import { readPage, readPages } from "./pages.ts";

const MAX_README_LINES = 250;
const pages = readPages();
const { files }: { readonly files: readonly string[] } = JSON.parse(
  readFileSync(join(repository, "package.json"), "utf8"),
);
/** Pages for whoever has the repository. */
const OF_REPOSITORY = /^(?:CONTRIBUTING|bench\/results\/latest|test\/ARROWS|.*\/README)\.md$/;

function matches(path: string, pattern: string): boolean {
  return new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`).test(path);
}

function isPacked(path: string): boolean {
  return (
    ["README.md", "LICENSE"].includes(path) || files.some((one) => path.startsWith(`${one}/`) || matches(path, one))
  );
}

function isThere(path: string, anchor: string | undefined): boolean {
  if (!existsSync(join(repository, path))) return false;
  if (anchor === undefined) return true;
  const page = pages.find((one) => one.path === path);
  return (page ?? readPage(path, readFileSync(join(repository, path), "utf8"))).anchors.has(anchor);
}

function linksOf(page: (typeof pages)[number]): readonly { where: string; path: string; anchor: string | undefined }[] {
  return page.links
    .filter(({ target }) => !/^[a-z]+:/.test(target))
    .map(({ line, target }) => {
      const [path = "", anchor] = target.split("#", 2);
      const whole = path === "" ? page.path : posix.join(posix.dirname(page.path), path);
      return { where: `${page.path}:${line}: ${target}`, path: whole, anchor };
    });
}

describe("the pages", () => {
  it("link to files and headings that are there", () => {
    const all = pages.flatMap(linksOf);
    expect(all.length).toBeGreaterThan(10);
    expect(all.filter(({ path, anchor }) => !isThere(path, anchor)).map(({ where }) => where)).toEqual([]);
  });

  it("of the package link to pages that are in it", () => {
    const all = pages.filter(({ path }) => isPacked(path)).flatMap(linksOf);
    const lost = all.filter(({ path }) => path.endsWith(".md") && !isPacked(path) && !OF_REPOSITORY.test(path));
    expect(lost.map(({ where }) => where)).toEqual([]);
  });

  it("that README does not link to are for whoever works on the package", () => {
    const linked = pages.filter(({ path }) => path === "README.md").flatMap(linksOf);
    const users = pages.filter(({ path }) => isPacked(path) && path !== "README.md");
    expect(users.map(({ path }) => path).filter((path) => !linked.some((link) => link.path === path))).toEqual([]);
  });

  it("begin with one that can be read in five minutes", () => {
    const readme = pages.find(({ path }) => path === "README.md");
    expect(readme?.text.trimEnd().split("\n").length).toBeLessThanOrEqual(MAX_README_LINES);
  });
});

describe("a heading", () => {
  it("is named as GitHub names it", () => {
    const { anchors } = readPage("page.md", "# `session(options)`\n## Not lost: why?\n## Same\n## Same\n");
    expect([...anchors]).toEqual(["sessionoptions", "not-lost-why", "same", "same-1"]);
  });
});
