// Databases that are open: those that lie idle are closed after some minutes, and many are not closed in one piece, which would keep all others waiting.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { newImage } from "../../../../protocol/image/image.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { Databases, MAX_BYTES } from "./databases.ts";

const MANY = 40;
/** Between two looks for idle ones. */
const LOOK_MS = 120_000;

describeSqlite("a database that is open", () => {
  let databases: Databases;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    databases = new Databases({ openSessions: MANY });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await databases.close();
  });

  function make(): string {
    const { store } = databases;
    const id = store.nameOf(newId());
    const image = newImage({ nowMs: Date.now(), timeoutSeconds: 600 });
    expect(store.publish(id, store.stage(id, image, undefined))).toBe(true);
    return id;
  }

  /** Whoever closes one as the last removes its log. */
  const logs = (): string[] => databases.names().filter((name) => name.endsWith("-wal"));

  it("is closed when nobody has used it for some minutes, and opened again for whoever comes", async () => {
    const [idle, used] = [make(), make()];
    vi.advanceTimersByTime(LOOK_MS);
    expect(logs()).toHaveLength(2);
    for (let looks = 1; looks <= 5; looks++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(databases.store.stat(used)).toBeDefined();
      vi.advanceTimersByTime(LOOK_MS);
      expect(logs()).toEqual([`${databases.path(used).split("/").at(-1)}-wal`]);
    }
    expect(databases.store.load(idle, MAX_BYTES)).toBeDefined();
    expect(logs()).toHaveLength(2);
  });

  it("is one of many that are closed some at a time, at a stop as when they lie idle", async () => {
    for (let n = 0; n < MANY; n++) make();
    vi.advanceTimersByTime(LOOK_MS);
    await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(LOOK_MS);
    const atOnce = MANY - logs().length;
    expect(atOnce).toBeGreaterThan(0);
    expect(atOnce).toBeLessThan(MANY / 2);
    const closing = databases.store.close();
    expect(logs().length).toBeGreaterThan(0);
    await closing;
    expect(logs()).toEqual([]);
  });
});
