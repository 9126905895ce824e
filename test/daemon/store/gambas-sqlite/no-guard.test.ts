// A daemon without the guard: beside a Gambas program it reads, and refuses each change with what would help.

import { existsSync, mkdirSync, rmdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { SessionError } from "../../../../protocol/errors.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { freshRoot, removeRoot, startDaemonProcess } from "../../../support/processes.ts";
import { describeSqlite, SQLITE_FOLDER } from "../../../support/sqlite.ts";

const REFUSED =
  /^Session \S+ could not be used for \d+ ms \(a Gambas program runs, and without the guard .* koffi: npm install koffi\); nothing was written\. /;
const BETTER = "node_modules/better-sqlite3";
let place: string;
let root: string;

beforeEach(() => {
  place = freshRoot();
  root = join(place, "root");
  mkdirSync(join(place, "node_modules"));
});

afterEach(async () => {
  await removeRoot(root);
  await removeRoot(place);
});

describeSqlite("without the guard", () => {
  it("a change is refused while a Gambas program runs, naming the package and the command, and made when it has ended", async () => {
    if (existsSync(join(SQLITE_FOLDER, BETTER))) symlinkSync(join(SQLITE_FOLDER, BETTER), join(place, BETTER));
    const env = { ...process.env, NODE_PATH: join(place, "node_modules") };
    await startDaemonProcess(root, ["--type", "sqlite", "--lock-wait-ms", "50"], env);
    const anna = await RawWorker.connect(join(root, "sessiond-sqlite.sock"), "anna");
    const id = newId();
    await anna.create(id, { a: 1 });
    // What an interpreter with the pid of this process makes before it does anything else.
    const program = join(root, String(process.pid));
    mkdirSync(program);
    for (const call of [() => anna.commit(id, { a: 2 }), () => anna.abandon(id)]) {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SessionError);
      expect(error).toMatchObject({ code: "ERR_SESSION_BUSY", message: expect.stringMatching(REFUSED) });
    }
    expect(await anna.values(id)).toEqual({ a: 1 });
    rmdirSync(program);
    await anna.commit(id, { a: 3 });
    expect(await anna.values(id)).toEqual({ a: 3 });
    await anna.close();
  });
});
