// The header of an image, its first 16 bytes: when the session was saved last and how long it lives, in days. Only this file knows where
// in the header they are. Knows nothing of what follows it.

import { SessionError } from "../errors.ts";
import { EPOCH_DAY } from "../value/scalar.ts";

export const HEADER_BYTES = 16;
const STARTUP_AT = 0;
const TIMEOUT_AT = 8;
const DAY_MS = 86_400_000;
const DAY_S = 86_400;
/** Stamps are whole milliseconds, which a count of days since 4801 BC cannot hold: it is off by up to 0.02 ms. */
const NOISE = 0.05;

/** When the session was saved last, as Unix milliseconds: whole where the stamp was, else as stored, NaN and Infinity included. */
export function startupMs(image: Buffer): number {
  const ms = (readDays(image, STARTUP_AT) - EPOCH_DAY) * DAY_MS;
  const whole = Math.round(ms);
  return Math.abs(ms - whole) < NOISE ? whole : ms;
}

/** The life time in seconds; whole where it was. */
export function timeoutSeconds(image: Buffer): number {
  const seconds = readDays(image, TIMEOUT_AT) * DAY_S;
  const milliseconds = Math.round(seconds * 1000);
  return Math.abs(seconds * 1000 - milliseconds) < NOISE ? milliseconds / 1000 : seconds;
}

/** Stamp and life time in days, as they are stored. */
export interface Days {
  /** Days of UTC until the session was saved last; 1970-01-01 is day 2 472 692. */
  readonly startup: number;
  readonly timeout: number;
}

export function readDaysOf(image: Buffer): Days {
  return { startup: readDays(image, STARTUP_AT), timeout: readDays(image, TIMEOUT_AT) };
}

export function writeDays(target: Buffer, { startup, timeout }: Days): void {
  target.writeDoubleLE(startup, STARTUP_AT);
  target.writeDoubleLE(timeout, TIMEOUT_AT);
}

/** Whether the life time is over. The header alone is enough. */
export function isExpired(image: Buffer, nowMs: number): boolean {
  return isOver(readDays(image, STARTUP_AT), readDays(image, TIMEOUT_AT), nowMs);
}

/** The same by the numbers that `startupMs` and `timeoutSeconds` gave. */
export function isPast(startupMs: number, timeoutSeconds: number, nowMs: number): boolean {
  return isOver(daysOf(startupMs), timeoutSeconds / DAY_S, nowMs);
}

/** The one rule of expiry: Gambas' own, in its arithmetic, so that it takes no session for alive that we take for over. NaN is over. */
function isOver(startupDays: number, timeoutDays: number, nowMs: number): boolean {
  return !(daysOf(nowMs) - startupDays < timeoutDays);
}

function readDays(image: Buffer, at: number): number {
  if (image.length < HEADER_BYTES)
    throw new SessionError("ERR_UNREADABLE", "The stored session is shorter than its header.");
  return image.readDoubleLE(at);
}

function daysOf(ms: number): number {
  return ms / DAY_MS + EPOCH_DAY;
}

/** When a session of this stamp and life time expires; null: never, as far as a Date can tell. */
export function expiryOf(startupMs: number, timeoutSeconds: number): Date | null {
  const date = new Date(startupMs + 1000 * timeoutSeconds);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** The bytes of a stamp, which are the first of an image. */
export function startupBytes(ms: number): Buffer {
  const bytes = Buffer.allocUnsafe(TIMEOUT_AT - STARTUP_AT);
  writeStartup(bytes, ms);
  return bytes;
}

/** Gambas takes a stamp that is no number for an expired one, so none is ever written. */
export function writeStartup(target: Buffer, ms: number): void {
  if (Number.isNaN(ms)) throw new SessionError("ERR_BAD_OPTION", "The time of a session is not a number.");
  target.writeDoubleLE(daysOf(ms), STARTUP_AT);
}

export function writeTimeout(target: Buffer, seconds: number): void {
  if (Number.isNaN(seconds)) throw new SessionError("ERR_BAD_OPTION", "The timeout of a session is not a number.");
  target.writeDoubleLE(seconds / DAY_S, TIMEOUT_AT);
}

/** The bytes of the life time: a view of the image. */
export function timeoutBytes(image: Buffer): Buffer {
  return image.subarray(TIMEOUT_AT, HEADER_BYTES);
}

export function isSameTimeout(left: Buffer, right: Buffer): boolean {
  return left.compare(right, TIMEOUT_AT, HEADER_BYTES, TIMEOUT_AT, HEADER_BYTES) === 0;
}

/** Gives `image` the life time of `source`, to the bit. */
export function copyTimeout(source: Buffer, image: Buffer): void {
  source.copy(image, TIMEOUT_AT, TIMEOUT_AT, HEADER_BYTES);
}
