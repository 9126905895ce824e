// What the file system of a root can do: as the daemon has found out at its start, or by the same trials now, in a temporary folder of the same
// file system. Never in the root itself, where nothing is to change.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FeatureFacts } from "../checks/checks.ts";
import { reasonOf, statAt } from "./quietly.ts";

export interface Engine {
  /** Why record locks do not load; undefined where they do. */
  readonly nativeProblem: string | undefined;
  readonly lacksIn: ((report: Readonly<Record<string, boolean>>) => FeatureFacts["lacks"]) | undefined;
  readonly lacksOf: ((folder: string) => FeatureFacts["lacks"]) | undefined;
}

/** Of an installation that is not whole it does not load, and says why. */
export async function loadEngine(): Promise<Engine> {
  try {
    const [{ nativeProblem }, { lacksIn, lacksOf }] = await Promise.all([
      import("../../files/files.ts"),
      import("../../store/gambas-file/store.ts"),
    ]);
    return { nativeProblem, lacksIn, lacksOf };
  } catch (error) {
    return { nativeProblem: reasonOf(error), lacksIn: undefined, lacksOf: undefined };
  }
}

export function lookAtFeatures(
  root: string,
  told: Readonly<Record<string, boolean>> | undefined,
  engine: Engine,
): FeatureFacts {
  const none = { reason: "", lacks: [] };
  if (engine.lacksIn === undefined || engine.lacksOf === undefined)
    return { ...none, source: "unknown", reason: engine.nativeProblem ?? "" };
  if (told !== undefined) return { ...none, source: "daemon", lacks: engine.lacksIn(told) };
  const folder = tmpdir();
  const [here, there] = [statAt(root)?.dev, statAt(join(folder, "."))?.dev];
  if (here === undefined || here !== there) {
    const reason = `no daemon runs that has, and the folder for temporary files, ${folder}, is on another file system`;
    return { ...none, source: "unknown", reason };
  }
  return tryIn(folder, engine.lacksOf);
}

function tryIn(parent: string, lacksOf: (folder: string) => FeatureFacts["lacks"]): FeatureFacts {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(parent, "gambas-session-trial-"));
    return { source: "trial", reason: "", lacks: lacksOf(folder) };
  } catch (error) {
    return { source: "unknown", reason: reasonOf(error), lacks: [] };
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
