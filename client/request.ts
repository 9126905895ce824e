// What a request tells about who sent it. Nothing in it is believed further than the options say.

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/** The address as Gambas would show it: IPv4-mapped IPv6 as IPv4; "" for what is no address. */
export function addressPrefix(address: string | undefined): string {
  if (address === undefined) return "";
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
  return isIP(plain) === 0 ? "" : plain;
}

/** The client's address: that of the connection, or what so many trusted proxies say it was. */
export function clientAddress(
  req: IncomingMessage,
  trustProxy: boolean | number = false,
  address: string | undefined = req.socket.remoteAddress,
): string {
  const direct = addressPrefix(address);
  if (trustProxy === false || trustProxy === 0) return direct;
  const header = req.headers["x-forwarded-for"];
  const hops = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",").map((hop) => hop.trim());
  const named = trustProxy === true ? hops[0] : hops.at(-trustProxy);
  return addressPrefix(named) || direct;
}

export function isSecure(req: IncomingMessage, trustProxy: boolean | number): boolean {
  if ("encrypted" in req.socket && req.socket.encrypted === true) return true;
  if (trustProxy === false || trustProxy === 0) return false;
  const header = req.headers["x-forwarded-proto"];
  const first = (Array.isArray(header) ? header[0] : header)?.split(",")[0];
  return first?.trim().toLowerCase() === "https";
}
