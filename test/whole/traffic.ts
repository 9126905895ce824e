// What applications do to sessions, by what it leaves in memory: sessions of all sizes, read, changed, shared, touched, ended.

import type { Client } from "../../client/link/client.ts";
import { SessionError } from "../../protocol/errors.ts";
import type { Random } from "../support/values/random.ts";

export interface Traffic {
  /** Bytes of the text in a session, at most. */
  readonly textBytes: number;
  /** Sessions that are used again and again. */
  readonly sessions: number;
  /** Of a hundred operations, how many end a session or renew its time stamp; all others read, change, or run a transaction. */
  readonly ends?: number;
  readonly touches?: number;
  /** Objects that are part of several keys. */
  readonly hasReferences?: boolean;
  /** Many small values, changed one by one. */
  readonly keys?: number;
}

interface Place {
  readonly random: Random;
  readonly ids: string[];
}

/** One operation, on a session that may have ended meanwhile. */
export async function deed(client: Client, traffic: Traffic, place: Place): Promise<void> {
  try {
    await act(client, traffic, place);
  } catch (error) {
    if (!(error instanceof SessionError) || error.code !== "ERR_SESSION_GONE") throw error;
  }
}

async function act(client: Client, traffic: Traffic, { random, ids }: Place): Promise<void> {
  const { ends = 0, touches = 0 } = traffic;
  if (ids.length < traffic.sessions) {
    ids.push(await create(client, traffic, random));
    return;
  }
  const at = random.below(ids.length);
  const id = ids[at] ?? "";
  const dice = random.below(100);
  if (dice < ends) {
    ids.splice(at, 1);
    await client.abandon(id);
  } else if (dice < ends + touches) {
    const contents = client.current(id) ?? (await client.load(id));
    if (contents !== undefined) await client.renew(id, contents);
  } else if (dice % 3 === 0) await read(client, id);
  else if (dice % 3 === 1) await change(client, id, traffic, random);
  else await client.transaction(id, (own) => own.set("n", Number(own.get("n")) + 1));
}

async function create(client: Client, traffic: Traffic, random: Random): Promise<string> {
  const session = client.create({ prefix: `10.0.0.${random.below(200)}` });
  session.set("n", 0);
  if (traffic.textBytes > 0) session.set("text", "x".repeat(random.below(traffic.textBytes)));
  session.set("list", [1, 2, { a: "b" }]);
  if (traffic.hasReferences === true) {
    const shared = { a: [1, 2, 3] };
    session.set("one", { shared });
    session.set("other", { shared });
  }
  await session.save();
  return session.id ?? "";
}

async function read(client: Client, id: string): Promise<void> {
  const session = await client.open(id);
  for (const key of session?.keys ?? []) session?.get(key);
}

async function change(client: Client, id: string, traffic: Traffic, random: Random): Promise<void> {
  const session = await client.open(id);
  if (session === undefined) return;
  const list = session.get("list") as unknown[];
  if (list.length > 20) session.set("list", []);
  else list.push({ at: random.below(1000) });
  if (traffic.keys !== undefined) session.set(`key ${random.below(traffic.keys)}`, random.below(1_000_000));
  await session.save();
}
