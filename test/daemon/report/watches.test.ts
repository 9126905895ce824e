// What an operator sees who watches a daemon: figures since the last look, the sessions that are used most, and that nobody is disturbed by it.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Watches } from "../../../daemon/report/watches.ts";
import { OPERATOR } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import type { RawWorker } from "../../support/daemon/raw-worker.ts";

interface Window {
  readonly ms: number;
  readonly cpuMs: number;
  readonly commitMicros: { readonly count: number };
  readonly openMicros: { readonly count: number };
  readonly leaseMicros: { readonly count: number };
  readonly mostUsed: readonly Record<string, unknown>[];
}

describe("a daemon that is watched", () => {
  let lab: Lab;
  let worker: RawWorker;

  beforeEach(async () => {
    lab = await Lab.open();
    worker = await lab.worker("worker");
  });

  afterEach(() => lab.close());

  async function look(operator: RawWorker, limit = 10): Promise<Record<string, unknown> & { readonly window: Window }> {
    const { json } = await operator.call("watch", limit);
    return JSON.parse(json);
  }

  test("tells each who watches what has been since that one looked last", async () => {
    const [one, other] = [await lab.worker(OPERATOR), await lab.worker(OPERATOR)];
    const [often, seldom] = [newId(), newId()];
    for (const id of [often, seldom]) await worker.create(id, { n: 0 });
    expect((await look(one)).window).toMatchObject({ commitMicros: { count: 0 }, mostUsed: [] });
    await look(other);
    for (let n = 1; n <= 3; n++) await worker.commit(often, { n });
    await worker.open(seldom);
    const { fence } = await worker.lease(often);
    await worker.call("release", often, fence);
    const used = [
      { id: often, opens: 0, commits: 3, touches: 0, transactions: 1 },
      { id: seldom, opens: 1, commits: 0, touches: 0, transactions: 0 },
    ];
    const counts = { commitMicros: { count: 3 }, openMicros: { count: 1 }, leaseMicros: { count: 1 } };
    const { window, commits } = await look(one);
    expect(window).toMatchObject({ ...counts, mostUsed: used, ms: expect.any(Number), cpuMs: expect.any(Number) });
    expect(commits).toBe(5);
    expect((await look(one)).window).toMatchObject({
      commitMicros: { count: 0 },
      openMicros: { count: 0 },
      mostUsed: [],
    });
    expect((await look(other, 1)).window).toMatchObject({ ...counts, mostUsed: used.slice(0, 1) });
  });

  test("does not count what it refuses", async () => {
    const operator = await lab.worker(OPERATOR);
    await look(operator);
    expect(await codeOf(worker.open("../x"))).toBe("ERR_BAD_ID");
    expect((await look(operator)).window.mostUsed).toEqual([]);
  });

  test("lets no more watch than it has room for, until one of them goes", async () => {
    const crowd = await Promise.all(Array.from({ length: 9 }, () => lab.worker(OPERATOR)));
    const [first, ...others] = crowd;
    for (const operator of others) await look(operator);
    if (first === undefined) throw new Error("there is no operator");
    expect(await codeOf(first.call("watch", 1))).toBe("ERR_OVERLOADED");
    await others[0]?.close();
    await worker.settle();
    for (let code: string | undefined = "ERR_OVERLOADED"; code !== undefined; )
      code = await look(first).then(
        () => undefined,
        (error) => (error as NodeJS.ErrnoException).code,
      );
  });

  test("takes who watches, and who asks for its status, for no worker", async () => {
    const operator = await lab.worker(OPERATOR);
    await look(operator);
    expect(await operator.status()).toMatchObject({ connections: 1, waitingCalls: 0 });
    expect(await look(operator)).toMatchObject({ connections: 1, waitingCalls: 0 });
  });
});

test("a daemon that nobody uses leaves, whoever watches it", async () => {
  const lab = await Lab.open({ idleExitMs: 100 });
  const operator = await lab.worker(OPERATOR);
  await operator.call("watch", 1);
  await lab.daemon.stopped;
  await operator.closed;
  await lab.close();
});

test("of more sessions than are counted, those that are used most are found", () => {
  const watches = new Watches();
  const owner = {};
  watches.take(owner, 1);
  for (let round = 0; round < 50; round++) {
    for (let other = 0; other < 200; other++) watches.noteUse("commit", `other ${round} ${other}`);
    for (let use = 0; use < 4; use++) watches.noteUse("open", "much");
    for (let use = 0; use < 2; use++) watches.noteUse("touch", "less");
  }
  const { mostUsed } = watches.take(owner, 2) as { mostUsed: readonly { id: string; opens: number }[] };
  expect(mostUsed.map(({ id }) => id)).toEqual(["much", "less"]);
  // Of 10 300 uses no more than one in a thousand is missing.
  expect(mostUsed[0]?.opens).toBeGreaterThanOrEqual(200 - 11);
});
