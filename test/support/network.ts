// Hosts with addresses of their own on this machine: each is a network namespace, and a bridge in one more joins them. A link that is cut swallows what
// is sent, as a broken network does: nobody is told. Needs to be root, and `ip`; all of it goes with the test.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { isAlive } from "./processes.ts";

const NAME = /^gs-(\d+)-/;

/** Where there must be namespaces (.ci/run), that there are none is a failure. */
const isRequired = process.env.GAMBAS_SESSION_REQUIRE_MOUNTS === "1";

function ip(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${error ?? stderr}`);
}

/** Why there can be no hosts here, or undefined. */
export function whyNoHosts(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  const name = `gs-${process.pid}-probe`;
  try {
    ip("netns", "add", name);
    ip("netns", "del", name);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Tests with hosts: skipped where there can be none, by a name that says so, but not in CI. */
export function canHaveHosts(): { readonly may: boolean; readonly suffix: string } {
  const why = isRequired ? undefined : whyNoHosts();
  if (why !== undefined) console.warn(`*** SKIPPED: hosts in network namespaces: ${why}`);
  return { may: why === undefined, suffix: why === undefined ? "" : ` (needs network namespaces: ${why})` };
}

export class NetworkHost {
  readonly address: string;
  readonly #namespace: string;
  readonly #bridge: string;
  readonly #port: string;

  constructor(namespace: string, bridge: string, number: number) {
    this.address = `10.99.0.${number}`;
    this.#namespace = namespace;
    this.#bridge = bridge;
    this.#port = `port${number}`;
    ip("netns", "add", namespace);
    ip("-n", bridge, "link", "add", this.#port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    ip("-n", namespace, "addr", "add", `${this.address}/24`, "dev", "eth0");
    for (const link of ["eth0", "lo"]) ip("-n", namespace, "link", "set", link, "up");
    ip("-n", bridge, "link", "set", this.#port, "master", "bridge");
    this.heal();
  }

  /** What runs a command there, as the process that was started. */
  command(program: string, ...args: readonly string[]): readonly string[] {
    return ["ip", "netns", "exec", this.#namespace, program, ...args];
  }

  cut(): void {
    ip("-n", this.#bridge, "link", "set", this.#port, "down");
  }

  heal(): void {
    ip("-n", this.#bridge, "link", "set", this.#port, "up");
  }

  remove(): void {
    ip("netns", "del", this.#namespace);
  }
}

let networks = 0;

export class Network {
  readonly hosts: readonly NetworkHost[];
  readonly #bridge: string;

  /** Has so many hosts, and takes away what a test run that was killed has left. */
  constructor(count: number) {
    removeLeftOvers();
    networks += 1;
    const name = `gs-${process.pid}-${networks}`;
    this.#bridge = `${name}-bridge`;
    ip("netns", "add", this.#bridge);
    ip("-n", this.#bridge, "link", "add", "bridge", "type", "bridge");
    ip("-n", this.#bridge, "link", "set", "bridge", "up");
    this.hosts = Array.from({ length: count }, (_, n) => new NetworkHost(`${name}-${n + 1}`, this.#bridge, n + 1));
  }

  remove(): void {
    for (const host of this.hosts) host.remove();
    ip("netns", "del", this.#bridge);
  }
}

function removeLeftOvers(): void {
  for (const name of namespaces()) {
    const pid = Number(NAME.exec(name)?.[1] ?? process.pid);
    if (!isAlive(pid)) ip("netns", "del", name);
  }
}

function namespaces(): string[] {
  try {
    return readdirSync("/run/netns");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
