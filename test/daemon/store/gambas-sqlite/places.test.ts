// Databases in places that are not as they should be: a full disk, a read-only mount, modes, another user's, too few descriptors. What cannot be done is an error with
// the path and the reason; nothing is lost, nothing half done is left, and all goes on when the place is in order again.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { databaseName } from "../../../../protocol/session-id.ts";
import { PROTOCOL_VERSION } from "../../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../../support/daemon/lab.ts";
import { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { describeSqlite } from "../../../support/sqlite.ts";

const PROGRAM = join(repository, "dist/test/daemon/store/gambas-sqlite/places-main.js");
const NOBODY = 65_534;
const DESCRIPTORS = 70;
const isRoot = process.getuid?.() === 0;
const isRequired = process.env.GAMBAS_SESSION_REQUIRE_MOUNTS === "1";

const inNamespace = ["-m", "--propagation", "private"];
const canMount = isRoot && spawnSync("unshare", [...inNamespace, "true"]).status === 0;
const asNobody = { uid: NOBODY, gid: NOBODY, cwd: "/" };
const looks = ["-e", "require('node:fs').accessSync(process.argv[1])", PROGRAM];
const canBeNobody = isRoot && spawnSync(process.execPath, looks, asNobody).status === 0;
if (!canMount)
  console.log("*** SKIPPED: databases on a full and on a read-only file system (needs root and mount namespaces)");
if (!canBeNobody) console.log("*** SKIPPED: databases that modes forbid (needs root, and a clone others may read)");

function told(
  command: string,
  args: readonly string[],
  who: { uid?: number; gid?: number } = {},
): Record<string, unknown> {
  const { stdout, stderr } = spawnSync(command, args, { ...who, encoding: "utf8", cwd: "/" });
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout);
}

describeSqlite("databases", () => {
  it.skipIf(!canMount && !isRequired)(
    "on a full disk, and on one that is read-only, lose nothing, and tell what is wrong",
    () => {
      const all = told("unshare", [...inNamespace, process.execPath, PROGRAM, "full"]);
      const isFull = expect.stringMatching(/^ERR_STORE .*session\/.*\.db.*(full|ENOSPC|has \d+ bytes left)/);
      const isReadOnly = expect.stringMatching(/^ERR_STORE (?=.*session\/.*\.db).*(readonly|open|EROFS)/);
      expect(all).toEqual({
        "a large commit": isFull,
        "a read after it": { n: 2 },
        "a read of one that is not open": isFull,
        "a creation": isFull,
        "files of it": [],
        "an end": "done",
        "files left of that": [],
        "one of them later": { n: 2, m: 4 },
        "the other one later": { n: 2, m: 4 },
        "the creation again": "done",
        "read-only: a read without a log": { a: 1 },
        "read-only: a commit without a log": isReadOnly,
        "read-only: a read with a log": isReadOnly,
        "read-only: a creation": isReadOnly,
        "read-only: an end": isReadOnly,
        "writable again": [
          { a: 1, n: 6 },
          { n: 2, m: 4 },
          { n: 2, m: 4 },
        ],
      });
    },
  );

  it.skipIf(!canBeNobody)(
    "that modes forbid to read or to write, or whose directory they do, lose nothing, and tell what is wrong",
    () => {
      const all = told(process.execPath, [PROGRAM, "modes"], asNobody);
      const isReadOnly = expect.stringMatching(/^ERR_STORE (?=.*session\/.*\.db).*(readonly|open|EACCES)/);
      expect(all).toEqual({
        "mode 0444: a read": { n: 2 },
        "mode 0444: a commit": isReadOnly,
        "mode 0000: a read": expect.stringMatching(/^ERR_UNREADABLE .*session\/.*\.db.*mode is 0000/),
        "mode 0000: an end": "done",
        "files left of that": [],
        "directory 0555: a read without a log": { a: 1 },
        "directory 0555: a commit without a log": isReadOnly,
        "directory 0555: a creation": isReadOnly,
        "directory 0555: an end": isReadOnly,
        "writable again": [
          { a: 1, m: 4 },
          { n: 2, m: 4 },
        ],
      });
    },
  );

  it.skipIf(!isRoot)("of another user are refused with both, left as they are, and can be ended", async () => {
    const lab = await Lab.open({ type: "sqlite" });
    try {
      const [anna, id, other] = [await lab.worker(), newId(), newId()];
      const path = lab.path(databaseName(id));
      for (const one of [id, other]) await anna.create(one, { n: 1 });
      chownSync(path, NOBODY, NOBODY);
      await lab.stop();
      await lab.start();
      const bert = await lab.worker();
      const error = await bert.open(id).catch((problem: Error) => problem);
      expect(error).toMatchObject({ code: "ERR_UNREADABLE" });
      expect(String(error)).toContain(`${path} of session`);
      expect(String(error)).toContain(`belongs to uid ${NOBODY}, not to 0`);
      expect(await bert.call("sweep", false)).toMatchObject({ seen: 2, ended: 0, unreadable: 1 });
      expect(await bert.values(other)).toEqual({ n: 1 });
      chownSync(path, 0, 0);
      expect(await bert.values(id)).toEqual({ n: 1 });
      chownSync(path, NOBODY, NOBODY);
      await bert.abandon(id);
      expect(existsSync(path)).toBe(false);
    } finally {
      await lab.close();
    }
  });

  it("for which descriptors run out are open in smaller numbers, and with none to spare wait for some", async () => {
    const root = freshRoot();
    try {
      const command = [
        join(repository, "dist/daemon/main.js"),
        "--root",
        root,
        "--type",
        "sqlite",
        "--log-level",
        "silent",
      ];
      const limited = ["-c", `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`, process.execPath, ...command];
      const child = spawn("sh", limited, { stdio: ["ignore", "pipe", "inherit"] });
      await once(child.stdout, "data");
      const socket = join(root, "sessiond-sqlite.sock");
      const worker = await RawWorker.connect(socket);
      const ids = Array.from({ length: 40 }, () => newId());
      await Promise.all(ids.map((id) => worker.create(id, { n: 0 })));
      for (let n = 1; n <= 2; n++) await Promise.all(ids.map((id) => worker.commit(id, { n })));
      for (const id of ids) expect(await worker.values(id)).toEqual({ n: 2 });
      const crowd: RawWorker[] = [];
      for (let isFull = false; !isFull; ) {
        const one = await RawWorker.connectSilently(socket);
        isFull = (await one.call("hello", PROTOCOL_VERSION, "crowd").catch(() => undefined)) === undefined;
        if (!isFull) crowd.push(one);
      }
      const outcomes = await Promise.all(
        ids.map((id) => codeOf(worker.commit(id, { n: 3 }).then(() => Promise.reject({ code: "done" })))),
      );
      expect(["done", "ERR_STORE"]).toEqual(expect.arrayContaining([...new Set(outcomes)]));
      for (const one of crowd) await one.close();
      for (const [place, id] of ids.entries()) {
        expect(await worker.values(id)).toEqual({ n: outcomes[place] === "done" ? 3 : 2 });
        await worker.commit(id, { n: 4 });
      }
      await worker.close();
    } finally {
      await removeRoot(root);
    }
  });
});
