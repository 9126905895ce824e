// Real file systems, each mounted for one process in a mount namespace of its own: what the daemon finds out about them, and that what was
// written is read. Those that this machine cannot mount are skipped, and it is said which.

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freshRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

const LIFE = join(repository, "dist/test/whole/one-life.js");

/** Where all of them must be met (.ci/run), one that cannot be mounted is a failure. */
const isRequired = process.env.GAMBAS_SESSION_REQUIRE_MOUNTS === "1";

let root: string;
/** For what a mount needs besides: images, lower directories. */
let store: string;

beforeEach(() => {
  root = freshRoot();
  store = freshRoot();
});

afterEach(() => {
  for (const path of [root, store]) rmSync(path, { recursive: true, force: true });
});

/** Runs `mount`, then `then`, then `unmount`, in a namespace that ends with them. $R is the root, $S a directory beside it. */
function inNamespace(mount: string, then: string, unmount = "true"): ReturnType<typeof spawnSync> & { stdout: string } {
  const script = `set -e; ${mount}; ${then}; ${unmount}`;
  const env = { ...process.env, R: root, S: store };
  return spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-c", script], { env, encoding: "utf8" });
}

function life(mount: string, unmount?: string): Record<string, unknown> {
  const { stdout, stderr } = inNamespace(mount, `"${process.execPath}" "${LIFE}" "$R"`, unmount);
  expect(stdout, String(stderr)).toMatch(/^\{/);
  return JSON.parse(stdout);
}

interface Mounting {
  readonly name: string;
  readonly mount: string;
  readonly unmount?: string;
  /** What the status says is missing; or what the refusal says. */
  readonly lacking?: readonly string[];
  readonly refused?: RegExp;
}

const image = (make: string): string => `truncate -s 16M "$S/image"; ${make} "$S/image" >"$S/made" 2>&1`;
const fuse = 'umount "$R"';

const MOUNTINGS: readonly Mounting[] = [
  { name: "tmpfs", mount: 'mount -t tmpfs -o mode=0700 none "$R"', lacking: [] },
  { name: "tmpfs with noatime", mount: 'mount -t tmpfs -o noatime,mode=0700 none "$R"', lacking: ["accessTimes"] },
  {
    name: "overlayfs",
    mount:
      'mkdir "$S/l" "$S/u" "$S/w"; mount -t overlay -o "lowerdir=$S/l,upperdir=$S/u,workdir=$S/w" overlay "$R"; chmod 700 "$R"',
    lacking: [],
  },
  { name: "ext4", mount: `${image("mkfs.ext4 -q")}; mount -o loop "$S/image" "$R"`, lacking: [] },
  {
    name: "ext4 whose times are whole seconds",
    mount: `${image("mkfs.ext4 -q -I 128")}; mount -o loop "$S/image" "$R"`,
    lacking: ["fineTimes"],
  },
  { name: "FUSE (bindfs)", mount: 'bindfs "$S" "$R"', unmount: fuse, lacking: ["exchange", "wholeWrites"] },
  {
    name: "FAT (fusefat)",
    mount: `${image("mkfs.vfat")}; fusefat -o rw+ "$S/image" "$R" >"$S/made" 2>&1`,
    unmount: fuse,
    refused: /ERR_BAD_ROOT|no file name with a colon/,
  },
  {
    name: "tmpfs in the place of session/",
    mount: 'mkdir "$R/session"; mount -t tmpfs none "$R/session"',
    lacking: ["sameMount"],
  },
  {
    name: "the same file system, mounted once more as session/",
    mount: 'mkdir "$R/session" "$R/s"; mount --bind "$R/s" "$R/session"',
    lacking: ["sameMount"],
  },
  {
    name: "session/ read-only",
    mount: 'mkdir "$R/session"; mount -t tmpfs -o ro none "$R/session"',
    refused: /EROFS.*session\/life/,
  },
  { name: "a root read-only", mount: 'mount -t tmpfs -o ro,mode=0700 none "$R"', refused: /EROFS.*sessiond\.pid/ },
  {
    name: "a full disk",
    mount: 'mount -t tmpfs -o size=64k,mode=0700 none "$R"; head -c 100k /dev/zero >"$R/full" 2>"$S/made" || true',
    refused: /ENOSPC/,
  },
];

/** Undefined: it can be mounted here. */
function obstacle({ mount, unmount }: Mounting): string | undefined {
  [root, store] = [freshRoot(), freshRoot()];
  const { status, stderr, error } = inNamespace(mount, "true", unmount);
  for (const path of [root, store]) rmSync(path, { recursive: true, force: true });
  return status === 0
    ? undefined
    : String(error ?? stderr)
        .trim()
        .split("\n")
        .at(-1);
}

for (const mounting of MOUNTINGS) {
  const why = obstacle(mounting);
  if (why !== undefined) console.log(`*** SKIPPED, CANNOT BE MOUNTED HERE: ${mounting.name} (${why})`);
  test.skipIf(why !== undefined && !isRequired)(
    `${mounting.name}: what it lacks is found out, and what was written is read at once by others`,
    () => {
      if (why !== undefined) throw new Error(`cannot be mounted here: ${why}`);
      const told = life(mounting.mount, mounting.unmount);
      if (mounting.refused !== undefined) expect(told.refused).toMatch(mounting.refused);
      else expect(told).toEqual({ lacking: mounting.lacking, last: 1061, missed: [], isAlone: true, hidden: [] });
    },
  );
}

test("session/ as a link to another file system is a mount of its own as well", () => {
  const elsewhere = join("/dev/shm", basename(store));
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, join(root, "session"));
  try {
    const { stdout } = spawnSync(process.execPath, [LIFE, root], { encoding: "utf8" });
    expect(JSON.parse(stdout)).toMatchObject({ last: 1061, missed: [], isAlone: true, hidden: [] });
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});
