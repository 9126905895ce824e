// The rights that a user of Redis needs, each tried at connect without changing anything that stays: one that is missing is named before the
// first session, not found by it.

import type { Connection } from "./connection.ts";
import { Script } from "./script.ts";
import { ServerError } from "./server-error.ts";

/** What scripts do to keys, as Lua: nothing of it outlives the script, for a time that is over ends the key. */
const IN_SCRIPTS: Readonly<Record<string, string>> = {
  time: "'TIME'",
  get: "'GET',k",
  getrange: "'GETRANGE',k,0,0",
  pttl: "'PTTL',k",
  set: "'SET',k,'','PX',1000",
  setrange: "'SETRANGE',k,0,''",
  pexpire: "'PEXPIRE',k,1000",
  pexpireat: "'PEXPIREAT',k,1",
  del: "'DEL',k",
  zadd: "'ZADD',k,0,'m'",
  zcard: "'ZCARD',k",
  zscore: "'ZSCORE',k,'m'",
  zrange: "'ZRANGE',k,0,0",
  zrangebyscore: "'ZRANGEBYSCORE',k,0,0",
  zrandmember: "'ZRANDMEMBER',k",
  zrem: "'ZREM',k,'m'",
};

/** What is called by itself, beside what every connection has used already: HELLO, CLIENT TRACKING, INFO and of a cluster CLUSTER NODES. */
const ALONE: Readonly<Record<string, readonly string[]>> = {
  time: ["TIME"],
  scan: ["SCAN", "0", "COUNT", "1"],
  wait: ["WAIT", "0", "0"],
};

/** Counts for the next command, which must be none that has a key. */
const IN_CLUSTER: Readonly<Record<string, readonly string[]>> = { asking: ["ASKING"] };

/** Answers the names of the commands that failed for want of a right, with a comma behind each. */
const TRIAL = new Script(
  `local k=KEYS[1] local o='' local function try(n,...) local r=redis.pcall(...)
if type(r)=='table' and r.err and (r.err:find('NOPERM') or r.err:find('executing the script') or r.err:find('ACL failure')) then o=o..n..',' end end
${Object.entries(IN_SCRIPTS)
  .map(([name, call]) => `try('${name}',${call})`)
  .join("\n")}
redis.pcall('PEXPIRE',k,0) return o`,
);

/** For an operator: `ACL SETUSER` with exactly what is needed for keys with these beginnings. */
export function neededRights(prefixes: readonly string[], isCluster: boolean, hasDatabase: boolean): string {
  const commands = [
    ...["hello", "client|tracking", "info", "eval", "evalsha", ...Object.keys(IN_SCRIPTS), "scan", "wait"],
    ...(isCluster ? ["cluster|nodes", ...Object.keys(IN_CLUSTER)] : []),
    ...(hasDatabase ? ["select"] : []),
  ];
  return [...prefixes.map((prefix) => `~${prefix}*`), ...commands.map((command) => `+${command}`)].join(" ");
}

/**
 * What the user of a connection may not do and has to, in words.
 *
 * @param keys one for each beginning of keys, which nobody uses.
 * @throws ServerError for anything but a missing right.
 */
export async function missingRights(
  connection: Connection,
  keys: readonly string[],
  isCluster: boolean,
): Promise<readonly string[]> {
  const missing = new Set<string>();
  const isAllowed = async (args: readonly string[]): Promise<unknown> => {
    try {
      return await connection.call(args);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (error.code === "NOPERM") return error;
      if (error.code === "NOSCRIPT") return undefined;
      throw error;
    }
  };
  const tried = await Promise.all([
    ...Object.entries(isCluster ? { ...IN_CLUSTER, ...ALONE } : ALONE).map(
      async ([name, args]) => [name, await isAllowed(args)] as const,
    ),
    isAllowed(["EVALSHA", "0".repeat(40), "0"]).then((answer) => ["evalsha", answer] as const),
  ]);
  for (const [name, answer] of tried) if (answer instanceof ServerError) missing.add(`+${name}`);
  for (const key of keys) {
    const answer = await isAllowed(["EVAL", TRIAL.text, "1", key]);
    if (!(answer instanceof ServerError)) for (const name of namesIn(answer)) missing.add(`+${name}`);
    // "one of the keys used as arguments", of later servers "a key".
    else if (/\bkeys?\b/.test(answer.message)) missing.add(`~${key.replace(/\{.*/, "")}*`);
    else missing.add("+eval");
  }
  return [...missing];
}

function namesIn(answer: unknown): readonly string[] {
  return String(answer)
    .split(",")
    .filter((name) => name !== "");
}
