// The changes that the daemon before this one made lately in sessions that other programs may have had loaded. The first look at such a session
// compares the file with it: a stale save may have come after the old daemon's end and before that look. Filled once, from the journal.

import { SessionError } from "../../protocol/errors.ts";
import { changesOf, encodeDelta } from "../../protocol/image/image.ts";
import type { ChangedValues } from "./prints.ts";

/** A commit of the daemon before, with its changes if Gambas programs were running then. */
export interface EarlierCommit {
  readonly id: string;
  readonly change?: ChangedValues | undefined;
}

export interface InheritedChange {
  /** Every key that was changed, with its last value. */
  readonly delta: Buffer;
  /** When the last of it was written (Unix ms). */
  readonly writtenMs: number;
}

interface Collected {
  readonly values: Map<string, Buffer | undefined>;
  /** Those that were deleted and set again: they are the last ones. */
  readonly moved: Set<string>;
  writtenMs: number;
}

export class InheritedChanges {
  readonly #sessions = new Map<string, Collected>();
  readonly #keepMs: number;

  constructor(commits: readonly EarlierCommit[], keepMs: number) {
    this.#keepMs = keepMs;
    for (const { id, change } of commits) {
      const changes = change && splitIfWhole(change.delta);
      if (change === undefined || changes === undefined) continue;
      const collected = this.#sessions.get(id) ?? { values: new Map(), moved: new Set(), writtenMs: 0 };
      for (const [key, value] of changes) note(collected, key, value);
      collected.writtenMs = change.whenMs;
      this.#sessions.set(id, collected);
    }
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Forgets changes too old to matter: most sessions of that time may never be asked for again. */
  prune(nowMs: number): void {
    for (const [id, { writtenMs }] of this.#sessions) if (!this.#mayMatter(writtenMs, nowMs)) this.#sessions.delete(id);
  }

  #mayMatter(writtenMs: number, nowMs: number): boolean {
    return nowMs - writtenMs < this.#keepMs;
  }

  /** The file has been compared with it, and holds it now. */
  forget(id: string): void {
    this.#sessions.delete(id);
  }

  /** The change that the file is to be compared with; undefined where there is none, or it is too old to matter. */
  find(id: string, nowMs: number): InheritedChange | undefined {
    const collected = this.#sessions.get(id);
    if (collected === undefined) return undefined;
    const { values, moved, writtenMs } = collected;
    return this.#mayMatter(writtenMs, nowMs) ? { delta: encodeDelta(values, moved), writtenMs } : undefined;
  }
}

function note({ values, moved }: Collected, key: string, value: Buffer | undefined): void {
  if (value !== undefined && values.has(key) && values.get(key) === undefined) {
    values.delete(key);
    moved.add(key);
  }
  values.set(key, value);
}

/** The journal is not flushed: after a loss of power it may hold anything. */
function splitIfWhole(delta: Buffer): ReturnType<typeof changesOf> | undefined {
  try {
    return changesOf(delta);
  } catch (error) {
    if (error instanceof SessionError) return undefined;
    throw error;
  }
}
