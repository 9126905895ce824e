#!/usr/bin/env node
// The command line of gambas-sessiond: options, readiness, signals. Everything else is in start.ts.

import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { SessionError } from "../protocol/errors.ts";
import { retire, retireOlder, status } from "./cli/ask.ts";
import { waitUntilServed } from "./cli/join.ts";
import { type DaemonOptions, describeSettings, resolveConfig, settingFlags } from "./config.ts";
import { startDaemon } from "./start.ts";

const MAX_TAKEOVER_TRIES = 2_000;
const STDOUT = 1;
const TAKEOVER_PAUSE_MS = 5;
/** From its election until it answers another daemon takes milliseconds, on a busy machine seconds. */
const MAX_JOIN_MS = 8_000;
const JOIN_TRIES = 20;

const USAGE = `gambas-sessiond [run] [--root DIR] [--socket PATH] [--SETTING VALUE ...]   keeps sessions, in the foreground
gambas-sessiond --takeover [...]                                           takes the place of the one that runs
gambas-sessiond status [--json] [--root DIR] [--socket PATH]               asks a running one how it is

Settings (as flags: --cache-bytes 1000000):
${describeSettings()}
`;

const { command, options, isJson, readyFd, wantsHelp, takesOver } = readArguments(process.argv.slice(2));
if (wantsHelp) process.stdout.write(USAGE);
else await main();

async function main(): Promise<void> {
  try {
    if (command === "status") process.stdout.write(`${await status(options, isJson)}\n`);
    else await run();
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    process.stderr.write(`gambas-sessiond: ${error.code}: ${error.message}\n`);
    process.exitCode = 1;
  }
}

async function run(): Promise<void> {
  const daemon = takesOver ? await takeOver() : await startOrJoin();
  if (daemon === undefined) return;
  const stop = (): void => void daemon.stop();
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  // Of a terminal that is closed.
  process.once("SIGHUP", stop);
  if (readyFd === undefined) tell(STDOUT, `gambas-sessiond is ready on ${daemon.socket} (pid ${process.pid})\n`);
  else tell(readyFd, "\n");
  await daemon.stopped;
  // Who watches over it is to start it again.
  process.exit(daemon.hasLostPlace ? 1 : 0);
}

/**
 * One that a client spawned finds its place taken as often as not: it waits until the other answers, says so, and leaves. If the other is
 * of an older version, it is the other that leaves.
 */
async function startOrJoin(): Promise<Awaited<ReturnType<typeof startDaemon>> | undefined> {
  const deadlineMs = performance.now() + MAX_JOIN_MS;
  for (let tries = JOIN_TRIES; ; ) {
    try {
      return await startDaemon(options);
    } catch (error) {
      const isTaken = error instanceof SessionError && error.code === "ERR_DAEMON_RUNNING";
      if (!isTaken || readyFd === undefined || performance.now() > deadlineMs) throw error;
    }
    // It leaves in a moment, and nobody serves until we do.
    if (await retireOlder(options)) tries = 1;
    else if (await waitUntilServed(resolveConfig(options).socket, tries)) {
      tell(readyFd, "\n");
      return undefined;
    }
  }
}

/**
 * Asks the one that runs to leave and starts as soon as it has. Workers send what was not answered to the next daemon, whoever that is; if
 * one of them was quicker to start one, that is asked to leave as well.
 */
async function takeOver(): Promise<Awaited<ReturnType<typeof startDaemon>>> {
  for (let tries = 1; ; tries++) {
    try {
      return await startDaemon(options);
    } catch (error) {
      const isTaken = error instanceof SessionError && error.code === "ERR_DAEMON_RUNNING";
      if (!isTaken || tries === MAX_TAKEOVER_TRIES) throw error;
    }
    if ((await retire(options)) === undefined) await new Promise((resolve) => setTimeout(resolve, TAKEOVER_PAUSE_MS));
  }
}

/** Who waited for it may have gone meanwhile, or its disk be full: others may still come. */
function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // Any system error of write; see above.
  }
}

/** Nothing is no number, whatever JavaScript says. */
function numberOf(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}

interface Arguments {
  readonly command: string;
  readonly options: DaemonOptions;
  readonly isJson: boolean;
  readonly readyFd: number | undefined;
  readonly wantsHelp: boolean;
  readonly takesOver: boolean;
}

function readArguments(args: readonly string[]): Arguments {
  const flags = settingFlags();
  const known = ["root", "socket", "ready-fd", ...flags.map(({ name }) => name)];
  const texts = Object.fromEntries(known.map((name) => [name, { type: "string" as const }]));
  const booleans = {
    json: { type: "boolean" as const },
    help: { type: "boolean" as const },
    takeover: { type: "boolean" as const },
  };
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...texts, ...booleans },
      allowPositionals: true,
    });
    const text = (name: string): string | undefined => {
      const value = values[name as keyof typeof values];
      return typeof value === "string" ? value : undefined;
    };
    const options: Record<string, string | number> = {};
    for (const { name, setting, isNumber } of flags) {
      const value = text(name);
      if (value !== undefined) options[setting] = isNumber ? numberOf(value) : value;
    }
    for (const name of ["root", "socket"]) {
      const value = text(name);
      if (value !== undefined) options[name] = value;
    }
    const ready = text("ready-fd");
    const [first = "run", ...rest] = positionals;
    if (rest.length > 0 || (first !== "run" && first !== "status"))
      throw new Error(`Unknown command ${positionals.join(" ")}`);
    return {
      command: first,
      options: options as DaemonOptions,
      isJson: values.json === true,
      readyFd: ready === undefined ? undefined : Number(ready),
      wantsHelp: values.help === true,
      takesOver: values.takeover === true,
    };
  } catch (error) {
    process.stderr.write(`gambas-sessiond: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}
