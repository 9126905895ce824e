// The door to the looks: everything the checks go by, looked at once. Changes nothing: no file is left in the root (features.ts), no lock is taken, no daemon
// is started, and no access time of a session is moved.

import { dirname } from "node:path";
import type { Places } from "../../../protocol/places.ts";
import { VERSION } from "../../../protocol/version.ts";
import { PROTOCOL_VERSION } from "../../../protocol/wire/wire.ts";
import type { ApplicationFacts, DaemonFacts, DiskFacts, Facts, SocketFacts } from "../checks/checks.ts";
import { lookForCleaners } from "./cleaners.ts";
import { pidsConnectedTo } from "./connections.ts";
import { type Asked, askDaemon, lookAtClock, lookAtElection, lookAtProcess, lookAtSocket } from "./daemon.ts";
import { loadEngine, lookAtFeatures } from "./features.ts";
import { interpreters, leftDirectories } from "./gambas.ts";
import { applicationsOf, type Crowd, lookAtProcesses, lookAtWatches } from "./processes.ts";
import { lookAtRedis, UNKNOWN } from "./redis.ts";
import { lookAtDisk, lookAtRoot } from "./root.ts";
import { lookAtSessions, noDirectory } from "./sessions.ts";

/** May look at the processes of others. */
const ADMINISTRATOR = 0;
const NOBODY: Asked = { facts: { kind: "none" }, features: undefined };

export interface Around {
  readonly places: Places;
  /** Why the socket's path is none that a system takes; undefined where it is. */
  readonly tooLong: string | undefined;
  /** The setting of that name. */
  readonly redis: string;
}

export async function lookAround({ places, tooLong, redis }: Around): Promise<Facts> {
  const uid = process.getuid?.();
  const root = lookAtRoot(places.root);
  const owner = root.kind === "directory" ? root.uid : (uid ?? 0);
  const socket: SocketFacts =
    tooLong === undefined ? lookAtSocket(places.socket) : { kind: "too-long", uid: 0, mode: 0, problem: tooLong };
  const [asked, installed, engine] = await Promise.all([
    socket.kind === "socket" ? askDaemon(places) : NOBODY,
    interpreters(),
    loadEngine(places.type),
  ]);
  const daemon = asked.facts;
  const nowMs = Date.now();
  const disk = lookAtDisk(places.root);
  const election = lookAtElection(places, disk);
  const crowd = lookAtProcesses(owner, places.root);
  const isDirectory = root.kind === "directory";
  const type = places.type === "sqlite" ? "sqlite" : "file";
  const { facts: sessions, others } = isDirectory
    ? lookAtSessions(places.root, { type, uid: owner, nowMs })
    : noDirectory(type);
  return {
    ...{ places, uid, nowMs, root, disk, socket, daemon, election, sessions },
    features: lookAtFeatures(places.root, asked.features, engine),
    cleaners: lookForCleaners(),
    process: lookAtProcess(places, daemon, election),
    watches: uid === owner || uid === ADMINISTRATOR ? lookAtWatches(crowd) : undefined,
    clock: lookAtClock(daemon, election, nowMs),
    here: {
      version: VERSION,
      protocol: PROTOCOL_VERSION,
      node: process.versions.node,
      nativeProblem: engine.nativeProblem,
    },
    gambas: {
      installed,
      programs: crowd.programs,
      isTheirRoot: places.root === `/tmp/gambas.${owner}`,
      left: leftDirectories(places.root, nowMs),
    },
    others: { ...others, isServed: isServed({ ...places, type: others.type }, disk) },
    sqlite: engine.outfit && { ...engine.outfit, daemonHasGuard: asked.features?.guard },
    redis: places.type === "redis" ? await lookAtRedis(redis, daemon) : UNKNOWN,
    applications: await lookAtApplications(places, daemon, crowd),
  };
}

/** Another daemon has the root, for the sessions of its type. */
function isServed(places: Places, disk: DiskFacts | undefined): boolean {
  return lookAtElection(places, disk).isHeld === true;
}

async function lookAtApplications(places: Places, daemon: DaemonFacts, { readers }: Crowd): Promise<ApplicationFacts> {
  const connected =
    daemon.kind === "answers" ? await pidsConnectedTo(daemon.told.pid, dirname(places.socket)) : undefined;
  const pids = new Set([...(connected ?? []), ...readers]);
  pids.delete(process.pid);
  if (daemon.kind === "answers") pids.delete(daemon.told.pid);
  const source = connected !== undefined ? "sockets" : readers.length > 0 ? "files" : "unknown";
  return { seen: applicationsOf(pids), source };
}
