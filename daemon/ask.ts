// What the command line asks of a daemon that runs: how it is, and to leave.

import { connect } from "node:net";
import { SessionError } from "../protocol/errors.ts";
import { FrameReader, FrameWriter, readMessage } from "../protocol/frame.ts";
import { OPERATIONS, PROTOCOL_VERSION } from "../protocol/operations.ts";
import { type DaemonOptions, resolveConfig } from "./config.ts";

const MAX_ANSWER_BYTES = 1024 * 1024;

/** @throws SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION. */
export async function status(options: DaemonOptions, isJson: boolean): Promise<string> {
  const { socket } = resolveConfig(options);
  const json = String(await ask(socket, "status"));
  if (isJson) return json;
  const report: Record<string, unknown> = JSON.parse(json);
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(22)}${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n");
}

/** Makes the daemon on this socket leave. Resolves to its pid, or to undefined when there is none. */
export async function retire(options: DaemonOptions): Promise<number | undefined> {
  try {
    return Number(await ask(resolveConfig(options).socket, "retire"));
  } catch (error) {
    if (error instanceof SessionError && error.code === "ERR_DAEMON_UNAVAILABLE") return undefined;
    throw error;
  }
}

/** The first field of the answer. */
function ask(path: string, name: "status" | "retire"): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const reader = new FrameReader(MAX_ANSWER_BYTES);
    const writer = new FrameWriter();
    writer.push(0, OPERATIONS.hello.number, PROTOCOL_VERSION, name);
    writer.push(1, OPERATIONS[name].number);
    socket.write(writer.take());
    const unavailable = (): void => reject(new SessionError("ERR_DAEMON_UNAVAILABLE", `No daemon answers on ${path}.`));
    socket.once("error", unavailable);
    socket.once("close", unavailable);
    socket.on("data", (chunk) => {
      reader.read(chunk, (frame) => {
        const [number, failed, first, text] = readMessage(frame);
        if (failed !== 0) reject(new SessionError("ERR_PROTOCOL_VERSION", String(text)));
        else if (number === 1) resolve(first);
        if (failed !== 0 || number === 1) socket.destroy();
      });
    });
  });
}
