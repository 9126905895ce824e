import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Those that take longest are a suite of their own, which CI runs: `npm run test:long`.
    include: [process.env.GAMBAS_SESSION_TEST_LONG === "1" ? "test/**/*.long.ts" : "test/**/*.{test,fault,storm}.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    pool: "forks",
    // Most of their time tests wait for processes that they have started.
    maxWorkers: "100%",
    globalSetup: "test/support/build-once.ts",
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
  },
});
