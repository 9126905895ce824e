// The door to the checks: which there are, in the order in which they are told, and what they make of the facts. Pure: nothing is looked at here.

import type { TypeName } from "../../../protocol/types.ts";
import { CLEANERS } from "./cleaners.ts";
import { ELECTION, SOCKET, VERSIONS } from "./daemon.ts";
import type { Facts } from "./facts.ts";
import { type Check, type Finding, findingsOf, type Keeping } from "./finding.ts";
import { GAMBAS } from "./gambas.ts";
import { CLOCK, DESCRIPTORS, WATCHES } from "./machine.ts";
import { REDIS } from "./redis.ts";
import { ROOT, UMASK } from "./root.ts";
import { APPLICATIONS, OTHER_TYPE, SESSIONS } from "./sessions.ts";
import { SQLITE } from "./sqlite.ts";
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
  Need,
  Oddity,
  OtherSessions,
  ProcessFacts,
  Program,
  RedisFacts,
  RootFacts,
  ServerFacts,
  SessionFacts,
  SocketFacts,
  SqliteFacts,
  TextFile,
  Told,
  VersionFacts,
  WatchFacts,
} from "./facts.ts";
export type { Check, Finding, Keeping, Remedy, Row, State } from "./finding.ts";

export const CHECKS: readonly Check[] = [
  ROOT,
  REDIS,
  SQLITE,
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
  OTHER_TYPE,
  APPLICATIONS,
];

/** What sessions of a type are kept in. */
const KEPT: { readonly [N in TypeName]: readonly Keeping[] } = {
  file: ["files", "whole files"],
  sqlite: ["files", "databases"],
  redis: ["servers"],
  memory: ["servers"],
};

export function findingsIn(facts: Facts): readonly Finding[] {
  const kept = KEPT[facts.places.type];
  return CHECKS.filter(({ isOf }) => isOf === undefined || kept.includes(isOf)).flatMap((check) =>
    findingsOf(check, facts),
  );
}
