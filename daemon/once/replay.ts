// Reads a journal of another daemon, up to where it is whole.

import { readFileSync } from "node:fs";
import { isSessionId } from "../../protocol/session-id.ts";
import { isMissing } from "../files/files.ts";
import type { Revision } from "../store/store.ts";
import {
  FIXED_COMMIT_BYTES,
  type Fingerprint,
  FLAG,
  type JournaledChange,
  type JournaledCommit,
  KIND,
  LENGTH_BYTES,
  type Replay,
} from "./records.ts";

/** The same commits, without what those changed that were made before `oldestMs`: no stale save of them counts as one any more. */
export function withoutOldChanges(commits: readonly JournaledCommit[], oldestMs: number): JournaledCommit[] {
  return commits.map((commit) => {
    const { change, ...rest } = commit;
    return change === undefined || change.whenMs > oldestMs ? commit : rest;
  });
}

/** Reads a journal and the one before it, up to where each is whole. A missing one is an empty one. */
export function replayJournal(path: string): Replay {
  const into: Collected = { commits: [], ended: new Map() };
  replayFile(readIfThere(`${path}.old`), into, false);
  replayFile(readIfThere(path), into, true);
  return into;
}

function replayFile(bytes: Buffer, into: Collected, isNewest: boolean): void {
  for (let at = 0, end = batchEnd(bytes, at); end !== undefined; ) {
    const next = batchEnd(bytes, end);
    // A batch that is torn off behind this one may hold the cancellation of its commits, so this one counts as the last.
    replayBatch(bytes.subarray(at + LENGTH_BYTES, end), isNewest && next === undefined, into);
    at = end;
    end = next;
  }
}

/** Where the batch that begins at `at` ends; undefined when it is not whole, or there is none. */
function batchEnd(bytes: Buffer, at: number): number | undefined {
  if (at + LENGTH_BYTES > bytes.length) return undefined;
  const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
  return end > bytes.length ? undefined : end;
}

interface Collected {
  readonly commits: JournaledCommit[];
  readonly ended: Map<string, number>;
}

function replayBatch(batch: Buffer, isLast: boolean, into: Collected): void {
  let at = 0;
  while (at + LENGTH_BYTES <= batch.length) {
    const start = at + LENGTH_BYTES;
    at = start + batch.readUInt32LE(at);
    const record = batch.subarray(start, at);
    if (record[0] === KIND.ended && record.length >= 9) {
      const id = record.toString("utf8", 9);
      if (isSessionId(id)) into.ended.set(id, record.readDoubleLE(1));
    } else if (record.length >= FIXED_COMMIT_BYTES) {
      replayCommit(record, isLast, into.commits);
    }
  }
}

function replayCommit(record: Buffer, isLast: boolean, commits: JournaledCommit[]): void {
  const clientEnd = FIXED_COMMIT_BYTES + (record[FIXED_COMMIT_BYTES - 1] ?? 0);
  const flags = record[0] ?? 0;
  const kind = flags & ~(FLAG.change | FLAG.origin | FLAG.checksum);
  const checksumEnd = (flags & FLAG.checksum) === 0 ? clientEnd : clientEnd + 4;
  if (checksumEnd > record.length) return;
  const originEnd = (flags & FLAG.origin) === 0 ? checksumEnd : endOfLongText(record, checksumEnd);
  const origin = record.toString("utf8", checksumEnd + 2, originEnd);
  const commit: JournaledCommit = {
    revision: revisionAt(record, 1),
    sequence: record.readDoubleLE(25),
    replaced: record.readDoubleLE(33) === 0 ? undefined : revisionAt(record, 33),
    client: record.toString("latin1", FIXED_COMMIT_BYTES, clientEnd),
    ...((flags & FLAG.change) === 0 ? { id: record.toString("utf8", originEnd) } : changeAt(record, originEnd)),
    ...(checksumEnd > clientEnd ? { checksum: record.readUInt32LE(clientEnd) } : {}),
    ...(isSessionId(origin) ? { origin } : {}),
    isLast: kind === KIND.undecided || (isLast && kind === KIND.commit),
  };
  // After a loss of power a record may hold any bytes: nothing but an id may become part of a path.
  if (!isSessionId(commit.id)) return;
  if (kind !== KIND.cancelled) {
    commits.push(commit);
    return;
  }
  const cancelled = commits.findLastIndex((c) => c.client === commit.client && c.sequence === commit.sequence);
  if (cancelled >= 0) commits.splice(cancelled, 1);
}

function endOfLongText(record: Buffer, at: number): number {
  return at + 2 + (at + 2 > record.length ? 0 : record.readUInt16LE(at));
}

function changeAt(record: Buffer, at: number): { id: string; change?: JournaledChange } {
  const idEnd = endOfLongText(record, at);
  const deltaAt = idEnd + 12;
  const id = record.toString("utf8", at + 2, idEnd);
  if (deltaAt > record.length) return { id };
  const deltaEnd = deltaAt + record.readUInt32LE(idEnd + 8);
  const prints: JournaledChange["prints"][number][] = [];
  for (let print = deltaEnd; print + 16 <= record.length; print += 16) {
    prints.push({ old: fingerprintAt(record, print), young: fingerprintAt(record, print + 8) });
  }
  const delta = Buffer.from(record.subarray(deltaAt, deltaEnd));
  return { id, change: { whenMs: record.readDoubleLE(idEnd), delta, prints } };
}

function fingerprintAt(record: Buffer, at: number): Fingerprint {
  return { low: record.readUInt32LE(at), high: record.readUInt32LE(at + 4) };
}

function revisionAt(record: Buffer, at: number): Revision {
  return { ino: record.readDoubleLE(at), size: record.readDoubleLE(at + 8), mtimeMs: record.readDoubleLE(at + 16) };
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}
