// Ids of sessions of express-session (`gambas-session/store`): `<prefix>.<sid>:<24 digits of the sid's SHA-256>`. The digits tell which sid it was, where a
// name has lost what is no letter and no digit. Pure.

import { createHash } from "node:crypto";

const SEPARATOR = ".";
/** What an unreserved character of a sid may have been: those of express-session's own, and of UUIDs. */
const LOST = ["-", "_"] as const;
/** More that are lost are not looked for: each doubles the work. Ids of express-session lose one, as a rule, and those of UUIDs four. */
const MAX_LOST = 10;

/** The prefix whose sid has these digits, in a text where every character but letters and digits has become `_`; none, or one. */
export function sidsReadIn(text: string, digits: string): readonly string[] {
  const [, prefix, sid] = /^([A-Za-z0-9]+)_(\w+)$/.exec(text) ?? [];
  if (prefix === undefined || sid === undefined || sid.split("_").length - 1 > MAX_LOST) return [];
  const found = spellingsOf(sid).find((one) => digitsOf(one, digits.length) === digits);
  return found === undefined ? [] : [`${prefix}${SEPARATOR}${found}`];
}

function spellingsOf(sid: string): readonly string[] {
  const [first = "", ...parts] = sid.split("_");
  return parts.reduce<readonly string[]>(
    (spellings, part) => spellings.flatMap((spelling) => LOST.map((lost) => spelling + lost + part)),
    [first],
  );
}

function digitsOf(sid: string, count: number): string {
  return createHash("sha256").update(sid).digest("hex").slice(0, count).toUpperCase();
}
