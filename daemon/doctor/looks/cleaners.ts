// Looks for what cleans up directories of temporary files: settings of systemd-tmpfiles, tmpreaper and tmpwatch.

import { join } from "node:path";
import type { CleanerFacts, TextFile } from "../checks/checks.ts";
import { namesIn, statAt, textOf } from "./quietly.ts";

/** A file in an earlier one replaces that of the same name in a later one. */
const TMPFILES: readonly string[] = [
  "etc/tmpfiles.d",
  "run/tmpfiles.d",
  "usr/local/lib/tmpfiles.d",
  "usr/lib/tmpfiles.d",
];
/** Settings of the one, and the daily job of the other. */
const REAPERS: readonly string[] = ["etc/tmpreaper.conf", "etc/cron.daily/tmpwatch"];

/** @param machine where the machine's files are. */
export function lookForCleaners(machine = "/"): CleanerFacts {
  const byName = new Map<string, TextFile>();
  for (const folder of TMPFILES)
    for (const name of namesIn(join(machine, folder)))
      if (name.endsWith(".conf") && !byName.has(name)) byName.set(name, fileAt(join(machine, folder, name)));
  return {
    tmpfiles: [...byName.values()],
    hasSystemd: statAt(join(machine, "run/systemd/system")) !== undefined,
    reapers: REAPERS.map((path) => join(machine, path))
      .filter((path) => statAt(path) !== undefined)
      .map(fileAt),
  };
}

function fileAt(path: string): TextFile {
  return { path, text: textOf(path) ?? "" };
}
