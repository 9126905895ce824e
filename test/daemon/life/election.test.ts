// Who becomes the daemon when the one before leaves in the very moment in which the next one tries.

import { closeSync, constants, fstatSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { native } from "../../../daemon/files/native.ts";
import { type Election, elect } from "../../../daemon/life/election.ts";
import { asAnotherProgram, intercept, letThrough } from "../../support/daemon/system-calls.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";

vi.mock("../../../daemon/files/native.ts", async (original) => {
  const module = await original<typeof import("../../../daemon/files/native.ts")>();
  return {
    ...module,
    native: module.native && (await import("../../support/daemon/system-calls.ts")).observed(module.native),
  };
});

let root: string;
let pidPath: string;
let election: Election | undefined;

beforeEach(() => {
  root = freshRoot();
  pidPath = join(root, "sessiond.pid");
});

afterEach(async () => {
  letThrough();
  await election?.resign();
  election = undefined;
  await removeRoot(root);
});

/** Between the opening of the pid file and its lock, once. */
function meanwhile(action: () => void): void {
  let isDone = false;
  intercept((call) => {
    if (call.name === "tryLock" && !isDone) {
      isDone = true;
      asAnotherProgram(action);
    }
    return "do";
  });
}

test.each([
  ["takes the pid file along", () => rmSync(pidPath)],
  [
    "takes it along, and a third one has made it anew and not locked it yet",
    () => {
      rmSync(pidPath);
      writeFileSync(pidPath, "");
    },
  ],
])("the next one is elected, with the lock, when the one before %s", async (_what, leave) => {
  meanwhile(leave);
  election = await elect({ root, type: "file" }, () => undefined);
  letThrough();
  expect(election?.isStillOurs()).toBe(true);
  const fd = openSync(pidPath, constants.O_RDWR);
  try {
    expect(fstatSync(fd).ino).toBe(statSync(pidPath).ino);
    expect(native?.tryLock(fd)).toBe(false);
  } finally {
    closeSync(fd);
  }
});
