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
 * The value of a cookie: names are case sensitive, nothing is decoded, a second "=" ends the value, the last of several wins.
 * undefined when it is missing or empty.
 */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  let found: string | undefined;
  for (let at = 0; at <= header.length; ) {
    const end = endOf(";", header, at, header.length);
    const from = afterBlanks(header, at, end);
    const nameEnd = endOf("=", header, from, end);
    if (nameEnd - from === name.length && header.startsWith(name, from)) {
      found = nameEnd === end ? undefined : header.slice(nameEnd + 1, endOf("=", header, nameEnd + 1, end));
    }
    at = end + 1;
  }
  return found === undefined || found === "" ? undefined : fromHeader(found);
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

/** Gambas writes a path as it is; this is as far as a browser would have read it, and what a header can hold. */
function pathIn(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they end the path
  return toHeader(path.split(/[\x00-\x1f\x7f;]/, 1)[0] ?? "");
}

export interface CookieAttributes {
  readonly name: string;
  readonly path: string;
  readonly sameSite: string;
  readonly isSecure: boolean;
}

export function sessionCookie(id: string, { name, path, sameSite, isSecure }: CookieAttributes): string {
  return `${name}=${toHeader(id)};path=${pathIn(path)};httponly;SameSite=${sameSite}${isSecure ? ";Secure" : ""}`;
}

export function removalCookie({ name, path, sameSite, isSecure }: CookieAttributes): string {
  const expires = "expires=Thu, 01 Jan 1970 00:00:00 GMT";
  return `${name}=;${expires};path=${pathIn(path)};httponly;SameSite=${sameSite}${isSecure ? ";Secure" : ""}`;
}
