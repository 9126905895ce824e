// The daemon of the root: its socket, its election, its version.

import { DEFAULT_TYPE } from "../../../protocol/types.ts";
import { flagsOf, quoted } from "../../cli/terminal/shell.ts";
import type { Facts, Told } from "./facts.ts";
import type { Check, Remedy } from "./finding.ts";
import { isForeign, octal } from "./root.ts";

const FOR_OTHERS = 0o077;

export const SOCKET: Check = {
  name: "socket",
  fine: ({ daemon, places }) =>
    daemon.kind === "answers" ? `the daemon (pid ${daemon.told.pid}) answers on ${places.socket}` : undefined,
  rows: [
    {
      name: "too-long",
      state: "problem",
      look: ({ socket }) => (socket.kind === "too-long" ? socket.problem : undefined),
      remedy: () => ({
        advice: "Name a shorter one, to the daemon and to the workers.",
        command: 'export GAMBAS_SESSION_SOCKET="$XDG_RUNTIME_DIR/sessiond.sock"',
      }),
    },
    {
      name: "unseen",
      state: "problem",
      look: (facts) =>
        facts.socket.kind === "unknown" && !isForeign(facts)
          ? `${facts.places.socket} cannot be looked at: ${facts.socket.problem}.`
          : undefined,
      remedy: () => ({ advice: "Mend what the system says, or name another one: --socket PATH." }),
    },
    {
      name: "no-socket",
      state: "problem",
      look: ({ socket, places }) => (socket.kind === "other" ? `${places.socket} is no socket.` : undefined),
      remedy: ({ places }) => ({
        advice: "Move it away.",
        command: `mv ${quoted(places.socket)} ${quoted(`${places.socket}.away`)}`,
      }),
    },
    {
      name: "foreign",
      state: "problem",
      look: ({ socket, places, root }) =>
        socket.kind === "socket" && root.kind === "directory" && socket.uid !== root.uid
          ? `${places.socket} belongs to user ${socket.uid}, not to the root's (${root.uid}): no worker talks to it.`
          : undefined,
      remedy: ({ socket }) => ({
        advice: "Have that user stop its daemon, or name another one: --socket PATH.",
        command: `ps -u ${socket.uid} -o pid,args | grep sessiond`,
      }),
    },
    {
      name: "mode",
      state: "warning",
      look: ({ socket, places }) =>
        socket.kind === "socket" && (socket.mode & FOR_OTHERS) !== 0
          ? `${places.socket} has mode ${octal(socket.mode)}: other users may connect.`
          : undefined,
      remedy: ({ places }) => ({ advice: "Take that from them.", command: `chmod 600 ${quoted(places.socket)}` }),
    },
    {
      name: "stale",
      state: "note",
      look: (facts) =>
        isFree(facts) && facts.socket.kind === "socket"
          ? `No daemon runs. ${facts.places.socket} was left by one that was killed: the next one replaces it.`
          : undefined,
      remedy: startOne,
    },
    {
      name: "no-daemon",
      state: "note",
      look: (facts) =>
        isFree(facts) && facts.socket.kind === "absent" && ["directory", "absent"].includes(facts.root.kind)
          ? "No daemon runs: the first worker that needs one starts it."
          : undefined,
      remedy: startOne,
    },
    {
      name: "lost",
      state: "problem",
      look: (facts) =>
        facts.daemon.kind === "none" && isTaken(facts) && facts.election.holder !== "stopped"
          ? `A daemon (pid ${facts.election.pid ?? "unknown"}) has the root, and does not listen on ${facts.places.socket}.`
          : undefined,
      remedy: ({ election }) => ({
        advice:
          "It may have begun, or lost its socket, this very moment: ask again. Else end it; nothing that was acknowledged is lost.",
        command: `kill ${election.pid ?? "PID"}`,
      }),
    },
    {
      name: "silent",
      state: "problem",
      look: ({ daemon, election }) =>
        daemon.kind === "silent" && election.holder !== "stopped" ? daemon.what : undefined,
      remedy: ({ election }) => ({
        advice: "The machine may be overloaded. Else end it; nothing that was acknowledged is lost.",
        command: `kill -KILL ${election.pid ?? "PID"}`,
      }),
    },
    {
      name: "stranger",
      state: "problem",
      look: ({ daemon }) => (daemon.kind === "stranger" ? daemon.what : undefined),
      remedy: ({ places }) => ({
        advice: "Find out what it is, or name another socket: --socket PATH.",
        command: `ss -xlp src ${quoted(places.socket)}`,
      }),
    },
    {
      name: "other-root",
      state: "problem",
      look: ({ daemon, places }) =>
        daemon.kind === "answers" && daemon.told.root !== places.root
          ? `The daemon on ${places.socket} serves another root: ${daemon.told.root}.`
          : undefined,
      remedy: () => ({ advice: "Give each root a socket of its own: --socket PATH, GAMBAS_SESSION_SOCKET." }),
    },
    {
      name: "other-type",
      state: "problem",
      look: ({ daemon, places }) =>
        daemon.kind === "answers" && typeToldBy(daemon.told) !== places.type
          ? `The daemon on ${places.socket} keeps sessions of type ${typeToldBy(daemon.told)}, and ${places.type} was asked for.`
          : undefined,
      remedy: () => ({ advice: "Give each type a socket of its own: --socket PATH, or none, as by default." }),
    },
    {
      name: "loses-everything",
      state: "warning",
      look: ({ daemon }) =>
        daemon.kind === "answers" && daemon.told.type === "memory"
          ? "The daemon keeps sessions in its memory alone: they end with it, and no Gambas program sees them."
          : undefined,
      remedy: takeOver,
    },
  ],
};

export const ELECTION: Check = {
  name: "election",
  fine: ({ daemon, election }) =>
    daemon.kind === "answers" && election.pid === daemon.told.pid ? `pid ${election.pid} is elected` : undefined,
  rows: [
    {
      name: "stopped",
      state: "problem",
      look: (facts) =>
        facts.election.holder === "stopped" && (facts.daemon.kind === "silent" || isTaken(facts))
          ? `The daemon (pid ${facts.election.pid}) was stopped: it answers nobody, and no other takes its place.`
          : undefined,
      remedy: ({ election }) => ({ advice: "Let it go on.", command: `kill -CONT ${election.pid}` }),
    },
    {
      name: "other-pid",
      state: "problem",
      look: ({ daemon, election }) =>
        daemon.kind === "answers" && election.pid !== undefined && election.pid !== daemon.told.pid
          ? `pid ${daemon.told.pid} answers, and pid ${election.pid} is elected.`
          : undefined,
      remedy: () => ({
        advice: "One of them is just leaving: ask again. Where it stays so, stop both and let a worker start one.",
      }),
    },
    {
      name: "no-pid-file",
      state: "warning",
      look: ({ daemon, election, places }) =>
        daemon.kind === "answers" && daemon.told.root === places.root && election.pid === undefined
          ? "The daemon's pid file is gone: the daemon leaves, and a worker starts another one."
          : undefined,
      remedy: () => ({ advice: "Find out what removes files in the root; see the check of cleaners." }),
    },
    {
      name: "no-lock-directory",
      state: "warning",
      look: ({ daemon, election, places }) =>
        daemon.kind === "answers" && daemon.told.root === places.root && !election.hasLockDirectory
          ? "sessiond.lock is gone: the daemon leaves, and a worker starts another one."
          : undefined,
      remedy: () => ({ advice: "Find out what removes files in the root; see the check of cleaners." }),
    },
    {
      name: "left-behind",
      state: "note",
      look: (facts) =>
        isFree(facts) && (facts.election.pid !== undefined || facts.election.hasLockDirectory)
          ? "A daemon that was killed has left its pid file or lock: the next one replaces them."
          : undefined,
    },
    {
      name: "without-record-lock",
      state: "note",
      look: (facts) =>
        facts.daemon.kind === "answers" && cannotLock(facts)
          ? "No record lock keeps other daemons out: the election goes by sessiond.lock alone, and after a kill the next daemon waits 10 s."
          : undefined,
    },
  ],
};

export const VERSIONS: Check = {
  name: "versions",
  fine: ({ daemon, here }) => {
    const ours = `gambas-session ${here.version}, protocol ${here.protocol}, Node ${here.node}`;
    return daemon.kind === "answers" ? `${ours}; the daemon is of the same` : ours;
  },
  rows: [
    {
      name: "daemon-newer",
      state: "problem",
      look: ({ daemon }) => (daemon.kind === "newer" ? daemon.what : undefined),
      remedy: () => ({
        advice: "Its release was installed since: restart what is still of this one, and use the commands of that.",
      }),
    },
    {
      name: "daemon-older",
      state: "warning",
      look: ({ daemon, here }) =>
        daemon.kind === "answers" && daemon.told.protocol < here.protocol
          ? `The daemon is ${daemon.told.version} and speaks protocol ${daemon.told.protocol}; this is ${here.version}, protocol ${here.protocol}. The first worker of this release replaces it.`
          : undefined,
      remedy: takeOver,
    },
    {
      name: "daemon-differs",
      state: "note",
      look: ({ daemon, here }) =>
        daemon.kind === "answers" && daemon.told.protocol === here.protocol && daemon.told.version !== here.version
          ? `The daemon is ${daemon.told.version}, this is ${here.version}; they speak the same protocol.`
          : undefined,
      remedy: takeOver,
    },
  ],
};

/** Daemons of before there were types keep files. */
function typeToldBy({ type = DEFAULT_TYPE }: Told): string {
  return type;
}

function isFree(facts: Facts): boolean {
  return facts.daemon.kind === "none" && !isTaken(facts);
}

/** Somebody has the place of the daemon. */
function isTaken(facts: Facts): boolean {
  const { isHeld, holder, hasLockDirectory } = facts.election;
  if (isHeld !== undefined && !cannotLock(facts)) return isHeld;
  return hasLockDirectory && (holder === "runs" || holder === "stopped");
}

function cannotLock({ here, features }: Facts): boolean {
  return here.nativeProblem !== undefined || features.lacks.some(({ feature }) => feature === "recordLocks");
}

function startOne({ places }: Facts): Remedy {
  return { advice: "To run one yourself:", command: `gambas-sessiond ${flagsOf(places)}` };
}

function takeOver({ places }: Facts): Remedy {
  return {
    advice: "Replace it; no request fails by that.",
    command: `gambas-sessiond --takeover ${flagsOf(places)}`,
  };
}
