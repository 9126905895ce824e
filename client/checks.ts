// What options must be, and how an error says so: tables of checks, by name. A name without a check is no option. Which options there are
// stands where they are declared.

import { SessionError } from "../protocol/errors.ts";
import { checkNames } from "../protocol/names.ts";

/** What an option must be, and how that is said. A check that can say more exactly what is wrong throws an error of its own. */
export type Check = readonly [isGood: (value: unknown) => boolean, words: string];
/** Each option has one. */
export type Checks<Options> = { readonly [Name in keyof Options]-?: Check };

/** The longest text of a value that an error repeats. */
const MAX_SAID_CHARACTERS = 100;

export const BOOLEAN: Check = [(value) => typeof value === "boolean", "true or false"];

/** At 0 a session is over when it begins: whoever says that means something else, for ever perhaps. */
export const LIFE_TIME: Check = [(value) => isAmount(value) && value !== 0, "a number of seconds above 0"];

export function isText(value: unknown): value is string {
  return typeof value === "string";
}

export function isPath(value: unknown): boolean {
  return isText(value) && value !== "";
}

export function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

export function isWhole(value: unknown): boolean {
  return Number.isInteger(value) && isAmount(value);
}

export function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param of whose options they are, where it is not clear; and names that people know from elsewhere, each with a sentence on what to do here.
 * @throws SessionError ERR_BAD_OPTION, by name.
 */
export function checkOptions<Options extends object>(
  options: Options,
  checks: Checks<Options>,
  { owner, foreign = {} }: { readonly owner?: string; readonly foreign?: Readonly<Record<string, string>> },
): void {
  const whose = owner === undefined ? "" : ` of ${owner}`;
  if (!isRecord(options)) {
    throw new SessionError("ERR_BAD_OPTION", `The options${whose} must be an object, not ${said(options)}.`);
  }
  const known = Object.keys(checks) as (keyof Options & string)[];
  checkNames(options, { kind: "option", known, foreign });
  for (const name of known) {
    const [isGood, words] = checks[name];
    const value: unknown = options[name];
    if (value === undefined || isGood(value)) continue;
    throw new SessionError("ERR_BAD_OPTION", `The option ${name}${whose} must be ${words}, not ${said(value)}.`);
  }
}

/** A value as an error names it. */
export function said(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, MAX_SAID_CHARACTERS));
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
