// Which id a session was made with, where its place knows it by a name that has kept letters and digits alone (`mappedId`): the browser's cookie has
// the id, and elsewhere only that finds it. Nothing is guessed: a name that does not tell its id is said not to, with what is known. Pure.
//
//   1. A form that the operator has named counts before all else: he knows how prefixes are made.
//   2. A prefix without `_` has lost nothing: the name is the id. So are all that a program makes of letters and digits.
//   3. Without a prefix of its own a program takes the address of the client. A name that can be read as one address, and in one way only, is that.
//   4. Two prefixes are made by us alone: of a client whose address cannot be told, and of a session of express-session.

import { SessionError } from "../../protocol/errors.ts";
import { checkPrefix, isSessionId, mappedId, mappedPrefix, prefixOf } from "../../protocol/session-id.ts";
import { addressesReadIn } from "./addresses.ts";
import { sidsReadIn } from "./sids.ts";

/** In a form it stands for letters and digits, one at least. */
const ANY = "*";
/** `unknown-` and these digits, drawn where a trusted proxy names no address (client/http/exchange.ts). */
const UNKNOWN = /^unknown_([0-9a-f]{16})$/;

/** How ids begin: `user-*` is every prefix of that kind. */
interface Form {
  readonly pieces: readonly string[];
  readonly pattern: RegExp;
}

export type Original =
  | { readonly id: string; readonly isAddress: boolean }
  /** The ids that it may have been made with, as far as they are known. */
  | { readonly id: undefined; readonly readings: readonly string[] };

export class OriginalIds {
  readonly #forms: readonly Form[];

  /** @param forms of prefixes, with commas between them, which no prefix has. @throws SessionError ERR_BAD_OPTION. */
  constructor(forms?: string) {
    this.#forms = forms?.split(",").map(formOf) ?? [];
  }

  /** @param name an id as `mappedId` gives it. */
  of(name: string): Original {
    const prefix = prefixOf(name);
    const rest = name.slice(prefix.length);
    const ids = [...new Set(this.#readings(prefix, rest.slice(1)))].map((one) => one + rest);
    const [id, ...others] = ids.filter((one) => isSessionId(one) && mappedId(one) === name);
    if (id === undefined || others.length > 0) return { id: undefined, readings: ids };
    return { id, isAddress: addressesReadIn(prefix).includes(prefixOf(id)) };
  }

  #readings(prefix: string, digits: string): readonly string[] {
    const named = this.#forms.flatMap((form) => readingBy(form, prefix));
    if (named.length > 0) return named;
    if (!prefix.includes("_")) return [prefix];
    const unknown = UNKNOWN.exec(prefix)?.[1];
    const made = unknown === undefined ? [] : [`unknown-${unknown}`];
    return [...addressesReadIn(prefix), ...made, ...sidsReadIn(prefix, digits)];
  }
}

function formOf(text: string): Form {
  if (text === "") throw new SessionError("ERR_BAD_OPTION", "A form of prefixes is empty; one is, say, user-*.");
  const pieces = checkPrefix(text).split(ANY);
  return { pieces, pattern: new RegExp(`^${pieces.map(mappedPrefix).join("([A-Za-z0-9]+)")}$`) };
}

function readingBy({ pieces, pattern }: Form, prefix: string): readonly string[] {
  const match = pattern.exec(prefix);
  return match === null ? [] : [pieces.map((piece, at) => piece + (match[at + 1] ?? "")).join("")];
}
