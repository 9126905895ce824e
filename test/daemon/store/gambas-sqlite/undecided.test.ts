// A daemon that is killed in the moment of a commit, and another program that has the database for itself when the next one starts: whether the commit was
// published cannot be told then, and "busy" is not "no". It is found out before anything else is committed to that session.

import { statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Journal } from "../../../../daemon/once/once.ts";
import { databaseName } from "../../../../protocol/session-id.ts";
import { codeOf, Lab, newId } from "../../../support/daemon/lab.ts";
import type { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { Outsider } from "./outsider.ts";

const SEQUENCE = 10;

describeSqlite(
  "a commit of a daemon that was killed, to a database that is another program's at the next start,",
  () => {
    let lab: Lab;
    let id: string;
    let path: string;
    let other: Outsider | undefined;

    beforeEach(async () => {
      lab = await Lab.open({ type: "sqlite", lockWaitMs: 100 });
      id = newId();
      path = lab.path(databaseName(id));
      await (await lab.worker("bert")).create(id, { n: 0 });
    });
    afterEach(async () => {
      await other?.kill();
      await lab.close();
    });

    const send = (worker: RawWorker): Promise<unknown> => worker.commit(id, { n: 1 }, { sequence: SEQUENCE });

    /** While no daemon runs. */
    async function lock(): Promise<Outsider> {
      other = await Outsider.open(path);
      await other.run("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
      return other;
    }

    it("is not applied again to what that program has saved, where it was published", async () => {
      await send(await lab.worker("anna"));
      await lab.stop();
      const { all, run, end } = bound(await lock());
      // The second of these daemons has nothing but what the first one has told it.
      for (let started = 1; started <= 2; started++) {
        await lab.start();
        const anna = await lab.worker("anna");
        const codes = await Promise.all([send(anna), anna.commit(id, { m: 2 })].map((call) => codeOf(call)));
        expect(codes).toEqual(["ERR_SESSION_BUSY", "ERR_SESSION_BUSY"]);
        await lab.stop();
      }
      await lab.start();
      await run(`UPDATE "values" SET "sValue" = X'0409000000' WHERE "sKey" = 'n'; COMMIT`);
      expect(await all(`SELECT count(*) AS n FROM "values"`)).toEqual([{ n: 1 }]);
      await end();
      const anna = await lab.worker("anna");
      await anna.commit(id, { m: 3 });
      await send(anna);
      expect(await anna.values(id)).toEqual({ n: 9, m: 3 });
      // The one that comes next is told what was found out.
      await lab.stop();
      await lab.start();
      const again = await lab.worker("anna");
      await send(again);
      expect(await again.values(id)).toEqual({ n: 9, m: 3 });
    });

    it("is applied where it was not published", async () => {
      await lab.stop();
      const { ino } = statSync(path);
      const journal = new Journal(join(lab.root, "sessiond-sqlite.journal"), [], () => []);
      const revision = { ino, size: 20_480, mtimeMs: 5 };
      journal.noteCommit(
        { id, client: "anna", sequence: SEQUENCE },
        { revision, replaced: { ...revision, mtimeMs: 4 } },
      );
      journal.append();
      journal.close();
      const { run, end } = bound(await lock());
      await lab.start();
      const anna = await lab.worker("anna");
      expect(await codeOf(send(anna))).toBe("ERR_SESSION_BUSY");
      await run("COMMIT");
      await end();
      await send(anna);
      expect(await anna.values(id)).toEqual({ n: 1 });
    });

    function bound(outsider: Outsider): {
      run: Outsider["run"];
      all: Outsider["all"];
      end: () => Promise<void>;
    } {
      return {
        run: (sql) => outsider.run(sql),
        all: (query) => outsider.all(query),
        end: async () => {
          other = undefined;
          await outsider.end();
        },
      };
    }
  },
);
