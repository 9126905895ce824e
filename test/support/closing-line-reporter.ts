// Prints, after everything else, what has failed, how many interop cases ran, and the closing line "N passed, N failed" that CI reads.

import type { Reporter, SerializedError, TestCase, TestModule, TestRunEndReason } from "vitest/node";
import { gambasRoot, gambasVersion } from "./gambas/gambas-version.ts";
import { gambasPackages, isInterop, requireGambas } from "./gambas/interop-name.ts";

/** Of an error. Enough to know the reason from the last page of a long log. */
const MAX_SHOWN_CHARACTERS = 700;

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    const cases = modules.flatMap((module) => [...module.children.allTests()]);
    const interop = cases.filter((test) => isInterop(test.fullName));
    const interopSkipped = countOf(interop, "skipped");
    // A run that was told to meet the real Gambas and did not has failed, however green the rest is.
    const unmet = requireGambas ? interopSkipped : 0;
    if (unmet > 0) process.exitCode = 1;
    if (interopSkipped > 0) console.log(`\n*** ${interopSkipped} INTEROP CASES SKIPPED. Needed: ${gambasPackages}`);
    if (gambasRoot === undefined && interop.length > 0) {
      console.log("\n*** NOT MET HERE: other versions of Gambas than the machine's. `npm run test:versions` does that");
    }
    if (interop.length > 0) console.log(`beside Gambas ${gambasVersion}:`);
    console.log(`interop cases run: ${interop.length - interopSkipped}`);

    for (const line of flaky(cases)) console.log(`passed only when tried again: ${line}`);
    for (const line of failures(modules, unhandledErrors)) console.log(`failed: ${line}`);
    const broken = countOf(cases, "failed") + brokenSuites(modules) + unhandledErrors.length + unmet;
    // A run that could not even start has no failed case to show for it.
    const failed = broken === 0 && (cases.length === 0 || reason !== "passed") ? 1 : broken;
    const skipped = countOf(cases, "skipped") - unmet;
    const tail = skipped > 0 ? `, ${skipped} skipped` : "";
    console.log(`${countOf(cases, "passed")} passed, ${failed} failed${tail}`);
  }
}

function countOf(cases: readonly TestCase[], state: "passed" | "failed" | "skipped"): number {
  return cases.filter((test) => test.result().state === state).length;
}

/** Errors outside of any test: a file that does not load, a hook that throws. */
function brokenSuites(modules: readonly TestModule[]): number {
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  return suites.filter((suite) => suite.errors().length > 0).length;
}

/** One line for each test, suite and stray promise that has failed. CI repeats them at its end. */
function failures(modules: readonly TestModule[], unhandled: readonly SerializedError[]): readonly string[] {
  const lines: string[] = [];
  const note = (name: string, errors: readonly SerializedError[]): void => {
    for (const error of errors) lines.push(`${name}: ${oneLine(error)}`);
  };
  for (const module of modules) {
    note(module.relativeModuleId, module.errors());
    for (const suite of module.children.allSuites())
      note(`${module.relativeModuleId} > ${suite.fullName}`, suite.errors());
    for (const test of module.children.allTests("failed")) {
      note(`${module.relativeModuleId} > ${test.fullName}`, test.result().errors ?? []);
    }
  }
  note("outside of any test", unhandled);
  return lines;
}

/** A test that fails now and then is a fault of the test or of the product, whatever the next try says. */
function flaky(cases: readonly TestCase[]): readonly string[] {
  return cases
    .filter((test) => test.diagnostic()?.flaky === true)
    .map((test) => {
      const [error] = test.result().errors ?? [];
      return `${test.module.relativeModuleId} > ${test.fullName}: ${error === undefined ? "" : oneLine(error)}`;
    });
}

function oneLine({ message, stack }: SerializedError): string {
  const from =
    stack
      ?.split("\n")
      .find((line) => line.includes("/test/"))
      ?.trim() ?? "";
  return `${message} ${from}`.replace(/\s+/g, " ").slice(0, MAX_SHOWN_CHARACTERS);
}
