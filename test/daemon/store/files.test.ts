// Sessions as files: revisions that stat tells apart, saves of other programs, files that are not what they should be, and a directory
// that is replaced. The other programs are simulated here; test/gambas has the real one.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { layoutOf, timeoutSeconds } from "../../../protocol/image/image.ts";
import type { State } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { deltaOf, type RawWorker } from "../../support/daemon/raw-worker.ts";
import { until } from "../../support/processes.ts";

let lab: Lab;
let anna: RawWorker;
let bert: RawWorker;
let id: string;

beforeEach(async () => {
  lab = await Lab.open();
  [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
  id = newId();
});

afterEach(() => lab.close());

describe("a revision", () => {
  test("is what stat says of the file", async () => {
    const state = await anna.create(id, { n: 0 });
    const { ino, size, mtimeMs } = statSync(lab.path(id));
    expect(state).toMatchObject({ ino, size, mtimeMs });
  });

  test("never looks like another one of the session, whatever is written, stamped or saved within one tick", async () => {
    const step = fc.constantFrom("commit", "touch", "foreign", "foreign commit", "abandon");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const one = newId();
        const seen = new Map<string, string>();
        const note = (state: State): void => {
          const { ino, size, mtimeMs, kind, image } = state;
          // A fleeting one says itself that it is not to be kept.
          if (kind === 0 || kind === 3) return;
          const name = `${ino} ${size} ${mtimeMs}`;
          const contents = image === null ? undefined : image.toString("hex", 16);
          if (contents !== undefined && seen.has(name)) expect(contents).toBe(seen.get(name));
          if (contents !== undefined) seen.set(name, contents);
        };
        note(await anna.create(one, { n: 100 }));
        for (const [count, what] of steps.entries()) {
          const n = 100 + count;
          if (what === "commit") note(await anna.commit(one, { n }));
          else if (what === "touch") note(await anna.call("touch", one, 0));
          else if (what === "foreign") lab.saveAsGambas(one, lab.changed(lab.image(one), { n: 500 + count }));
          else if (what === "foreign commit") {
            lab.saveAsGambas(one, lab.changed(lab.image(one), { m: 500 + count }));
            note(await anna.commit(one, { n }));
          }
          note(await bert.open(one));
        }
      }),
      { numRuns: 25 },
    );
  });

  test("of a thousand writes in a row is a thousand different ones, each younger than the last", async () => {
    await anna.create(id, { n: 100 });
    const states = [];
    for (let n = 0; n < 1000; n++) states.push(await anna.commit(id, { n: 100 + (n % 2) }));
    const times = states.map(({ mtimeMs }) => mtimeMs);
    expect(new Set(times).size).toBe(1000);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

describe("a save of another program", () => {
  beforeEach(() => anna.create(id, { a: 1, b: 1, c: 1 }));

  test("is seen by the next read", async () => {
    lab.saveAsGambas(id, lab.changed(lab.image(id), { a: 2, d: 4 }));
    expect(await bert.values(id)).toEqual({ a: 2, b: 1, c: 1, d: 4 });
  });

  test("is kept by the next commit, which looked the same to stat or not", async () => {
    for (let round = 2; round < 50; round++) {
      lab.saveAsGambas(id, lab.changed(lab.image(id), { a: round }));
      await anna.commit(id, { b: round });
      expect(lab.values(id)).toEqual({ a: round, b: round, c: 1 });
    }
  });

  test("is kept when it comes in the middle of many commits", async () => {
    const commits: Promise<unknown>[] = [];
    for (let n = 2; n < 100; n++) {
      commits.push(anna.commit(id, { b: n }));
      if (n % 10 === 0) lab.saveAsGambas(id, lab.changed(lab.image(id), { [`theirs${n}`]: n }));
      await bert.settle();
    }
    await Promise.all(commits);
    const values = await bert.values(id);
    expect(values).toMatchObject({ b: 99, theirs10: 10, theirs50: 50, theirs90: 90 });
  });

  test("of what it had loaded before our commits does not undo them", async () => {
    const loaded = lab.image(id);
    await anna.commit(id, { a: 2, c: undefined, d: 4 });
    lab.saveAsGambas(id, lab.changed(loaded, { b: 5 }));
    expect(await bert.values(id)).toEqual({ a: 2, b: 5, d: 4 });
    expect(lab.values(id)).toEqual({ a: 2, b: 5, d: 4 });
    expect((await anna.status()).repairs).toBe(3);
  });

  test("that changes what we have changed too wins", async () => {
    const loaded = lab.image(id);
    await anna.commit(id, { a: 2 });
    lab.saveAsGambas(id, lab.changed(loaded, { a: 3 }));
    expect(await bert.values(id)).toMatchObject({ a: 3 });
  });

  test("is repaired before the commit that finds it", async () => {
    const loaded = lab.image(id);
    await anna.commit(id, { a: 2 });
    lab.saveAsGambas(id, loaded);
    await anna.commit(id, { b: 2 });
    expect(lab.values(id)).toEqual({ a: 2, b: 2, c: 1 });
  });

  test("does not undo the life time and the cookie path that were set meanwhile", async () => {
    const loaded = lab.image(id);
    await anna.commit(id, {}, { options: { timeoutSeconds: 900, cookiePath: "/n" } });
    lab.saveAsGambas(id, lab.changed(loaded, { b: 5 }));
    expect(await bert.values(id)).toEqual({ a: 1, b: 5, c: 1 });
    const image = lab.image(id);
    expect([timeoutSeconds(image), layoutOf(image).cookiePath]).toEqual([900, "/n"]);
  });

  test("that only changes the life time is told to a worker that has the rest", async () => {
    const { mtimeMs } = await anna.open(id);
    const image = lab.newImage({ a: 1, b: 1, c: 1 }, 1800);
    lab.saveAsGambas(id, image);
    // Of a file as young as this everybody is sent all of it.
    const old = Date.now() / 1000 - 10;
    utimesSync(lab.path(id), old, old);
    const state = await anna.open(id, mtimeMs);
    expect(state.image && timeoutSeconds(state.image)).toBe(1800);
  });

  test("does not bring back a session that was abandoned", async () => {
    const loaded = lab.image(id);
    await anna.abandon(id);
    lab.saveAsGambas(id, loaded);
    expect(await bert.values(id)).toBeUndefined();
    await until(() => !lab.hasFile(id));
  });

  test("does not bring it back either when nobody asks for it", async () => {
    const loaded = lab.image(id);
    await anna.abandon(id);
    lab.saveAsGambas(id, loaded);
    // Again and again: the first of them the young daemon may not have heard of, because it was not yet watching.
    await until(() => {
      if (!lab.hasFile(id)) return true;
      lab.saveAsGambas(id, loaded);
      return false;
    });
  });

  test("is not overwritten by a transaction that had seen what was before: it is told to run again", async () => {
    const { fence } = await anna.lease(id);
    lab.saveAsGambas(id, lab.changed(lab.image(id), { b: 5 }));
    expect(await codeOf(anna.commitLeased(id, { c: 9 }, fence))).toBe("ERR_CONFLICT");
    expect(await bert.values(id)).toEqual({ a: 1, b: 5, c: 1 });
  });

  test("is not hidden from a transaction by a repair in the middle of it", async () => {
    const loaded = lab.image(id);
    await bert.commit(id, { a: 2 });
    const { fence } = await anna.lease(id);
    // Stale in one key, a change of its own in another: the read puts the first back and keeps the second.
    lab.saveAsGambas(id, lab.changed(loaded, { b: 5 }));
    expect(await bert.values(id)).toEqual({ a: 2, b: 5, c: 1 });
    expect(await codeOf(anna.commitLeased(id, { c: 9 }, fence))).toBe("ERR_CONFLICT");
    expect(await bert.values(id)).toEqual({ a: 2, b: 5, c: 1 });
  });
});

describe("the moment in which a Gambas program has unlinked and not yet renamed", () => {
  test("does not make a session vanish", async () => {
    await anna.create(id, { n: 0 });
    for (let n = 1; n < 20; n++) {
      const aside = join(lab.root, "aside");
      writeFileSync(aside, lab.changed(lab.image(id), { n }), { mode: 0o600 });
      unlinkSync(lab.path(id));
      const reading = bert.values(id);
      await anna.settle();
      renameSync(aside, lab.path(id));
      expect(await reading).toEqual({ n });
    }
  });
});

describe("a file that is not a session", () => {
  const left = (): { bytes: string; mtimeMs: number; ino: number } => {
    const { mtimeMs, ino } = statSync(lab.path(id));
    return { bytes: readFileSync(lab.path(id), "hex"), mtimeMs, ino };
  };

  test.each([
    ["empty", Buffer.alloc(0)],
    ["shorter than a header", Buffer.from("too short")],
    ["noise", Buffer.from("this is not what a session looks like, not at all")],
    ["cut off", Buffer.from("8c3000804708434100000000", "hex")],
    ["zeros, as after a loss of power", Buffer.alloc(4096)],
    ["noise whose stamp is no number", Buffer.alloc(300, 0xff)],
    ["noise behind a stamp of long ago", Buffer.concat([Buffer.alloc(16), Buffer.from("anything at all")])],
  ])("(%s) is reported and left as it is", async (_, bytes) => {
    lab.saveAsGambas(id, bytes);
    const before = left();
    expect(await codeOf(anna.open(id))).toBe("ERR_UNREADABLE");
    expect(await codeOf(anna.commit(id, { n: 1 }))).toBe("ERR_UNREADABLE");
    expect(await codeOf(anna.lease(id))).toBe("ERR_UNREADABLE");
    expect(await codeOf(anna.call("touch", id, 0))).toBe("ERR_UNREADABLE");
    expect(left()).toEqual(before);
  });

  test("may be abandoned", async () => {
    lab.saveAsGambas(id, Buffer.from("this is not what a session looks like, not at all"));
    await anna.abandon(id);
    expect(lab.hasFile(id)).toBe(false);
  });

  test("in the place of one that was read before is reported, and the old contents are not put there", async () => {
    await anna.create(id, { n: 0 });
    lab.saveAsGambas(id, Buffer.from("overwritten by some other program, all of it"));
    const before = left();
    expect(await codeOf(anna.commit(id, { n: 1 }))).toBe("ERR_UNREADABLE");
    expect(left()).toEqual(before);
  });

  test("and is repaired by hand is read again", async () => {
    lab.saveAsGambas(id, Buffer.from("this is not what a session looks like, not at all"));
    expect(await codeOf(anna.open(id))).toBe("ERR_UNREADABLE");
    lab.saveAsGambas(id, lab.newImage({ n: 1 }));
    expect(await bert.values(id)).toEqual({ n: 1 });
  });

  test("but a directory, a fifo or a link gives an error at once and is left alone", async () => {
    const target = join(lab.root, "target");
    writeFileSync(target, lab.newImage({ secret: 1 }));
    const makers: (() => void)[] = [
      () => mkdirSync(lab.path(id)),
      () => execFileSync("mkfifo", [lab.path(id)]),
      () => symlinkSync(target, lab.path(id)),
    ];
    for (const make of makers) {
      make();
      for (const call of [anna.open(id), anna.commit(id, { n: 1 }), anna.lease(id), anna.call("touch", id, 0)]) {
        expect(await codeOf(call)).toMatch(/ERR_UNREADABLE|ERR_STORE/);
      }
      expect(existsSync(lab.path(id))).toBe(true);
      rmSync(lab.path(id), { recursive: true });
    }
    expect(readFileSync(target).equals(lab.newImage({ secret: 1 })) || readFileSync(target).length > 16).toBe(true);
  });

  test("does not keep others of the directory from being used, listed and swept", async () => {
    mkdirSync(lab.path(id));
    const other = newId();
    await anna.create(other, { n: 0 }, { unique: true });
    await anna.commit(other, { n: 1 });
    expect(await bert.values(other)).toEqual({ n: 1 });
  });
});

describe("a lock file that is a directory, as proper-lockfile would make one", () => {
  test("gives an error and harms no other session", async () => {
    mkdirSync(`${lab.path(id)}.lock`);
    expect(await codeOf(anna.create(id, { n: 0 }))).toBe("ERR_STORE");
    const other = newId();
    await anna.create(other, { n: 0 });
    expect(await bert.values(other)).toEqual({ n: 0 });
  });
});

describe("when the directory is deleted under the daemon", () => {
  test("its sessions are gone and new ones are kept in a new one", async () => {
    await anna.create(id, { n: 0 });
    rmSync(join(lab.root, "session"), { recursive: true });
    expect(await bert.values(id)).toBeUndefined();
    const other = newId();
    await anna.create(other, { n: 1 });
    expect(lab.values(other)).toEqual({ n: 1 });
    await anna.commit(other, { n: 2 });
    expect(lab.values(other)).toEqual({ n: 2 });
  });

  test("a commit to a session that was in it is refused, not resurrected", async () => {
    await anna.create(id, { n: 0 });
    await anna.commit(id, { n: 1 });
    rmSync(join(lab.root, "session"), { recursive: true });
    expect(await codeOf(anna.commit(id, { n: 2 }))).toBe("ERR_SESSION_GONE");
    expect(lab.hasFile(id)).toBe(false);
  });

  test("and another one is put in its place, what is in that is served", async () => {
    await anna.create(id, { n: 0 });
    renameSync(join(lab.root, "session"), join(lab.root, "old"));
    lab.saveAsGambas(id, lab.newImage({ n: 7 }));
    expect(await bert.values(id)).toEqual({ n: 7 });
    await anna.commit(id, { m: 8 });
    expect(lab.values(id)).toEqual({ n: 7, m: 8 });
  });

  test("the twins' directory with it, writing goes on", async () => {
    await anna.create(id, { n: 0 });
    await anna.commit(id, { n: 1 });
    rmSync(join(lab.root, "sessiond.twins"), { recursive: true });
    await anna.commit(id, { n: 2 }).catch(() => undefined);
    await anna.commit(id, { n: 3 });
    await anna.commit(id, { n: 4 });
    expect(lab.values(id)).toEqual({ n: 4 });
  });
});

test("sessions whose files cannot all be kept open do not lose their locks to each other", async () => {
  await lab.stop();
  await lab.start({ openSessions: 1, lockWaitMs: 1 });
  const [carla] = [await lab.worker("carla")];
  const ids = [newId(), newId(), newId()];
  await Promise.all(ids.map((one) => carla.create(one, { n: 0 })));
  for (let n = 1; n < 5; n++) await Promise.all(ids.map((one) => carla.commit(one, { n })));
  const leases = await Promise.all(ids.map((one) => carla.lease(one)));
  await Promise.all(ids.map((one, at) => carla.commitLeased(one, { last: true }, leases[at]?.fence ?? 0)));
  for (const one of ids) {
    await carla.commit(one, { n: 6 });
    expect(lab.values(one)).toEqual({ n: 6, last: true });
  }
});

describe("nothing is left over", () => {
  test("of a session that has ended: neither file, nor lock, nor twin", async () => {
    await anna.create(id, { n: 0 });
    for (let n = 1; n < 5; n++) await anna.commit(id, { n });
    await anna.abandon(id);
    expect(readdirSync(join(lab.root, "session"))).toEqual([]);
    expect(readdirSync(join(lab.root, "sessiond.twins"))).toEqual([]);
  });

  test("of a session that has ended and is made again, which is refused", async () => {
    await anna.create(id, { n: 1 });
    await anna.abandon(id);
    expect(await codeOf(anna.create(id, { n: 2 }))).toBe("ERR_ID_TAKEN");
    expect(existsSync(`${lab.path(id)}.lock`)).toBe(false);
  });

  test("of a look at a session that never was", async () => {
    expect(await anna.values(id)).toBeUndefined();
    expect(await codeOf(anna.commit(id, { n: 0 }))).toBe("ERR_SESSION_GONE");
    expect(await codeOf(anna.lease(id))).toBe("ERR_SESSION_GONE");
    expect(readdirSync(join(lab.root, "session"))).toEqual([]);
  });

  test("of a session whose time is over once it was swept", async () => {
    await lab.stop();
    await lab.start({ sweepMs: 1 });
    lab.saveAsGambas(id, lab.newImage({ n: 0 }, 10, Date.now() - 20_000));
    const young = newId();
    lab.saveAsGambas(young, lab.newImage({ n: 0 }, 1000));
    await until(() => !lab.hasFile(id));
    expect(lab.hasFile(young)).toBe(true);
  });

  test("that anybody else could read", async () => {
    await anna.create(id, { n: 0 });
    await anna.commit(id, { n: 1 });
    expect(statSync(lab.path(id)).mode & 0o077).toBe(0);
    expect(statSync(lab.daemon.socket).mode & 0o177).toBe(0);
  });
});

test("a session file that may not be read is an error, and not an absent session", async () => {
  if (process.getuid?.() === 0) return;
  lab.saveAsGambas(id, lab.newImage({ n: 1 }));
  chmodSync(lab.path(id), 0);
  expect(await codeOf(anna.open(id))).toBe("ERR_STORE");
});

test("a delta that holds what is no value is refused before anything is written", async () => {
  await anna.create(id, { n: 0 });
  const before = statSync(lab.path(id)).mtimeMs;
  const bad = deltaOf({ n: 1 });
  bad[bad.length - 5] = 0xff;
  expect(await codeOf(anna.call("commit", id, 50, 0, bad, null))).toBe("ERR_BAD_VALUE");
  expect(statSync(lab.path(id)).mtimeMs).toBe(before);
});
