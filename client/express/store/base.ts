// A session as an application was given it: of each key the bytes of its value. What differs from that later is what the application changed,
// and nothing else is written.

import { isCode } from "../../../protocol/errors.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import type { Handle } from "../../api.ts";
import { recordOf } from "./cookie.ts";
import { storable, storeAsJson } from "./storable.ts";

export const COOKIE_KEY = "cookie";

export type Values = ReadonlyMap<string, unknown>;
export type Base = ReadonlyMap<string, Buffer>;

/** The values of a session object, as JSON would see them: what it would leave out is not there. */
export function valuesOf(session: object): Values {
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(session)) {
    if (key === COOKIE_KEY) values.set(key, recordOf(value));
    else if (value !== null && storesSomething(value)) values.set(key, value);
  }
  return values;
}

function storesSomething(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

export function baseOf(values: Values): Base {
  return new Map([...values].map(([key, value]) => [key, bytesOf(key, value, undefined)]));
}

function bytesOf(key: string, value: unknown, before: Buffer | undefined): Buffer {
  const previous = before && { bytes: before, at: 0 };
  try {
    return Buffer.from(encodeValue(value, key, previous).bytes);
  } catch (error) {
    if (!isCode(error, "ERR_BAD_VALUE")) throw error;
    return Buffer.from(encodeValue(storable(value), key, previous).bytes);
  }
}

/** Makes the session what the values are: against a base only what is not in it, else everything. */
export function write(handle: Handle, values: Values, base: Base | undefined): void {
  for (const key of base?.keys() ?? handle.keys) if (!values.has(key)) handle.delete(key);
  for (const [key, value] of values) {
    const before = base?.get(key);
    if (before?.equals(bytesOf(key, value, before)) === true) continue;
    storeAsJson((one) => handle.set(key, one), value);
  }
}
