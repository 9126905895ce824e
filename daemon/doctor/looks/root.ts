// Looks at the root directory, what is above it, and the file system below it.

import { accessSync, constants, lstatSync, realpathSync, type Stats, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DiskFacts, RootFacts } from "../checks/checks.ts";
import { attempt, linkAt, reasonOf, statAt, textOf } from "./quietly.ts";

const FOR_ALL_TO_WRITE = 0o002;
const STICKY = 0o1000;

const NOTHING: RootFacts = {
  kind: "absent",
  uid: 0,
  mode: 0,
  target: "",
  problem: "",
  closedParent: undefined,
  openParent: undefined,
};

export function lookAtRoot(root: string): RootFacts {
  const openParent = ancestorsOf(root).find(isOpen);
  try {
    const stat = lstatSync(root, { throwIfNoEntry: false });
    if (stat !== undefined) return { ...NOTHING, ...shapeOf(root, stat), openParent };
    return { ...NOTHING, openParent, closedParent: closedParentOf(root) };
  } catch (error) {
    return { ...NOTHING, kind: "unknown", problem: reasonOf(error), openParent };
  }
}

function shapeOf(root: string, stat: Stats): Pick<RootFacts, "kind" | "uid" | "mode" | "target"> {
  const { uid, mode } = stat;
  const kind = stat.isSymbolicLink() ? "link" : stat.isDirectory() ? "directory" : "other";
  const target = kind === "link" ? (attempt(() => realpathSync(root)) ?? linkAt(root) ?? "") : "";
  return { kind, uid, mode: mode & 0o7777, target };
}

function closedParentOf(root: string): string | undefined {
  const parent = nearestOf(root);
  const mayMake = attempt(() => {
    accessSync(parent, constants.W_OK | constants.X_OK);
    return true;
  });
  return mayMake === true ? undefined : parent;
}

/** The path itself, or the nearest directory above it that is there. */
function nearestOf(path: string): string {
  return [path, ...ancestorsOf(path)].find((one) => statAt(one) !== undefined) ?? "/";
}

function ancestorsOf(path: string): readonly string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...ancestorsOf(parent)];
}

function isOpen(folder: string): boolean {
  const mode = attempt(() => statSync(folder, { throwIfNoEntry: false }))?.mode ?? 0;
  return (mode & FOR_ALL_TO_WRITE) !== 0 && (mode & STICKY) === 0;
}

export function lookAtDisk(root: string): DiskFacts | undefined {
  const place = nearestOf(root);
  return attempt(() => {
    const { bavail, blocks, bsize, ffree, files, type } = statfsSync(place);
    return {
      ...(mountOf(realpathSync(place)) ?? { type: `type 0x${type.toString(16)}`, mountPoint: place, options: [] }),
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
      freeFiles: ffree,
      totalFiles: files,
      sessionsElsewhere: areSessionsElsewhere(root),
    };
  });
}

function areSessionsElsewhere(root: string): boolean {
  const sessions = attempt(() => statSync(join(root, "session"), { throwIfNoEntry: false }));
  return sessions !== undefined && sessions.dev !== statAt(root)?.dev;
}

/** Of the mounts above a path the deepest one, and of several on one place the last one, counts. */
function mountOf(path: string): Pick<DiskFacts, "type" | "mountPoint" | "options"> | undefined {
  let found: Pick<DiskFacts, "type" | "mountPoint" | "options"> | undefined;
  for (const line of textOf("/proc/self/mountinfo")?.split("\n") ?? []) {
    const [mount = "", device = ""] = line.split(" - ");
    const [, , , , escaped = "", options = ""] = mount.split(" ");
    const [type = "", , superOptions = ""] = device.split(" ");
    const mountPoint = escaped.replace(/\\(\d{3})/g, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 8)),
    );
    const isAbove = mountPoint !== "" && (path === mountPoint || path.startsWith(mountPoint.replace(/\/?$/, "/")));
    if (!isAbove || mountPoint.length < (found?.mountPoint.length ?? 0)) continue;
    found = { type, mountPoint, options: [...options.split(","), ...superOptions.split(",")] };
  }
  return found;
}
