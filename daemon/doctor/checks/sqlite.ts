// What sessions in databases need beside the root: a library, the guard, and a file system on which databases and their locks work.

import { flagsOf } from "../../cli/terminal/shell.ts";
import type { Facts, Need } from "./facts.ts";
import type { Check, Remedy } from "./finding.ts";
import { anotherRoot } from "./storage.ts";

export const SQLITE: Check = {
  name: "sqlite",
  isOf: "databases",
  fine: ({ sqlite, daemon }) => {
    if (sqlite === undefined) return undefined;
    const { library } = sqlite;
    const what = "has" in library ? library.has : "this Node has none, the daemon's does";
    const whose = daemon.kind === "answers" && sqlite.daemonHasGuard === true ? "the daemon's" : "the";
    return `${what}; ${whose} guard keeps saves of Gambas programs whole`;
  },
  rows: [
    {
      name: "no-library",
      state: "problem",
      // One that runs has found it, by another Node.
      look: ({ sqlite, daemon }) =>
        sqlite === undefined || daemon.kind === "answers" ? undefined : lackOf(sqlite.library, (why) => `${why}.`),
      remedy: ({ sqlite }) => installed(sqlite?.library, "No daemon starts until then."),
    },
    {
      name: "no-guard",
      state: "warning",
      look: ({ sqlite }) =>
        sqlite === undefined || sqlite.daemonHasGuard === true
          ? undefined
          : lackOf(
              sqlite.guard,
              (why) =>
                `There is no guard, which keeps saves of Gambas programs whole (${why}): nothing is written while one of this user runs, and changes fail with ERR_SESSION_BUSY.`,
            ),
      remedy: ({ sqlite }) =>
        installed(sqlite?.guard, "Run no Gambas program beside it, or replace the daemon when that is installed."),
    },
    {
      name: "daemon-without-guard",
      state: "warning",
      look: ({ sqlite }) =>
        sqlite?.daemonHasGuard === false && "has" in sqlite.guard
          ? "The daemon began before there was a guard (koffi), and goes without: it writes nothing while a Gambas program of this user runs."
          : undefined,
      remedy: ({ places }) => ({
        advice: "Replace it; no request fails by that.",
        command: `gambas-sessiond --takeover ${flagsOf(places)}`,
      }),
    },
    {
      name: "no-log",
      state: "problem",
      look: (facts) => lackIn(facts, "log"),
      remedy: anotherRoot,
    },
    {
      name: "no-locks",
      state: "problem",
      look: (facts) => lackIn(facts, "locks"),
      remedy: anotherRoot,
    },
  ],
};

function lackOf(need: Need, said: (why: string) => string): string | undefined {
  return "lacks" in need ? said(need.lacks.why) : undefined;
}

function installed(need: Need | undefined, advice: string): Remedy {
  const command = need !== undefined && "lacks" in need ? need.lacks.command : undefined;
  return command === undefined ? { advice } : { advice, command };
}

function lackIn({ features }: Facts, feature: string): string | undefined {
  const lack = features.lacks.find((one) => one.feature === feature);
  return lack && `On the file system of session/ ${lack.words}.`;
}
