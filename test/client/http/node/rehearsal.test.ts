// What session() does before the first request: nothing of it is seen, but the first request finds its code compiled.

import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { house, makeSession, openSite } from "../../../support/http/session-site.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";

const PROGRAM = join(repository, "dist/test/client/http/node/rehearsed.js");
const ONLY_SESSION = `import { session } from "gambas-session"; session({ spawn: false });`;
const run = promisify(execFile);

openSite();

it("has called nearly all that the first request of a fresh worker calls, before it listens", async () => {
  const cookie = `SESSION=${await makeSession({ visits: 1 })}`;
  const env = { ...process.env, GAMBAS_SESSION_ROOT: house.root };
  const { stdout, stderr } = await run(process.execPath, [PROGRAM, cookie], { env });
  const { text, called, compiled } = JSON.parse(stdout);
  expect([text, stderr]).toEqual(["2", ""]);
  expect(called).toBeGreaterThan(200);
  expect(compiled.length, compiled.join(", ")).toBeLessThan(called / 5);
});

it("leaves nothing behind: no file, no warning, and a process that ends by itself", async () => {
  const root = freshRoot();
  const env = { ...process.env, GAMBAS_SESSION_ROOT: root };
  const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "--eval", ONLY_SESSION], {
    env,
    cwd: repository,
  });
  expect([stdout, stderr, readdirSync(root)]).toEqual(["", "", []]);
  await removeRoot(root);
});

it.each(["end", "writeHead", "emit"])(
  "shows no response of its own to whoever has put an %s in the place of Node's, and ends no process by what that throws later",
  async (name) => {
    const root = freshRoot();
    const patched = `
    import { ServerResponse } from "node:http";
    const { ${name}: former } = ServerResponse.prototype;
    ServerResponse.prototype.${name} = function (...args) {
      setImmediate(() => { throw new Error("nobody asked for this response"); });
      return former.apply(this, args);
    };
  `;
    // Packages that do so are loaded before.
    const flags = ["--import", `data:text/javascript,${encodeURIComponent(patched)}`, "--input-type=module"];
    const env = { ...process.env, GAMBAS_SESSION_ROOT: root };
    const { stdout, stderr } = await run(process.execPath, [...flags, "--eval", ONLY_SESSION], {
      env,
      cwd: repository,
    });
    expect([stdout, stderr]).toEqual(["", ""]);
    await removeRoot(root);
  },
);
