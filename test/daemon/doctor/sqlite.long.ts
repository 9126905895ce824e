// The doctor for type "sqlite" on real file systems, and beside a Gambas program of that type.

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Finding } from "../../../daemon/doctor/doctor.ts";
import { describeDatabases } from "../../support/gambas/databases.ts";
import { GambasHouse } from "../../support/gambas/gambas.ts";
import { hasPrivateTmp } from "../../support/private-tmp.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { repository } from "../../support/repository.ts";
import { describeSqlite } from "../../support/sqlite.ts";

const main = join(repository, "dist/daemon/main.js");
let place: string;
let root: string;

beforeEach(() => {
  place = freshRoot();
  root = join(place, "root");
  mkdirSync(root, { mode: 0o700 });
});

afterEach(() => removeRoot(place));

type Findings = ReadonlyMap<string, Finding>;

function findingsIn(json: string): Findings {
  const { findings } = JSON.parse(json) as { readonly findings: readonly Finding[] };
  return new Map(findings.map((finding) => [`${finding.check}/${finding.name}`, finding]));
}

/** What is found where this is mounted, and in the last line what lies in the root afterwards. $R is the root, $S a directory beside it. */
function mounted(mount: string, unmount = "true"): { readonly findings: Findings; readonly left: string } {
  mkdirSync(join(place, "store"), { recursive: true, mode: 0o700 });
  const look = '"$1" "$2" doctor --json --root "$R" --type sqlite >"$S.json" || true; find "$R" -mindepth 1';
  const args = ["-m", "--propagation", "private", "sh", "-c", `set -e; ${mount}; ${look}; ${unmount}; cat "$S.json"`];
  const env = { ...process.env, R: root, S: join(place, "store") };
  const { stdout, stderr } = spawnSync("unshare", [...args, "sh", process.execPath, main], { env, encoding: "utf8" });
  const start = stdout.indexOf("{\n");
  if (start < 0) throw new Error(`${stdout}${stderr}`);
  return { findings: findingsIn(stdout.slice(start)), left: stdout.slice(0, start).trim() };
}

const isAdministrator = process.getuid?.() === 0;
const hasFuse = spawnSync("bindfs", ["--version"]).status === 0 || process.env.GAMBAS_SESSION_REQUIRE_MOUNTS === "1";
/** What it is, how it is mounted and unmounted, and what is in the root then. */
const MOUNTINGS: readonly (readonly [name: string, mount: string, unmount: string, left: string])[] = [
  ["memory", 'mount -t tmpfs -o mode=700 none "$R"', "true", ""],
  ["memory in the place of session/", 'mkdir "$R/session"; mount -t tmpfs none "$R/session"', "true", "/session"],
  ...(hasFuse ? ([["a file system in a process (FUSE)", 'bindfs "$S" "$R"', 'umount "$R"', ""]] as const) : []),
];

describeSqlite("a root of databases", () => {
  test.runIf(isAdministrator && hasPrivateTmp).each(MOUNTINGS)(
    "on %s is tried in there, and nothing is left of that",
    (_name, mount, unmount, left) => {
      const { findings, left: found } = mounted(mount, unmount);
      expect(findings.get("file system/fine")?.seen).toContain("tried now in a folder of the root that is gone again");
      expect([...findings.keys()].filter((name) => /^sqlite\//.test(name))).toEqual(["sqlite/fine"]);
      expect(found).toBe(left === "" ? "" : `${root}${left}`);
    },
  );

  test.runIf(isAdministrator && hasPrivateTmp && hasFuse)(
    "on one that shares no memory is said to have no log there",
    () => {
      const { findings } = mounted('bindfs -o direct_io "$S" "$R"', 'umount "$R"');
      expect(findings.get("sqlite/no-log")?.seen).toMatch(
        /a database cannot have a write-ahead log.*(disk I\/O error)/,
      );
    },
  );

  test.runIf(isAdministrator && hasPrivateTmp)(
    "on a disk that is full or mounted read-only is not said to lack anything",
    () => {
      const full = 'mount -t tmpfs -o size=64k,mode=700 none "$R"; head -c 100k /dev/zero >"$R/x" 2>/dev/null || true';
      for (const [mount, other] of [
        [full, "space/full"],
        ['mount -t tmpfs -o ro,mode=700 none "$R"', "file system/read-only"],
      ] as const) {
        const { findings } = mounted(mount);
        expect([...findings.keys()]).toEqual(expect.arrayContaining([other, "file system/untried", "sqlite/fine"]));
        expect([findings.has("sqlite/no-log"), findings.has("sqlite/no-locks")]).toEqual([false, false]);
      }
    },
  );
});

describeDatabases("the doctor", () => {
  test("tells a root of files of a Gambas program that keeps its sessions in databases, and one of databases nothing bad", async () => {
    const house = await GambasHouse.open();
    await house.oracle([
      ["write", "Type", "sqlite"],
      ["put", [["n", { type: "Integer", value: 1 }]]],
    ]);
    const look = async (type: string): Promise<Findings> =>
      findingsIn((await house.node(main, ["doctor", "--json", "--type", type], { GAMBAS_SESSION_ROOT: "" })).stdout);
    const [files, databases] = [await look("file"), await look("sqlite")];
    await house.close();
    expect(files.get("other type/in-use")?.seen).toMatch(/^1 session of type sqlite in session\/ \(10_0_0_1_\w+\.db\)/);
    const bad = [...databases].filter(([, { state }]) => state === "warning" || state === "problem");
    expect(bad.map(([name]) => name)).toEqual([]);
    expect(databases.get("sessions/fine")?.seen).toContain("1 session, all of them databases");
  });
});
