// What the machine gives the daemon: watches, descriptors, and the time.

import { countText, spanText } from "../../cli/terminal/figures.ts";
import type { Facts, WatchFacts } from "./facts.ts";
import type { Check, Remedy } from "./finding.ts";

/** A part of a limit from which on it is to be raised. */
const HIGH_PART = 0.8;
/** Three for each session that is being written, and one for each worker. */
const FEW_FILES = 1_024;
/** Clocks are slewed by less, and times are told in whole seconds. */
const MOVED_SECONDS = 5;
/** No clock that was ever set is behind this. */
const PAST_MS: number = Date.UTC(2024, 0, 1);
const MORE = 4;

export const WATCHES: Check = {
  name: "watches",
  isOf: "whole files",
  fine: ({ watches, daemon }) => {
    if (watches === undefined) return undefined;
    const heard = daemon.kind === "answers" && daemon.told.isWatching === true ? ", the daemon hears of changes" : "";
    return `${used(watches.usedInstances, watches.maxInstances)} instances of inotify, ${used(watches.usedWatches, watches.maxWatches)} watches${heard}`;
  },
  rows: [
    {
      name: "not-watching",
      state: "warning",
      look: ({ daemon }) =>
        daemon.kind === "answers" && daemon.told.isWatching === false
          ? "The daemon does not hear when Gambas programs save: it looks every few seconds, and at each access."
          : undefined,
      remedy: ({ watches }) => raiseInstances(watches, "Raise the limit, if it is reached, and restart the daemon."),
    },
    {
      name: "few-instances",
      state: "warning",
      look: ({ watches }) =>
        watches !== undefined && watches.usedInstances >= HIGH_PART * watches.maxInstances
          ? `${used(watches.usedInstances, watches.maxInstances)} instances of inotify are in use by this user: the next daemon may get none.`
          : undefined,
      remedy: ({ watches }) => raiseInstances(watches, "Raise the limit."),
    },
    {
      name: "few-watches",
      state: "warning",
      look: ({ watches }) =>
        watches !== undefined && watches.usedWatches >= HIGH_PART * watches.maxWatches
          ? `${used(watches.usedWatches, watches.maxWatches)} watches of inotify are in use by this user: the next daemon may get none.`
          : undefined,
      remedy: ({ watches }) => ({
        advice: "Raise the limit.",
        command: `sudo sysctl fs.inotify.max_user_watches=${MORE * (watches?.maxWatches ?? 8_192)}`,
      }),
    },
  ],
};

export const DESCRIPTORS: Check = {
  name: "descriptors",
  fine: ({ process }) =>
    process?.maxFiles === undefined ? undefined : `the daemon has ${used(process.openFiles, process.maxFiles)}`,
  rows: [
    {
      name: "running-out",
      state: "warning",
      look: ({ process }) =>
        process?.maxFiles !== undefined && process.openFiles >= HIGH_PART * process.maxFiles
          ? `The daemon has ${used(process.openFiles, process.maxFiles)} descriptors open: soon it takes no new workers.`
          : undefined,
      remedy: raiseFiles,
    },
    {
      name: "few",
      state: "warning",
      look: ({ process }) =>
        process?.maxFiles !== undefined && process.maxFiles < FEW_FILES
          ? `The daemon may have ${countText(process.maxFiles)} descriptors: half of them are for workers, and few sessions stay open.`
          : undefined,
      remedy: raiseFiles,
    },
  ],
};

export const CLOCK: Check = {
  name: "clock",
  isOf: "files",
  fine: ({ nowMs }) => `${new Date(nowMs).toISOString().slice(0, 19).replace("T", " ")} UTC`,
  rows: [
    {
      name: "past",
      state: "problem",
      look: ({ nowMs }) =>
        nowMs < PAST_MS ? "The clock is far behind: sessions made now are over as soon as it is set." : undefined,
      remedy: () => ({ advice: "Set it, before sessions are made.", command: "sudo timedatectl set-ntp true" }),
    },
    {
      name: "moved",
      state: "warning",
      look: ({ clock }) => {
        const { movedSeconds = 0, sleptSeconds } = clock;
        if (Math.abs(movedSeconds) <= MOVED_SECONDS) return undefined;
        const way = movedSeconds > 0 ? "forth" : "back";
        const or = movedSeconds > 0 && sleptSeconds >= 1 ? ", or the machine has slept" : "";
        return `Since the daemon began the clock was set ${way} by ${spanText(Math.abs(movedSeconds))}${or}: sessions ${movedSeconds > 0 ? "end earlier" : "live longer"} by as much.`;
      },
      remedy: () => ({
        advice: "Have it kept by a service that slews it, so that it does not jump.",
        command: "timedatectl status",
      }),
    },
  ],
};

function used(count: number, most: number): string {
  return `${countText(count)} of ${countText(most)}`;
}

function raiseInstances(watches: WatchFacts | undefined, advice: string): Remedy {
  return {
    advice,
    command: `sudo sysctl fs.inotify.max_user_instances=${MORE * (watches?.maxInstances ?? 128)}`,
  };
}

function raiseFiles({ process }: Facts): Remedy {
  const most = Math.max(65_536, MORE * (process?.maxFiles ?? 0));
  return {
    advice: "Raise the limit now, and for good where the daemon is started (ulimit -n, LimitNOFILE=).",
    command: `sudo prlimit --pid ${process?.pid ?? "PID"} --nofile=${most}`,
  };
}
