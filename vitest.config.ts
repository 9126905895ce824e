import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.{test,fault,storm}.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    pool: "forks",
    globalSetup: "test/support/build-once.ts",
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
  },
});
