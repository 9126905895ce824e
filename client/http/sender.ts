// What a request tells about who sent it. Nothing in it is believed further than the options say.

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { SessionError } from "../../protocol/errors.ts";

/** The longest address with a zone is shorter: what is longer is none, and no prefix. */
const MAX_ADDRESS_LENGTH = 100;

/** The address as Gambas would show it, without port, brackets and quotes; IPv4-mapped IPv6 as IPv4; "" for what is no address. */
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

/** One spelling of all: the visitor of two proxies is one visitor. */
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

/**
 * The client's address: that of the connection, or what so many trusted proxies say it was; where there were fewer, what the first one says.
 *
 * @returns undefined when a trusted proxy says something that is no address: then that of the connection would be the proxy's own.
 */
export function clientAddress(
  req: IncomingMessage,
  trustProxy: boolean | number = false,
  address: string | undefined = req.socket.remoteAddress,
): string | undefined {
  const direct = addressPrefix(address);
  if (trustProxy === false || trustProxy === 0) return direct;
  const header = forwardedFor(req);
  if (header === undefined) return direct;
  const parts = header.split(",").map((hop) => hop.trim());
  const hops = parts.filter((hop) => hop !== "");
  const named = trustProxy === true ? hops[0] : (hops.at(-trustProxy) ?? hops[0]);
  return addressPrefix(named) || undefined;
}

function forwardedFor(req: IncomingMessage): string | undefined {
  const header = req.headers["x-forwarded-for"];
  return Array.isArray(header) ? header.join(",") : header;
}

/** What is said when `clientAddress` cannot tell. The query stays out: it may hold secrets. */
export function unreadableAddress(req: IncomingMessage): SessionError {
  const path = (req.url ?? "").split("?", 1)[0];
  const request = cut(`${req.method} ${path}`);
  const value = JSON.stringify(cut(forwardedFor(req) ?? ""));
  return new SessionError(
    "ERR_BAD_ADDRESS",
    `X-Forwarded-For of ${request} names no address that can be read: ${value}.`,
  );
}

function cut(text: string): string {
  return text.length > MAX_ADDRESS_LENGTH ? `${text.slice(0, MAX_ADDRESS_LENGTH)}…` : text;
}

export function isSecure(req: IncomingMessage, trustProxy: boolean | number): boolean {
  if ("encrypted" in req.socket && req.socket.encrypted === true) return true;
  if (trustProxy === false || trustProxy === 0) return false;
  const header = req.headers["x-forwarded-proto"];
  const first = (Array.isArray(header) ? header[0] : header)?.split(",")[0];
  return first?.trim().toLowerCase() === "https";
}
