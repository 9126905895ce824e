// What the file system of a root can do: as the daemon has found out at its start, or by the same trials now, in a temporary folder of the same
// file system. Where databases are kept and temporary folders are elsewhere, in a folder of the root that is gone again: no daemon tells of that.

import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TypeName } from "../../../protocol/types.ts";
import type { FeatureFacts, SqliteFacts } from "../checks/checks.ts";
import { attempt, reasonOf, statAt } from "./quietly.ts";

/** Of our own, for everybody who looks at what lies in a root. */
const TRIAL = ".sessiond-trial-";

type Lacks = FeatureFacts["lacks"];

export interface Engine {
  /** Why record locks do not load; undefined where they do. */
  readonly nativeProblem: string | undefined;
  /** From what a daemon says of its file system. Undefined: it says nothing that could be gone by. */
  readonly lacksIn: ((report: Readonly<Record<string, boolean>>) => Lacks) | undefined;
  /** By a trial in a folder of its own. Returns undefined where it cannot be tried. */
  readonly lacksOf: ((folder: string) => Lacks | undefined) | undefined;
  /** What this process has of what type "sqlite" needs; undefined for other types. */
  readonly outfit: Pick<SqliteFacts, "library" | "guard"> | undefined;
}

/** Of an installation that is not whole it does not load, and says why. */
export async function loadEngine(type: TypeName): Promise<Engine> {
  try {
    const { nativeProblem } = await import("../../files/files.ts");
    if (type === "sqlite") {
      const { lacksOf, outfit } = await import("../../store/gambas-sqlite/opening.ts");
      return { nativeProblem, lacksIn: undefined, lacksOf, outfit: outfit() };
    }
    const { lacksIn, lacksOf } = await import("../../store/gambas-file/store.ts");
    return { nativeProblem, lacksIn, lacksOf, outfit: undefined };
  } catch (error) {
    return { nativeProblem: reasonOf(error), lacksIn: undefined, lacksOf: undefined, outfit: undefined };
  }
}

export function lookAtFeatures(
  root: string,
  told: Readonly<Record<string, boolean>> | undefined,
  engine: Engine,
): FeatureFacts {
  if (engine.lacksOf === undefined) return unknown(engine.nativeProblem ?? "");
  if (told !== undefined && engine.lacksIn !== undefined)
    return { source: "daemon", reason: "", lacks: engine.lacksIn(told) };
  const place = engine.outfit === undefined ? root : placeOfDatabases(root);
  const folder = tmpdir();
  const [here, there] = [statAt(join(place, "."))?.dev, statAt(join(folder, "."))?.dev];
  const where = isWithin(folder, root) ? "in the root" : here === there ? undefined : "on another file system";
  if (where === undefined) return tryIn(join(folder, "gambas-session-trial-"), "trial", engine.lacksOf);
  if (engine.outfit === undefined)
    return unknown(`no daemon runs that has, and the folder for temporary files, ${folder}, is ${where}`);
  // What we make there is ours, and so is what we delete.
  if (statAt(join(place, "."))?.uid !== process.getuid?.()) return unknown("it is another user's");
  return tryIn(join(place, TRIAL), "inside", engine.lacksOf);
}

/** It may be a mount of its own. */
function placeOfDatabases(root: string): string {
  const sessions = join(root, "session");
  return statAt(join(sessions, "."))?.isDirectory() === true ? sessions : root;
}

function isWithin(folder: string, root: string): boolean {
  const [inner, outer] = [folder, root].map((path) => attempt(() => realpathSync(path)) ?? path);
  return `${inner}/`.startsWith(`${outer}/`);
}

function tryIn(name: string, source: "trial" | "inside", lacksOf: (folder: string) => Lacks | undefined): FeatureFacts {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(name);
    const lacks = lacksOf(folder);
    return lacks === undefined ? unknown("there is nothing to try it with") : { source, reason: "", lacks };
  } catch (error) {
    return unknown(reasonOf(error));
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function unknown(reason: string): FeatureFacts {
  return { source: "unknown", reason, lacks: [] };
}
