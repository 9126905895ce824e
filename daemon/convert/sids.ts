// Ids of sessions of express-session (`gambas-session/store`): `<prefix>__<sid>:<24 digits of the sid's SHA-256>`, prefix and sid in letters and digits, with `_` and
// two hex digits for every other byte. No name loses any of that, and the digits tell that it is one. Pure.

import { createHash } from "node:crypto";

const ENCODED = /^(?:[A-Za-z0-9]|_[0-9A-F]{2})+__((?:[A-Za-z0-9]|_[0-9A-F]{2})+)$/;

/** The text itself, where it is the prefix of the id of a sid that has these digits; else nothing. */
export function sidsReadIn(text: string, digits: string): readonly string[] {
  const [, encoded] = ENCODED.exec(text) ?? [];
  return encoded !== undefined && digitsOf(decoded(encoded), digits.length) === digits ? [text] : [];
}

function decoded(encoded: string): Buffer {
  const bytes = encoded.replace(/_(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1");
}

function digitsOf(sid: Buffer, count: number): string {
  return createHash("sha256").update(sid).digest("hex").slice(0, count).toUpperCase();
}
