// Hostile bytes and ids against a daemon in this process: it answers others all the while, and no file is made but in its own places.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon } from "../../daemon/start.ts";
import { SessionError } from "../../protocol/errors.ts";
import { isSessionId, makeSessionId } from "../../protocol/session-id.ts";
import { FrameWriter } from "../../protocol/wire/frame.ts";
import { OPERATIONS, PROTOCOL_VERSION } from "../../protocol/wire/operations.ts";
import { deltaOf, RawWorker } from "../support/daemon/raw-worker.ts";
import { Random } from "../support/values/random.ts";
import { ids } from "./fuzzing.ts";
import { Mutator } from "./mutator.ts";

export interface DaemonFigures {
  readonly hostileConnections: number;
  readonly hostileIds: number;
  readonly idsTaken: number;
}

const OWN_NAMES = /^(?:session|sessiond\.(?:sock|pid|lock|journal|journal\.old|twins))$/;

export async function fuzzDaemon(count: number, seed: number): Promise<DaemonFigures> {
  const house = mkdtempSync(join(tmpdir(), "gs-"));
  const root = join(house, "root");
  writeFileSync(join(house, "canary"), "sings");
  const daemon = await startDaemon({ root, logLevel: "silent" });
  const random = new Random(seed);
  try {
    await sendBytes(daemon.socket, random, count);
    const idsTaken = await sendIds(daemon.socket, random, count);
    await daemon.stop();
    checkNames(house, root);
    return { hostileConnections: count, hostileIds: count, idsTaken };
  } finally {
    await daemon.stop();
    rmSync(house, { recursive: true, force: true });
  }
}

/** Connections that say hello and then nonsense; between them an honest worker must be served. */
async function sendBytes(socket: string, random: Random, count: number): Promise<void> {
  const mutator = new Mutator(random, conversation());
  const honest = await RawWorker.connect(socket, "honest");
  const id = makeSessionId("honest", Buffer.alloc(12, 1));
  await honest.create(id, { n: -1 });
  for (let n = 0; n < count; n++) {
    const hostile = await RawWorker.connectSilently(socket);
    hostile.sendBytes(mutator.next());
    await honest.commit(id, { n });
    await hostile.close();
    if ((await honest.values(id))?.n !== n) throw new Error(`the honest worker was not served at input ${n}`);
  }
  await honest.close();
}

function conversation(): Buffer[] {
  const writer = new FrameWriter();
  const id = makeSessionId("hostile", Buffer.alloc(12, 2));
  const hello = [0, OPERATIONS.hello.number, PROTOCOL_VERSION, "hostile"] as const;
  const commits = [
    [1, OPERATIONS.commit.number, id, 1, 0, deltaOf({ n: 1 }), { create: true }],
    [2, OPERATIONS.commit.number, id, 2, 0, deltaOf({ n: 2, text: "x".repeat(200) }), null],
    [3, OPERATIONS.lease.number, id, 100, 0],
    [4, OPERATIONS.touch.number, id, 0],
    [5, OPERATIONS.open.number, id, 0],
    [6, OPERATIONS.abandon.number, id],
  ] as const;
  return commits.map((_, place) => {
    writer.push(...hello);
    for (const fields of commits.slice(0, place + 1)) writer.push(...fields);
    return Buffer.from(writer.take());
  });
}

async function sendIds(socket: string, random: Random, count: number): Promise<number> {
  const mutator = new Mutator(random, ids());
  const worker = await RawWorker.connect(socket, "ids");
  const used = new Set<string>();
  for (let n = 0; n < count; n++) {
    const id = mutator
      .next()
      .toString(n % 2 === 0 ? "utf8" : "latin1")
      .slice(0, 500);
    const outcome = await worker.create(id, { n }).catch((error: unknown) => error);
    const isRefused = outcome instanceof SessionError && outcome.code === "ERR_BAD_ID";
    if (isRefused === isSessionId(id)) throw new Error(`${JSON.stringify(id)}: ${outcome}`);
    if (isRefused || used.has(id)) continue;
    if (outcome instanceof Error) throw outcome;
    used.add(id);
    await worker.commit(id, { n: n + 1 });
    await worker.open(id);
    if (n % 3 === 0) await worker.abandon(id);
  }
  await worker.close();
  return used.size;
}

function checkNames(house: string, root: string): void {
  const strange = [
    ...readdirSync(house).filter((name) => name !== "root" && name !== "canary"),
    ...readdirSync(root).filter((name) => !OWN_NAMES.test(name)),
    ...readdirSync(join(root, "session")).filter((name) => !isSessionId(name.replace(/\.lock$/, ""))),
  ];
  if (strange.length > 0) throw new Error(`files that may not be: ${strange.join(", ")}`);
}
