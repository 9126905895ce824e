// The line that an error shows to an application without its middleware, by who has called it.
import { expect, it } from "vitest";
import { missingLine } from "../../client/missing-line.ts";

const stack = (...files: readonly string[]): string =>
  ["Error", ...files.map((file) => `    at handle (/app/${file}:1:2)`)].join("\n");

it.each([
  ["Fastify", ["routes.js", "node_modules/fastify/lib/hooks.js"], "await app.register(gambasSession)"],
  ["Fastify", ["node_modules/@nestjs/core/router/x.js", "node_modules/fastify/lib/route.js"], "app.register"],
  ["NestJS", ["node_modules/@nestjs/core/router/x.js", "node_modules/router/lib/layer.js"], "app.use(session())"],
  ["Express", ["routes.js", "node_modules/router/lib/layer.js"], "app.use(session())"],
  ["Koa", ["routes.js", "node_modules/koa-compose/index.js"], "app.use(gambasSession())"],
  ["Hono", ["routes.js", "node_modules/hono/dist/compose.js"], "app.use(gambasSession())"],
  ["Next.js", ["node_modules/next/dist/server.js"], "export const GET = withSession(handler)"],
])("names the line of %s: %o", (framework, files, line) => {
  expect(missingLine(stack(...files))).toContain(`${framework} called this code: is the line `);
  expect(missingLine(stack(...files))).toContain(line);
});

it("names none where no framework is among the callers, nor a stack", () => {
  expect([missingLine(stack("script.js", "node_modules/fastify-like/x.js")), missingLine(undefined)]).toEqual([
    undefined,
    undefined,
  ]);
});
