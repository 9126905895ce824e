// Values on their way between a test and a program in the house, with everything JSON would lose: Dates, bigints, Buffers, -0, sharing.
import { deserialize, serialize } from "node:v8";

export function pack(value: unknown): string {
  return serialize(value).toString("base64");
}

export function unpack<T>(packed: string): T {
  return deserialize(Buffer.from(packed, "base64")) as T;
}
