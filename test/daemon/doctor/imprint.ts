// Everything of a folder and below, to be compared with what it is later.

import { closeSync, constants, lstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Names, kinds, modes, owners, stamps, bytes. */
export function imprint(folder: string): Readonly<Record<string, string>> {
  const paths = [
    folder,
    ...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  ];
  const entries = paths.map((path) => {
    const stat = lstatSync(path);
    const { ino, mode, uid, nlink, size, mtimeMs, ctimeMs, atimeMs } = stat;
    // Listing a directory moves its access time, which nobody goes by.
    const readMs = stat.isFile() ? atimeMs : 0;
    const bytes = stat.isFile() ? bytesOf(path) : "";
    return [path, [ino, mode, uid, nlink, size, mtimeMs, ctimeMs, readMs, bytes].join(" ")] as const;
  });
  return Object.fromEntries(entries);
}

/** Without moving the access time, which is part of the imprint. */
function bytesOf(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOATIME);
  try {
    return readFileSync(fd).toString("hex");
  } finally {
    closeSync(fd);
  }
}
