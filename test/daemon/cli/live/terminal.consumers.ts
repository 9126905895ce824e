// `top` and `status --watch` in a real terminal, as a person uses them: what can be seen at several sizes, through the death of a daemon, and that
// the terminal is as before afterwards, however they end. Needs tmux.

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../../../support/daemon/lab.ts";
import { RawWorker } from "../../../support/daemon/raw-worker.ts";
import {
  daemonPid,
  freshRoot,
  kill,
  killAndWait,
  removeRoot,
  startDaemonProcess,
  until,
} from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { TerminalWindow, type WindowOptions } from "../../../support/terminal-window.ts";

const PROMPT = /^ready> ?$/m;
/** What the prompt's line is once the command has left, with its exit status. */
const leftWith = (status: number): RegExp => new RegExp(`^left with ${status}$`, "m");

let root: string;
let window: TerminalWindow | undefined;

beforeEach(async () => {
  root = freshRoot();
  await startDaemonProcess(root);
});

afterEach(async () => {
  window?.close();
  window = undefined;
  await removeRoot(root);
});

/** A shell that knows the command, with the state of its terminal noted. */
async function openShell(options: WindowOptions): Promise<TerminalWindow> {
  const bin = join(root, "bin");
  mkdirSync(bin, { recursive: true });
  const program = join(bin, "gambas-sessiond");
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${repository}/dist/daemon/main.js" "$@"\n`);
  chmodSync(program, 0o755);
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    GAMBAS_SESSION_ROOT: root,
    PS1: "ready> ",
    LANG: "C.UTF-8",
    ...options.env,
  };
  window = TerminalWindow.open(["bash", "--noprofile", "--norc", "-i"], { ...options, env });
  await window.shows(PROMPT);
  window.type("before=$(stty -g); clear; echo earlier");
  await window.shows(/^earlier\nready>/m);
  return window;
}

function start(shell: TerminalWindow, command: string): void {
  shell.type(`gambas-sessiond ${command}; echo left with $?; [ "$before" = "$(stty -g)" ] && echo terminal as before`);
}

async function expectAsBefore(shell: TerminalWindow, status: number): Promise<void> {
  const screen = await shell.shows(/^terminal as before$/m);
  expect(screen).toMatch(leftWith(status));
  expect(screen).toMatch(/^earlier$/m);
  expect(shell.isCursorShown).toBe(true);
}

/** Commits until it is told to stop. */
async function work(id: string): Promise<() => Promise<void>> {
  const worker = await RawWorker.connect(join(root, "sessiond.sock"), "worker");
  await worker.create(id, { n: 0 });
  let goesOn = true;
  const working = (async () => {
    for (let n = 0; goesOn; n++) await worker.commit(id, { n });
  })().catch(() => undefined);
  return async () => {
    goesOn = false;
    await working;
    await worker.close();
  };
}

describe.skipIf(!TerminalWindow.isPossible())("top in a terminal", () => {
  test("shows the work, at any size, follows a daemon that dies, and leaves the terminal as it was", async () => {
    const shell = await openShell({ columns: 80, rows: 24 });
    const id = newId("192.0.2.77");
    const stop = await work(id);
    start(shell, "top --interval 0.2");
    const large = await shell.shows(new RegExp(`\\d  ${id}`));
    for (const words of [/pid \d+/, /commits .*[▁-█].* µs|ms/, /cpu .*█/, /^q leaves$/m]) expect(large).toMatch(words);
    expect(shell.isCursorShown).toBe(false);
    expect(shell.colours).toContain("\x1b[32m");
    shell.resize(40, 12);
    const small = await shell.shows(/USES\/s {2}SESSION/);
    expect(small.trimEnd().split("\n").length).toBeLessThanOrEqual(12);
    await killAndWait(daemonPid(root) ?? 0);
    await shell.shows(/no daemon[\s\S]*No daemon answers on/);
    await stop();
    await startDaemonProcess(root);
    await shell.shows(new RegExp(`pid ${daemonPid(root)}`));
    shell.resize(80, 24);
    shell.press("q");
    await expectAsBefore(shell, 0);
  });

  test("has no colours where none are wanted, and draws with plain letters where there are no others", async () => {
    const shell = await openShell({ columns: 80, rows: 24, env: { NO_COLOR: "1", LANG: "C", LC_ALL: "C" } });
    start(shell, "top --interval 0.2");
    await shell.shows(/none was used/);
    expect(shell.colours).toMatch(/^[\x20-\x7e\n]*$/);
    shell.press("C-c");
    await expectAsBefore(shell, 0);
  });

  test("is lines where the terminal cannot be drawn on", async () => {
    const shell = await openShell({ columns: 100, rows: 24, env: { TERM: "dumb" } });
    start(shell, "top --interval 0.1 --count 2");
    expect(await shell.shows(leftWith(0))).toMatch(/TIME COMMITS\/s.*\n\d\d:.*\n\d\d:.*\nleft with 0/);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("gives the terminal back at %s", async (signal, status) => {
    const shell = await openShell({ columns: 80, rows: 24 });
    start(shell, `top & p=$!; echo $p > ${root}/pid; fg >/dev/null`);
    await shell.shows(/^q leaves$/m);
    kill(Number(await pidIn(join(root, "pid"))), signal);
    await expectAsBefore(shell, status);
  });

  test("stops at Ctrl-Z with the terminal as before, and goes on", async () => {
    const shell = await openShell({ columns: 80, rows: 24 });
    start(shell, "top");
    await shell.shows(/^q leaves$/m);
    shell.press("C-z");
    const screen = await shell.shows(/Stopped/);
    expect(screen).toMatch(/^earlier$/m);
    shell.type("fg >/dev/null");
    await shell.shows(/^q leaves$/m);
    shell.press("q");
    await shell.shows(/Stopped[\s\S]*ready> ?\s*$/);
    expect(shell.isCursorShown).toBe(true);
  });

  test("is left at once while its daemon is stopped", async () => {
    const shell = await openShell({ columns: 80, rows: 24 });
    start(shell, "top --interval 0.1");
    await shell.shows(/none was used/);
    const pid = daemonPid(root) ?? 0;
    kill(pid, "SIGSTOP");
    await shell.shows(/has not answered/);
    shell.press("q");
    await expectAsBefore(shell, 0);
    kill(pid, "SIGCONT");
  });
});

describe.skipIf(!TerminalWindow.isPossible())("the status that is watched in a terminal", () => {
  test("stays in place, moves by keys, and leaves the terminal as it was", async () => {
    const shell = await openShell({ columns: 80, rows: 24 });
    start(shell, "status --watch --interval 0.2");
    await shell.shows(/^version {2,}\d[\s\S]*lines 1 to 23 of \d+/m);
    shell.press("End");
    await shell.shows(/^loopDelayMicros/m);
    shell.press("q");
    await expectAsBefore(shell, 0);
  });
});

async function pidIn(path: string): Promise<string> {
  const { readFileSync, existsSync } = await import("node:fs");
  return until(() => existsSync(path) && readFileSync(path, "utf8").trim());
}
