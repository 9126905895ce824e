// The commands in the pages, word by word: those of ours against their table, npm's against our scripts, and of the rest that we know them.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readArguments } from "../../daemon/cli/arguments.ts";
import { repository } from "../support/repository.ts";
import type { Block } from "./pages.ts";

/** Programs of others, whose words are theirs. */
const OF_OTHERS = [
  ...["cat", "cd", "chmod", "chown", "cp", "curl", "find", "git", "grep", "jq", "kill", "ls", "mkdir", "mv", "rm"],
  ...["rsync", "stat", "tar", "docker", "journalctl", "loginctl", "nodemon", "pm2", "systemctl", "systemd-tmpfiles"],
  ...["echo", "df", "test", "sysctl", "ps", "tail", "findmnt", "gbr3", "gbs3", "logrotate", "source", "watch"],
];
/** They only look, whatever they are given. */
const HARMLESS = ["status", "list"];
const OURS = "gambas-sessiond";
const SEPARATORS = ["&&", "||", "|", ";", "&", "(", ")", ">", ">>", "<"];
const REDIRECTIONS = [">", ">>", "<"];

interface Scripts {
  readonly scripts: Readonly<Record<string, string>>;
}
const { scripts }: Scripts = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

/** What is wrong with the commands of a block, each with its line. */
export function complaintsOf(block: Block): readonly string[] {
  return block.text.split("\n").flatMap((line, index) =>
    commandsOf(line).flatMap((words) => {
      const complaint = complaintOf(words);
      return complaint === undefined ? [] : [`${block.page}:${block.line + index}: ${complaint}`];
    }),
  );
}

/** The words of ours that may be run as they stand, without a daemon coming to harm. */
export function harmlessOf(block: Block): readonly (readonly string[])[] {
  const all = block.text.split("\n").flatMap(commandsOf).map(ownWords);
  return all.flatMap((words) => {
    if (words === undefined) return [];
    const { wants, named } = readArguments(words);
    return wants !== "run" || HARMLESS.includes(named ?? "") ? [words] : [];
  });
}

/** The commands of a line, without what shells have around them. */
function commandsOf(line: string): (readonly string[])[] {
  const commands: string[][] = [[]];
  let isTarget = false;
  for (const word of wordsOf(line)) {
    if (REDIRECTIONS.includes(word)) isTarget = true;
    else if (SEPARATORS.includes(word)) commands.push([]);
    else if (isTarget) isTarget = false;
    else commands.at(-1)?.push(word);
  }
  return commands.map(withoutSurroundings).filter((words) => words.length > 0);
}

/** As a shell splits them; a comment ends the line. */
function wordsOf(line: string): string[] {
  const words =
    line.replace(/(?:^|\s)#.*$/, "").match(/&&|\|\||>>|[|;&()<>]|(?:[^\s"'|;&()<>]|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/["']/g, ""));
}

/** Variables that are set for the command, and who runs it. */
function withoutSurroundings(words: readonly string[]): readonly string[] {
  const [first = "", second = "", ...rest] = words;
  if (/^[A-Z_]+=/.test(first) || ["env", "exec", "time", "nohup"].includes(first))
    return withoutSurroundings(words.slice(1));
  if (first !== "sudo") return words;
  return withoutSurroundings(second === "-u" ? rest.slice(1) : words.slice(1));
}

function complaintOf(words: readonly string[]): string | undefined {
  const [program = "", ...rest] = words;
  const own = ownWords(words);
  if (own !== undefined) return complaintOfOurs(own);
  if (program === "npm") return complaintOfNpm(rest);
  if (program === "npx") return rest[0] === "vitest" ? missing(rest.filter((word) => word.includes("/"))) : undefined;
  if (program === "node") return missing(rest.filter((word) => /^[\w-]+\/.*\.[jt]s$/.test(word)));
  if (program.includes("/")) return missing([program]);
  return OF_OTHERS.includes(program) ? undefined : `nobody knows the program ${program}`;
}

/** What ours is told, however it is called; undefined: it is not ours. */
function ownWords(words: readonly string[]): readonly string[] | undefined {
  const [program = "", second = "", ...rest] = words;
  if (program.split("/").at(-1) === OURS) return words.slice(1);
  if (program === "npx" && second === OURS) return rest;
  return program === "node" && second.endsWith("dist/daemon/main.js") ? rest : undefined;
}

function complaintOfOurs(words: readonly string[]): string | undefined {
  try {
    readArguments(words);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function complaintOfNpm([command = "", name = ""]: readonly string[]): string | undefined {
  const isOfNpm = ["ci", "install", "uninstall", "ls", "dedupe", "view", "pack"].includes(command);
  if (isOfNpm) return undefined;
  const script = command === "run" ? name : command;
  return script in scripts ? undefined : `package.json has no script ${script}`;
}

/** A program that is compiled exists as its source. */
function missing(paths: readonly string[]): string | undefined {
  const isThere = (path: string): boolean =>
    existsSync(join(repository, path)) ||
    existsSync(join(repository, path.replace(/^dist\//, "").replace(/\.js$/, ".ts")));
  const [lost] = paths.filter((path) => !path.startsWith("/") && !isThere(path));
  return lost === undefined ? undefined : `there is no ${lost}`;
}
