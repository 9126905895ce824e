// Puts a delta into an image where a splice is not enough: references have to be numbered anew, or entries dropped.

import { tableOfValue } from "../value/origins.ts";
import { borrowOutput, type Output, returnOutput } from "../value/output.ts";
import { newScan, ObjectTable } from "../value/scan.ts";
import { keyBytes } from "../value/text.ts";
import type { Change, ChangedEntry, Share } from "./delta.ts";
import { type ByteRange, bodyStartOf, EntryReader, writeBodyStart } from "./entries.ts";
import { GraphWriter, type Slot, type Source } from "./graph.ts";
import { HEADER_BYTES } from "./header.ts";
import { Identities } from "./shares.ts";
import { Changes } from "./splice.ts";
import { aloneOf } from "./values.ts";

interface LiveEntry {
  /** The key with its length, as it is stored. */
  readonly key: Buffer;
  readonly slot: Slot;
}

interface Rewritten {
  /** Has the header of the image before. */
  readonly image: Buffer;
  readonly hasReferences: boolean;
}

export function rewrite(
  image: Buffer,
  change: Change,
  changes: readonly ChangedEntry[],
  cookiePath: ByteRange,
): Rewritten {
  const sources: Source[] = [];
  const entries = liveEntries(image, sources);
  putChanges(entries, new Changes(change.delta, changes), change.delta, sources);
  const identities = identitiesOf(entries, sources, change.shares ?? []);
  const out = borrowOutput();
  try {
    const hasReferences = writeEntries(out, entries, identities);
    const bodyAt = bodyStartOf(entries.size);
    const result = Buffer.allocUnsafe(bodyAt + out.length + cookiePath.to - cookiePath.from);
    image.copy(result, 0, 0, HEADER_BYTES);
    writeBodyStart(result, entries.size, image[HEADER_BYTES] as number);
    out.bytes.copy(result, bodyAt, 0, out.length);
    cookiePath.bytes.copy(result, bodyAt + out.length, cookiePath.from, cookiePath.to);
    return { image: result, hasReferences };
  } finally {
    returnOutput(out);
  }
}

/** The entries that Gambas would have after loading the image, by the bytes of their key. */
function liveEntries(image: Buffer, sources: Source[]): Map<string, LiveEntry> {
  const table = new ObjectTable(image);
  table.addRoot();
  const source: Source = { table, base: 0, hasRoot: true };
  sources.push(source);
  const reader = new EntryReader(image, { ...newScan(1), table });
  const entries = new Map<string, LiveEntry>();
  while (reader.next()) {
    const key = image.toString("latin1", reader.keyFrom, reader.keyTo);
    if (reader.isDead) entries.delete(key);
    else {
      const slot = { source, at: reader.keyTo, end: reader.valueEnd };
      entries.set(key, { key: entries.get(key)?.key ?? image.subarray(reader.start, reader.keyTo), slot });
    }
  }
  return entries;
}

function putChanges(entries: Map<string, LiveEntry>, changes: Changes, delta: Buffer, sources: Source[]): void {
  for (const changed of changes.entries) {
    const { start, keyFrom, keyTo, valueAt, valueEnd } = changed;
    const key = delta.toString("latin1", keyFrom, keyTo);
    if (valueEnd === valueAt) {
      entries.delete(key);
      continue;
    }
    const last = sources.at(-1) as Source;
    const source = { table: tableOfValue(delta, valueAt), base: last.base + last.table.starts.length, hasRoot: false };
    sources.push(source);
    if (changes.isMoved(changed)) entries.delete(key);
    const stored = entries.get(key)?.key ?? delta.subarray(start, keyTo);
    entries.set(key, { key: stored, slot: { source, at: valueAt, end: valueEnd } });
  }
}

function identitiesOf(
  entries: Map<string, LiveEntry>,
  sources: readonly Source[],
  shares: readonly Share[],
): Identities {
  if (shares.length === 0) return new Identities(sources, []);
  const orders = new Map<string, readonly number[]>();
  for (const [key, { slot }] of entries) orders.set(key, aloneOf(slot.source, slot.at, slot.end).order);
  const identities = new Identities(sources, orders.values());
  for (const { key, object, otherKey, otherObject } of shares) {
    const one = orders.get(keyBytes(key).toString("latin1"))?.[object - 1];
    const other = orders.get(keyBytes(otherKey).toString("latin1"))?.[otherObject - 1];
    if (one !== undefined && other !== undefined) identities.unify(one, other);
  }
  return identities;
}

/** Returns whether a reference was written. */
function writeEntries(out: Output, entries: Map<string, LiveEntry>, identities: Identities): boolean {
  const writer = new GraphWriter(out, 1, (id) => identities.find(id));
  for (const { key, slot } of entries.values()) {
    out.copy(key, 0, key.length);
    writer.write(slot);
  }
  return writer.hasReferences;
}
