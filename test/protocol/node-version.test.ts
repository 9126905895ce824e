// Which versions of Node the package runs on, as package.json says it, and its own version.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkNode } from "../../protocol/node-version.ts";
import { VERSION } from "../../protocol/version.ts";
import { repository } from "../support/repository.ts";
import { importsOf } from "../support/sources.ts";

const description = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

describe("a version of Node", () => {
  it.each(["18.20.8", "20.18.3", "0.12.0", "19.9.0"])("%s is too old, and is told so", (version) => {
    expect(() => checkNode(version)).toThrow(`gambas-session needs Node 20.19 or newer; this is ${version}.`);
  });

  it.each(["20.19.0", "20.20.2", "22.0.0", "26.1.0-nightly"])("%s will do", (version) => {
    expect(() => checkNode(version)).not.toThrow();
  });

  it("is looked at first, by every entry of the package", () => {
    for (const name of ["client/index", "daemon/main", "daemon/start"]) {
      const [first] = importsOf(`${name}.ts`, readFileSync(join(repository, `${name}.ts`), "utf8"));
      expect(first?.target).toBe(`${name.split("/", 1)[0]}/node-version`);
    }
  });
});

it("package.json says the same", () => {
  expect(description.engines.node).toBe(">=20.19");
  expect(VERSION).toBe(description.version);
});
