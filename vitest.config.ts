import { defineConfig } from "vitest/config";

/** Suites of their own, which CI runs: tests that take longest, and those that install what users of the package have. */
const SUITES: Readonly<Record<string, string>> = {
  long: "test/**/*.long.ts",
  consumers: "test/**/*.consumers.ts",
};

export default defineConfig({
  test: {
    include: [SUITES[process.env.GAMBAS_SESSION_TEST_SUITE ?? ""] ?? "test/**/*.{test,fault,storm}.ts"],
    // They bound what hangs, and never what is slow: beside thirty busy processes a storm takes three minutes.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 20_000,
    // CI tries a test that failed once more, and says so: see the closing line's reporter.
    retry: Number(process.env.GAMBAS_SESSION_TEST_RETRIES ?? 0),
    pool: "forks",
    // Most of their time tests wait for processes that they have started.
    maxWorkers: "100%",
    globalSetup: "test/support/build-once.ts",
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
  },
});
