// The first 16 bytes of an image: when it was saved last and how long it lives, in days. Knows nothing of what follows them.

import { SessionError } from "../errors.ts";
import { EPOCH_DAY } from "../value/scalar.ts";

export const HEADER_BYTES = 16;
const DAY_MS = 86_400_000;
const DAY_S = 86_400;
/** Stamps are whole milliseconds, which a count of days since 4801 BC cannot hold: it is off by up to 0.02 ms. */
const NOISE = 0.05;

/** When the session was saved last, as Unix milliseconds: whole where the stamp was, else as stored, NaN and Infinity included. */
export function startupMs(image: Buffer): number {
  const ms = (readDays(image, 0) - EPOCH_DAY) * DAY_MS;
  const whole = Math.round(ms);
  return Math.abs(ms - whole) < NOISE ? whole : ms;
}

/** The life time in seconds; whole where it was. */
export function timeoutSeconds(image: Buffer): number {
  const seconds = readDays(image, 8) * DAY_S;
  const milliseconds = Math.round(seconds * 1000);
  return Math.abs(seconds * 1000 - milliseconds) < NOISE ? milliseconds / 1000 : seconds;
}

/** Whether the life time is over, by the rule and the arithmetic of Gambas. NaN is over. The header alone is enough. */
export function isExpired(image: Buffer, nowMs: number): boolean {
  return !(daysOf(nowMs) - readDays(image, 0) < readDays(image, 8));
}

function readDays(image: Buffer, at: number): number {
  if (image.length < HEADER_BYTES)
    throw new SessionError("ERR_UNREADABLE", "The session file is shorter than its header.");
  return image.readDoubleLE(at);
}

function daysOf(ms: number): number {
  return ms / DAY_MS + EPOCH_DAY;
}

/** The 8 bytes of a stamp. */
export function startupBytes(ms: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeStartup(bytes, ms);
  return bytes;
}

/** Gambas takes a stamp that is no number for an expired one, so none is ever written. */
export function writeStartup(target: Buffer, ms: number): void {
  if (Number.isNaN(ms)) throw new SessionError("ERR_BAD_OPTION", "The time of a session is not a number.");
  target.writeDoubleLE(daysOf(ms), 0);
}

export function writeTimeout(target: Buffer, seconds: number): void {
  if (Number.isNaN(seconds)) throw new SessionError("ERR_BAD_OPTION", "The timeout of a session is not a number.");
  target.writeDoubleLE(seconds / DAY_S, 8);
}
