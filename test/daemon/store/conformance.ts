// What every storage engine does alike: this suite is the specification of `Store`. Run by one test file per engine. A capability is asked
// of the engines that have it.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Present, Revision, Staged, Store } from "../../../daemon/store/store.ts";
import { applyDelta, newImage, startupBytes, startupMs } from "../../../protocol/image/image.ts";
import { newId } from "../../support/daemon/lab.ts";
import { deltaOf } from "../../support/daemon/raw-worker.ts";

export interface Engine<S extends Staged> {
  readonly open: () => Store<S>;
  readonly close: (store: Store<S>) => void;
}

const MAX_BYTES = 1_000_000;

export function describeStore<S extends Staged>(name: string, engine: Engine<S>): void {
  describe(`the engine ${name}`, () => {
    let store: Store<S>;
    let id: string;

    beforeEach(() => {
      store = engine.open();
      id = nextId();
    });

    afterEach(() => engine.close(store));

    /** An id as the engine knows it. */
    function nextId(): string {
      const one = newId();
      return store.nameOf?.(one) ?? one;
    }

    /** What the session holds. */
    function present(one: string): Present | undefined {
      const loaded = store.load(one, MAX_BYTES);
      return loaded && { revision: loaded.revision, image: loaded.image };
    }

    /** Writes as a session does: under the lock, aside, then in one step. */
    function write(one: string, image: Buffer): Revision {
      store.locks?.take(one, true);
      const staged = store.stage(one, image, present(one));
      expect(store.publish(one, staged)).toBe(true);
      store.locks?.release(one);
      return staged.revision;
    }

    function load(one: string): Buffer | undefined {
      store.locks?.take(one, false);
      const loaded = store.load(one, MAX_BYTES);
      store.locks?.release(one);
      return loaded?.image;
    }

    test("has nothing of a session that never was", () => {
      expect(store.stat(id)).toBeUndefined();
      expect(store.load(id, MAX_BYTES)).toBeUndefined();
      expect(store.header(id)).toBeUndefined();
      expect(store.locks?.has(id) ?? false).toBe(false);
    });

    test("gives back the bytes it was given, of any length", () => {
      for (const length of [34, 35, 1000, 70_000, 20, 34]) {
        const image = holding("x".repeat(length));
        write(id, image);
        expect(load(id)?.equals(image)).toBe(true);
        // A file is what the image is.
        if (store.directory !== "" && store.nameOf === undefined) expect(store.stat(id)?.size).toBe(image.length);
        expect(store.sizeOf(id)).toBeGreaterThanOrEqual(image.length);
      }
    });

    test("does not show what is only staged", () => {
      write(id, image(1));
      store.locks?.take(id, true);
      const before = present(id);
      const staged = store.stage(id, image(2), before);
      expect(store.stat(id)).toEqual(before?.revision);
      expect(store.load(id, MAX_BYTES)?.image.equals(image(1))).toBe(true);
      store.publish(id, staged);
      expect(store.load(id, MAX_BYTES)?.image.equals(image(2))).toBe(true);
      store.locks?.release(id);
    });

    test("forgets what was staged and discarded, and can be written again", () => {
      write(id, image(1));
      store.locks?.take(id, true);
      store.stage(id, image(2), present(id));
      store.recovery?.discard(id);
      store.locks?.release(id);
      expect(load(id)?.equals(image(1))).toBe(true);
      write(id, image(3));
      expect(load(id)?.equals(image(3))).toBe(true);
    });

    test("discards the first contents of a session so that there is none", () => {
      store.locks?.take(id, true);
      store.stage(id, image(1), undefined);
      store.recovery?.discard(id);
      store.locks?.release(id);
      expect(store.stat(id)).toBeUndefined();
    });

    test("shows the revision that staging promised, in stat and in load", () => {
      for (let n = 0; n < 5; n++) {
        const revision = write(id, image(n));
        expect(store.stat(id)).toEqual(revision);
        expect(store.load(id, MAX_BYTES)?.revision).toEqual(revision);
      }
    });

    test("never gives one session the same revision twice", () => {
      const names = new Set<string>();
      for (let n = 0; n < 500; n++) {
        const revision = n % 3 === 0 ? stamped(n) : write(id, image(n % 2));
        names.add(`${revision.ino} ${revision.size} ${revision.mtimeMs}`);
      }
      expect(names.size).toBe(500);

      function stamped(n: number): Revision {
        if (n === 0) return write(id, image(0));
        store.locks?.take(id, true);
        const revision = store.stamp(id, startupBytes(n), store.stat(id) as Revision) as Revision;
        store.locks?.release(id);
        return revision;
      }
    });

    test("stamps in place: the time is new, everything else is as it was", () => {
      write(id, image(1));
      store.locks?.take(id, true);
      const before = store.stat(id) as Revision;
      const revision = store.stamp(id, startupBytes(86_400_000), before) as Revision;
      store.locks?.release(id);
      expect(store.stat(id)).toEqual(revision);
      expect(revision.mtimeMs).toBeGreaterThan(before.mtimeMs);
      const now = load(id) as Buffer;
      expect(startupMs(now)).toBe(86_400_000);
      expect(now.subarray(8).equals(image(1).subarray(8))).toBe(true);
      expect(store.header(id)?.equals(now.subarray(0, 16))).toBe(true);
    });

    test("removes all of a session, and removing it again is no error", () => {
      write(id, image(1));
      store.locks?.take(id, true);
      store.remove(id);
      store.remove(id);
      expect(store.stat(id)).toBeUndefined();
      expect(store.locks?.has(id) ?? false).toBe(false);
      write(id, image(2));
      expect(load(id)?.equals(image(2))).toBe(true);
    });

    test("removes one that is as it was found, and none that has been changed, where no lock keeps others from it", () => {
      const before = write(id, image(1));
      if (store.removeUnchanged === undefined) return;
      const now = write(id, image(2));
      expect(store.removeUnchanged(id, before)).toBe(false);
      expect(load(id)?.equals(image(2))).toBe(true);
      expect(store.removeUnchanged(id, now)).toBe(true);
      expect([store.stat(id), store.removeUnchanged(id, now)]).toEqual([undefined, false]);
    });

    test("names every session once, and nothing else", async () => {
      const ids = Array.from({ length: 30 }, nextId);
      for (const [n, one] of ids.entries()) write(one, image(n));
      store.locks?.take(ids[0] as string, true);
      store.remove(ids[0] as string);
      const named: string[] = [];
      for await (const one of store.ids()) named.push(one);
      expect(named.sort()).toEqual(ids.slice(1).sort());
    });

    test("goes on naming sessions while they come and go", async () => {
      const ids = Array.from({ length: 30 }, nextId);
      for (const one of ids) write(one, image(1));
      const named = new Set<string>();
      for await (const one of store.ids()) {
        named.add(one);
        if (named.size === 5) for (const gone of ids.slice(20)) store.remove(gone);
        if (named.size === 6) write(nextId(), image(2));
      }
      for (const one of ids.slice(0, 20)) expect(named).toContain(one);
    });

    test("keeps sessions apart", () => {
      const other = nextId();
      write(id, image(1));
      write(other, image(2));
      write(id, image(3));
      expect(load(other)?.equals(image(2))).toBe(true);
      store.locks?.take(other, true);
      store.remove(other);
      expect(load(id)?.equals(image(3))).toBe(true);
    });

    test("loses nothing when what it keeps open is closed", () => {
      write(id, image(1));
      write(id, image(2));
      store.open?.cool(id);
      expect(load(id)?.equals(image(2))).toBe(true);
      write(id, image(3));
      expect(load(id)?.equals(image(3))).toBe(true);
    });

    test("has a lock for a session that is made, until it is removed", () => {
      const { locks } = store;
      if (locks === undefined) return;
      expect(locks.take(id, false)).toBe("missing");
      expect(locks.has(id)).toBe(false);
      write(id, image(1));
      expect(locks.has(id)).toBe(true);
      expect(locks.take(id, false)).toBe("held");
      store.remove(id);
      expect(locks.has(id)).toBe(false);
    });

    test("tells whether a revision was published before a crash, if it keeps any over one", () => {
      const { recovery } = store;
      if (recovery === undefined) return;
      for (const n of [1, 2, 3]) {
        store.locks?.take(id, true);
        const existing = present(id);
        const staged = store.stage(id, image(n), existing);
        const attempt = { id, ...staged, replaced: existing?.revision };
        expect(recovery.wasPublished(attempt)).toBe(false);
        store.publish(id, staged);
        expect(recovery.wasPublished(attempt)).toBe(true);
        store.locks?.release(id);
      }
    });

    test("looks by the clock it is given, if other programs share it, and names a dialect", () => {
      const { programs } = store;
      if (programs === undefined) return;
      expect(programs.look(() => 5)).toMatchObject({ atMs: 5, isAnybodyThere: false });
      expect(programs.dialectInWords).toContain(programs.dialect);
    });

    test("may have at least one session open at a time", () => {
      expect(store.open?.max ?? 1).toBeGreaterThan(0);
    });

    test("makes durable what is staged and published, when asked", async () => {
      store.locks?.take(id, true);
      const staged = store.stage(id, image(1), undefined);
      await store.flushes?.staged(id);
      store.publish(id, staged);
      await store.flushes?.published();
      store.locks?.release(id);
      expect(load(id)?.equals(image(1))).toBe(true);
    });
  });
}

function image(n: number): Buffer {
  return holding(`contents ${n % 10}`);
}

/** Of a session with this text. */
function holding(text: string): Buffer {
  return applyDelta(newImage({ nowMs: 0, timeoutSeconds: 60 }), { delta: deltaOf({ text }), nowMs: 0 });
}
