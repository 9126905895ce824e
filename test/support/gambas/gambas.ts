// What interop tests import: is the real Gambas here, a suite that needs it, and the houses in which to meet it.
import { spawnSync } from "node:child_process";
import { rmdirSync } from "node:fs";
import { describe, it } from "vitest";
import { hasPrivateTmp, makeStage, unshareArguments } from "../private-tmp.ts";
import { interpreter } from "./gambas-version.ts";
import { gambasPackages, interopName, requireGambas } from "./interop-name.ts";
import { oracleProgram } from "./program-build.ts";

export { canonical, canonicalEntry, type TypedEntry, type TypedJson, type TypedKey } from "../values/typed-json.ts";
export { asWritten, bodyOf, dialect, imageIn } from "./gambas-dialect.ts";
export { GambasHouse, type OracleOptions, type RunResult, type SpawnOptions } from "./gambas-house.ts";
export { gambasVersion, isNewerGambas } from "./gambas-version.ts";
export type { OracleAnswer, OracleCommand, OracleEvent, OracleProcess } from "./oracle-process.ts";

/** Why interop tests cannot run here; undefined when they can. */
export const gambasMissing: string | undefined = findObstacle();
export const hasGambas: boolean = gambasMissing === undefined;

/** A suite that needs the real Gambas: skipped with a warning where it is missing, or failed where it is required. */
export function describeGambas(name: string, body: () => void): void {
  if (gambasMissing === undefined) {
    describe(interopName(name), body);
  } else if (requireGambas) {
    describe(interopName(name), () => {
      it("finds the real Gambas", () => {
        throw new Error(gambasMissing);
      });
    });
  } else {
    console.warn(
      `\n*** SKIPPED, the real Gambas is missing: ${name}\n*** ${gambasMissing}\n*** needed: ${gambasPackages}\n`,
    );
    describe.skip(interopName(name), body);
  }
}

/** The bytes of a session file with its time stamp set to now. Fixtures carry a fixed one. */
export function stampedNow(session: Uint8Array): Buffer {
  const bytes = Buffer.from(session);
  bytes.writeDoubleLE(Date.now() / 86_400_000 + 2_472_692, 0);
  return bytes;
}

/** Runs the oracle once for real, because what is missing often shows only then (gb.web loads gb.util.web at run time). */
function findObstacle(): string | undefined {
  if (!hasPrivateTmp) return "no private mount namespace: neither root nor user namespaces";
  const stage = makeStage();
  try {
    const args = unshareArguments(stage, interpreter(oracleProgram()));
    const { stdout, stderr, error } = spawnSync("unshare", args, { input: '["exist","a"]\n', encoding: "utf8" });
    if (stdout?.startsWith('{"ok"')) return undefined;
    return `the oracle does not run: ${error?.message ?? stderr.trim()}`;
  } catch (error) {
    return `the oracle cannot be compiled: ${error instanceof Error ? error.message : error}`;
  } finally {
    rmdirSync(stage);
  }
}
