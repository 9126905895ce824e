// Every database that the real Gambas wrote is read as what it is, and made anew to the row.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  applyDelta,
  dialectOf,
  imageOfRows,
  layoutOf,
  readDaysOf,
  storedValue,
  valueOf as valueIn,
} from "../../../../protocol/image/image.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { deltaOf } from "../../../support/daemon/raw-worker.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { change, contentsOf, Databases, fixtures, MAX_BYTES, written } from "./databases.ts";

const NEVER_SAVED = ["never_saved.db", "gbdb2.db"];

describeSqlite("a database that Gambas wrote", () => {
  let databases: Databases;
  let id: string;

  beforeEach(() => {
    databases = new Databases();
    id = databases.store.nameOf(newId());
  });
  afterEach(() => databases.close());

  /** One that was never saved is nobody's session: it gets a stamp. */
  function put(path: string): void {
    databases.put(id, path);
    const isNeverSaved = NEVER_SAVED.some((name) => path.endsWith(name));
    if (isNeverSaved) change(databases.path(id), 'UPDATE "config" SET "fStartup" = 2493477.5');
  }

  /** Without changing it. */
  function read(path: string): ReturnType<typeof contentsOf> {
    const copy = join(databases.root, "copy.db");
    copyFileSync(path, copy);
    return contentsOf(copy);
  }

  it.each(Object.entries(fixtures))(
    "is read with its keys, stamp, life time and cookie path: %s",
    (name, described) => {
      databases.put(id, written.find(([one]) => one === name)?.[1] ?? "");
      const image = databases.store.load(id, MAX_BYTES)?.image ?? Buffer.alloc(0);
      const keys = layoutOf(image)
        .entries.keys()
        .map((key) => Buffer.from(key));
      const wanted = described.keys.map((key) =>
        typeof key === "string" ? Buffer.from(key) : Buffer.from(key.hex, "hex"),
      );
      if (name !== "keys_invalid_utf8") expect(keys).toEqual(wanted);
      expect(keys.length).toBe(wanted.length);
      const { startup, timeout } = readDaysOf(image);
      expect(Number(startup.toPrecision(15))).toBe(Number(described.startup.toPrecision(15)));
      expect([timeout, layoutOf(image).cookiePath]).toEqual([described.timeoutDays, described.cookiePath ?? ""]);
    },
  );

  it.each(written)("is made anew with the same tables, rows and bytes: %s", (name, path) => {
    put(path);
    const image = databases.store.load(id, MAX_BYTES)?.image ?? Buffer.alloc(0);
    databases.store.close();
    const theirs = read(databases.path(id));
    const other = databases.store.nameOf(newId());
    const isNewer = name.startsWith("newer/");
    const store = new Databases({ dialect: isNewer ? "3.19" : "3.18" });
    try {
      expect(store.store.publish(other, store.store.stage(other, image, undefined))).toBe(true);
      expect(store.store.load(other, MAX_BYTES)?.image.equals(image) || name === "stamp_17_digits").toBe(true);
      store.store.close();
      const ours = contentsOf(store.path(other));
      if (!name.includes("gbdb2")) expect(ours.schema).toEqual(theirs.schema);
      const rows = (of: typeof ours) => of.values.map(({ rowid: _, ...row }) => row);
      const alike = rows(theirs).map((row) => (isNewer ? { ...row, value: inOlderForm(String(row.value)) } : row));
      const oursAlike = rows(ours).map((row) => (isNewer ? { ...row, value: inOlderForm(String(row.value)) } : row));
      expect(oursAlike).toEqual(alike);
      expect(ours.config.map(({ rowid: _, fStartup: __, ...row }) => row)).toEqual(
        theirs.config.map(({ rowid: _, fStartup: __, ...row }) => row),
      );
      expect(ours.config[0]?.fStartup).toBe(Number(Number(theirs.config[0]?.fStartup).toPrecision(15)));
    } finally {
      void store.close();
    }
  });

  it.each(written)("keeps every row that a commit does not name, and its place: %s", (_name, path) => {
    put(path);
    const { store } = databases;
    const before = store.load(id, MAX_BYTES);
    if (before === undefined) throw new Error("it is not there");
    const image = applyDelta(before.image, { delta: deltaOf({ added: 1 }), nowMs: Date.now() });
    expect(store.publish(id, store.stage(id, image, before))).toBe(true);
    expect(store.load(id, MAX_BYTES)?.image.subarray(8).equals(image.subarray(8))).toBe(true);
    store.close();
    const theirs = read(path);
    const ours = contentsOf(databases.path(id));
    expect(ours.schema).toEqual(theirs.schema);
    const others = ours.values.filter(({ key }) => key !== Buffer.from("added").toString("hex").toUpperCase());
    // The newest rows of one are in its log alone, which a copy of the database does not have.
    if (!path.includes("left_over")) expect(others).toEqual(theirs.values);
    expect(ours.values.length).toBe(others.length + 1);
  });

  function inOlderForm(hex: string): string {
    const image = imageOfRows({
      startup: 0,
      timeout: 1,
      cookiePath: Buffer.of(),
      values: [{ key: Buffer.from("k"), value: Buffer.from(hex, "hex") }],
    });
    expect(dialectOf(image)).toBe("3.18");
    return storedValue(valueIn(image, layoutOf(image), "k") ?? Buffer.of(), () => "3.18").toString("hex");
  }
});
