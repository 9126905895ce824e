// The package as it is built, copied elsewhere: another release of it.

import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.ts";

/** @param parts folders of `dist`, besides those of the package. */
export function copyPackage(folder: string, ...parts: readonly string[]): void {
  for (const part of ["protocol", "client", "entries", "daemon", ...parts])
    cpSync(join(repository, "dist", part), join(folder, "dist", part), { recursive: true });
  cpSync(join(repository, "package.json"), join(folder, "package.json"));
}

/**
 * Changes it everywhere: what users import is in other files than what the daemon runs.
 *
 * @throws Error where it is in neither.
 */
export function changePackage(folder: string, from: string, to: string): void {
  const scripts = readdirSync(join(folder, "dist"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".js"),
  );
  const places = scripts
    .map((name) => join(folder, "dist", name))
    .map((path) => ({ path, text: readFileSync(path, "utf8") }));
  const changed = places.filter(({ text }) => text.includes(from));
  for (const part of ["entries", "protocol"])
    if (!changed.some(({ path }) => path.includes(`/dist/${part}/`))) throw new Error(`${from} is not in ${part}`);
  for (const { path, text } of changed) writeFileSync(path, text.replaceAll(from, to));
}
