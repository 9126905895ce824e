// The command line of gambas-sessiond: carries out the command that was typed, and says in a line or two why it failed.

import { type ErrorCode, SessionError } from "../../protocol/errors.ts";
import { VERSION } from "../../protocol/version.ts";
import { type Asked, readArguments } from "./arguments.ts";
import { NoDaemon, NotThere, WrongUsage } from "./terminal/refusals.ts";

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;
const NO_DAEMON = 3;
const STATUSES: { readonly [C in ErrorCode]?: number } = {
  ERR_BAD_OPTION: WRONG_USAGE,
  ERR_DAEMON_UNAVAILABLE: NO_DAEMON,
};

/** Resolves to the exit status. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    return await carryOut(readArguments(args));
  } catch (error) {
    const [status, text] = explain(error);
    process.stderr.write(`gambas-sessiond: ${text}\n`);
    return status;
  }
}

async function carryOut(asked: Asked): Promise<number> {
  if (asked.wants === "run") return (await asked.command.run(asked.given)) ? DONE : FAILED;
  const text = asked.wants === "help" ? (await import("./help.ts")).helpOn(asked) : `gambas-sessiond ${VERSION}\n`;
  process.stdout.write(text);
  return DONE;
}

/** Clients that start a daemon know a refusal by its code, at the beginning. */
function explain(error: unknown): [status: number, text: string] {
  if (error instanceof WrongUsage) {
    const command = typeof error.cause === "string" ? `${error.cause} ` : "";
    return [WRONG_USAGE, `${error.message}\nHelp: gambas-sessiond ${command}--help`];
  }
  if (error instanceof NoDaemon) return [NO_DAEMON, `ERR_DAEMON_UNAVAILABLE: ${error.message}\n${error.advice}`];
  if (error instanceof NotThere) return [FAILED, error.message];
  if (!(error instanceof SessionError)) throw error;
  return [STATUSES[error.code] ?? FAILED, `${error.code}: ${error.message}`];
}
