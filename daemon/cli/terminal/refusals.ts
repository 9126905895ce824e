// Why a command did nothing, for whoever typed it: wrong usage, and no daemon, with what was looked for, where, and what to do. Applications get
// errors with advice of their own (protocol/errors.ts).

import { lstatSync, type Stats } from "node:fs";
import type { Places } from "../../../protocol/places.ts";
import { flagsOf } from "./shell.ts";

/** The command was not understood. */
export class WrongUsage extends Error {}

/** What was named is not there. */
export class NotThere extends Error {}

/** No daemon could be asked. */
export class NoDaemon extends Error {
  readonly advice: string;

  constructor(what: string, advice: string) {
    super(what);
    this.advice = advice;
  }
}

/** What was looked for and is not there. Looks at the root only. */
export function noDaemonOn(places: Places): NoDaemon {
  const { root, socket } = places;
  const others = "Another root is named by --root DIR or GAMBAS_SESSION_ROOT.";
  const start = `Start one: gambas-sessiond ${flagsOf(places)}`;
  const stat = lookAt(root);
  if (stat === undefined)
    return new NoDaemon(`There is no root directory ${root}, and no daemon on ${socket}.`, `${start}\n${others}`);
  if (!stat.isDirectory()) return new NoDaemon(`The root ${root} is no directory.`, others);
  const user = process.getuid?.();
  if (user !== undefined && stat.uid !== user) {
    const what = `The root ${root} belongs to user ${stat.uid}, not to you (${user}), and no daemon answers on ${socket}.`;
    return new NoDaemon(
      what,
      `Ask as that user: sudo -u '#${stat.uid}' gambas-sessiond COMMAND ${flagsOf(places)}\n${others}`,
    );
  }
  return new NoDaemon(`No daemon answers on ${socket}.`, `${start}\n${others}`);
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Whatever the system error: for this user nothing is there.
    return undefined;
  }
}
