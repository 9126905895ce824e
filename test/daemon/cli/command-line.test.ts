// The command line: what it refuses before anything is done, and that a command loads no more than it needs.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../../daemon/cli/command-line.ts";
import { COMMANDS } from "../../../daemon/cli/commands.ts";
import { bytesText, fromNow, microsText, spanText } from "../../../daemon/cli/terminal/figures.ts";
import { settingFlags } from "../../../daemon/config.ts";
import { VERSION } from "../../../protocol/version.ts";
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
    [["frob"], 'There is no command "frob"; there are run, status,', ""],
    [["stauts"], 'There is no command "stauts"; status was probably meant.', ""],
    [["toString"], 'There is no command "toString"', ""],
    [["status", "now"], 'The command status takes no "now".', "status "],
    [["show"], "The command show needs more: show ID|FILE", "show "],
    [["end"], "The command end needs ids, or --prefix PREFIX.", "end "],
    [["end", "me"], '"me" is no session id', "end "],
    [["--frob"], "There is no flag --frob.", ""],
    [["--cache-byte", "1"], "There is no flag --cache-byte; --cache-bytes was probably meant.", ""],
    [["status", "--jsno"], "The command status has no flag --jsno; --json was probably meant.", "status "],
    [["status", "--cache-bytes", "1"], "The command status has no flag --cache-bytes.", "status "],
    [["--takeover", "status"], "The command status has no flag --takeover.", "status "],
    [["run", "--json"], "The command run has no flag --json.", "run "],
    [["status", "--json=yes"], "The flag --json takes no value.", "status "],
    [["status", "--root", "--json"], "The flag --root needs a value: --root=DIR.", "status "],
    [["top", "--interval", "0"], 'The flag --interval takes seconds from 0.1 to 86400, not "0".', "top "],
    [["top", "--count", "1.5"], 'The flag --count takes a whole number above 0, not "1.5".', "top "],
    [["status", "--watch", "--interval="], 'The flag --interval takes seconds from 0.1 to 86400, not "".', "status "],
    [["status", "--count", "2"], "The flag --count is for --watch.", "status "],
    [["completion"], "The command completion needs more: completion bash|zsh|fish", "completion "],
    [["completion", "tcsh"], 'There is no completion for "tcsh"; there is one for bash, zsh, fish.', "completion "],
    [["--lease-ms", "abc"], 'The flag --lease-ms takes a number, not "abc".', "run "],
    [["run", "--cache-bytes="], 'The flag --cache-bytes takes a number, not "".', "run "],
    [["end", "--prefix", "a", "--prefix", "b"], "The flag --prefix is given twice, with different values.", "end "],
    [["show", "a.db", "--root", "/srv"], 'The flag --root is for an id, and "a.db" is the name of a file.', "show "],
    [["show", "a.db", "--type", "redis"], 'The flag --type is for an id, and "a.db" is the name of a file.', "show "],
    [["list", "--root"], "The flag --root needs a value: --root=DIR.", "list "],
  ])("refuses %j in two lines, the second of which says where help is", async (args, why, command) => {
    expect(await runCommandLine(args)).toBe(2);
    const [first, ...rest] = said.split("\n");
    expect(first).toContain(`gambas-sessiond: ${why}`);
    expect(rest).toEqual([`Help: gambas-sessiond ${command}--help`, ""]);
  });

  test("refuses a setting of the wrong kind before it starts anything", async () => {
    expect(await runCommandLine(["--root", root, "--type", "steam"])).toBe(2);
    expect(said).toContain('ERR_BAD_OPTION: Unknown session type "steam"; there are "file", "sqlite", "redis".');
  });

  test("refuses a setting that means nothing to either type of a conversion", async () => {
    const types = ["convert", "--from", "file", "--to", "sqlite", "--root", root];
    expect(await runCommandLine([...types, "--accept-loss"])).toBe(2);
    expect(said).toContain(
      "ERR_BAD_OPTION: The setting acceptLoss is for sessions of type redis; these are of type file and become those of type sqlite.",
    );
  });

  test("takes a flag that is given twice alike, and flags before the command as well, and says where it has found no daemon, and how to start one", async () => {
    expect(await runCommandLine(["--root", root, "status", "--root", root, "--json"])).toBe(3);
    expect(said).toContain(`gambas-sessiond: ERR_DAEMON_UNAVAILABLE: No daemon answers on ${root}/sessiond.sock.\n`);
    expect(said).toContain(`Start one: gambas-sessiond --root ${root}\n`);
  });

  test.each([
    ["status"],
    ["status", "--watch"],
    ["top"],
    ["list"],
    ["end", "--prefix", "x"],
    ["stop"],
    ["show", "x:0123456789ABCDEF01234567"],
  ])("says of a root that is not there that it is not there: %j", async (...args) => {
    expect(await runCommandLine([...args, "--root", join(root, "it's not")])).toBe(3);
    expect(said).toContain(`There is no root directory ${root}/it's not`);
    expect(said).toContain(`gambas-sessiond --root '${root}/it'\\''s not'\n`);
  });

  test("says of a root that is none what it is", async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    expect(await runCommandLine(["list", "--root", file])).toBe(3);
    expect(said).toContain(`The root ${file} is no directory.`);
  });

  test("says whose a root is that is another user's, and how to ask as that one", async () => {
    vi.spyOn(process, "getuid").mockReturnValue(4711);
    const { uid } = statSync(root);
    expect(await runCommandLine(["list", "--root", root])).toBe(3);
    expect(said).toContain(`belongs to user ${uid}, not to you (4711)`);
    expect(said).toContain(`sudo -u '#${uid}' gambas-sessiond`);
  });
});

describe("the help", () => {
  test("names every command and setting with its default, three examples and the exit codes, in 80 columns", async () => {
    expect(await runCommandLine(["--help"])).toBe(0);
    for (const name of Object.keys(COMMANDS)) expect(said).toMatch(new RegExp(`^  ${name} +\\w`, "m"));
    for (const { name } of settingFlags()) expect(said).toMatch(new RegExp(`^  --${name} `, "m"));
    for (const words of ["--root DIR", "-h, --help", "--version", "(default: 67108864)"]) expect(said).toContain(words);
    expect(said.match(/^ {2}gambas-sessiond .*/gm)).toHaveLength(3);
    expect(said).toMatch(/^ {2}3 {2}no daemon/m);
    expect(said.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(said).not.toMatch(/`|^\|/m);
  });

  test.each(Object.keys(COMMANDS))("of %s speaks of that command only", async (name) => {
    expect(await runCommandLine([name, "-h"])).toBe(0);
    const flags = COMMANDS[name]?.flags.map((flag) => `--${flag.name}`) ?? [];
    const shown = said.match(/^ {2}(?:-h, )?--[\w-]+/gm)?.map((flag) => flag.replace("-h, ", "").trim());
    expect(shown).toEqual([...flags, "--help", "--version"]);
    expect(said).toMatch(/^ {2}gambas-sessiond /m);
    expect(said.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("is not given for the version", async () => {
    expect(await runCommandLine(["--version"])).toBe(0);
    expect(said).toBe(`gambas-sessiond ${VERSION}\n`);
  });
});

test("figures are told as people tell them", () => {
  expect([0, 999, 1000, 1549, 12_345, 999_999, 57_000_000].map(bytesText)).toEqual([
    "0 bytes",
    "999 bytes",
    "1.0 kB",
    "1.5 kB",
    "12 kB",
    "1.0 MB",
    "57 MB",
  ]);
  expect([7, 1234, 56_789, 9_900_000].map(microsText)).toEqual(["7 µs", "1.2 ms", "57 ms", "9.9 s"]);
  expect([5, 119, 120, 7_200, 172_800].map(spanText)).toEqual(["5 s", "119 s", "2 min", "2 h", "2 d"]);
  expect([fromNow(new Date(0), 90_000), fromNow(new Date(90_000), 0), fromNow(null, 0)]).toEqual([
    "90 s ago",
    "in 90 s",
    "never",
  ]);
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
  expect(failed).toMatchObject({ code: 3, stderr: expect.stringContaining("ERR_DAEMON_UNAVAILABLE") });
  await removeRoot(place);
});
