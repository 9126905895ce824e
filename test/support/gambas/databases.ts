// Suites of sessions that the real Gambas keeps in databases.

import { describe } from "vitest";
import { describeSqlite } from "../sqlite.ts";
import { describeGambas } from "./gambas.ts";
import { gambasVersion } from "./gambas-version.ts";

/** A suite that needs the real Gambas, and SQLite for ours. Its releases from 3.21 on cannot read their own databases (GAMBAS.md 7). */
export function describeDatabases(name: string, body: () => void): void {
  const [, minor = 0] = gambasVersion.split(".").map(Number);
  if (minor < 21) {
    describeGambas(name, () => describeSqlite("with SQLite", body));
    return;
  }
  console.warn(`\n*** SKIPPED: ${name}\n*** Gambas ${gambasVersion} does not read its own databases\n`);
  describe.skip(name, body);
}
