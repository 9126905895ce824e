// What bash completes, asked of the real bash: commands, the flags of each, and what stands behind them.

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../../../daemon/cli/command-line.ts";
import { COMMANDS } from "../../../../daemon/cli/commands.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";

let place: string;
let script: string;

beforeAll(async () => {
  place = freshRoot();
  script = join(place, "completion.bash");
  let said = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  expect(await runCommandLine(["completion", "bash"])).toBe(0);
  vi.restoreAllMocks();
  writeFileSync(script, said);
  mkdirSync(join(place, "some where"));
  writeFileSync(join(place, "some file"), "");
});

afterAll(() => removeRoot(place));

/** What is offered at the end of a line; its words as bash takes them apart. */
async function offered(...words: readonly string[]): Promise<string[]> {
  const ask = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gambas_sessiond; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ["--noprofile", "--norc", "-c", ask, "bash", script, "gambas-sessiond", ...words];
  const { stdout, stderr } = await promisify(execFile)("bash", args, { cwd: place });
  // compopt is for a completion that goes on.
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

describe("the completion of bash", () => {
  test("offers the commands, and of a beginning those that go on so", async () => {
    const [all, some] = await Promise.all([offered(""), offered("st")]);
    expect(all).toEqual(Object.keys(COMMANDS));
    expect(some.sort()).toEqual(["status", "stop"]);
  });

  test.each(Object.keys(COMMANDS))("offers the flags of %s and no others", async (name) => {
    const flags = COMMANDS[name]?.flags.map((flag) => `--${flag.name}`) ?? [];
    const [own, withoutCommand] = await Promise.all([offered(name, "-"), offered("-")]);
    expect(own).toEqual([...flags, "-h", "--help", "--version"]);
    if (name === "run") expect(withoutCommand).toEqual(own);
  });

  test("offers what may stand behind a flag or a command", async () => {
    const answers = await Promise.all([
      offered("completion", ""),
      offered("--durability", "f"),
      offered("--durability", "=", "fs"),
      offered("run", "--log-level", "="),
      offered("list", "--root", "some"),
      offered("show", "some"),
      offered("status", ""),
      offered("status", "--socket", "some"),
      offered("--interval", ""),
    ]);
    expect(answers).toEqual([
      ["bash", "zsh", "fish"],
      ["file", "fsync"],
      ["fsync"],
      ["debug", "info", "warn", "error", "silent"],
      ["some where"],
      expect.arrayContaining(["some where", "some file"]),
      [],
      expect.arrayContaining(["some where", "some file"]),
      [],
    ]);
  });

  test("takes the value of a flag for no command", async () => {
    expect(await offered("--root", "status", "sho")).toEqual(["show"]);
    expect(await offered("--root", "=", "status", "sho")).toEqual(["show"]);
    expect(await offered("--root", "x", "completion", "b")).toEqual(["bash"]);
  });
});
