// Whether something cleans up where the root is: systemd-tmpfiles, tmpreaper, tmpwatch. Reads their settings as they do, as far as it takes to
// know whether they would come to the root.

import { quoted } from "../../cli/terminal/shell.ts";
import type { CleanerFacts, Facts } from "./facts.ts";
import type { Check } from "./finding.ts";

/** Lines of these types clean what is in a directory once it is older than their age. */
const CLEANING = /^[dDevqQC]/;
/** Lines of this type keep a path and what is in it from being cleaned. */
const EXEMPTING = /^x/;
/** What a line of this type names is emptied when the machine starts. */
const EMPTYING = /^[DR]/;

interface Line {
  readonly file: string;
  readonly type: string;
  readonly path: string;
  readonly age: string;
}

export const CLEANERS: Check = {
  name: "cleaners",
  isOf: "files",
  fine: ({ root }) =>
    root.kind === "directory" ? "nothing that is known removes by age what is in the root" : undefined,
  rows: [
    {
      name: "systemd-tmpfiles",
      state: "warning",
      look: (facts) => {
        const line = facts.cleaners.hasSystemd ? cleaningLine(facts) : undefined;
        return line && `systemd-tmpfiles removes from ${line.path} what was not used for ${line.age} (${line.file}).`;
      },
      remedy: exempt,
    },
    {
      name: "tmpreaper",
      state: "warning",
      look: ({ cleaners, places }) => {
        const file = cleaners.reapers.find(({ text }) => isReaped(text, places.root));
        return (
          file &&
          `tmpreaper or tmpwatch removes from above ${places.root} what was not used for some days (${file.path}).`
        );
      },
      remedy: ({ places }) => ({
        advice: `In /etc/tmpreaper.conf: TMPREAPER_PROTECT_EXTRA='${places.root}/*', or choose a root elsewhere. tmpwatch: --exclude-path=${places.root}.`,
      }),
    },
    {
      name: "at-start",
      state: "note",
      look: (facts) => {
        const line = facts.cleaners.hasSystemd ? emptyingLine(facts) : undefined;
        return line && `${line.path} is emptied when the machine starts (${line.file}): all sessions end then.`;
      },
      remedy: () => ({ advice: "Where they are to outlive that, choose a root elsewhere: --root DIR." }),
    },
  ],
};

function exempt({ places }: Facts): { readonly advice: string; readonly command: string } {
  const kept = /^\/tmp\/gambas\.\d+$/.test(places.root) ? "/tmp/gambas.*" : places.root;
  return {
    advice: "Exempt it, or choose a root elsewhere: --root DIR.",
    command: `echo ${quoted(`x ${kept}`)} | sudo tee /etc/tmpfiles.d/gambas-session.conf`,
  };
}

/** Of the lines for a path the deepest one counts. */
function cleaningLine({ cleaners, places }: Facts): Line | undefined {
  const lines = linesOf(cleaners);
  if (lines.some(({ type, path }) => EXEMPTING.test(type) && isExempting(path, places.root))) return undefined;
  const above = lines.filter(({ type, path }) => CLEANING.test(type) && isWithin(places.root, path));
  const deepest = above.sort((one, other) => other.path.length - one.path.length)[0];
  return deepest?.age === "" ? undefined : deepest;
}

function emptyingLine({ cleaners, places }: Facts): Line | undefined {
  return linesOf(cleaners).find(({ type, path }) => EMPTYING.test(type) && isWithin(places.root, path));
}

function linesOf({ tmpfiles }: CleanerFacts): readonly Line[] {
  return tmpfiles.flatMap(({ path: file, text }) =>
    text.split("\n").flatMap((row) => {
      const [type = "", path = "", , , , age = "-"] = row.trim().split(/\s+/);
      if (!/^[A-Za-z]/.test(type) || path === "") return [];
      return [{ file, type, path: path.replace(/(.)\/+$/, "$1"), age: age === "-" ? "" : age.replace(/^~/, "") }];
    }),
  );
}

/** `pattern` may have wild cards, as a shell knows them; it stands for what is below as well. */
function isWithin(path: string, pattern: string): boolean {
  const names = pattern.split("/");
  const head = path.split("/").slice(0, names.length);
  return head.length === names.length && names.every((name, at) => isLike(head[at] ?? "", name));
}

function isLike(name: string, pattern: string): boolean {
  const expression = pattern
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  try {
    return new RegExp(`^${expression}$`).test(name);
  } catch {
    // A pattern that is none: nothing is like it.
    return false;
  }
}

/** Settings of tmpreaper, which cleans /tmp where they name nothing else; or a script that runs tmpwatch on what it names. */
function isReaped(text: string, root: string): boolean {
  const lines = text.split("\n").filter((line) => !/^\s*#/.test(line));
  // As the package comes: its daily job only warns.
  if (lines.some((line) => /^\s*SHOWWARNING=['"]?(?:true|yes)/.test(line))) return false;
  if (valuesOf("TMPREAPER_PROTECT_EXTRA", lines).some((pattern) => isExempting(pattern, root))) return false;
  const words = lines.filter((line) => /\btmpwatch\b/.test(line)).flatMap((line) => line.split(/[\s=]+/));
  if (words.some((word, at) => /^(?:-x|--exclude)/.test(words[at - 1] ?? "") && isExempting(word, root))) return false;
  const named = [...valuesOf("TMPREAPER_DIRS", lines), ...words.filter((word) => word.startsWith("/"))];
  const folders = named.length > 0 ? named : ["/tmp/."];
  return folders.some((folder) => isWithin(root, folder.replace(/\/\.$/, "")));
}

function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  const found = lines.map((line) => new RegExp(`^\\s*${name}=['"]?([^'"]*)`).exec(line)?.[1] ?? "");
  return found.flatMap((value) => value.split(/\s+/)).filter((word) => word !== "");
}

function isExempting(pattern: string, root: string): boolean {
  return isWithin(root, pattern) || isWithin(`${root}/session`, pattern);
}
