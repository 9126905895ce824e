// The command line: what it refuses before anything is done, and that a command loads no more than it needs.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../../daemon/cli/command-line.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

let root: string;
let said: string;

beforeEach(() => {
  root = freshRoot();
  said = "";
  const hear = (text: string | Uint8Array): boolean => {
    said += String(text);
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(hear);
  vi.spyOn(process.stderr, "write").mockImplementation(hear);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await removeRoot(root);
});

describe("the command line", () => {
  test.each([
    [["frob"], "Unknown command frob"],
    [["status", "now"], "Unknown command status now"],
    [["--frob"], "Unknown option '--frob'"],
    [["status", "--cache-bytes", "1"], "The command status has no flag --cache-bytes"],
    [["--takeover", "status"], "The command status has no flag --takeover"],
    [["run", "--json"], "The command run has no flag --json"],
    [["toString"], "Unknown command toString"],
  ])("refuses %j, and says how it is used", async (args, why) => {
    expect(await runCommandLine(args)).toBe(2);
    expect(said).toContain(why);
    expect(said).toContain("gambas-sessiond status [--json]");
  });

  test("takes flags before the command as well, and says in one line why it failed", async () => {
    expect(await runCommandLine(["--root", root, "status", "--json"])).toBe(1);
    expect(said).toMatch(/^gambas-sessiond: ERR_DAEMON_UNAVAILABLE: .*\n$/);
  });

  test("refuses a setting of the wrong kind before it starts anything", async () => {
    expect(await runCommandLine(["--root", root, "--cache-bytes", "much"])).toBe(1);
    expect(said).toContain("ERR_BAD_OPTION");
  });

  test("helps with every command and every setting", async () => {
    expect(await runCommandLine(["--help"])).toBe(0);
    for (const words of ["[run]", "--takeover", "status [--json]", "`cacheBytes`"]) expect(said).toContain(words);
  });
});

test("the status loads neither engine nor watcher, nor what an election needs", async () => {
  const place = freshRoot();
  for (const part of ["protocol", "daemon"])
    cpSync(join(repository, "dist", part), join(place, "dist", part), { recursive: true });
  cpSync(join(repository, "package.json"), join(place, "package.json"));
  mkdirSync(join(place, "node_modules"));
  symlinkSync(join(repository, "node_modules/msgpackr"), join(place, "node_modules/msgpackr"));
  const main = join(place, "dist/daemon/main.js");
  const failed = await promisify(execFile)(process.execPath, [main, "status", "--root", root]).catch((error) => error);
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining("ERR_DAEMON_UNAVAILABLE") });
  await removeRoot(place);
});
