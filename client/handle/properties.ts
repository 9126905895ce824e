// What a request has chosen for its session besides keys, and not saved yet: life time, path of the cookie, uniqueness, and to be saved at all.
// Nothing here ever changes: a choice makes other choices of those before. And what a session takes over from where it begins.

import type { HandleOptions } from "../api.ts";

/** Where a session begins, if it does: a request, a Run, a transaction. */
export interface Birthplace extends HandleOptions {
  /** Id of the first session that begins there. Default: each gets a new one. */
  readonly id?: string | undefined;
  /** The request, for who reads it. */
  readonly request?: string | undefined;
  /** Called before a session is created; throws when it may not be. */
  mayCreate?(): void;
}

/** NOTHING_CHOSEN as soon as it holds nothing. */
export interface Chosen {
  readonly timeoutSeconds: number | undefined;
  readonly cookiePath: string | undefined;
  /** The next save ends the other sessions of the prefix. */
  readonly isUnique: boolean;
  /** The next save writes, changed or not. */
  readonly isForced: boolean;
}

/** The properties that a commit carries. */
export interface Properties {
  readonly timeoutSeconds?: number;
  readonly cookiePath?: string;
}

export const NOTHING_CHOSEN: Chosen = {
  timeoutSeconds: undefined,
  cookiePath: undefined,
  isUnique: false,
  isForced: false,
};
const NO_PROPERTIES: Properties = {};

export function choose(before: Chosen, choice: Partial<Chosen>): Chosen {
  const chosen = { ...before, ...choice };
  const { timeoutSeconds, cookiePath, isUnique, isForced } = chosen;
  const isNothing = timeoutSeconds === undefined && cookiePath === undefined && !isUnique && !isForced;
  return isNothing ? NOTHING_CHOSEN : chosen;
}

/** What is still to be saved after a commit of these properties, with or without an end of the other sessions. */
export function chosenSince(
  chosen: Chosen,
  saved: { readonly properties: Properties; readonly isUnique: boolean },
): Chosen {
  if (chosen === NOTHING_CHOSEN) return chosen;
  const { timeoutSeconds, cookiePath } = saved.properties;
  return choose(chosen, {
    ...(chosen.timeoutSeconds === timeoutSeconds && { timeoutSeconds: undefined }),
    ...(chosen.cookiePath === cookiePath && { cookiePath: undefined }),
    ...(saved.isUnique && { isUnique: false }),
    isForced: false,
  });
}

/** What a new session begins with, unless something else was chosen. */
interface Beginning {
  readonly seconds: number;
  /** "": the session itself names none. */
  readonly path: string;
}

/** The choices of a transaction on top of those before it. That something was to be saved in it is settled. */
export function chosenAfter(before: Chosen, inner: Chosen): Chosen {
  if (inner === NOTHING_CHOSEN) return before;
  return choose(before, {
    timeoutSeconds: inner.timeoutSeconds ?? before.timeoutSeconds,
    cookiePath: inner.cookiePath ?? before.cookiePath,
    isUnique: before.isUnique || inner.isUnique,
  });
}

/** What a commit must carry. */
export function propertiesOf({ timeoutSeconds, cookiePath }: Chosen, beginning: Beginning | undefined): Properties {
  const seconds = timeoutSeconds ?? beginning?.seconds;
  const path = cookiePath ?? (beginning?.path || undefined);
  if (seconds === undefined && path === undefined) return NO_PROPERTIES;
  return {
    ...(seconds === undefined ? {} : { timeoutSeconds: seconds }),
    ...(path === undefined ? {} : { cookiePath: path }),
  };
}

/** The members of the static Session that were set and are not saved. */
export function chosenNames({ timeoutSeconds, cookiePath, isUnique, isForced }: Chosen): string[] {
  const names: string[] = [];
  if (timeoutSeconds !== undefined) names.push("Timeout");
  if (cookiePath !== undefined) names.push("CookiePath");
  if (isUnique) names.push("Unique");
  if (isForced) names.push("Modified");
  return names;
}

/** The session around a transaction. */
interface Heritage {
  readonly givenId: string | undefined;
  readonly prefix: string;
  readonly timeout: number;
  readonly cookiePath: string;
  readonly isUnique: boolean;
}

/** What a session that a transaction begins takes over from the session around it, asked for only when one is begun. */
export class Inherited implements Birthplace {
  readonly #draft: Heritage;
  readonly #birthplace: Birthplace;

  constructor(draft: Heritage, birthplace: Birthplace) {
    this.#draft = draft;
    this.#birthplace = birthplace;
  }

  get id(): string | undefined {
    return this.#draft.givenId;
  }

  get prefix(): string {
    return this.#draft.prefix;
  }

  get timeoutSeconds(): number {
    return this.#draft.timeout;
  }

  get cookiePath(): string {
    return this.#draft.cookiePath;
  }

  get isUnique(): boolean {
    return this.#draft.isUnique;
  }

  get request(): string | undefined {
    return this.#birthplace.request;
  }

  mayCreate(): void {
    this.#birthplace.mayCreate?.();
  }
}
