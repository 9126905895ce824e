// What the command line asks of a daemon that runs: how it is, and to leave.

import { connect } from "node:net";
import { SessionError } from "../../protocol/errors.ts";
import { FrameReader, FrameWriter, readMessage } from "../../protocol/wire/frame.ts";
import { OPERATIONS, olderVersion, PROTOCOL_VERSION } from "../../protocol/wire/operations.ts";
import { type Config, type DaemonOptions, resolveConfig } from "../config.ts";
import { electedPid } from "../life/election.ts";

const MAX_ANSWER_BYTES = 1024 * 1024;

/** One that is alive answers both at once, whatever else it does. */
const PATIENCE_MS = 5_000;

/** @throws SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION. */
export async function status(options: DaemonOptions, isJson: boolean): Promise<string> {
  const config = resolveConfig(options);
  const json = await ask(config, "status");
  if (json === undefined) throw new SessionError("ERR_DAEMON_UNAVAILABLE", `No daemon answers on ${config.socket}.`);
  if (isJson) return String(json);
  const report: Record<string, unknown> = JSON.parse(String(json));
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(22)}${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n");
}

/**
 * Makes the daemon on this socket leave, whatever older version it is of. Resolves to its pid, or to undefined when there is none.
 *
 * @throws SessionError ERR_DAEMON_UNAVAILABLE when there is one that does not answer, ERR_PROTOCOL_VERSION when it is newer.
 */
export async function retire(options: DaemonOptions): Promise<number | undefined> {
  const pid = await ask(resolveConfig(options), "retire");
  return pid === undefined ? undefined : Number(pid);
}

/** The same if it is of an older version. Resolves to whether it is. */
export async function retireOlder(options: DaemonOptions): Promise<boolean> {
  const config = resolveConfig(options);
  const { failure } = await askOnce(config, "status", PROTOCOL_VERSION);
  const version = failure && olderVersion(failure);
  if (version === undefined) return false;
  await askOnce(config, "retire", version);
  return true;
}

/** The root that the daemon on this socket serves; undefined when none answers there. */
export async function servedRoot(config: Config): Promise<unknown> {
  const { answer } = await askOnce(config, "status", PROTOCOL_VERSION);
  return answer === undefined ? undefined : (JSON.parse(String(answer)) as Record<string, unknown>).root;
}

/** The first field of the answer; undefined when nobody is there, or it has left before it answered. */
async function ask(config: Config, name: "status" | "retire"): Promise<unknown> {
  const first = await askOnce(config, name, PROTOCOL_VERSION);
  const version = first.failure && olderVersion(first.failure);
  const { answer, failure } = version === undefined ? first : await askOnce(config, name, version);
  if (failure !== undefined) throw new SessionError("ERR_PROTOCOL_VERSION", String(failure[3]));
  return answer;
}

interface Answered {
  readonly answer?: unknown;
  /** The message of it. */
  readonly failure?: readonly unknown[];
}

/** hello and both questions have been the same in every version. */
function askOnce(config: Config, name: "status" | "retire", version: number): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const socket = connect(config.socket);
    const reader = new FrameReader(MAX_ANSWER_BYTES);
    const writer = new FrameWriter();
    writer.push(0, OPERATIONS.hello.number, version, name);
    writer.push(1, OPERATIONS[name].number);
    socket.write(writer.take());
    const patience = setTimeout(() => {
      reject(silent(config));
      socket.destroy();
    }, PATIENCE_MS);
    socket.once("error", () => socket.destroy());
    socket.once("close", () => {
      clearTimeout(patience);
      resolve({});
    });
    socket.on("data", (chunk) => {
      try {
        reader.read(chunk, (frame) => {
          const message = readMessage(frame);
          const [number, failed, answer] = message;
          if (failed !== 0) resolve({ failure: message });
          else if (number === 1) resolve({ answer });
          if (failed !== 0 || number === 1) socket.destroy();
        });
      } catch (error) {
        reject(stranger(config, error));
        socket.destroy();
      }
    });
  });
}

function stranger({ socket }: Config, error: unknown): SessionError {
  const what = `What answers on ${socket} is no daemon of this package.`;
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { cause: error });
}

function silent({ root, socket }: Config): SessionError {
  const what = `The daemon on ${socket} (pid ${electedPid(root) ?? "unknown"}) has not answered for ${PATIENCE_MS} ms.`;
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what);
}
