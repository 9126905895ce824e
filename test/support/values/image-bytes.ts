// Images and changes as the tests of images write them down.

import { expect } from "vitest";
import { applyDelta, encodeDelta, type Share, startupBytes } from "../../../protocol/image/image.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import { hex } from "./value-bytes.ts";

export { hex } from "./value-bytes.ts";

export const NOW_MS = Date.parse("2026-11-22T10:00:00.123Z");
export const HEADER = Buffer.concat([startupBytes(NOW_MS), Buffer.from("000000000000f03f", "hex")]);

/** An image with this body and cookie path. */
export function imageOf(body: string, cookiePath = "00"): Buffer {
  return Buffer.concat([HEADER, hex(body), hex(cookiePath)]);
}

export function bytes(value: unknown): Buffer {
  return encodeValue(value, "k").bytes;
}

export function apply(
  image: Buffer,
  changes: Record<string, Buffer | undefined>,
  shares: readonly Share[] = [],
): Buffer {
  return applyDelta(image, { delta: encodeDelta(Object.entries(changes)), nowMs: NOW_MS, shares });
}

export function bodyOf(image: Buffer): string {
  return image.subarray(16).toString("hex");
}

export function header(startupDays: number, timeoutDays: number): Buffer {
  const made = Buffer.alloc(16);
  made.writeDoubleLE(startupDays, 0);
  made.writeDoubleLE(timeoutDays, 8);
  return made;
}

export function refused(code: string): unknown {
  return expect.objectContaining({ code, name: "SessionError" });
}
