// Sessions in databases in a place that is not as it should be, call by call: `places-main.js full` in a mount namespace of its own, where it may mount,
// `places-main.js modes` as a user whom modes bind. Prints what became of each call as JSON.

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { databaseName } from "../../../../protocol/session-id.ts";
import { Lab, newId } from "../../../support/daemon/lab.ts";
import type { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { make } from "./outsider.ts";

const lab = await Lab.open({ type: "sqlite", openSessions: 2 });
const sessions = join(lab.root, "session");
let worker: RawWorker = await lab.worker();
const told: Record<string, unknown> = {};

/** What a call gave; of one that failed code and message. */
async function tell(name: string, call: Promise<unknown>): Promise<void> {
  told[name] = await call.then(
    (value) => value ?? null,
    (error: NodeJS.ErrnoException) => `${error.code} ${error.message}`,
  );
}

async function made(): Promise<string> {
  const id = newId();
  await worker.create(id, { n: 1 });
  await worker.commit(id, { n: 2 });
  return id;
}

/** As Gambas makes it, without a log yet. */
function madeByOthers(): string {
  const id = newId();
  make(lab.path(databaseName(id)), {});
  return id;
}

const done = (call: Promise<unknown>): Promise<string> => call.then(() => "done");

function filesOf(id: string): string[] {
  return readdirSync(sessions).filter((name) => name.startsWith(databaseName(id)));
}

/** While no daemon runs. */
async function restart(how: () => void): Promise<void> {
  await lab.stop();
  how();
  await lab.start();
  worker = await lab.worker();
}

function mount(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("mount", [...args, sessions], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

async function full(): Promise<void> {
  mkdirSync(sessions, { mode: 0o755 });
  mount("-t", "tmpfs", "-o", "size=1m,mode=0755", "none");
  const [closed, open, ended, later] = [await made(), await made(), await made(), newId()];
  try {
    writeFileSync(join(sessions, "filling"), Buffer.alloc(2 ** 21));
  } catch {
    // It is full now.
  }
  await tell("a large commit", done(worker.commit(open, { n: 3, large: "x".repeat(200_000) })));
  await tell("a read after it", worker.values(open));
  await tell("a read of one that is not open", worker.values(closed));
  await tell("a creation", done(worker.create(later, { n: 1 })));
  told["files of it"] = filesOf(later);
  await tell("an end", done(worker.abandon(ended)));
  told["files left of that"] = filesOf(ended);
  rmSync(join(sessions, "filling"));
  for (const id of [closed, open]) await worker.commit(id, { m: 4 });
  await tell("one of them later", worker.values(closed));
  await tell("the other one later", worker.values(open));
  await tell("the creation again", done(worker.create(later, { n: 1 })));

  const plain = madeByOthers();
  await restart(() => mount("-o", "remount,ro"));
  await tell("read-only: a read without a log", worker.values(plain));
  await tell("read-only: a commit without a log", done(worker.commit(plain, { n: 5 })));
  await tell("read-only: a read with a log", worker.values(open));
  await tell("read-only: a creation", done(worker.create(newId(), { n: 1 })));
  await tell("read-only: an end", done(worker.abandon(plain)));
  await restart(() => mount("-o", "remount,rw"));
  await worker.commit(plain, { n: 6 });
  await tell("writable again", Promise.all([worker.values(plain), worker.values(open), worker.values(closed)]));
  await lab.stop();
  spawnSync("umount", [sessions]);
}

async function modes(): Promise<void> {
  const [read, hidden, plain] = [await made(), await made(), madeByOthers()];
  const [pathOfRead, pathOfHidden] = [lab.path(databaseName(read)), lab.path(databaseName(hidden))];
  await restart(() => {
    chmodSync(pathOfRead, 0o444);
    chmodSync(pathOfHidden, 0o000);
  });
  await tell("mode 0444: a read", worker.values(read));
  await tell("mode 0444: a commit", done(worker.commit(read, { n: 3 })));
  await tell("mode 0000: a read", worker.values(hidden));
  await tell("mode 0000: an end", done(worker.abandon(hidden)));
  told["files left of that"] = filesOf(hidden);
  await restart(() => {
    // What SQLite has made beside it has the mode that it had.
    for (const name of filesOf(read)) chmodSync(join(sessions, name), 0o644);
    chmodSync(sessions, 0o555);
  });
  await tell("directory 0555: a read without a log", worker.values(plain));
  await tell("directory 0555: a commit without a log", done(worker.commit(plain, { n: 5 })));
  await tell("directory 0555: a creation", done(worker.create(newId(), { n: 1 })));
  await tell("directory 0555: an end", done(worker.abandon(plain)));
  await restart(() => chmodSync(sessions, 0o755));
  for (const id of [read, plain]) await worker.commit(id, { m: 4 });
  await tell("writable again", Promise.all([worker.values(plain), worker.values(read)]));
}

await (process.argv[2] === "full" ? full() : modes());
await lab.close();
console.log(JSON.stringify(told));
