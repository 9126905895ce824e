// The servers of sessions of type "redis": whether they can be reached, and whether they keep what they acknowledge.

import { bytesText, countOf } from "../../cli/terminal/figures.ts";
import type { Facts, ServerFacts } from "./facts.ts";
import type { Check } from "./finding.ts";

/** What replicas have not confirmed, from which on it is worth knowing: a failover would lose it. */
const MUCH_LAG_BYTES = 1024 * 1024;

export const REDIS: Check = {
  name: "redis",
  isOf: "servers",
  fine: (facts) =>
    facts.redis.servers.length > 0 && away(facts).length === 0 ? connected(facts).map(wordsOf).join("; ") : undefined,
  rows: [
    {
      name: "not-asked",
      state: "note",
      look: ({ redis: { servers, refused }, places }) =>
        servers.length === 0 && refused === undefined && places.type === "redis"
          ? "Nobody has said where Redis is, so it was not asked."
          : undefined,
      remedy: () => ({
        advice: "Say it as the application does, and ask again.",
        command: "export GAMBAS_SESSION_REDIS=redis://HOST:6379",
      }),
    },
    {
      name: "refused",
      state: "problem",
      look: ({ redis }) => redis.refused,
      remedy: () => ({ advice: "No daemon starts with it until then." }),
    },
    {
      name: "elsewhere",
      state: "warning",
      look: ({ redis: { elsewhere } }) =>
        elsewhere && `The daemon has its sessions in ${elsewhere.served}, and ${elsewhere.named} was named.`,
      remedy: () => ({
        advice:
          "Both were looked at. This daemon refuses an application that is started with the latter: name the former, or end the application and the daemon, and start them with the latter.",
      }),
    },
    {
      name: "away",
      state: "problem",
      look: (facts) =>
        saidOf(away(facts), ({ where, reason = "not connected" }) => `${where} (${reason})`, "cannot be reached:"),
      remedy: () => ({
        advice:
          "Calls wait for it and then fail with ERR_STORE; nothing that it acknowledged is lost. Look at the server and at the network.",
      }),
    },
    {
      name: "evicts",
      state: "warning",
      look: (facts) =>
        saidOf(
          connected(facts).filter(({ evictionPolicy }) => evictionPolicy !== "noeviction"),
          ({ where, evictionPolicy = "unknown" }) => `${where} (maxmemory-policy ${evictionPolicy})`,
          "may drop sessions when its memory is full, and ended ones may come back:",
        ),
      remedy: () => ({
        advice: "Let it refuse writes instead; until then a daemon starts with acceptEviction alone.",
        command: "redis-cli CONFIG SET maxmemory-policy noeviction",
      }),
    },
    {
      name: "forgets",
      state: "warning",
      look: (facts) =>
        saidOf(
          connected(facts).filter(({ keepsLog }) => keepsLog !== true),
          ({ where }) => where,
          "keeps no log of writes, so what it acknowledged is lost when its process ends:",
        ),
      remedy: () => ({
        advice: "Let it keep one; until then a daemon starts with acceptLoss alone.",
        command: "redis-cli CONFIG SET appendonly yes",
      }),
    },
    {
      name: "lags",
      state: "warning",
      look: (facts) =>
        saidOf(
          connected(facts).filter(({ replicaLagBytes = 0 }) => replicaLagBytes > MUCH_LAG_BYTES),
          ({ where, replicaLagBytes = 0 }) => `${where} (${bytesText(replicaLagBytes)})`,
          "has a replica that is behind, so a failover would lose what it has not got:",
        ),
      remedy: () => ({
        advice: "Look at the replica and at the network; durability replica waits for one with every write.",
      }),
    },
    {
      name: "sentinels-away",
      state: "warning",
      look: (facts) =>
        saidOf(
          serversIn(facts).filter(({ sentinels }) => sentinels !== undefined && sentinels.answering < sentinels.named),
          ({ where, sentinels }) => `${where} (${sentinels?.answering} of ${sentinels?.named})`,
          "has Sentinels that do not answer:",
        ),
      remedy: () => ({
        advice: "The master is found as long as half of those that are named answer. Start them, or name them no more.",
      }),
    },
    {
      name: "sentinels-unnamed",
      state: "warning",
      look: (facts) =>
        saidOf(
          serversIn(facts).filter(({ sentinels }) => sentinels !== undefined && sentinels.named < sentinels.known),
          ({ where, sentinels }) => `${where} (${sentinels?.named} of ${sentinels?.known})`,
          "has Sentinels that are not named:",
        ),
      remedy: () => ({
        advice: "Name all of them in the option redis: some alone may not know yet that the master is another one.",
      }),
    },
  ],
};

function serversIn({ redis }: Facts): readonly ServerFacts[] {
  return redis.servers;
}

function connected(facts: Facts): readonly ServerFacts[] {
  return serversIn(facts).filter(({ isConnected }) => isConnected);
}

function away(facts: Facts): readonly ServerFacts[] {
  return serversIn(facts).filter(({ isConnected }) => !isConnected);
}

/** Undefined where there are none. */
function saidOf(
  servers: readonly ServerFacts[],
  name: (server: ServerFacts) => string,
  what: string,
): string | undefined {
  return servers.length === 0 ? undefined : `Redis ${what} ${servers.map(name).join(", ")}.`;
}

function wordsOf({
  where,
  server = "a server",
  role = "role unknown",
  evictionPolicy,
  keepsLog,
  replicas,
}: ServerFacts): string {
  const keeps = keepsLog === true ? ", keeps its log" : "";
  const copies = replicas === undefined ? "" : `, ${countOf(replicas, "replica")}`;
  return `${server} at ${where}, ${role}, ${evictionPolicy ?? "policy unknown"}${keeps}${copies}`;
}
