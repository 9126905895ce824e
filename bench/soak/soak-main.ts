// A worker with the settings that its users would have, and many sessions of 100 to 3 000 bytes that come, change and end.

import { type Client, connect } from "../../client/index.ts";
import { answerCalls } from "../crew/calls.ts";
import { SIZES } from "../session-values.ts";
import type { SoakCalls } from "./soak-calls.ts";

const AT_ONCE = 24;
const LIVE = 20_000;

let client: Client | undefined;
const ids: string[] = [];
/** The same in every run: a linear congruential generator. */
let chance = 1;

answerCalls<SoakCalls>(
  {
    async open({ root, socket }) {
      client = await connect({ root, socket, spawn: false });
      return undefined;
    },
    async run(count) {
      let left = count;
      const loop = async (): Promise<void> => {
        while (left-- > 0) await step(opened());
      };
      await Promise.all(Array.from({ length: AT_ONCE }, loop));
      return undefined;
    },
  },
  () => client?.close(),
);

function opened(): Client {
  if (client === undefined) throw new Error("no client is open");
  return client;
}

function below(limit: number): number {
  chance = (Math.imul(chance, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((chance / 2 ** 32) * limit);
}

async function step(by: Client): Promise<void> {
  const dice = below(100);
  if (dice < 25 || ids.length < 100) {
    ids.push(await create(by));
    return;
  }
  const at = below(ids.length);
  const id = ids[at] ?? "";
  if (dice < 40 || ids.length > LIVE) {
    ids.splice(at, 1);
    await by.abandon(id);
    return;
  }
  const session = await by.open(id);
  // Another loop has ended it.
  if (session === undefined) return;
  for (const key of session.keys) session.get(key);
  if (dice >= 70) return;
  session.set("visits", below(10_000));
  await by.commit(session).catch(ignoreGone);
}

async function create(by: Client): Promise<string> {
  const session = by.create({ prefix: `10.0.0.${below(200)}` });
  for (const [key, value] of Object.entries(SIZES.realistic)) session.set(key, value);
  session.set("text", "x".repeat(below(3_000)));
  await by.commit(session);
  return String(session.id);
}

function ignoreGone(error: NodeJS.ErrnoException): void {
  if (error.code !== "ERR_SESSION_GONE") throw error;
}
