// Many session files at once, written as Gambas would have left them, for the cases that need a full directory.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { applyDelta, encodeDelta, newImage } from "../protocol/image/image.ts";
import { encodeValue } from "../protocol/value/value.ts";
import { SIZES, type Values } from "./session-values.ts";

const TIMEOUT_S = 86_400;
const YIELD_EVERY = 5_000;

export function idOf(number: number): string {
  return `many:${number.toString(16).toUpperCase().padStart(24, "0")}`;
}

/** Writes `count` sessions of the realistic size below a daemon's root; tells how far it is. */
export async function writeSessionFiles(root: string, count: number, tell: (done: number) => void): Promise<void> {
  const directory = join(root, "session");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const image = imageOf(SIZES.realistic);
  for (let number = 0; number < count; number++) {
    writeFileSync(`${directory}/${idOf(number)}`, image, { mode: 0o600 });
    if (number % YIELD_EVERY !== 0) continue;
    tell(number);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function imageOf(values: Values): Buffer {
  const nowMs = Date.now();
  const entries = Object.entries(values).map(
    ([key, value]) => [key, Buffer.from(encodeValue(value, key).bytes)] as const,
  );
  const delta = encodeDelta(new Map<string, Buffer | undefined>([["_", encodeValue("/", "_").bytes], ...entries]));
  return applyDelta(newImage({ nowMs, timeoutSeconds: TIMEOUT_S }), { delta, nowMs });
}
