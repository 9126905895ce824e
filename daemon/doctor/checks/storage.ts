// What is below the root: the file system, what it lacks, record locks, space.

import { bytesText, countText } from "../../cli/terminal/figures.ts";
import { flagsOf, quoted } from "../../cli/terminal/shell.ts";
import type { DiskFacts, Facts, Lack } from "./facts.ts";
import type { Check } from "./finding.ts";

const IN_MEMORY: readonly string[] = ["tmpfs", "ramfs"];
const OF_WINDOWS: readonly string[] = ["vfat", "msdos", "exfat"];
const OF_NETWORKS = /^(?:nfs\d*|cifs|smb3|smbfs|9p|ceph|afs|glusterfs|fuse\.(?:sshfs|glusterfs|cephfs|s3fs).*)$/;

/** Nothing can be written with less. */
const FULL_BYTES = 1_000_000;
const FULL_FILES = 10;
/** From here on somebody should look, where it is little of the whole as well. */
const LOW_BYTES = 64_000_000;
const LOW_FILES = 1_000;
const LOW_PART = 0.1;
/** `session/` elsewhere is seen without any trial; record locks, and what databases need, have checks of their own. */
const TOLD_APART: readonly string[] = ["recordLocks", "sameMount", "log", "locks"];
/** How it is known what a file system has. */
const SOURCES = {
  daemon: "as the daemon has tried",
  trial: "tried now in a temporary folder",
  inside: "tried now in a folder of the root that is gone again",
} as const;

export const FILE_SYSTEM: Check = {
  name: "file system",
  isOf: "files",
  fine: ({ disk, features }) => {
    if (disk === undefined) return undefined;
    const where = `${disk.type} on ${disk.mountPoint}`;
    if (features.source === "unknown" || features.lacks.length > 0) return where;
    return `${where}, has all that is used (${SOURCES[features.source]})`;
  },
  rows: [
    {
      name: "read-only",
      state: "problem",
      look: ({ disk }) =>
        disk?.options.includes("ro") === true ? `${disk.mountPoint} is mounted read-only.` : undefined,
      remedy: ({ disk }) => ({
        advice: "The log of the kernel (dmesg) may say why.",
        command: `sudo mount -o remount,rw ${quoted(disk?.mountPoint ?? "/")}`,
      }),
    },
    {
      name: "of-windows",
      state: "problem",
      look: ({ disk }) =>
        isOf(disk, OF_WINDOWS)
          ? `${disk?.type} takes no colons in names or keeps no modes: no daemon starts there.`
          : undefined,
      remedy: anotherRoot,
    },
    {
      name: "network",
      state: "warning",
      look: ({ disk }) =>
        disk !== undefined && OF_NETWORKS.test(disk.type)
          ? `${disk.type} reaches over a network: sessions are for the processes of one machine, and no other may use this root.`
          : undefined,
      remedy: anotherRoot,
    },
    {
      name: "in-memory",
      state: "note",
      look: ({ disk }) =>
        isOf(disk, IN_MEMORY) ? `${disk?.type} is memory: when the machine stops, all sessions end.` : undefined,
      remedy: () => ({ advice: "Where they are to outlive that, choose a root on a disk: --root DIR." }),
    },
    {
      name: "session-elsewhere",
      state: "note",
      look: ({ disk }) =>
        disk?.sessionsElsewhere === true
          ? "session/ is on another file system than the root: Gambas programs lose the sessions that they save there."
          : undefined,
      remedy: () => ({ advice: "Where Gambas programs share the root, put session/ into it." }),
    },
    {
      name: "lacks",
      state: "note",
      look: ({ features }) => {
        const lacks = features.lacks.filter(({ feature }) => !TOLD_APART.includes(feature));
        return lacks.length === 0 ? undefined : `What it lacks is done in another way: ${wordsOf(lacks)}.`;
      },
    },
    {
      name: "untried",
      state: "note",
      look: ({ features, root }) =>
        features.source === "unknown" && root.kind === "directory"
          ? `What it can do was not tried: ${features.reason}.`
          : undefined,
      remedy: ({ places }) =>
        places.type !== "sqlite"
          ? {
              advice: "A daemon tries it at its start: ask again when one runs.",
              command: `gambas-sessiond ${flagsOf(places)}`,
            }
          : { advice: "Ask again when that is mended." },
    },
  ],
};

export const RECORD_LOCKS: Check = {
  name: "record locks",
  isOf: "whole files",
  fine: ({ features }) =>
    features.source === "unknown" ? undefined : "Gambas programs and the daemon keep each other out",
  rows: [
    {
      name: "not-loaded",
      state: "warning",
      look: ({ here }) =>
        here.nativeProblem === undefined
          ? undefined
          : `Record locks do not load: ${here.nativeProblem}. What a Gambas program saves in the same moment may be lost.`,
      remedy: () => ({
        advice: "Run no Gambas program beside it, or install the package again.",
        command: "npm install gambas-session",
      }),
    },
    {
      name: "lacking",
      state: "warning",
      look: ({ features, here }) => {
        const lack = features.lacks.find(({ feature }) => feature === "recordLocks");
        return lack === undefined || here.nativeProblem !== undefined
          ? undefined
          : `On this file system ${lack.words}.`;
      },
      remedy: anotherRoot,
    },
  ],
};

export const SPACE: Check = {
  name: "space",
  isOf: "files",
  fine: ({ disk }) => {
    if (disk === undefined) return undefined;
    const files = disk.totalFiles === 0 ? "" : `, room for ${countText(disk.freeFiles)} files`;
    return `${bytesText(disk.freeBytes)} free of ${bytesText(disk.totalBytes)}${files}`;
  },
  rows: [
    {
      name: "full",
      state: "problem",
      look: ({ disk }) =>
        disk !== undefined && disk.freeBytes < FULL_BYTES
          ? `${disk.mountPoint} is full: ${bytesText(disk.freeBytes)} free of ${bytesText(disk.totalBytes)}. No session can be written.`
          : undefined,
      remedy: makeRoom,
    },
    {
      name: "low",
      state: "warning",
      look: ({ disk }) =>
        disk !== undefined && disk.freeBytes >= FULL_BYTES && isLow(disk.freeBytes, disk.totalBytes, LOW_BYTES)
          ? `${disk.mountPoint} is nearly full: ${bytesText(disk.freeBytes)} free of ${bytesText(disk.totalBytes)}.`
          : undefined,
      remedy: makeRoom,
    },
    {
      name: "no-files-left",
      state: "problem",
      look: ({ disk }) =>
        disk !== undefined && disk.totalFiles > 0 && disk.freeFiles < FULL_FILES
          ? `${disk.mountPoint} has no inodes left: ${countText(disk.freeFiles)} of ${countText(disk.totalFiles)}. No session can be made.`
          : undefined,
      remedy: makeRoom,
    },
    {
      name: "few-files-left",
      state: "warning",
      look: ({ disk }) =>
        disk !== undefined && disk.freeFiles >= FULL_FILES && isLow(disk.freeFiles, disk.totalFiles, LOW_FILES)
          ? `${disk.mountPoint} has few inodes left: ${countText(disk.freeFiles)} of ${countText(disk.totalFiles)}.`
          : undefined,
      remedy: makeRoom,
    },
  ],
};

function isOf(disk: DiskFacts | undefined, types: readonly string[]): boolean {
  return disk !== undefined && types.includes(disk.type);
}

function isLow(free: number, total: number, low: number): boolean {
  return free < low && free < LOW_PART * total;
}

function wordsOf(lacks: readonly Lack[]): string {
  return lacks.map(({ words }) => words).join("; ");
}

export function anotherRoot(): { readonly advice: string } {
  return { advice: "Choose a root on another file system: --root DIR." };
}

function makeRoom({ places }: Facts): { readonly advice: string; readonly command: string } {
  return {
    advice: "Make room; of sessions those go whose time is over.",
    command: `gambas-sessiond sweep --root ${quoted(places.root)}`,
  };
}
