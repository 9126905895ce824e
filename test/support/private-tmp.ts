// A mount namespace with a /tmp of its own. Gambas knows no other place than /tmp/gambas.<uid>, so whatever is to meet it
// without touching the machine's /tmp has to run in here. The checkout stays visible, also when it lies below /tmp.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { gambasRoot } from "./gambas/gambas-version.ts";
import { repository } from "./repository.ts";

/** Builds the new /tmp beside the old one, because binding needs the old paths, then moves it into place. */
const setUp = `
set -e
stage="$1"; shift
mount -n -t tmpfs -o mode=1777 none "$stage"
while [ "$1" != -- ]; do
  mkdir -p "$stage\${1#/tmp}"
  mount -n --rbind "$1" "$stage\${1#/tmp}"
  shift
done
shift
mount -n --move "$stage" /tmp
if [ -n "$GAMBAS_ROOT" ]; then
  mount -n --bind /tmp "$GAMBAS_ROOT/tmp"
  mount -n --rbind /proc "$GAMBAS_ROOT/proc"
  mount -n --rbind /dev "$GAMBAS_ROOT/dev"
  mount -n --bind "$GAMBAS_PROGRAMS" "$GAMBAS_ROOT/mnt"
fi
exec "$@"
`;

/** Where compiled programs are: a private root must see them. */
export const programs: string = join(repository, "node_modules/.cache/gambas-session");

/** What has to stay visible although it lies below /tmp; usually nothing. */
function foldersToKeep(): string[] {
  const wanted = [repository, join(repository, "node_modules"), dirname(dirname(process.execPath))];
  if (gambasRoot !== undefined) wanted.push(gambasRoot);
  const real = wanted.flatMap((folder) => {
    try {
      return [folder, realpathSync(folder)];
    } catch {
      return [folder];
    }
  });
  return [...new Set(real)].filter((folder) => folder.startsWith("/tmp/")).sort();
}

/** Without root the namespace needs a user namespace around it, in which the caller is uid 0. */
const flagSets: readonly (readonly string[])[] = process.getuid?.() === 0 ? [["-m"], ["-r", "-m"]] : [["-r", "-m"]];

function argumentsWith(flags: readonly string[], stage: string, command: readonly string[]): string[] {
  const root = [`GAMBAS_ROOT=${gambasRoot ?? ""}`, `GAMBAS_PROGRAMS=${programs}`];
  return [...flags, "env", ...root, "sh", "-c", setUp, "sh", stage, ...foldersToKeep(), "--", ...command];
}

/** An empty folder the new /tmp is built on; it can go as soon as the namespace stands. */
export function makeStage(): string {
  return mkdtempSync("/tmp/gambas-session-stage-");
}

function workingFlags(): readonly string[] | undefined {
  mkdirSync(programs, { recursive: true });
  const stage = makeStage();
  try {
    return flagSets.find((flags) => spawnSync("unshare", argumentsWith(flags, stage, ["true"])).status === 0);
  } finally {
    rmdirSync(stage);
  }
}

const flags = process.platform === "linux" ? workingFlags() : undefined;

export const hasPrivateTmp: boolean = flags !== undefined;

/** The uid that processes in such a namespace have. */
export const uidInside: number = flags?.includes("-r") ? 0 : (process.getuid?.() ?? 0);

/** Arguments of `unshare` that run `command` in a namespace of its own, built on `stage`. */
export function unshareArguments(stage: string, command: readonly string[]): string[] {
  if (flags === undefined) throw new Error("no private mount namespaces on this machine");
  return argumentsWith(flags, stage, command);
}

/** Arguments of `nsenter` that run `command` in the namespace of the process `pid`, in the folder `cwd` of that namespace. */
export function enterArguments(pid: number, cwd: string, command: readonly string[]): string[] {
  const user = flags?.includes("-r") ? [`--user=/proc/${pid}/ns/user`, "--preserve-credentials"] : [];
  return [`--mount=/proc/${pid}/ns/mnt`, ...user, "sh", "-c", 'cd "$0" && exec "$@"', cwd, ...command];
}
