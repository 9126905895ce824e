// The door to the checks: which there are, in the order in which they are told, and what they make of the facts. Pure: nothing is looked at here.

import { TYPES } from "../../../protocol/types.ts";
import { CLEANERS } from "./cleaners.ts";
import { ELECTION, SOCKET, VERSIONS } from "./daemon.ts";
import type { Facts } from "./facts.ts";
import { type Check, type Finding, findingsOf } from "./finding.ts";
import { GAMBAS } from "./gambas.ts";
import { CLOCK, DESCRIPTORS, WATCHES } from "./machine.ts";
import { REDIS } from "./redis.ts";
import { ROOT, UMASK } from "./root.ts";
import { APPLICATIONS, SESSIONS } from "./sessions.ts";
import { FILE_SYSTEM, RECORD_LOCKS, SPACE } from "./storage.ts";

export type {
  Application,
  ApplicationFacts,
  CleanerFacts,
  ClockFacts,
  DaemonFacts,
  DiskFacts,
  ElectionFacts,
  Facts,
  FeatureFacts,
  GambasFacts,
  Interpreter,
  Lack,
  Oddity,
  ProcessFacts,
  Program,
  RedisFacts,
  RootFacts,
  ServerFacts,
  SessionFacts,
  SocketFacts,
  TextFile,
  Told,
  VersionFacts,
  WatchFacts,
} from "./facts.ts";
export type { Check, Finding, Remedy, Row, State } from "./finding.ts";

export const CHECKS: readonly Check[] = [
  ROOT,
  REDIS,
  FILE_SYSTEM,
  SPACE,
  CLEANERS,
  SOCKET,
  ELECTION,
  VERSIONS,
  RECORD_LOCKS,
  WATCHES,
  DESCRIPTORS,
  UMASK,
  CLOCK,
  GAMBAS,
  SESSIONS,
  APPLICATIONS,
];

export function findingsIn(facts: Facts): readonly Finding[] {
  const kept = TYPES[facts.places.type].isInFiles ? "files" : "servers";
  return CHECKS.filter(({ isOf = kept }) => isOf === kept).flatMap((check) => findingsOf(check, facts));
}
