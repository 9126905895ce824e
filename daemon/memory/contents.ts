// Contents of a session in the memory of the daemon: the bytes, the revision they are of, and which revisions had the same. Immutable.
// Knows no turns, and of the bytes only stamp and life time.

import { isExpired, startupMs } from "../../protocol/image/image.ts";
import { KIND, type State } from "../../protocol/wire/wire.ts";
import { isSameRevision, type Loaded, type Revision, type SessionFiles } from "../store/store.ts";

export interface Contents {
  readonly image: Buffer;
  readonly revision: Revision;
  readonly isFleeting: boolean;
  /** The mtimes of the last revisions that had these contents: a worker that holds one of them holds the contents. */
  readonly sameAs: readonly number[];
}

/** So many stamps in a row may come between two reads of a worker that still knows its contents. */
const MAX_SAME_AS = 16;

export const ABSENT: State = { kind: KIND.absent, ino: 0, size: 0, mtimeMs: 0, startupMs: 0, image: null };

/** One literal for all, so that a million of them share one hidden class. */
export function contentsOf({ image, revision, isFleeting }: Loaded, sameAs: readonly number[]): Contents {
  return { image, revision, isFleeting, sameAs };
}

/** Whether a worker that holds the revision of this mtime holds these contents. 0: it holds none. */
export function knows(contents: Contents | undefined, mtimeMs: number): boolean {
  return contents !== undefined && mtimeMs !== 0 && contents.sameAs.includes(mtimeMs);
}

/** Tells the present revision of a session, and the time. */
export interface Present {
  readonly store: Pick<SessionFiles, "stat">;
  /** The clock, in Unix ms. */
  readonly now: () => number;
}

/** Whether the store holds these contents now, and the session's time is not over: one stat. */
export function isCurrent(contents: Contents, id: string, { store, now }: Present): boolean {
  if (contents.isFleeting || isExpired(contents.image, now())) return false;
  try {
    return isSameRevision(store.stat(id), contents.revision);
  } catch {
    // A session that cannot be looked at is not known to be current. Loading it tells the reason, to the calls that wait for it.
    return false;
  }
}

/** As it is told to a worker that holds the revision of mtime `known`. */
export function stateOf(contents: Contents, known: number): State {
  const { ino, size, mtimeMs, head } = contents.revision;
  const isKnown = knows(contents, known) && !contents.isFleeting;
  const unknownKind = contents.isFleeting ? KIND.fleeting : KIND.contents;
  const kind = isKnown ? KIND.same : unknownKind;
  const image = isKnown ? null : contents.image;
  return { kind, ino, size, mtimeMs, startupMs: startupMs(contents.image), image, head };
}

/** The mtimes that mean the contents of this revision, when they are the contents known already. */
export function sameToo(known: Contents, revision: Revision): number[] {
  return [...known.sameAs.slice(1 - MAX_SAME_AS), revision.mtimeMs];
}
