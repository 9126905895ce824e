// Looks for Gambas: interpreters in PATH with their versions, what their programs have left in a root.

import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import type { Interpreter } from "../checks/checks.ts";
import { attempt, namesIn, statAt } from "./quietly.ts";

const INTERPRETER = "gbx3";
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";
const ASKED_MS = 2_000;
const PID = /^[1-9]\d*$/;
/** A program that cannot be seen, in a container say, may still be there so long after it last made a file in its directory. */
const BELIEVED_MS = 300_000;

export function interpreters(env: NodeJS.ProcessEnv = process.env): Promise<readonly Interpreter[]> {
  const folders = [...new Set(`${env.PATH || DEFAULT_PATH}:${DEFAULT_PATH}`.split(":"))].filter(isAbsolute);
  const paths = folders.map((folder) => attempt(() => realpathSync(join(folder, INTERPRETER))));
  return Promise.all([...new Set(paths.filter((path) => path !== undefined))].map(ask));
}

async function ask(path: string): Promise<Interpreter> {
  const asked = promisify(execFile)(path, ["--version"], { timeout: ASKED_MS });
  const version = await asked.then(({ stdout }) => stdout.trim()).catch(() => "");
  return { path, version };
}

/** Directories of programs that were killed: a program that ends by itself removes its own. */
export function leftDirectories(root: string, nowMs: number): readonly string[] {
  if (statAt("/proc/self") === undefined) return [];
  return namesIn(root).filter((name) => {
    const stat = PID.test(name) ? statAt(join(root, name)) : undefined;
    return stat?.isDirectory() === true && nowMs - stat.ctimeMs > BELIEVED_MS && statAt(`/proc/${name}`) === undefined;
  });
}
