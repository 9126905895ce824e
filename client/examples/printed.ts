// A session as an operator sees it: what the package's own command prints, run in a process of its own as a shell would.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROGRAM = fileURLToPath(new URL("dist/daemon/main.js", import.meta.resolve("gambas-session/package.json")));
const PATIENCE_MS = 10_000;

/** What the command says, be it that the session has just ended. */
export async function printed(id: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, "show", id], { timeout: PATIENCE_MS });
    return stdout;
  } catch (error) {
    const { stderr } = error as { readonly stderr?: string };
    if (stderr === undefined) throw error;
    return stderr;
  }
}
