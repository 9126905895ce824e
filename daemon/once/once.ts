// The door to what makes a commit happen once: which commits were applied lately, and what a new daemon must know of the one before.

export { AppliedCommits } from "./applied-commits.ts";
export { Journal } from "./journal.ts";
export type { CommitMark, JournaledChange, JournaledCommit } from "./records.ts";
export { replayJournal, withoutOldChanges } from "./replay.ts";
