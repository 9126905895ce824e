// Which node of a cluster has which slots, as the nodes tell it. Several may be asked, and one that is cut off tells what was true before: for
// each slot the owner with the highest epoch counts, as the nodes themselves hold it.

import type { RedisAddress } from "../../../protocol/redis-url.ts";

export const SLOTS = 16_384;

/** One master that a node knows. */
export interface ClusterNode {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly epoch: number;
  /** First and last slot of each range. */
  readonly ranges: readonly (readonly [number, number])[];
}

export interface Topology {
  readonly masters: readonly ClusterNode[];
  /** By slot; undefined: nobody has it. */
  readonly owners: readonly (ClusterNode | undefined)[];
}

/**
 * @param text the answer of CLUSTER NODES.
 * @param asked where it came from: a node that does not know its own address yet leaves it out.
 * @param byName whether nodes are to be called by their names, where they have any: a certificate is for a name.
 */
export function mastersIn(text: string, asked: RedisAddress, byName: boolean): readonly ClusterNode[] {
  return text.split("\n").flatMap((line) => {
    const [id = "", place = "", flags = "", , , , epoch = "0", , ...slots] = line.trim().split(" ");
    const [, host, port, name] = /^(.*):(\d+)(?:@\d+)?(?:,([^,]*).*)?$/.exec(place) ?? [];
    if (port === undefined || !flags.split(",").includes("master") || /noaddr|handshake/.test(flags)) return [];
    const ranges = slots.flatMap((range) => {
      const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
      return first === undefined ? [] : [[Number(first), Number(last)] as const];
    });
    const known = (byName && name) || host || ("host" in asked ? asked.host : "");
    return [{ id, host: known, port: Number(port), epoch: Number(epoch), ranges }];
  });
}

/** @param answers what each of the nodes that were asked knows. */
export function merged(answers: readonly (readonly ClusterNode[])[]): Topology {
  const owners: (ClusterNode | undefined)[] = Array.from({ length: SLOTS });
  const masters = new Map<string, ClusterNode>();
  for (const node of answers.flat()) {
    const known = masters.get(node.id);
    if (known === undefined || node.epoch > known.epoch) masters.set(node.id, node);
    for (const [first, last] of node.ranges) {
      for (let slot = first; slot <= last; slot++) {
        const owner = owners[slot];
        if (owner === undefined || node.epoch > owner.epoch) owners[slot] = node;
      }
    }
  }
  return { masters: [...masters.values()], owners };
}

/** The slot of a key: of what stands in its first braces, if anything does. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const part = close > open + 1 ? key.slice(open + 1, close) : key;
  return crc16(Buffer.from(part)) % SLOTS;
}

/** Something in braces that makes a key belong to one of these slots; undefined where there are none. */
export function tagOf(hasSlot: (slot: number) => boolean): string | undefined {
  for (let number = 0; number < TAGS; number++) if (hasSlot(slotOf(String(number)))) return `{${number}}`;
  return undefined;
}

/** With so many numbers each slot is met. */
const TAGS = 300_000;

/** CRC-16/XMODEM, as the cluster specification says: what each high byte does. */
const CRC_OF_BYTE: readonly number[] = Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});

function crc16(bytes: Buffer): number {
  return bytes.reduce((crc, byte) => ((crc << 8) & 0xffff) ^ (CRC_OF_BYTE[(crc >> 8) ^ byte] ?? 0), 0);
}
