// Cookie headers in and out, as Gambas reads and writes them (GAMBAS.md 5.2 and 5.4). Pure.

/** Header text arrives as Latin-1, one character a byte; ids are UTF-8. */
function fromHeader(text: string): string {
  if (isAscii(text)) return text;
  return Buffer.from(text, "latin1").toString("utf8");
}

function toHeader(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/**
 * The values of the cookies of one name, from the last to the first: names are case sensitive, nothing is decoded, a second "=" ends the
 * value, and an empty value counts for no cookie.
 */
export class CookieValues {
  readonly #header: string;
  readonly #name: string;
  /** Where the part to be looked at next ends; -1 behind the first one. */
  #end: number;

  constructor(header: string | undefined, name: string) {
    this.#header = header ?? "";
    this.#name = name;
    this.#end = this.#header.length;
  }

  /** undefined when there are no more. */
  next(): string | undefined {
    while (this.#end >= 0) {
      const end = this.#end;
      const start = end === 0 ? 0 : this.#header.lastIndexOf(";", end - 1) + 1;
      this.#end = start - 1;
      const value = this.#valueIn(start, end);
      if (value !== "") return fromHeader(value);
    }
    return undefined;
  }

  #valueIn(start: number, end: number): string {
    const [header, name] = [this.#header, this.#name];
    const from = afterBlanks(header, start, end);
    const nameEnd = from + name.length;
    if (nameEnd >= end || header[nameEnd] !== "=" || !header.startsWith(name, from)) return "";
    return header.slice(nameEnd + 1, endOf("=", header, nameEnd + 1, end));
  }
}

/** Where the mark stands in `header[from..to)`, or `to`. */
function endOf(mark: string, header: string, from: number, to: number): number {
  const code = mark.charCodeAt(0);
  for (let at = from; at < to; at++) if (header.charCodeAt(at) === code) return at;
  return to;
}

function afterBlanks(header: string, from: number, to: number): number {
  let at = from;
  while (at < to && header.charAt(at).trim() === "") at++;
  return at;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** Gambas writes a path as it is. A browser reads it up to the first of these characters, and a header cannot hold them. */
function pathIn(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they end the path
  return toHeader(path.split(/[\x00-\x1f\x7f;]/, 1)[0] ?? "");
}

/** What stands before the attributes of a cookie. */
export function cookiePair(name: string, value: string): string {
  return `${name}=${toHeader(value)}`;
}

export interface CookieAttributes {
  readonly name: string;
  readonly path: string;
  readonly domain?: string | undefined;
  readonly sameSite: string;
  readonly isSecure: boolean;
  readonly isPartitioned?: boolean;
}

/** Seconds that old clients can read. */
const MAX_SECONDS = 2 ** 31 - 1;
const LONG_PAST = "expires=Thu, 01 Jan 1970 00:00:00 GMT";

/** @param maxAgeSeconds how long the browser keeps it; undefined: until it ends. */
export function sessionCookie(
  id: string,
  { maxAgeSeconds, ...cookie }: CookieAttributes & { readonly maxAgeSeconds?: number | undefined },
  nowMs = Date.now(),
): string {
  if (maxAgeSeconds === undefined) return cookiePair(cookie.name, id) + attributes(cookie);
  const seconds = Math.min(maxAgeSeconds, MAX_SECONDS);
  // Clients that know no max-age read the date.
  const expires = `expires=${new Date(nowMs + seconds * 1000).toUTCString()};max-age=${seconds}`;
  return `${cookiePair(cookie.name, id)};${expires}${attributes(cookie)}`;
}

export function removalCookie(cookie: CookieAttributes): string {
  return `${cookie.name}=;${LONG_PAST}${attributes(cookie)}`;
}

/** A cookie is removed by the same attributes as it was set. */
function attributes({ path, domain, sameSite, isSecure, isPartitioned }: CookieAttributes): string {
  const of = domain === undefined ? "" : `;domain=${domain}`;
  return `;path=${pathIn(path)}${of};httponly;SameSite=${sameSite}${isSecure ? ";Secure" : ""}${isPartitioned ? ";Partitioned" : ""}`;
}
