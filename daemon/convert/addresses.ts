// Addresses of clients as they are the prefix of ids (GAMBAS.md 2.3), out of a text in which every character but letters and digits has become `_`.
// Gambas and Node begin an id with the address as it is written by whoever accepted the connection. Pure.

import { isIPv4, isIPv6 } from "node:net";

const GROUPS = 8;
const HEX = 16;
/** Of an address whose low 32 bits are one of IPv4, the group in front of them: only such a one is written with dots. */
const MAPPED = 0xffff;
const MAPPED_AT = 5;
/** `fe80::/10`: an address that is known in one network only, whose name may follow it. */
const LINK_LOCAL = 0xfe80;
const LINK_LOCAL_MASK = 0xffc0;
/** What nginx writes where the client has come by a Unix socket. */
const UNIX = "unix:";

/** Every address that a client may have had which becomes this text; as a rule one, or none. */
export function addressesReadIn(text: string): readonly string[] {
  const dotted = text.replaceAll("_", ".");
  if (isIPv4(dotted)) return [dotted];
  if (text === UNIX.replace(":", "_")) return [UNIX];
  const address = text.replaceAll("_", ":");
  const last = address.lastIndexOf(":");
  const withZone = { address: address.slice(0, Math.max(0, last)), zone: address.slice(last + 1) };
  return [
    ...(isOfClient(address) ? [address] : []),
    ...dottedIn(address).filter((one) => isMapped(groupsOf(one) ?? [])),
    ...(withZone.zone !== "" && isLinkLocal(withZone.address) ? [`${withZone.address}%${withZone.zone}`] : []),
  ];
}

/** The same with the last four parts as an address of IPv4. */
function dottedIn(address: string): readonly string[] {
  const [, head, tail] = /^(.*:)(\d+:\d+:\d+:\d+)$/.exec(address) ?? [];
  return head === undefined || tail === undefined ? [] : [head + tail.replaceAll(":", ".")];
}

/** No host has an address that begins with 16 zero bits, but for its own, and for those that stand for one of IPv4. */
function isOfClient(address: string): boolean {
  const groups = groupsOf(address);
  if (groups === undefined) return false;
  const isSpecial = groups.slice(0, -1).every((group) => group === 0) && (groups.at(-1) ?? 0) <= 1;
  return groups[0] !== 0 || isSpecial || isMapped(groups);
}

function isMapped(groups: readonly number[]): boolean {
  return groups.slice(0, MAPPED_AT).every((group) => group === 0) && groups[MAPPED_AT] === MAPPED;
}

function isLinkLocal(address: string): boolean {
  return ((groupsOf(address)?.[0] ?? 0) & LINK_LOCAL_MASK) === LINK_LOCAL;
}

/** The groups of an address of IPv6; undefined where it is none. */
function groupsOf(address: string): readonly number[] | undefined {
  if (!isIPv6(address)) return undefined;
  const [head = "", tail] = inGroups(address).split("::");
  const [before, after] = [head, tail ?? ""].map((part) => (part === "" ? [] : part.split(":").map(hex)));
  const zeros = new Array<number>(GROUPS - (before?.length ?? 0) - (after?.length ?? 0)).fill(0);
  return [...(before ?? []), ...zeros, ...(after ?? [])];
}

function hex(group: string): number {
  return Number.parseInt(group, HEX);
}

/** Without dots. */
function inGroups(address: string): string {
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return [a * 256 + b, c * 256 + d].map((group) => group.toString(HEX)).join(":");
  });
}
