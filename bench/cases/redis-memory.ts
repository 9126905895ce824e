// Question: how much memory does a session of 300 bytes take in Redis? Resident size of the server as the kernel sees it, with what it keeps to tell
// the daemon of changes.

import { RedisStore } from "connect-redis-ioredis";
import { Redis } from "ioredis";
import type { Subject } from "../contenders/contender.ts";
import { StoreSubject } from "../contenders/express-store.ts";
import { redisBackend } from "../contenders/gambas-backend.ts";
import type { Lab } from "../lab.ts";
import type { Row } from "../row.ts";
import { residentBytes } from "../servers/cpu.ts";
import { SIZES } from "../session-values.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";
import { memoryRow } from "./memory.ts";

const NAME = "redis-memory";
const AT_ONCE = 64;
const CONTENDERS = ["gambas-session redis", "connect-redis/ioredis AOF"] as const;

export const redisMemory: Case = {
  name: NAME,
  question: "memory that a session of 300 bytes takes in Redis",
  async run(lab) {
    const count = Math.min(...lab.plan.manyFiles);
    const rows: Row[] = [];
    for (const { name } of lab.present(NAME, CONTENDERS)) {
      rows.push(await lab.onStage((stage) => measure(lab, stage, { name, count })));
    }
    return rows;
  },
};

interface What {
  readonly name: string;
  readonly count: number;
}

async function measure(lab: Lab, stage: Stage, { name, count }: What): Promise<Row> {
  const { server, directory } = await stage.server("redis-aof");
  const places = { socket: server.socket, directory };
  const subject =
    name === CONTENDERS[0] ? await redisBackend.open?.(places, { keepsCopies: true }) : onStore(server.socket);
  if (subject === undefined) throw new Error(`${name} cannot be opened`);
  // Code, connection and buffers are there, and what counts is what the sessions add.
  await create(subject, AT_ONCE);
  const before = residentBytes(server.pid);
  for (let done = 0; done < count; done += AT_ONCE) {
    if (done % 6400 === 0) lab.progress.show(`${NAME}: ${name} ${done}/${count}`);
    await create(subject, Math.min(AT_ONCE, count - done));
  }
  const after = residentBytes(server.pid);
  await subject.close();
  return memoryRow({ case: NAME, contender: `${name}, ${count}`, sessions: count }, { before, after });
}

function onStore(socket: string): Subject {
  const client = new Redis({ path: socket });
  return new StoreSubject(new RedisStore({ client, prefix: "sess:" }), () => client.disconnect());
}

async function create(subject: Subject, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => subject.create(SIZES.realistic)));
}
