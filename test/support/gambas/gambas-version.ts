// Which Gambas the interop tests meet: the machine's, or the one of a private root that test/gambas/build-root.sh has made
// (GAMBAS_SESSION_TEST_ROOT), which is entered by chroot. How each is started; knows nothing of sessions.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";

const named = process.env.GAMBAS_SESSION_TEST_ROOT;

/** The private root, undefined where the machine's own Gambas is meant. */
export const gambasRoot: string | undefined = named === undefined || named === "" ? undefined : resolve(named);

/** Where a private root shows the folder of compiled programs. */
const programsInside = "/mnt";

/** The command that interprets a compiled program, in a namespace whose root is prepared (private-tmp.ts). */
export function interpreter(program: string): readonly string[] {
  if (gambasRoot === undefined) return ["gbr3", program];
  const name = program.slice(program.lastIndexOf("/") + 1);
  return ["chroot", gambasRoot, "gbr3", `${programsInside}/${name}`];
}

/** The locale that a program is given: a private root has none but C. */
export const locale: string = gambasRoot === undefined ? "C.UTF-8" : "C";

/** A shell line of a program that answers as the interpreter does: what a worker's daemon finds in its PATH. */
export const interpreterAsked: string = gambasRoot === undefined ? "" : `exec chroot ${gambasRoot} gbx3 "$@"`;

/** What the interpreter says of its version, for the names of suites; empty where there is none. */
export const gambasVersion: string = askVersion();

/** The tags of 3.19 and later. */
export const isNewerGambas: boolean = Number(gambasVersion.split(".")[1] ?? 0) >= 19;

function askVersion(): string {
  if (gambasRoot !== undefined && !existsSync(gambasRoot)) return "";
  const [command = "", ...args] = gambasRoot === undefined ? ["gbx3"] : ["chroot", gambasRoot, "gbx3"];
  const { status, stdout } = spawnSync(command, [...args, "--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}
