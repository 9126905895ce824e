// The records of the journal: their format, and the batch in which they are gathered until they are appended.
//
// A record: u32 length, u8 kind, then
//   commit     f64 ino, f64 size, f64 mtimeMs, f64 sequence, the revision it is to replace (ino, size, mtimeMs; 0 where there is none),
//              u8 length + client, the rest: id
//   cancelled  the same, for a commit whose publication failed
//   carried    the same, for one that an earlier daemon had applied
//   undecided  the same, for one of which an earlier daemon could not find out yet whether that was published
//   ended      f64 when (Unix ms), the rest: id
// While Gambas programs run, a commit also tells what it changed, so that the next daemon can put right what a stale save undoes: bit 7 of its kind
// is set then, and behind the client come u16 length + id, f64 when (Unix ms), u32 length + delta, and for each key two fingerprints
// (two u32 each): that of the value before and that of the new one.
// A commit by which a session goes on under another id has bit 6 set, and behind the client come u16 length + the id that it had. Where the new one
// was published the old one has ended with that: one record for both, so that there is no moment between them.
// A commit that is to be written into the session's file itself has bit 5 set, and just behind the client comes the checksum (u32) of the file's
// new bytes: a kill between them and their time stamp leaves a revision that no record names.

import { ftruncateSync, writeSync } from "node:fs";
import type { Revision } from "../store/store.ts";

export const KIND = { commit: 1, cancelled: 2, ended: 3, carried: 4, undecided: 5 } as const;
/** Set in the kind of a record: what else it holds. */
export const FLAG = {
  /** What the commit changed. */
  change: 0x80,
  /** The session whose place this one takes. */
  origin: 0x40,
  /** Of a commit in place: the new bytes. */
  checksum: 0x20,
} as const;
/** Larger deltas are not kept: the journal would be begun anew all the time. */
const MAX_DELTA_BYTES = 64 * 1024;
export const LENGTH_BYTES = 4;
/** Size of the buffer that records are gathered in. One that had to grow is kept up to the second size; a writer of many records appends before. */
const BATCH_BYTES = 64 * 1024;
const MAX_KEPT_BATCH_BYTES = 1024 * 1024;
const MAX_ASCII = 0x7f;
export const FIXED_COMMIT_BYTES = 1 + 24 + 8 + 24 + 1;

export interface CommitMark {
  readonly id: string;
  readonly client: string;
  readonly sequence: number;
}

/** 64 bits that stand for a value of one key. */
export interface Fingerprint {
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

export interface Written {
  readonly revision: Revision;
  readonly replaced?: Revision | undefined;
  /** Of the new bytes, where they go into the session's file itself. */
  readonly checksum?: number | undefined;
  readonly change?: JournaledChange | undefined;
  /** The session whose place this one takes. */
  readonly origin?: string | undefined;
}

export interface JournaledCommit extends CommitMark, Written {
  /** The commit stands in the last append before the end, or nobody could find out since: it may not have become visible. */
  readonly isLast: boolean;
}

export interface Replay {
  readonly commits: readonly JournaledCommit[];
  readonly ended: ReadonlyMap<string, number>;
}

/** Records that are written with one call, behind their common length. */
export class Batch {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  /** The same memory: numbers are written without a call into the runtime. */
  #view = new DataView(this.#buffer.buffer);
  #at = LENGTH_BYTES;

  get isEmpty(): boolean {
    return this.#at === LENGTH_BYTES;
  }

  /** What was noted until now: `takeBack` leaves nothing else. */
  get mark(): number {
    return this.#at;
  }

  /** @param mark since which nothing has been appended. */
  takeBack(mark: number): void {
    this.#at = mark;
  }

  /** Whether it is time to append: a larger batch would only take memory. */
  get isFull(): boolean {
    return this.#at >= MAX_KEPT_BATCH_BYTES / 2;
  }

  noteCommit(kind: number, mark: CommitMark, { revision, replaced, checksum, change, origin }: Written): void {
    const kept = change !== undefined && change.delta.length <= MAX_DELTA_BYTES ? change : undefined;
    const changeBytes = kept === undefined ? 0 : 2 + 8 + 4 + kept.delta.length + 16 * kept.prints.length;
    const originBytes = origin === undefined ? 0 : 2 + 3 * origin.length;
    const checksumBytes = checksum === undefined ? 0 : 4;
    const extraBytes = checksumBytes + originBytes + changeBytes;
    const start = this.#begin(FIXED_COMMIT_BYTES + 3 * (mark.id.length + mark.client.length) + extraBytes);
    const flags =
      (kept === undefined ? 0 : FLAG.change) |
      (origin === undefined ? 0 : FLAG.origin) |
      (checksum === undefined ? 0 : FLAG.checksum);
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
    if (checksum !== undefined) this.#uint(checksum);
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
