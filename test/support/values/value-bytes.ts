// Values and their bytes as the tests of the codec write them down.

import { type Encoded, encodeValue, type Origins } from "../../../protocol/value/value.ts";

/** Written out in hexadecimal, with blanks. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

/** As the key `k` holds it, over `previous`. */
export function encode(value: unknown, previous?: Buffer, origins?: Origins): Encoded {
  return encodeValue(value, "k", previous === undefined ? undefined : { bytes: previous, at: 0 }, origins);
}

/** A class name as it is stored, in hexadecimal. */
export function name(text: string): string {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text)]).toString("hex");
}
