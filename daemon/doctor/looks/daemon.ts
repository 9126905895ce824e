// Looks at the daemon from outside: its socket, what it says of itself, who was elected, and its process.

import { lstatSync, type Stats } from "node:fs";
import { SessionError } from "../../../protocol/errors.ts";
import { daemonPath, maxOpenFiles, type Places } from "../../../protocol/places.ts";
import { Peer, pathOfPid } from "../../peer/peer.ts";
import type {
  ClockFacts,
  DaemonFacts,
  DiskFacts,
  ElectionFacts,
  ProcessFacts,
  SocketFacts,
  Told,
} from "../checks/checks.ts";
import { attempt, isSystemError, linkAt, namesIn, readQuietly, reasonOf, statAt, textOf } from "./quietly.ts";

/** Their files have another device number than stat tells. */
const LAYERED: readonly string[] = ["overlay", "btrfs"];
/** Fields of a line of /proc/locks: kind, whose, mode, pid, device and inode. */
const LOCK = /^\d+: (?:OFDLCK|POSIX) +\S+ +WRITE +-?\d+ ([0-9a-f]+):([0-9a-f]+):(\d+) /;

export function lookAtSocket(path: string): SocketFacts {
  const none = { uid: 0, mode: 0, problem: "" };
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    // A daemon takes the place of an empty file.
    if (stat === undefined || (stat.isFile() && stat.size === 0)) return { ...none, kind: "absent" };
    return { ...none, kind: stat.isSocket() ? "socket" : "other", uid: stat.uid, mode: stat.mode & 0o7777 };
  } catch (error) {
    // What has no directory is told of the root.
    if (isSystemError(error, "ENOTDIR")) return { ...none, kind: "absent" };
    return { ...none, kind: "unknown", problem: reasonOf(error) };
  }
}

export interface Asked {
  readonly facts: DaemonFacts;
  /** What it has found of the file system, by feature. */
  readonly features: Readonly<Record<string, boolean>> | undefined;
}

export async function askDaemon(places: Places): Promise<Asked> {
  try {
    const json = await new Peer(places).status();
    if (json === undefined) return { facts: { kind: "none" }, features: undefined };
    const status = JSON.parse(json) as Told & { readonly fileSystem?: Readonly<Record<string, boolean>> };
    return { facts: { kind: "answers", told: status }, features: status.fileSystem };
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    // One that is no daemon has said something that has no meaning.
    const kind = error.code !== "ERR_DAEMON_UNAVAILABLE" || error.cause !== undefined ? "stranger" : "silent";
    return {
      facts: { kind: error.code === "ERR_PROTOCOL_VERSION" ? "newer" : kind, what: error.what },
      features: undefined,
    };
  }
}

export function lookAtElection(places: Places, disk: DiskFacts | undefined): ElectionFacts {
  const file = attempt(() => readQuietly(pathOfPid(places)));
  const pid = file === undefined ? Number.NaN : Number.parseInt(file.bytes.toString("latin1"), 10);
  return {
    pid: pid > 0 ? pid : undefined,
    electedMs: file?.stat.mtimeMs,
    hasLockDirectory: statAt(daemonPath(places, ".lock"))?.isDirectory() === true,
    isHeld: file === undefined ? false : isLocked(file.stat, LAYERED.includes(disk?.type ?? "")),
    holder: pid > 0 ? holderOf(pid) : "unknown",
  };
}

/** Without trying to take the lock, which would keep a daemon out that begins this moment. Undefined where the system does not tell. */
function isLocked({ ino, dev }: Stats, isLayered: boolean): boolean | undefined {
  const locks = textOf("/proc/locks");
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  return locks?.split("\n").some((line) => {
    const [, lockMajor = "", lockMinor = "", inode] = LOCK.exec(line.replace("->", "  ")) ?? [];
    if (Number(inode) !== ino) return false;
    return isLayered || (Number.parseInt(lockMajor, 16) === major && Number.parseInt(lockMinor, 16) === minor);
  });
}

function holderOf(pid: number): ElectionFacts["holder"] {
  const status = textOf(`/proc/${pid}/status`);
  if (status === undefined) return statAt("/proc/self") === undefined ? "unknown" : "ended";
  const [, state = ""] = /^State:\s*(\S)/m.exec(status) ?? [];
  if (/[ZX]/.test(state)) return "ended";
  return /[Tt]/.test(state) ? "stopped" : "runs";
}

/** Undefined also for a process of that number that is another one: the daemon's may be in a container. The daemon keeps its pid file open. */
export function lookAtProcess(
  places: Places,
  daemon: DaemonFacts,
  { isHeld, pid: elected }: ElectionFacts,
): ProcessFacts | undefined {
  const pid = daemon.kind === "answers" ? daemon.told.pid : isHeld === true ? elected : undefined;
  const open = pid === undefined ? [] : namesIn(`/proc/${pid}/fd`);
  if (pid === undefined || !open.some((fd) => linkAt(`/proc/${pid}/fd/${fd}`) === pathOfPid(places))) return undefined;
  const [, umask] = /^Umask:\s*([0-7]+)/m.exec(textOf(`/proc/${pid}/status`) ?? "") ?? [];
  return {
    pid,
    openFiles: open.length,
    maxFiles: maxOpenFiles(() => textOf(`/proc/${pid}/limits`) ?? ""),
    umask: umask === undefined ? undefined : Number.parseInt(umask, 8),
  };
}

/** The pid file was stamped by the clock as it was when the daemon began, and its uptime is by one that nobody sets. */
export function lookAtClock(daemon: DaemonFacts, { electedMs }: ElectionFacts, nowMs: number): ClockFacts {
  const [since] = textOf("/proc/uptime")?.split(" ") ?? [];
  const awakeSeconds = Number(process.hrtime.bigint()) / 1e9;
  const sleptSeconds = since === undefined ? 0 : Math.max(0, Math.round(Number(since) - awakeSeconds));
  if (daemon.kind !== "answers" || electedMs === undefined) return { movedSeconds: undefined, sleptSeconds };
  return { movedSeconds: Math.round((nowMs - electedMs) / 1000 - daemon.told.uptimeSeconds), sleptSeconds };
}
