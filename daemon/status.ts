// `gambas-sessiond status`: asks the running daemon and prints what it says.

import { connect } from "node:net";
import { SessionError } from "../protocol/errors.ts";
import { FrameReader, FrameWriter, readMessage } from "../protocol/frame.ts";
import { OPERATIONS, PROTOCOL_VERSION } from "../protocol/operations.ts";
import { type DaemonOptions, resolveConfig } from "./config.ts";

const MAX_ANSWER_BYTES = 1024 * 1024;

/** @throws SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION. */
export async function status(options: DaemonOptions, isJson: boolean): Promise<string> {
  const { socket } = resolveConfig(options);
  const json = await ask(socket);
  if (isJson) return json;
  const report: Record<string, unknown> = JSON.parse(json);
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(22)}${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n");
}

function ask(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const reader = new FrameReader(MAX_ANSWER_BYTES);
    const writer = new FrameWriter();
    writer.push(0, OPERATIONS.hello.number, PROTOCOL_VERSION, "status");
    writer.push(1, OPERATIONS.status.number);
    socket.write(writer.take());
    socket.once("error", () => {
      reject(new SessionError("ERR_DAEMON_UNAVAILABLE", `No daemon answers on ${path}.`));
    });
    socket.on("data", (chunk) => {
      reader.read(chunk, (frame) => {
        const [number, failed, first, text] = readMessage(frame);
        if (failed !== 0) reject(new SessionError("ERR_PROTOCOL_VERSION", String(text)));
        else if (number === 1) resolve(String(first));
        if (failed !== 0 || number === 1) socket.destroy();
      });
    });
  });
}
