// The plugin for Fastify, without Fastify: what it does with options that cannot work. The rest is tested with the framework itself.
import { expect, it } from "vitest";
import { gambasSession } from "../../../client/adapters/fastify.ts";

it.each([
  [{ coookieName: "sid" }, { code: "ERR_BAD_OPTION", message: expect.stringContaining("cookieName") }],
  [{ socket: `/${"a".repeat(200)}` }, { code: "ERR_SOCKET_PATH" }],
])("tells Fastify of options that cannot work, and throws nothing: %o", (options, error) => {
  const told: unknown[] = [];
  const hooks: unknown[] = [];
  gambasSession({ addHook: (...hook) => hooks.push(hook) }, options as object, (refusal) => told.push(refusal));
  expect(told).toEqual([expect.objectContaining(error)]);
  expect(hooks).toEqual([]);
});
