// What has to be done to the rows of a database so that they hold another image: the rows of the keys that differ, and the columns of "config" that do.
// Pure: knows no database.

import {
  type Dialect,
  keyBytes,
  type Layout,
  layoutOf,
  readDaysOf,
  storedValue,
  valueOf as valueIn,
} from "../../../protocol/image/image.ts";

/** A row to be written: in its place if the key has one, else behind all others. */
export interface WrittenRow {
  readonly key: Buffer;
  readonly value: Buffer;
  /** The key has a row, which stays in its place. */
  readonly isThere: boolean;
}

export interface Changes {
  /** In days, of as many digits as Gambas reads. */
  readonly startup: number;
  /** Undefined: as it is. */
  readonly timeout: number | undefined;
  readonly cookiePath: { readonly text: string | null } | undefined;
  /** Keys whose rows go; of those that are written behind all others the old ones. */
  readonly deleted: readonly Buffer[];
  /** In this order. */
  readonly written: readonly WrittenRow[];
}

interface ChangedValue {
  readonly key: string;
  readonly value: Buffer;
  readonly isThere: boolean;
}

interface Known {
  readonly image: Buffer;
  readonly layout: Layout;
}

/** Gambas reads the stamp as SQLite writes it, and saves where it has that very number: one of more digits would never be renewed by it. */
const STAMP_DIGITS = 15;

/** A stamp as it is stored. */
export function stampOf(days: number): number {
  return Number(days.toPrecision(STAMP_DIGITS));
}

/**
 * @param before the image that the rows hold; undefined where there is no database.
 * @param dialect asked for a value in which an object occurs twice.
 */
export function changesBetween(before: Buffer | undefined, after: Buffer, dialect: () => Dialect): Changes {
  const { startup, timeout } = readDaysOf(after);
  const to = layoutOf(after);
  const from = before && layoutOf(before);
  const path = to.cookiePath;
  const { deleted, written } =
    before !== undefined && from !== undefined && hasSameKeys(from, to)
      ? { deleted: [], written: replacedValues({ image: before, layout: from }, { image: after, layout: to }) }
      : changedKeys({ image: before, layout: from }, { image: after, layout: to });
  return {
    startup: stampOf(startup),
    timeout: before !== undefined && readDaysOf(before).timeout === timeout ? undefined : timeout,
    cookiePath: from?.cookiePath === path ? undefined : { text: path === "" ? null : path },
    deleted: deleted.map(keyBytes),
    written: written.map(({ key, value, isThere }) => ({
      key: keyBytes(key),
      value: storedValue(value, dialect),
      isThere,
    })),
  };
}

/** Images with the same keys have one list of them in common, as a rule. */
function hasSameKeys(from: Layout, to: Layout): boolean {
  return from.entries.list === to.entries.list && !from.hasReferences && !to.hasReferences;
}

/** The usual change, in a tenth of the time: the values that differ, without a look at the keys. */
function replacedValues(before: Known, after: Known): ChangedValue[] {
  const [from, to] = [before.layout.entries, after.layout.entries];
  const written: ChangedValue[] = [];
  for (const [index, key] of to.keys().entries()) {
    const [start, end] = [to.valueStart(index), to.valueEnd(index)];
    const [oldStart, oldEnd] = [from.valueStart(index), from.valueEnd(index)];
    if (before.image.compare(after.image, start, end, oldStart, oldEnd) !== 0)
      written.push({ key, value: after.image.subarray(start, end), isThere: true });
  }
  return written;
}

function changedKeys(
  before: { readonly image: Buffer | undefined; readonly layout: Layout | undefined },
  after: Known,
): { readonly deleted: readonly string[]; readonly written: readonly ChangedValue[] } {
  const moved = before.layout === undefined ? new Set<string>() : movedKeys(before.layout, after.layout);
  return { deleted: deletedKeys(before.layout, after.layout, moved), written: writtenRows(before, after, moved) };
}

function deletedKeys(from: Layout | undefined, to: Layout, moved: ReadonlySet<string>): string[] {
  return (from?.entries.keys() ?? []).filter((key) => moved.has(key) || !to.entries.has(key));
}

/** Keys that were there and are not in their places any more: a row stays in its own, or comes in at the end, and so do all that are to stand behind that. */
function movedKeys(from: Layout, to: Layout): Set<string> {
  const places = new Map(from.entries.keys().map((key, place) => [key, place]));
  const moved = new Set<string>();
  let last = -1;
  for (const key of to.entries.keys()) {
    const place = places.get(key) ?? -1;
    if (place > last) last = place;
    else {
      last = Number.POSITIVE_INFINITY;
      if (place >= 0) moved.add(key);
    }
  }
  return moved;
}

function writtenRows(
  before: { readonly image: Buffer | undefined; readonly layout: Layout | undefined },
  after: Known,
  moved: ReadonlySet<string>,
): ChangedValue[] {
  const written: ChangedValue[] = [];
  for (const key of after.layout.entries.keys()) {
    const value = valueIn(after.image, after.layout, key);
    if (value === undefined) continue;
    const old =
      before.image === undefined || before.layout === undefined ? undefined : valueIn(before.image, before.layout, key);
    const isThere = old !== undefined && !moved.has(key);
    if (!isThere || !old.equals(value)) written.push({ key, value, isThere });
  }
  return written;
}
