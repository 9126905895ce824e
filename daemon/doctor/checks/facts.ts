// What checks go by: everything that was looked at, as plain data. Whoever looks fills it, and tests do.

import type { Places } from "../../../protocol/places.ts";

export interface Facts {
  readonly places: Places;
  /** Of whoever asks; undefined where users have no number. */
  readonly uid: number | undefined;
  readonly nowMs: number;
  readonly root: RootFacts;
  /** Undefined: there is no root, or the system does not say. */
  readonly disk: DiskFacts | undefined;
  readonly features: FeatureFacts;
  readonly cleaners: CleanerFacts;
  readonly socket: SocketFacts;
  readonly daemon: DaemonFacts;
  readonly election: ElectionFacts;
  /** The daemon's process; undefined where none runs, or it cannot be seen. */
  readonly process: ProcessFacts | undefined;
  readonly watches: WatchFacts | undefined;
  readonly clock: ClockFacts;
  readonly here: VersionFacts;
  readonly redis: RedisFacts;
  /** Undefined where sessions are in no databases, or the installation is not whole. */
  readonly sqlite: SqliteFacts | undefined;
  readonly gambas: GambasFacts;
  readonly sessions: SessionFacts;
  readonly others: OtherSessions;
  readonly applications: ApplicationFacts;
}

export interface RootFacts {
  readonly kind: "absent" | "directory" | "link" | "other" | "unknown";
  readonly uid: number;
  /** The permission bits. */
  readonly mode: number;
  /** Where a link leads. */
  readonly target: string;
  /** Why it could not be looked at. */
  readonly problem: string;
  /** Of an absent one the nearest directory above that is there, if we may not make anything in it. */
  readonly closedParent: string | undefined;
  /** A directory above in which others may put something else in its place. */
  readonly openParent: string | undefined;
}

export interface DiskFacts {
  /** As the system calls it: ext4, tmpfs. */
  readonly type: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeFiles: number;
  /** 0: the file system does not count files. */
  readonly totalFiles: number;
  /** `session/` is on another file system, or is a link. */
  readonly sessionsElsewhere: boolean;
}

export interface Lack {
  readonly feature: string;
  readonly words: string;
}

/**
 * "daemon": as that has found out at its start. "trial": tried now, in a temporary folder of the same file system. "inside": tried now, in a folder of the root
 * that is gone again. "unknown": neither.
 */
export interface FeatureFacts {
  readonly source: "daemon" | "trial" | "inside" | "unknown";
  /** Why neither could be. */
  readonly reason: string;
  readonly lacks: readonly Lack[];
}

/** A file of settings, or of commands. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

export interface CleanerFacts {
  /** The files that systemd-tmpfiles reads, none of those that another one of the same name replaces. */
  readonly tmpfiles: readonly TextFile[];
  /** systemd runs this machine, so systemd-tmpfiles cleans by its timer. */
  readonly hasSystemd: boolean;
  /** Settings of tmpreaper, and whatever runs tmpreaper or tmpwatch daily. */
  readonly reapers: readonly TextFile[];
}

export interface SocketFacts {
  readonly kind: "absent" | "socket" | "other" | "too-long" | "unknown";
  readonly uid: number;
  readonly mode: number;
  readonly problem: string;
}

/** What a daemon said of itself, as far as checks go by it. */
export interface Told {
  readonly version: string;
  readonly protocol: number;
  readonly pid: number;
  readonly root: string;
  /** Left out by daemons that know files only. */
  readonly type?: string;
  readonly connections: number;
  readonly uptimeSeconds: number;
  readonly gambas?: string;
  readonly isWatching?: boolean;
  /** Of a daemon of type "redis": how its server is, or its servers are. */
  readonly redis?: unknown;
}

export type DaemonFacts =
  /** No daemon answers: nobody listens. */
  | { readonly kind: "none" }
  | { readonly kind: "answers"; readonly told: Told }
  /** A daemon that does not answer, one of a newer protocol, or something that is no daemon. */
  | { readonly kind: "silent" | "newer" | "stranger"; readonly what: string };

/** What a server says of itself; undefined: it does not say. */
export interface ServerFacts {
  /** Its address, without user and password. */
  readonly where: string;
  readonly isConnected: boolean;
  /** Why it is not connected. */
  readonly reason?: string;
  /** "Redis 7.0.15". */
  readonly server?: string;
  readonly role?: string;
  readonly evictionPolicy?: string;
  readonly keepsLog?: boolean;
  readonly replicas?: number;
  readonly replicaLagBytes?: number;
  /** Those that know which server it is: how many are named, how many of these answer, how many there are as far as they know. */
  readonly sentinels?: { readonly named: number; readonly answering: number; readonly known: number };
}

export interface RedisFacts {
  /** As the daemon sees them, and those that were named, as they were just asked. None: sessions are not kept there, or nobody has said where it is. */
  readonly servers: readonly ServerFacts[];
  /** Why sessions cannot be kept in what was named; undefined where they can, or nothing was. */
  readonly refused: string | undefined;
  /** What was named, and where the daemon has its sessions instead; undefined where that is the same, or one of the two is not there. */
  readonly elsewhere: { readonly named: string; readonly served: string } | undefined;
}

/** Something that is there, in words; or why it is not, with the command that installs it, where one does. */
export type Need =
  | { readonly has: string }
  | { readonly lacks: { readonly why: string; readonly command: string | undefined } };

/** What databases need beside a file system. */
export interface SqliteFacts {
  /** Here; a daemon may run by another Node. */
  readonly library: Need;
  /** The same, of the lock that keeps saves of Gambas programs whole. */
  readonly guard: Need;
  /** Undefined: none runs, or it does not say. */
  readonly daemonHasGuard: boolean | undefined;
}

export interface ElectionFacts {
  /** As the pid file says. */
  readonly pid: number | undefined;
  /** When it was written. */
  readonly electedMs: number | undefined;
  readonly hasLockDirectory: boolean;
  /** Whether somebody holds the record lock of the pid file; undefined where the system does not say. */
  readonly isHeld: boolean | undefined;
  /** The process of that pid. */
  readonly holder: "runs" | "stopped" | "ended" | "unknown";
}

export interface ProcessFacts {
  readonly pid: number;
  readonly openFiles: number;
  readonly maxFiles: number | undefined;
  readonly umask: number | undefined;
}

/** Of inotify, for this user. */
export interface WatchFacts {
  readonly usedInstances: number;
  readonly maxInstances: number;
  readonly usedWatches: number;
  readonly maxWatches: number;
}

export interface ClockFacts {
  /** By how much the clock has moved more than time has passed since the daemon began, in seconds; undefined without one. */
  readonly movedSeconds: number | undefined;
  /** For how long the machine has slept since it was started. */
  readonly sleptSeconds: number;
}

export interface VersionFacts {
  readonly version: string;
  readonly protocol: number;
  readonly node: string;
  /** Why record locks do not load here; undefined where they do. */
  readonly nativeProblem: string | undefined;
}

export interface Interpreter {
  readonly path: string;
  /** Empty where it did not say. */
  readonly version: string;
}

export interface Program {
  readonly pid: number;
  readonly name: string;
}

export interface GambasFacts {
  readonly installed: readonly Interpreter[];
  /** Those of the root's user that run now. */
  readonly programs: readonly Program[];
  /** Gambas programs of this user share this root: it is the only one they know. */
  readonly isTheirRoot: boolean;
  /** Directories in the root of programs that do not run any more. */
  readonly left: readonly string[];
}

export interface Oddity {
  /** The name in `session/`. */
  readonly name: string;
  readonly why: string;
}

export interface SessionFacts {
  /** Why `session/` could not be listed; empty where it could, or is not there. */
  readonly problem: string;
  /** Session files there are, and of those that were read. */
  readonly count: number;
  readonly read: number;
  readonly damaged: readonly Oddity[];
  readonly foreign: readonly Oddity[];
  /** Files that their own user may not read or write. */
  readonly barred: readonly Oddity[];
  /** Directories, links and the like in the place of a session. */
  readonly noFiles: readonly Oddity[];
  /** What is neither a session nor anything that we or Gambas put there. */
  readonly strays: readonly Oddity[];
  /** Stamped later than now. */
  readonly future: readonly Oddity[];
  readonly cookiePaths: readonly string[];
}

/** Files in `session/` of sessions of the type that was not asked for. */
export interface OtherSessions {
  readonly type: "file" | "sqlite";
  readonly count: number;
  /** Of some of them. */
  readonly names: readonly string[];
  /** When the one that was used last was (Unix ms); undefined: there is none. */
  readonly usedMs: number | undefined;
  /** A daemon of that type has the root. */
  readonly isServed: boolean;
}

export interface Application {
  /** The folder in which its processes run. */
  readonly folder: string;
  readonly pids: readonly number[];
}

export interface ApplicationFacts {
  /** Whose processes are connected to the daemon, or have sessions of this root open. */
  readonly seen: readonly Application[];
  /** How that was seen: by the system's list of sockets, or by open files alone, which shows those only that have read a session just now. */
  readonly source: "sockets" | "files" | "unknown";
}
