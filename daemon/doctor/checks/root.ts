// The root directory: whether it is one that a daemon takes, and that nobody else can get at. And the user's umask.

import { flagsOf, quoted } from "../../cli/terminal/shell.ts";
import type { Facts } from "./facts.ts";
import type { Check } from "./finding.ts";

const ROOT_MODE = 0o700;
const OWNERS_BITS = 0o700;

export const ROOT: Check = {
  name: "root",
  fine: ({ root, places }) =>
    root.kind === "directory" ? `${places.root}, of user ${root.uid}, mode 0700` : undefined,
  rows: [
    {
      name: "absent",
      state: "note",
      look: ({ root, places }) =>
        root.kind === "absent" && root.closedParent === undefined
          ? `There is no ${places.root} yet: the first daemon makes it.`
          : undefined,
    },
    {
      name: "cannot-be-made",
      state: "problem",
      look: ({ root, places }) =>
        root.kind === "absent" && root.closedParent !== undefined
          ? `There is no ${places.root}, and you may make nothing in ${root.closedParent}.`
          : undefined,
      remedy: ({ places, uid }) => ({
        advice: "Make it as an administrator, or name another root.",
        command: `sudo install -d -m 700 -o ${uid ?? 0} ${quoted(places.root)}`,
      }),
    },
    {
      name: "unseen",
      state: "problem",
      look: ({ root, places }) =>
        root.kind === "unknown" ? `${places.root} cannot be looked at: ${root.problem}.` : undefined,
      remedy: () => ({ advice: "Mend what the system says, or name another root: --root DIR." }),
    },
    {
      name: "link",
      state: "problem",
      look: ({ root, places }) =>
        root.kind === "link" ? `${places.root} is a symbolic link, which no daemon takes.` : undefined,
      remedy: ({ root }) => ({
        advice: "Name the directory itself.",
        command: `export GAMBAS_SESSION_ROOT=${quoted(root.target)}`,
      }),
    },
    {
      name: "no-directory",
      state: "problem",
      look: ({ root, places }) => (root.kind === "other" ? `${places.root} is no directory.` : undefined),
      remedy: ({ places }) => ({
        advice: "Move it away, or name another root.",
        command: `mv ${quoted(places.root)} ${quoted(`${places.root}.away`)}`,
      }),
    },
    {
      name: "foreign",
      state: "problem",
      look: (facts) =>
        isForeign(facts)
          ? `${facts.places.root} belongs to user ${facts.root.uid}, not to you (${facts.uid}): no daemon of yours takes it.`
          : undefined,
      remedy: ({ root, places }) => ({
        advice: "Ask as that user, or name another root: --root DIR.",
        command: `sudo -u '#${root.uid}' gambas-sessiond doctor ${flagsOf(places)}`,
      }),
    },
    {
      name: "mode",
      state: "warning",
      look: ({ root, places }) =>
        root.kind === "directory" && root.mode !== ROOT_MODE
          ? `${places.root} has mode ${octal(root.mode)}: it is to be its user's alone. A daemon that starts, and Gambas, mend that.`
          : undefined,
      remedy: ({ places }) => ({ advice: "Mend it now.", command: `chmod 700 ${quoted(places.root)}` }),
    },
    {
      name: "open-parent",
      state: "problem",
      look: ({ root }) =>
        root.openParent === undefined
          ? undefined
          : `Others may rename what is in ${root.openParent}, and so put a root of theirs in this one's place.`,
      remedy: ({ root }) => ({
        advice: "Let nobody but its owner rename what is in there.",
        command: `sudo chmod +t ${quoted(root.openParent ?? "")}`,
      }),
    },
  ],
};

export const UMASK: Check = {
  name: "umask",
  fine: ({ process }) => (process?.umask === undefined ? undefined : `the daemon's is ${octal(process.umask)}`),
  rows: [
    {
      name: "takes-owner's-bits",
      state: "problem",
      look: ({ process }) =>
        process?.umask !== undefined && (process.umask & OWNERS_BITS) !== 0
          ? `The daemon's umask ${octal(process.umask)} takes permissions from the user's own files.`
          : undefined,
      remedy: () => ({
        advice: "Set another one in the application that the daemon runs in, before it starts it.",
        command: "umask 077",
      }),
    },
  ],
};

/** Then what cannot be looked at in it follows from that, and is not told. */
export function isForeign({ root, uid }: Facts): boolean {
  return root.kind === "directory" && uid !== undefined && root.uid !== uid;
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
