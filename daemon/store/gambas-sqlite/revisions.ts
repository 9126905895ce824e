// Names for the states of databases. SQLite tells that a database has changed since it was opened, and not which state it is in: each state that is met gets
// a number that no other one has, in the place of a time. A state that a commit of ours makes carries its number's mark in the database, where a
// daemon that comes after a crash finds it, whatever other programs have saved since.

const PER_MS = 1_024;
/** `PRAGMA user_version`: SQLite keeps it for applications, and Gambas neither reads nor changes it. */
const MARKS = 2 ** 31 - 1;

export class Revisions {
  /** A part of a ms by which all numbers differ from those of other daemons, as a rule: the clock may have been set back. */
  readonly #part = Math.floor(Math.random() * PER_MS) / PER_MS;
  /** As the time of a file, in ms. */
  #last = 0;

  /** Greater than all before, and not far from the clock. */
  next(): number {
    this.#last = Math.max(this.#last + 1 / PER_MS, Date.now() + this.#part);
    return this.#last;
  }
}

/** What a database holds that this commit was the last one of ours to change: from 1, and the same again after half an hour at the earliest. */
export function markOf({ mtimeMs }: { readonly mtimeMs: number }): number {
  return 1 + (Math.floor(mtimeMs * PER_MS) % MARKS);
}
