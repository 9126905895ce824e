// Who sent a request: the client's address, and whether the request came by HTTPS. Nothing in it is believed further than `trustProxy` says.

import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { SessionError } from "../../protocol/errors.ts";

/** The longest address with a zone is shorter: a longer text is no address, and no prefix. */
const MAX_ADDRESS_LENGTH = 100;

/** How many proxies are believed; true: all of them, however many there are. */
export type TrustProxy = boolean | number;

/** What the connection and the headers of a request say about its sender. */
export interface Sender {
  /** The other end of the connection. */
  readonly address?: string | undefined;
  /** The connection itself is encrypted. */
  readonly isEncrypted?: boolean;
  /** X-Forwarded-For; several lines of it are joined by commas. */
  readonly forwardedFor?: string | undefined;
  /** X-Forwarded-Proto; several lines of it are joined by commas. */
  readonly forwardedProto?: string | undefined;
  /** The request as a log names it, "GET /cart"; without the query, which may hold secrets. */
  readonly name?: string | undefined;
}

/** The address as Gambas would show it: without port, brackets and quotes, IPv4-mapped IPv6 as IPv4; "" for a text that is no address. */
export function addressPrefix(text: string | undefined): string {
  if (text === undefined || text.length > MAX_ADDRESS_LENGTH) return "";
  const address = bareAddress(text);
  const version = isIP(address);
  return version === 6 ? shownIPv6(address) : version === 4 ? address : "";
}

function bareAddress(text: string): string {
  const unquoted = text.replace(/^"(.*)"$/, "$1").trim();
  const inBrackets = /^\[([^\]]*)\](?::\d*)?$/.exec(unquoted)?.[1];
  if (inBrackets !== undefined) return inBrackets;
  return isIP(unquoted) === 0 ? unquoted.replace(/:\d*$/, "") : unquoted;
}

/** Proxies spell one address in several ways; a prefix has one spelling, so that the visitor of two proxies is one visitor. */
function shownIPv6(address: string): string {
  const [plain, zone] = address.split("%", 2);
  const shown = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(shown);
  if (mapped === null) return zone === undefined ? shown : `${shown}%${zone}`;
  return mapped
    .slice(1)
    .flatMap((half) => [Number.parseInt(half, 16) >> 8, Number.parseInt(half, 16) & 0xff])
    .join(".");
}

/** Told of what hinders a prefix that was asked for. */
type Report = (problem: SessionError) => unknown;

/**
 * The client's address: the other end of the connection, or the address that the trusted proxies name. Where fewer proxies have named one
 * than are trusted, the first name counts. Where they name no address it is a prefix of its own: the other end of the connection would be the proxy's.
 */
export function addressOrOwn(sender: Sender, trustProxy: TrustProxy, report: Report): string {
  const { address, forwardedFor, name = "a request" } = sender;
  if (trustProxy === false || trustProxy === 0 || forwardedFor === undefined) return addressPrefix(address);
  const parts = forwardedFor.split(",").map((hop) => hop.trim());
  const hops = parts.filter((hop) => hop !== "");
  const named = trustProxy === true ? hops[0] : (hops.at(-trustProxy) ?? hops[0]);
  const found = addressPrefix(named);
  if (found !== "") return found;
  const what = `X-Forwarded-For of ${cut(name)} names no address that can be read: ${JSON.stringify(cut(forwardedFor))}.`;
  return ownPrefix(new SessionError("ERR_BAD_ADDRESS", what), report);
}

/** What the application says for this request, "" where it says nothing. Its function sees what a visitor sends: where it fails at that, nobody loses a page. */
export function saidPrefix(sender: Sender & { readonly prefix?: string | undefined }, report: Report): string {
  try {
    return sender.prefix ?? "";
  } catch (error) {
    const why = error instanceof SessionError ? error.what : String(error);
    const what = `The function of the option prefix failed for ${cut(sender.name ?? "a request")}, and the new session gets a prefix of its own: ${why}`;
    return ownPrefix(new SessionError("ERR_BAD_OPTION", what, { cause: error }), report);
  }
}

/** One that no other session has: those that are unique by their prefix must not end each other where nobody can tell whose they are. */
function ownPrefix(problem: SessionError, report: Report): string {
  report(problem);
  return `unknown-${randomBytes(8).toString("hex")}`;
}

function cut(text: string): string {
  return text.length > MAX_ADDRESS_LENGTH ? `${text.slice(0, MAX_ADDRESS_LENGTH)}…` : text;
}

export function isSecure({ isEncrypted, forwardedProto }: Sender, trustProxy: TrustProxy): boolean {
  if (isEncrypted === true) return true;
  if (trustProxy === false || trustProxy === 0) return false;
  return forwardedProto?.split(",")[0]?.trim().toLowerCase() === "https";
}
