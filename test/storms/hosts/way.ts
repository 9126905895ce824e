// A way to Redis that can be made bad, as a process of its own: on the host that uses it.

import { serveCalls } from "../../support/processes.ts";
import { FaultyWay, type Mode } from "../../support/redis/faulty-way.ts";

let way: FaultyWay | undefined;

serveCalls({
  /** Answers the URL of the way. */
  async open(port: number, host: string) {
    way = await FaultyWay.to(port, host);
    return way.url;
  },
  become(mode: Mode) {
    if (way === undefined) return;
    way.let(way.kept);
    way.mode = mode;
  },
  kept() {
    return way?.kept;
  },
  let(count: number) {
    way?.let(count);
  },
  cut() {
    way?.cut();
  },
  connections() {
    return way?.connections;
  },
});
