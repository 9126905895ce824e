// A worker that may open no more files: its application has more connections than the system lets it have, say. It is the application's affair to
// live with that, and ours not to end it.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";

const DESCRIPTORS = 64;

let root: string;
beforeEach(() => {
  root = freshRoot();
});
afterEach(() => removeRoot(root));

/** What `script` prints, in a process that can open so many files. */
async function printed(script: string): Promise<unknown> {
  const node = [process.execPath, "--input-type=module", "--eval", script];
  const limited = ["-c", `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`, ...node];
  const { stdout, stderr } = await promisify(execFile)("/bin/sh", limited, { cwd: repository });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

it("is told so, however few are left, and is served when it has some again", async () => {
  const script = `
    import { closeSync, openSync } from "node:fs";
    import { connect } from "./dist/client/index.js";
    const taken = [];
    const takeAll = () => {
      try {
        for (;;) taken.push(openSync("/dev/null"));
      } catch (error) {
        if (error.code !== "EMFILE") throw error;
      }
    };
    const giveBack = (count) => taken.splice(0, count).forEach((fd) => closeSync(fd));
    const options = { root: ${JSON.stringify(root)} };
    const told = [];
    for (const left of [0, 1, 3]) {
      takeAll();
      giveBack(left);
      const { code, message } = await connect({ ...options, waitMs: 100 }).catch((error) => error);
      told.push(code + " " + message);
    }
    giveBack(taken.length);
    const client = await connect(options);
    console.log(JSON.stringify({ told, root: (await client.status()).root }));
    client.close();
  `;
  const text = expect.stringMatching(/^ERR_DAEMON_UNAVAILABLE .*EMFILE.* may open more files/);
  expect(await printed(script)).toEqual({ told: [text, text, text], root });
});
