// Names the place of a bad value the way a program would write it.

import { SessionError } from "../errors.ts";

export function badValue(path: string, problem: string): SessionError {
  return new SessionError("ERR_BAD_VALUE", `${path} cannot be stored: it is ${problem}.`);
}

export type Segment = string | number;

const SHOWN_SEGMENTS = 12;

/** `cart.items[3]["first name"]`; of a very long path the beginning and the end. */
export function pathText(root: string, segments: readonly Segment[]): string {
  if (segments.length <= SHOWN_SEGMENTS) return root + segments.map(segmentText).join("");
  const half = SHOWN_SEGMENTS / 2;
  return `${root}${segments.slice(0, half).map(segmentText).join("")}…${segments.slice(-half).map(segmentText).join("")}`;
}

function segmentText(segment: Segment): string {
  if (typeof segment === "number") return `[${segment}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
}
