// Starts a program that is nobody's child: a middle process starts it and ends at once, so the system becomes its parent. Supervisors kill their
// trees by parent, by process group and by terminal, and it shares none of these with us. What it says of itself comes through two pipes.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** The middle process that costs least, a millisecond. Words are passed as they are. */
const SHELL = ["/bin/sh", "-c", '"$@" &', "sh"];
/** Where there is no shell, as in small containers, Node does the same in some 40 ms. */
const BY_NODE = `
  const [program, ...args] = process.argv.slice(1);
  const child = require("node:child_process").spawn(program, args, { detached: true, stdio: [0, 1, 2, 3] });
  child.on("error", (error) => console.error(String(error))).unref();
`;
/** Process 1 of a container is the parent of whoever has none, and waits only for those that it started itself. */
const NOBODY = 1;
/** How much of its standard error is kept, in characters. */
const MAX_SAID = 2_000;

export interface Start {
  /**
   * "ready": it wrote to its descriptor 3. "ended": it ended before, or was killed. "late": neither has happened in the time given. "failed": the
   * system could not even start the middle process.
   */
  readonly outcome: "ready" | "ended" | "late" | "failed";
  /** The end of its standard error, and of what the middle process said. */
  readonly said: string;
}

/** Resolves when the program is ready, has ended, or `patienceMs` are over; then it goes on by itself. */
export async function startNobodysChild(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  patienceMs: number,
): Promise<Start> {
  const ways =
    process.pid === NOBODY
      ? [[program]]
      : [
          [...SHELL, program],
          [program, "--eval", BY_NODE, program],
        ];
  let start: Start = { outcome: "failed", said: "" };
  for (const [command = program, ...first] of ways) {
    const child = await begin(command, [...first, ...args], env);
    start = child instanceof Error ? { outcome: "failed", said: String(child) } : await watch(child, patienceMs);
    if (start.outcome !== "failed") return start;
  }
  return start;
}

/**
 * In a session of its own, so that no terminal is theirs. Of the system's errors Node throws some, and tells of the others later. One that was not
 * started for want of file descriptors has no pipes.
 */
async function begin(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<ChildProcess | Error> {
  try {
    const child = spawn(command, args, { cwd: "/", detached: true, env, stdio: ["ignore", "ignore", "pipe", "pipe"] });
    if (child.pid !== undefined) return child;
    const [error] = await once(child, "error");
    for (const pipe of child.stdio ?? []) pipe?.destroy();
    return error as Error;
  } catch (error) {
    return error as Error;
  }
}

/** The end of a process that is not our child is seen by its pipes: the child is closed when both are, whoever held them. */
async function watch(child: ChildProcess, patienceMs: number): Promise<Start> {
  const [errors, ready] = [child.stderr, child.stdio[3] as NodeJS.ReadableStream & { destroy(): void }];
  let said = "";
  errors?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-MAX_SAID);
  });
  let timer: NodeJS.Timeout | undefined;
  const outcome = await Promise.race([
    once(ready, "data").then(() => "ready" as const),
    once(child, "close").then(() => "ended" as const),
    new Promise<"late">((resolve) => {
      timer = setTimeout(resolve, patienceMs, "late");
    }),
  ]).catch((error: unknown) => {
    said = String(error);
    return "failed" as const;
  });
  clearTimeout(timer);
  child.unref();
  errors?.destroy();
  ready.destroy();
  return { outcome, said: said.trim() };
}
