// Which Gambas programs may have made a save, found out from the directories they keep in the root: made here as they make them, with
// looks at times of the test's own.

import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Presence } from "../../../daemon/store/gambas-file/programs/presence.ts";
import type { Saver } from "../../../daemon/store/store.ts";
import { freshRoot, removeRoot, until } from "../../support/processes.ts";

let root: string;
let presence: Presence;
/** A descriptor of the session as we had written it. */
let ours: number;

beforeEach(async () => {
  root = freshRoot();
  mkdirSync(join(root, "session"), { recursive: true });
  ours = openSync(join(root, "session", "a"), "w");
  presence = new Presence(root);
  await tick();
  presence.look(steadyMs);
});

afterEach(() => {
  closeSync(ours);
  return removeRoot(root);
});

function steadyMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Until what is made now is told apart by its time from what was made before, whatever clock the kernel stamps with. */
async function tick(): Promise<void> {
  const firstMs = madeMs();
  await until(() => madeMs() - firstMs > 40);
}

function madeMs(): number {
  const probe = join(root, "session", "probe");
  writeFileSync(probe, "");
  const { mtimeMs } = statSync(probe);
  rmSync(probe);
  return mtimeMs;
}

/** A look as a commit has one. Returns its time. */
function look(): number {
  return presence.look(steadyMs).atMs;
}

/** A directory as an interpreter makes it; this process' pid is one that can be seen in /proc. */
function come(pid: number = process.pid): number {
  mkdirSync(join(root, String(pid)), { mode: 0o700 });
  return pid;
}

function leave(pid: number): void {
  rmdirSync(join(root, String(pid)));
}

/** A whole-file save of this program. */
function save(pid: number): void {
  const aside = join(root, String(pid), "1.tmp");
  writeFileSync(aside, "session");
  rmSync(join(root, "session", "a"));
  renameSync(aside, join(root, "session", "a"));
}

/** Who may have saved since our file lost its name. */
function saver(): Saver {
  return presence.whoSavedSince(fstatSync(ours).ctimeMs, steadyMs);
}

const [LONG, SHORT] = [process.pid, process.ppid];

describe("who may have saved", () => {
  it("is the one that ran at our commit, if he is the one who saved, and if he has left since", async () => {
    const pid = come(LONG);
    const committedMs = look();
    await tick();
    save(pid);
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
    leave(pid);
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });

  it("is nobody that ran at our commit, if he came after it", async () => {
    const committedMs = look();
    const pid = come();
    save(pid);
    expect(saver().mayHaveRunAt(committedMs)).toBe(false);
    expect(saver().mayHaveComeSince(committedMs)).toBe(true);
    leave(pid);
    expect(saver().mayHaveRunAt(committedMs)).toBe(false);
  });

  it("is not the one whose directory has been still since, although he ran all the time", async () => {
    come(LONG);
    const committedMs = look();
    const pid = come(SHORT);
    await tick();
    save(pid);
    expect(saver().mayHaveRunAt(committedMs)).toBe(false);
    await tick();
    save(LONG);
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });

  it("may be a task of the one that ran at our commit, which has what that had loaded", async () => {
    const parent = come(LONG);
    const committedMs = look();
    mkdirSync(join(root, String(parent), "task"));
    await tick();
    save(come(SHORT));
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
    rmdirSync(join(root, String(parent), "task"));
  });

  it("is not what a crash has left, nor a program of another pid namespace that was still", async () => {
    come(LONG);
    come(2 ** 30);
    const committedMs = look();
    await tick();
    save(come(SHORT));
    expect(saver().mayHaveRunAt(committedMs)).toBe(false);
  });

  it("is not the one that was seen to be gone before", async () => {
    const gone = come(SHORT);
    const committedMs = look();
    leave(gone);
    look();
    await tick();
    save(come(LONG));
    expect(saver().mayHaveRunAt(committedMs)).toBe(false);
  });

  it("may be the one that nobody has seen go", async () => {
    const gone = come(SHORT);
    const committedMs = look();
    leave(gone);
    await tick();
    save(come(LONG));
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });

  it("may be the one whose save somebody else has loaded and saved again before we looked", async () => {
    const stale = come(LONG);
    const committedMs = look();
    await tick();
    save(stale);
    leave(stale);
    look();
    await tick();
    save(come(SHORT));
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });

  it("is not known of a commit from before the first look", () => {
    const committedMs = steadyMs() - 10_000;
    save(come());
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });

  it("may be anybody where the file's time is not to be had, or yet to come", async () => {
    come(LONG);
    const committedMs = look();
    await tick();
    save(come(SHORT));
    for (const sinceMs of [0, Date.now() + 60_000]) {
      expect(presence.whoSavedSince(sinceMs, steadyMs).mayHaveRunAt(committedMs)).toBe(true);
    }
  });

  it("may be anybody who ran at a commit since when the clock was set", async () => {
    come(LONG);
    const committedMs = look();
    await tick();
    save(come(SHORT));
    expect(saver().mayHaveRunAt(committedMs)).toBe(false);
    const realNow = Date.now;
    try {
      Date.now = () => realNow() + 3_600_000;
      expect(saver().mayHaveRunAt(committedMs)).toBe(true);
    } finally {
      Date.now = realNow;
    }
  });

  it("may be anybody who ran at a commit since when the clock was set, however long it took to read it", async () => {
    come(LONG);
    const committedMs = look();
    await tick();
    save(come(SHORT));
    const realNow = Date.now;
    try {
      Date.now = () => {
        const beganMs = performance.now();
        while (performance.now() - beganMs < 2);
        return realNow() + 3_600_000;
      };
      expect(saver().mayHaveRunAt(committedMs)).toBe(true);
    } finally {
      Date.now = realNow;
    }
  });

  it("may be anybody after the root could not be looked at", async () => {
    const committedMs = look();
    renameSync(root, `${root}-elsewhere`);
    writeFileSync(root, "");
    look();
    rmSync(root);
    renameSync(`${root}-elsewhere`, root);
    save(come());
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });
});

/** The file system keeps whole seconds of what was changed last. */
function cutToSeconds(path: string, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  utimesSync(path, seconds, seconds);
}

describe("where times of files are whole seconds", () => {
  it("the one that ran at our commit may have saved in the second in which our file lost its name", async () => {
    const pid = come(LONG);
    const committedMs = look();
    await tick();
    save(pid);
    cutToSeconds(join(root, String(pid)), fstatSync(ours).ctimeMs);
    expect(saver().mayHaveRunAt(committedMs)).toBe(true);
  });

  it("a program is seen that came in the same second as another change of the root", () => {
    const nowMs = 1_700_000_000_500;
    const realNow = Date.now;
    try {
      Date.now = () => nowMs;
      cutToSeconds(root, nowMs);
      expect(presence.look(steadyMs).isAnybodyThere).toBe(false);
      come();
      cutToSeconds(root, nowMs);
      expect(presence.look(steadyMs).isAnybodyThere).toBe(true);
    } finally {
      Date.now = realNow;
    }
  });
});

describe("whether anybody is there", () => {
  it("follows those who come and go, and a crash", async () => {
    expect(presence.look(steadyMs).isAnybodyThere).toBe(false);
    const pid = come();
    expect(presence.look(steadyMs).isAnybodyThere).toBe(true);
    leave(pid);
    expect(presence.look(steadyMs).isAnybodyThere).toBe(false);
    // One whose process is not there, and whose directory is old: what a crash has left.
    const crashed = join(root, String(2 ** 30));
    mkdirSync(crashed);
    expect(presence.look(steadyMs).isAnybodyThere).toBe(true);
  });
});
