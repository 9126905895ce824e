// Stands for the programs that share a store, where no program but ours can: nobody is ever there, and nothing is known of anybody.

import type { ForeignPrograms } from "../store/store.ts";

export const NOBODY: ForeignPrograms = {
  look: (clock) => ({ atMs: clock(), isAnybodyThere: false }),
  whoReplaced: () => ({ mayHaveRunAt: () => true, mayHaveComeSince: () => true }),
  wasRead: () => undefined,
  isOurFile: () => false,
  noteSave: () => undefined,
  dialect: "3.19",
  dialectInWords: "nobody reads what is written",
};
