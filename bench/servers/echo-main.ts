// The other side of the socket floor: answers each frame with one of the length it asks for.

import { createServer, type Socket } from "node:net";
import { FrameReader, LENGTH_BYTES } from "../../protocol/wire/frame.ts";

const MAX_FRAME_BYTES = 1024 * 1024;
const path = process.argv[2];

createServer(serve).listen(path);
process.once("SIGTERM", () => process.exit(0));

function serve(socket: Socket): void {
  const reader = new FrameReader(MAX_FRAME_BYTES);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    const lengths: number[] = [];
    reader.read(chunk, (frame) => lengths.push(frame.readUInt32BE(0)));
    if (lengths.length > 0) socket.write(framesOf(lengths));
  });
}

function framesOf(lengths: readonly number[]): Buffer {
  const total = lengths.reduce((sum, length) => sum + LENGTH_BYTES + length, 0);
  const frames = Buffer.allocUnsafe(total);
  let at = 0;
  for (const length of lengths) {
    frames.writeUInt32BE(length, at);
    at += LENGTH_BYTES + length;
  }
  return frames;
}
