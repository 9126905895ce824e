// The sessions themselves, as far as a look at their files tells, those of the other type that has files in the root, and who uses them.

import { countOf, countText, spanText } from "../../cli/terminal/figures.ts";
import { flagsOf, quoted } from "../../cli/terminal/shell.ts";
import type { Application, ApplicationFacts, Facts, Oddity, SessionFacts } from "./facts.ts";
import type { Check } from "./finding.ts";
import { named } from "./gambas.ts";
import { isForeign } from "./root.ts";

/** So many are named with what is wrong with them. */
const MAX_TOLD = 2;

/** Nobody comes back to one that was not used for longer: it is what sessions live when nobody says otherwise. */
const LIVE_MS = 86_400_000;
/** Who keeps sessions of a type, and how that is changed. */
const WHOSE = {
  sqlite:
    'a Gambas program that never sets Session.Type. Let it say Session.Type = "file" before it uses a session, or let Node keep its sessions there, too',
  file: 'a Gambas program that says Session.Type = "file", or a Node without the option type. Let all say the same, or let Node keep its sessions there, too',
} as const;

export const SESSIONS: Check = {
  name: "sessions",
  isOf: "files",
  fine: ({ sessions, root, places }) => {
    if (sessions.problem !== "" || root.kind !== "directory") return undefined;
    if (sessions.count === 0) return "none yet";
    const all = countOf(sessions.count, "session");
    // What is in a database only SQLite reads, which would make files beside it.
    const whole = places.type === "sqlite" ? "databases, as far as their heads tell" : "whole";
    if (sessions.read < sessions.count)
      return `${all}; of the ${countText(sessions.read)} that were read all are ${whole}`;
    return `${all}, all of them ${whole}`;
  },
  rows: [
    {
      name: "unseen",
      state: "problem",
      look: (facts) =>
        facts.sessions.problem === "" || isForeign(facts)
          ? undefined
          : `session/ cannot be listed: ${facts.sessions.problem}.`,
      remedy: () => ({ advice: "Mend what the system says." }),
    },
    {
      name: "damaged",
      state: "warning",
      look: ({ sessions }) => told(sessions.damaged, "session cannot be read", "sessions cannot be read"),
      remedy: (facts) => ({
        advice: `Put a copy from a backup in its place, or end it: gambas-sessiond end ID. What is wrong says`,
        command: `gambas-sessiond show ${pathOf(facts, facts.sessions.damaged)}`,
      }),
    },
    {
      name: "foreign",
      state: "warning",
      look: ({ sessions }) => told(sessions.foreign, "session is another user's", "sessions are other users'"),
      remedy: (facts) => ({
        advice: "Give it to the root's user, as after a restored backup.",
        command: `sudo chown ${facts.root.uid} ${pathOf(facts, facts.sessions.foreign)}`,
      }),
    },
    {
      name: "barred",
      state: "warning",
      look: ({ sessions }) =>
        told(
          sessions.barred,
          "session does not let its own user read and write it",
          "sessions do not let their own user read and write them",
        ),
      remedy: (facts) => ({
        advice: "Mend the mode.",
        command: `chmod 600 ${pathOf(facts, facts.sessions.barred)}`,
      }),
    },
    {
      name: "no-files",
      state: "warning",
      look: ({ sessions }) =>
        told(
          sessions.noFiles,
          "thing has the name of a session and is no file",
          "things have the name of a session and are no files",
        ),
      remedy: (facts) => ({
        advice: "Look what it is, and move it away: Gambas' Unique may loop on a directory for ever.",
        command: `ls -ld ${pathOf(facts, facts.sessions.noFiles)}`,
      }),
    },
    {
      name: "future",
      state: "warning",
      look: ({ sessions }) =>
        told(sessions.future, "session was used in the future", "sessions were used in the future"),
      remedy: () => ({
        advice:
          "The clock was set back since, or is wrong now. They live longer by as much: gambas-sessiond end ID ends one.",
        command: "date -u",
      }),
    },
    {
      name: "strays",
      state: "note",
      look: ({ sessions }) =>
        sessions.strays.length === 0
          ? undefined
          : `In session/ there is what no session is: ${named(sessions.strays.map(({ name }) => name))}.`,
    },
  ],
};

export const OTHER_TYPE: Check = {
  name: "other type",
  isOf: "files",
  fine: (facts) =>
    facts.root.kind === "directory" && !isForeign(facts) && facts.others.count === 0 && facts.sessions.problem === ""
      ? `no sessions of type ${facts.others.type} are in this root`
      : undefined,
  rows: [
    {
      name: "in-use",
      state: "warning",
      look: (facts) =>
        isUsed(facts)
          ? `${seenOf(facts)}: those of type ${facts.places.type} are others, with the same cookies.`
          : undefined,
      remedy: ({ others }) => ({
        advice: `They are of ${WHOSE[others.type]}. gambas-sessiond convert moves what is there.`,
        command: `export GAMBAS_SESSION_TYPE=${others.type}`,
      }),
    },
    {
      name: "served",
      state: "note",
      look: (facts) =>
        facts.others.count > 0 && facts.others.isServed
          ? `${seenOf(facts)}, which has a daemon of its own.`
          : undefined,
      remedy: ({ others, places }) => ({
        advice: "To look at those:",
        command: `gambas-sessiond doctor ${flagsOf({ root: places.root, type: others.type })}`,
      }),
    },
    {
      name: "left",
      state: "note",
      look: (facts) =>
        facts.others.count > 0 && !facts.others.isServed && !isUsed(facts)
          ? `${seenOf(facts)}, which nobody seems to use any more.`
          : undefined,
      remedy: ({ others, places }) => ({
        advice: "Which of them are alive, and could be moved, says:",
        command: `gambas-sessiond convert --from ${others.type} --to ${places.type} --root ${quoted(places.root)} --dry-run`,
      }),
    },
  ],
};

export const APPLICATIONS: Check = {
  name: "applications",
  fine: ({ applications, daemon }) => {
    const [only] = applications.seen;
    if (only !== undefined && applications.seen.length === 1) return `one, it seems: ${appText(only)}`;
    if (daemon.kind !== "answers") return undefined;
    const { connections } = daemon.told;
    return connections > 0
      ? `${countOf(connections, "connection")}; whose they are cannot be seen`
      : "none is connected";
  },
  rows: [
    {
      name: "several",
      state: "warning",
      look: ({ applications }) =>
        applications.seen.length > 1
          ? `${applications.seen.length} applications seem to use this root, by the folders they run in (a guess${sourceText(applications)}): ${named(applications.seen.map(appText))}. A cookie of one is a session of the other.`
          : undefined,
      remedy: () => ({
        advice: "Unless they are one, give each a root of its own.",
        command: "export GAMBAS_SESSION_ROOT=/var/lib/APPLICATION/sessions",
      }),
    },
    {
      name: "cookie-paths",
      state: "note",
      look: ({ sessions, applications }) =>
        sessions.cookiePaths.length > 1 && applications.seen.length <= 1
          ? `Sessions have different cookie paths (${named(sessions.cookiePaths)}): more than one application may use this root, which is a guess.`
          : undefined,
      remedy: () => ({
        advice: "Unless they are one, give each a root of its own.",
        command: "export GAMBAS_SESSION_ROOT=/var/lib/APPLICATION/sessions",
      }),
    },
  ],
};

function isUsed({ others, nowMs }: Facts): boolean {
  return !others.isServed && others.usedMs !== undefined && nowMs - others.usedMs < LIVE_MS;
}

function seenOf({ others, nowMs }: Facts): string {
  const { count, names, usedMs, type } = others;
  const more = count - MAX_TOLD;
  const some = [...names.slice(0, MAX_TOLD), ...(more > 0 ? [`${countText(more)} more`] : [])].join(", ");
  const used = usedMs === undefined ? "" : `, the last one used ${spanText(Math.max(0, nowMs - usedMs) / 1000)} ago`;
  return `${countOf(count, "session")} of type ${type} in session/ (${some})${used}`;
}

function told(odd: readonly Oddity[], one: string, many: string): string | undefined {
  if (odd.length === 0) return undefined;
  return `${countOf(odd.length, one, many)}: ${named(
    odd.map(({ name, why }) => `${name} (${why})`),
    MAX_TOLD,
  )}.`;
}

function pathOf({ places }: Facts, [first]: SessionFacts["damaged"]): string {
  return quoted(`${places.root}/session/${first?.name ?? ""}`);
}

function appText({ folder, pids }: Application): string {
  return `${folder} (${countOf(pids.length, "process", "processes")})`;
}

function sourceText({ source }: ApplicationFacts): string {
  return source === "files" ? ", of those that have read a session just now" : "";
}
