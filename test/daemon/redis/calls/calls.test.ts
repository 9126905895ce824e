// What is asked for of a key that no server has fails, as any other call, and never before its caller has gone on.

import { describe, expect, test } from "vitest";
import { type Answer, Calls, type Ends } from "../../../../daemon/redis/calls/calls.ts";
import { type Link, ServerError } from "../../../../daemon/redis/link/link.ts";

/** A link that has been closed. */
const CLOSED: Link = {
  isSharded: true,
  servers: [],
  serverOf() {
    throw new ServerError("refused", "CLOSED", "The link to Redis was closed.");
  },
  onStale: () => undefined,
  async *scan() {},
  report: () => ({}),
  close: () => Promise.resolve(),
};

const NOTHING = Buffer.alloc(0);
const ORDER = { what: "c", version: NOTHING, holder: NOTHING, bytes: NOTHING, number: 0 } as const;

describe("a call of a key that no server has", () => {
  const calls = new Calls(CLOSED, { replicas: 0, replicaWaitMs: 0, requestFlush: () => undefined });

  test.each<[string, (ends: Ends<Answer>) => void]>([
    ["to read", (ends) => calls.readFor("gs:1", NOTHING, ends)],
    ["to write", (ends) => calls.writeFor("gs:1", ORDER, ends)],
  ])("%s", async (_what, call) => {
    let hasGoneOn = false;
    const failure = new Promise((resolve, take) => {
      call({ take, fail: (error) => resolve([hasGoneOn, error]) });
    });
    hasGoneOn = true;
    expect(await failure).toEqual([true, expect.objectContaining({ code: "CLOSED", outcome: "refused" })]);
  });
});
