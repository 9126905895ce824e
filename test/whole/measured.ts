// A process whose memory is measured: a daemon, or a worker with clients of its own that is told what to do to how many sessions.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Client } from "../../client/link/client.ts";
import type { ConnectOptions } from "../../client/options.ts";
import { RecentValues } from "../../daemon/foreign/recent-values.ts";
import { Tombstones } from "../../daemon/sessions/tombstones.ts";
import { type DaemonOptions, startDaemon } from "../../daemon/start.ts";
import { newId } from "../support/daemon/lab.ts";
import { serveCalls } from "../support/processes.ts";
import { Random } from "../support/values/random.ts";
import { deed, type Traffic } from "./traffic.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const AT_ONCE = 24;
const VAIN_COLLECTIONS = 5;
const STEADY_BYTES = 64 * 1024;

let client: Client | undefined;
const clients: Client[] = [];
const remembered: unknown[] = [];

serveCalls({
  async startDaemon(options: DaemonOptions) {
    await startDaemon({ logLevel: "silent", ...options });
  },
  connect(options: ConnectOptions) {
    client = new Client({ spawn: false, ...options });
    clients.push(client);
  },
  close() {
    for (const one of clients.splice(0)) one.close();
  },
  /** Remembers twice as many as it may. */
  remember(tombstones: number, values: number) {
    const [ended, recent] = [new Tombstones(tombstones, 86_400), new RecentValues(values, 300)];
    const random = new Random(3);
    // Ids come out of frames, each text by itself.
    for (let n = 0; n < 2 * tombstones; n++) ended.add(Buffer.from(newId()).toString("utf8"), 1_700_000_000_000 + n);
    for (let n = 0; n < 2 * values; n++) recent.add({ low: random.below(2 ** 31), high: n }, n / 100);
    remembered.push(ended, recent);
  },
  /** So many times, some at once, one of the things that the traffic consists of. */
  async drive(traffic: Traffic, seed: number, times: number) {
    const by = client;
    if (by === undefined) throw new Error("no client is connected");
    const random = new Random(seed);
    const ids: string[] = [];
    let left = times;
    const loop = async (): Promise<void> => {
      while (left-- > 0) await deed(by, traffic, { random, ids });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, loop));
  },
  /** What is left when collecting frees no more: what one collection finds may keep something else, and memory is given back behind its back. */
  async kept() {
    let least = Number.POSITIVE_INFINITY;
    for (let vain = 0; vain < VAIN_COLLECTIONS; ) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
      const { heapUsed, external } = process.memoryUsage();
      vain = heapUsed + external < least - STEADY_BYTES ? 0 : vain + 1;
      least = Math.min(least, heapUsed + external);
    }
    return least;
  },
});
