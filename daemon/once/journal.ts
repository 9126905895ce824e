// What a new daemon must know of what the old one did: which commits were applied, and which sessions have ended.
//
// There is one append per turn of the event loop, before anything of that turn becomes visible: a record names the revision that a commit
// is about to become. All commits before the last append were carried out; of the commits in it, the store can tell (`wasPublished`).
// The journal survives the end of the process, not the loss of power: after that no worker is left that would send anything again.
//
// A record: u32 length, u8 kind, then
//   commit     f64 ino, f64 size, f64 mtimeMs, f64 sequence, the revision it is to replace (ino, size, mtimeMs; 0 where there is none),
//              u8 length + client, the rest: id
//   cancelled  the same, for a commit whose publication failed
//   carried    the same, for one that an earlier daemon had applied
//   ended      f64 when (Unix ms), the rest: id
// While Gambas programs run, a commit also tells what it changed, so that the next daemon can put right what a stale save undoes: bit 7 of its kind
// is set then, and behind the client come u16 length + id, f64 when (Unix ms), u32 length + delta, and for each key two fingerprints
// (two u32 each): that of the value before and that of the new one.
// A commit by which a session goes on under another id has bit 6 set, and behind the client come u16 length + the id that it had. Where the new one
// was published the old one has ended with that: one record for both, so that there is no moment between them.

import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { isSessionId } from "../../protocol/session-id.ts";
import { isMissing } from "../files/files.ts";
import type { Revision } from "../store/store.ts";

const KIND = { commit: 1, cancelled: 2, ended: 3, carried: 4 } as const;
/** Set in the kind of a record that also tells what the commit changed. */
const WITH_CHANGE = 0x80;
/** Set in the kind of a record of a session that takes the place of another one. */
const WITH_ORIGIN = 0x40;
/** Larger deltas are not kept: the journal would be begun anew all the time. */
const MAX_DELTA_BYTES = 64 * 1024;
const LENGTH_BYTES = 4;
/**
 * When a file has grown by this since it was begun, and by as much as it was begun with, a new one is begun; one old one is kept. So where
 * millions of sessions have ended, no more tombstones are copied than bytes were written since.
 */
const MIN_GROWTH_BYTES = 4 * 1024 * 1024;
/** Commits of the last daemon that a new one tells the next, with what they changed: more than all workers have in flight. */
const MAX_CARRIED_COMMITS = 32_768;
/** Size of the buffer that records are gathered in. One that had to grow is kept up to the second size; a writer of many records appends before. */
const BATCH_BYTES = 64 * 1024;
const MAX_KEPT_BATCH_BYTES = 1024 * 1024;
const MAX_ASCII = 0x7f;
const FIXED_COMMIT_BYTES = 1 + 24 + 8 + 24 + 1;

export interface CommitMark {
  readonly id: string;
  readonly client: string;
  readonly sequence: number;
}

/** 64 bits that stand for a value of one key. */
interface Fingerprint {
  readonly low: number;
  readonly high: number;
}

/** What a commit changed: for recognising a stale save of another program, and putting ours back. */
export interface JournaledChange {
  readonly whenMs: number;
  readonly delta: Buffer;
  /** Of each key the value before and the new one. */
  readonly prints: readonly { readonly old: Fingerprint; readonly young: Fingerprint }[];
}

interface Written {
  readonly revision: Revision;
  readonly replaced?: Revision | undefined;
  readonly change?: JournaledChange | undefined;
  /** The session whose place this one takes. */
  readonly origin?: string | undefined;
}

export interface JournaledCommit extends CommitMark, Written {
  /** The commit stands in the last append before the end: it may not have become visible. */
  readonly isLast: boolean;
}

export interface Replay {
  readonly commits: readonly JournaledCommit[];
  readonly ended: ReadonlyMap<string, number>;
}

/** Records that are written with one call, behind their common length. */
class Batch {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  /** The same memory: numbers are written without a call into the runtime. */
  #view = new DataView(this.#buffer.buffer);
  #at = LENGTH_BYTES;

  get isEmpty(): boolean {
    return this.#at === LENGTH_BYTES;
  }

  /** Whether it is time to append: a larger batch would only take memory. */
  get isFull(): boolean {
    return this.#at >= MAX_KEPT_BATCH_BYTES / 2;
  }

  noteCommit(kind: number, mark: CommitMark, { revision, replaced, change, origin }: Written): void {
    const kept = change !== undefined && change.delta.length <= MAX_DELTA_BYTES ? change : undefined;
    const changeBytes = kept === undefined ? 0 : 2 + 8 + 4 + kept.delta.length + 16 * kept.prints.length;
    const originBytes = origin === undefined ? 0 : 2 + 3 * origin.length;
    const start = this.#begin(
      FIXED_COMMIT_BYTES + 3 * (mark.id.length + mark.client.length) + originBytes + changeBytes,
    );
    const flags = (kept === undefined ? 0 : WITH_CHANGE) | (origin === undefined ? 0 : WITH_ORIGIN);
    this.#buffer[this.#at++] = kind | flags;
    this.#double(revision.ino);
    this.#double(revision.size);
    this.#double(revision.mtimeMs);
    this.#double(mark.sequence);
    this.#double(replaced?.ino ?? 0);
    this.#double(replaced?.size ?? 0);
    this.#double(replaced?.mtimeMs ?? 0);
    const lengthAt = this.#at++;
    this.#buffer[lengthAt] = this.#text(mark.client);
    if (origin !== undefined) this.#longText(origin);
    if (kept !== undefined) this.#change(mark.id, kept);
    else this.#text(mark.id);
    this.#end(start);
  }

  noteEnded(id: string, whenMs: number): void {
    const start = this.#begin(1 + 8 + 3 * id.length);
    this.#buffer[this.#at++] = KIND.ended;
    this.#double(whenMs);
    this.#text(id);
    this.#end(start);
  }

  /** Appends to a file of `size` bytes and returns its new size. When that fails, the file is as it was and no record is forgotten. */
  appendTo(fd: number, size: number): number {
    this.#view.setUint32(0, this.#at - LENGTH_BYTES, true);
    try {
      for (let at = 0; at < this.#at; ) at += writeSync(fd, this.#buffer, at, this.#at - at, size + at);
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
    const end = size + this.#at;
    this.#at = LENGTH_BYTES;
    if (this.#buffer.length > MAX_KEPT_BATCH_BYTES) this.#use(Buffer.allocUnsafeSlow(BATCH_BYTES));
    return end;
  }

  #begin(bytes: number): number {
    if (this.#at + LENGTH_BYTES + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.#at + LENGTH_BYTES + bytes));
      this.#buffer.copy(larger, 0, 0, this.#at);
      this.#use(larger);
    }
    const start = this.#at;
    this.#at += LENGTH_BYTES;
    return start;
  }

  #use(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer);
  }

  #change(id: string, { whenMs, delta, prints }: JournaledChange): void {
    this.#longText(id);
    this.#double(whenMs);
    this.#uint(delta.length);
    this.#at += delta.copy(this.#buffer, this.#at);
    for (const { old, young } of prints) {
      this.#uint(old.low);
      this.#uint(old.high);
      this.#uint(young.low);
      this.#uint(young.high);
    }
  }

  #end(start: number): void {
    this.#view.setUint32(start, this.#at - start - LENGTH_BYTES, true);
  }

  #double(value: number): void {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #uint(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  /** Behind its length. */
  #longText(value: string): void {
    const lengthAt = this.#at;
    this.#at += 2;
    this.#view.setUint16(lengthAt, this.#text(value), true);
  }

  /** As UTF-8. Returns how many bytes that are. */
  #text(value: string): number {
    const start = this.#at;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code > MAX_ASCII) {
        this.#at = start + this.#buffer.write(value, start, "utf8");
        return this.#at - start;
      }
      this.#buffer[this.#at++] = code;
    }
    return this.#at - start;
  }
}

export class Journal {
  readonly #path: string;
  readonly #snapshot: () => Iterable<readonly [string, number]>;
  readonly #batch = new Batch();
  #fd: number;
  #size: number;
  /** Bytes the file was begun with. */
  #firstSize: number;

  /**
   * Begins a new file with those records of the old one that still count. The old file may end in the middle of a record, and names commits
   * that were lost in a crash: nothing is appended to it, and the new file takes its place in one step.
   *
   * @param applied the commits that were applied: their workers may still send them again.
   * @param snapshot the ended sessions that still count, now and whenever a new file is begun.
   */
  constructor(path: string, applied: readonly JournaledCommit[], snapshot: () => Iterable<readonly [string, number]>) {
    this.#path = path;
    this.#snapshot = snapshot;
    const first = new Batch();
    for (const commit of applied.slice(-MAX_CARRIED_COMMITS)) first.noteCommit(KIND.carried, commit, commit);
    [this.#fd, this.#size] = this.#writeNewFile(first, () => {
      renameSync(`${path}.new`, path);
      rmSync(`${path}.old`, { force: true });
    });
    this.#firstSize = this.#size;
  }

  noteCommit(mark: CommitMark, written: Written): void {
    this.#batch.noteCommit(KIND.commit, mark, written);
  }

  /** Goes with the next append: what is written now says so already. */
  noteEnded(id: string, whenMs: number): void {
    this.#batch.noteEnded(id, whenMs);
  }

  noteCancelled(mark: CommitMark, revision: Revision): void {
    this.#batch.noteCommit(KIND.cancelled, mark, { revision });
  }

  /** Writes that a session has ended. On a full disk an end must not fail for want of room: `makeRoom` removes the session's files. */
  end(id: string, whenMs: number, makeRoom: () => void): void {
    this.#batch.noteEnded(id, whenMs);
    try {
      this.append();
    } catch {
      // Whatever the system error: the second try meets it again.
      makeRoom();
      this.append();
    }
  }

  /** Writes all noted records with one call. Throws the system's error, and keeps the records then. */
  append(): void {
    if (this.#batch.isEmpty) return;
    if (this.#size - this.#firstSize > Math.max(MIN_GROWTH_BYTES, this.#firstSize)) this.#beginNewFile();
    this.#size = this.#batch.appendTo(this.#fd, this.#size);
  }

  /** Gives the file its name back when somebody took it, a cleaner of `/tmp` say: without it the next daemon would know nothing. One stat. */
  keepName(): void {
    if (statSync(this.#path, { throwIfNoEntry: false }) !== undefined) return;
    const told = Buffer.allocUnsafe(this.#size);
    readSync(this.#fd, told, 0, told.length, 0);
    const fd = openSync(`${this.#path}.new`, "w+", 0o600);
    try {
      writeFileSync(fd, told);
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    const nameless = this.#fd;
    this.#fd = fd;
    closeSync(nameless);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The full file stays as `.old`, for commits whose answers may still be on their way; the ended sessions are copied. */
  #beginNewFile(): void {
    const [fd, size] = this.#writeNewFile(new Batch(), () => {
      // An earlier try may have failed between the two renames.
      if (existsSync(this.#path)) renameSync(this.#path, `${this.#path}.old`);
      renameSync(`${this.#path}.new`, this.#path);
    });
    const full = this.#fd;
    this.#fd = fd;
    this.#size = size;
    this.#firstSize = size;
    closeSync(full);
  }

  /** Calls `name`, which renames the files, when all is written. Nothing stays open when anything fails. */
  #writeNewFile(first: Batch, name: () => void): [fd: number, size: number] {
    const fd = openSync(`${this.#path}.new`, "w+", 0o600);
    try {
      let size = 0;
      for (const [id, whenMs] of this.#snapshot()) {
        first.noteEnded(id, whenMs);
        if (first.isFull) size = first.appendTo(fd, size);
      }
      if (!first.isEmpty) size = first.appendTo(fd, size);
      name();
      return [fd, size];
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

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
  const kind = flags & ~(WITH_CHANGE | WITH_ORIGIN);
  const originEnd = (flags & WITH_ORIGIN) === 0 ? clientEnd : endOfLongText(record, clientEnd);
  const origin = record.toString("utf8", clientEnd + 2, originEnd);
  const commit: JournaledCommit = {
    revision: revisionAt(record, 1),
    sequence: record.readDoubleLE(25),
    replaced: record.readDoubleLE(33) === 0 ? undefined : revisionAt(record, 33),
    client: record.toString("latin1", FIXED_COMMIT_BYTES, clientEnd),
    ...((flags & WITH_CHANGE) === 0 ? { id: record.toString("utf8", originEnd) } : changeAt(record, originEnd)),
    ...(isSessionId(origin) ? { origin } : {}),
    isLast: isLast && kind === KIND.commit,
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
