// Gambas beside the daemon: what is installed, what runs, and whether both sides keep their sessions in the same place and dialect.

import { countOf } from "../../cli/terminal/figures.ts";
import { quoted } from "../../cli/terminal/shell.ts";
import type { Facts, Interpreter } from "./facts.ts";
import type { Check } from "./finding.ts";
import { isForeign } from "./root.ts";

/** So many are named. */
const MAX_NAMED = 3;
/** Its gb.web loads gb.db2 in place of gb.db (GAMBAS.md 6). */
const BROKEN_SQLITE = /^3\.22\.0(?!\d)/;

export const GAMBAS: Check = {
  name: "gambas",
  isOf: "files",
  fine: (facts) => {
    const { gambas, daemon } = facts;
    const { installed, programs, isTheirRoot } = gambas;
    if (installed.length === 0 && programs.length === 0) return "no Gambas was found here";
    const versions = installed.map(
      ({ path, version }) => `${version === "" ? "of unknown version" : version} (${path})`,
    );
    const running = isTheirRoot && programs.length === 0 && !isForeign(facts) ? ", no program of this user runs" : "";
    const told = daemon.kind === "answers" ? daemon.told.gambas : undefined;
    const dialect = told === undefined ? "" : `; sessions with references are written for ${told}`;
    return `${versions.join(", ") || "no interpreter in PATH"}${running}${dialect}`;
  },
  rows: [
    {
      name: "running",
      state: "note",
      look: ({ gambas }) =>
        gambas.isTheirRoot && gambas.programs.length > 0
          ? `Programs that share this root: ${named(gambas.programs.map(({ pid, name }) => `${name} (pid ${pid})`))}.`
          : undefined,
    },
    {
      name: "other-root",
      state: "note",
      look: ({ gambas, root }) =>
        !gambas.isTheirRoot && gambas.programs.length > 0
          ? `${countOf(gambas.programs.length, "Gambas program")} of this user ${areOf(gambas.programs.length)} running and cannot see this root: Gambas knows /tmp/gambas.${root.uid} alone.`
          : undefined,
      remedy: ({ root }) => ({
        advice: "Where they are to share sessions, use their root.",
        command: `unset GAMBAS_SESSION_ROOT  # which is /tmp/gambas.${root.uid}`,
      }),
    },
    {
      name: "two-dialects",
      state: "warning",
      look: ({ gambas }) =>
        gambas.isTheirRoot && new Set(gambas.installed.flatMap(dialectsOf)).size > 1
          ? "Both a Gambas up to 3.18 and one from 3.19 on are installed: the older one cannot read what the newer one saves."
          : undefined,
      remedy: () => ({
        advice: "Let programs that share sessions run on one of them, and name it to the daemon.",
        command: "gambas-sessiond --takeover --gambas 3.18  # or 3.19",
      }),
    },
    {
      name: "wrong-dialect",
      state: "warning",
      look: (facts) => {
        const written = writtenDialect(facts);
        const read = [...new Set(facts.gambas.installed.flatMap(dialectsOf))];
        return facts.gambas.isTheirRoot && written === "3.19" && read.length === 1 && read[0] === "3.18"
          ? `Sessions in which an object occurs twice are written for Gambas 3.19 and later, and the installed ${versionsOf(facts.gambas.installed)} cannot read them.`
          : undefined;
      },
      remedy: () => ({
        advice: "Name the older one to the daemon.",
        command: "gambas-sessiond --takeover --gambas 3.18",
      }),
    },
    {
      name: "broken-sqlite",
      state: "warning",
      look: ({ gambas, places, others }) => {
        const broken = gambas.installed.filter(({ version }) => BROKEN_SQLITE.test(version));
        const matters = places.type === "sqlite" || (others.type === "sqlite" && others.count > 0);
        return gambas.isTheirRoot && matters && broken.length > 0
          ? `Type sqlite of the installed ${versionsOf(broken)} is broken: no other program can load what it saves, unless its project has the component gb.db.`
          : undefined;
      },
      remedy: () => ({
        advice: "Add that component to the projects that share sessions, or install another version.",
        command: "echo Component=gb.db >>PROJECT/.project",
      }),
    },
    {
      name: "left-directories",
      state: "note",
      look: ({ gambas }) =>
        gambas.left.length === 0
          ? undefined
          : `${countOf(gambas.left.length, "directory", "directories")} of Gambas programs that do not run any more: ${named(gambas.left)}.`,
      remedy: ({ gambas, places }) => ({
        advice: "They were killed. What they left may go.",
        command: `rm -r ${gambas.left
          .slice(0, MAX_NAMED)
          .map((name) => quoted(`${places.root}/${name}`))
          .join(" ")}`,
      }),
    },
  ],
};

export function named(names: readonly string[], most = MAX_NAMED): string {
  const more = names.length > most ? [`${names.length - most} more`] : [];
  return [...names.slice(0, most), ...more].join(", ");
}

function areOf(count: number): string {
  return count === 1 ? "is" : "are";
}

function versionsOf(installed: readonly Interpreter[]): string {
  return installed.map(({ version }) => version).join(", ");
}

/** None where it is not known. */
function dialectsOf({ version }: Interpreter): readonly ("3.18" | "3.19")[] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return [];
  const isOld = Number(major) < 3 || (Number(major) === 3 && Number(minor) < 19);
  return [isOld ? "3.18" : "3.19"];
}

/** As the daemon says it, with the reason behind it. */
function writtenDialect({ daemon }: Facts): string | undefined {
  return daemon.kind === "answers" ? daemon.told.gambas?.split(" ", 1)[0] : undefined;
}
