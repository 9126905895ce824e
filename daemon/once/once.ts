// The door to what makes a commit happen once: which commits were applied lately, and what a new daemon must know of the one before.

export { AppliedCommits } from "./applied-commits.ts";
export {
  type CommitMark,
  Journal,
  type JournaledChange,
  type JournaledCommit,
  replayJournal,
  withoutOldChanges,
} from "./journal.ts";
