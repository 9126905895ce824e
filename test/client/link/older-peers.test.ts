// What travels between a worker and a daemon of files is what it was before there were other types: releases of before, which speak the same
// version of the protocol, go on beside this one.

import { connect as connectSocket, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";
import { FrameReader, readMessage } from "../../../protocol/wire/wire.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";

const MAX_FRAME_BYTES = 1024 * 1024;
/** Number, operation and fields of a commit without `floor`; number, outcome and fields of an answer to hello without `backend`. */
const [COMMIT, COMMIT_FIELDS, HELLO_ANSWER_FIELDS] = [2, 7, 9];

let root: string;
let daemon: Daemon;
let proxy: Server;

beforeEach(() => {
  root = freshRoot();
});

afterEach(async () => {
  proxy.close();
  await daemon.stop();
  await removeRoot(root);
});

/** Of each message its fields, by who has sent it, when a worker has made a session. */
async function overheard(type: "file" | "memory"): Promise<Record<"worker" | "daemon", (readonly unknown[])[]>> {
  daemon = await startDaemon({ root, type, logLevel: "silent" });
  const heard = { worker: [] as (readonly unknown[])[], daemon: [] as (readonly unknown[])[] };
  proxy = createServer((worker) => {
    const own = connectSocket(daemon.socket);
    for (const [from, to, name] of [
      [worker, own, "worker"],
      [own, worker, "daemon"],
    ] as const) {
      const reader = new FrameReader(MAX_FRAME_BYTES);
      from.on("data", (bytes) => reader.read(bytes, (frame) => void heard[name].push(readMessage(frame))));
      from.pipe(to);
    }
  });
  const socket = join(root, "proxy");
  await new Promise<void>((done) => proxy.listen(socket, done));
  const client = await connect({ root, socket, type, spawn: false });
  const handle = client.create();
  handle.set("n", 1);
  await handle.save();
  client.close();
  return heard;
}

it("says no more of files than it always did, either way", async () => {
  const { worker, daemon: answers } = await overheard("file");
  expect(worker.find(([, operation]) => operation === COMMIT)).toHaveLength(COMMIT_FIELDS);
  expect(answers[0]).toHaveLength(HELLO_ANSWER_FIELDS);
});

it("says of other types what keeps the sessions, and which commits need not be remembered", async () => {
  const { worker, daemon: answers } = await overheard("memory");
  expect(worker.find(([, operation]) => operation === COMMIT)).toHaveLength(COMMIT_FIELDS + 1);
  expect(answers[0]?.at(-1)).toBe("memory");
});
