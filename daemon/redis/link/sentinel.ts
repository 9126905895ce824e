// Sentinels know which server is the master. Each is asked in turn until one answers; whether it is right, the server's own role tells.

import { SessionError } from "../../../protocol/errors.ts";
import { describeAddress, type RedisAddress, type RedisTarget } from "../../../protocol/redis-url.ts";
import { Connection, type ConnectionOptions, ServerError, sentinelAt } from "../server/server.ts";

export type Asking = Pick<ConnectionOptions, "answerMs" | "signal">;

/** One that is away must not keep the others from being asked. */
const MAX_ANSWER_MS = 1_000;

/** @throws ServerError where none knows; SessionError where one refuses. */
export async function masterOf(target: RedisTarget, how: Asking): Promise<RedisAddress> {
  const failures: string[] = [];
  for (const address of target.addresses) {
    try {
      const master = await askOne(address, target, { ...how, answerMs: Math.min(how.answerMs, MAX_ANSWER_MS) });
      if (master !== undefined) return master;
      failures.push(`${describeAddress(address)} knows no master named ${target.service}`);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (["NOAUTH", "WRONGPASS", "NOPERM"].includes(error.code)) throw refused(address, error);
      failures.push(`${describeAddress(address)}: ${error.message}`);
    }
  }
  throw new ServerError("refused", "AWAY", `No Sentinel names a master: ${failures.join("; ")}.`);
}

async function askOne(address: RedisAddress, target: RedisTarget, how: Asking): Promise<RedisAddress | undefined> {
  const options = { ...how, tracks: false, onInvalidated: () => {} };
  const connection = await Connection.open(await sentinelAt(address, target), options);
  try {
    const answer = await connection.call(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", target.service]);
    if (!Array.isArray(answer)) return undefined;
    return { host: String(answer[0]), port: Number(answer[1]) };
  } finally {
    connection.close();
  }
}

function refused(address: RedisAddress, error: ServerError): SessionError {
  const what = `The Sentinel at ${describeAddress(address)} refuses the user or the password, or lacks +sentinel for it (${error.code}): give sentinelUsername and sentinelPassword, or sentinelPasswordFile, in the URL's query.`;
  return new SessionError("ERR_BAD_REDIS", what, { cause: error });
}
