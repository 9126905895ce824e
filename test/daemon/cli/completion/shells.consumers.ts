// What bash, zsh and fish complete, each in a real terminal with a person's keys. Needs tmux, and of the shells those that are to be tried.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { TerminalWindow } from "../../../support/terminal-window.ts";

interface Shell {
  readonly start: readonly string[];
  /** What makes the shell know the command. */
  readonly setUp: string;
  readonly prompt: string;
}

const SHELLS: Readonly<Record<string, Shell>> = {
  bash: {
    start: ["bash", "--noprofile", "--norc", "-i"],
    setUp: `PS1='ready> '; bind 'set show-all-if-ambiguous on'; eval "$(gambas-sessiond completion bash)"; clear`,
    prompt: "ready>",
  },
  zsh: {
    start: ["zsh", "-f", "-i"],
    setUp: "PS1='ready> '; autoload -Uz compinit; compinit -u -D; source <(gambas-sessiond completion zsh); clear",
    prompt: "ready>",
  },
  fish: {
    start: ["fish", "--no-config", "-i"],
    setUp: "function fish_prompt; echo 'ready> '; end; gambas-sessiond completion fish | source; clear",
    prompt: "ready>",
  },
};

let home: string;
let window: TerminalWindow | undefined;

beforeEach(() => {
  home = freshRoot();
  const bin = join(home, "bin");
  mkdirSync(bin);
  mkdirSync(join(home, "sessions of ours"));
  const program = join(bin, "gambas-sessiond");
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${repository}/dist/daemon/main.js" "$@"\n`);
  chmodSync(program, 0o755);
});

afterEach(async () => {
  window?.close();
  window = undefined;
  await removeRoot(home);
});

async function open({ start, setUp, prompt }: Shell): Promise<TerminalWindow> {
  const env = { PATH: `${join(home, "bin")}:${process.env.PATH}`, HOME: home, LANG: "C.UTF-8" };
  window = TerminalWindow.open(start, { columns: 120, rows: 50, env, directory: home });
  await window.shows(/[>$%#] ?$/m);
  window.type(setUp);
  await window.shows(new RegExp(`^${prompt} *\\n*$`));
  return window;
}

function isThere(name: string): boolean {
  try {
    execFileSync(name, ["--version"]);
    return true;
  } catch {
    // Whatever the system error: it cannot be had.
    return false;
  }
}

describe.each(Object.keys(SHELLS))("%s", (name) => {
  const canTry = TerminalWindow.isPossible() && isThere(name);

  test.skipIf(!canTry)("completes commands, their flags, and what stands behind them", async () => {
    const shell = SHELLS[name];
    if (shell === undefined) throw new Error(`there is no shell ${name}`);
    const terminal = await open(shell);
    const completes = async (typed: string, shown: RegExp): Promise<void> => {
      terminal.press("-l", typed);
      terminal.press("Tab");
      await terminal.shows(shown);
      // Away with the line, and with what was offered.
      terminal.press("C-c");
      // What is typed before the shell has taken the interrupt may be thrown away with the line.
      await terminal.shows(new RegExp(`^${shell.prompt} *\\n*$(?![\\s\\S]*\\S)`, "m"));
      terminal.type("clear");
      await terminal.shows(new RegExp(`^${shell.prompt} *\\n*$`));
    };
    await completes("gambas-sessiond compl", /gambas-sessiond completion/);
    await completes("gambas-sessiond st", /status[\s\S]*stop/);
    await completes("gambas-sessiond status --wa", /status --watch/);
    await completes("gambas-sessiond list --ro", /list --root/);
    await completes("gambas-sessiond show --no", /show --no-values/);
    await completes("gambas-sessiond completion f", /completion fish/);
    await completes("gambas-sessiond --durability fs", /--durability fsync/);
    await completes("gambas-sessiond --root x sta", /--root x status/);
    await completes("gambas-sessiond list --root sess", /--root sessions\\ of\\ ours/);
  });

  test.skipIf(!canTry)("is given a script that it can read", () => {
    const script = join(home, `script.${name}`);
    writeFileSync(script, execFileSync(join(home, "bin/gambas-sessiond"), ["completion", name]));
    expect(execFileSync(name, ["-n", script], { encoding: "utf8" })).toBe("");
  });
});
