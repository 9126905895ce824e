// For how long the answers of Sentinels are waited for, by a clock of the test's own.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { View } from "../../../../daemon/redis/link/configuration.ts";
import { type Answers, Round } from "../../../../daemon/redis/link/round.ts";
import { ServerError } from "../../../../daemon/redis/server/server.ts";
import type { RedisAddress } from "../../../../protocol/redis-url.ts";

const ADDRESSES: readonly RedisAddress[] = [1, 2, 3, 4].map((port) => ({ host: "192.0.2.1", port }));
const [first, second, third, fourth] = ADDRESSES as [RedisAddress, RedisAddress, RedisAddress, RedisAddress];
const view = (epoch: number): View => ({
  ...{ place: { host: "192.0.2.9", port: 6379 }, epoch, isBeingReplaced: false, sentinels: 4 },
});
const failure = new ServerError("refused", "CUT", "It broke.");

describe("a question to all Sentinels", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function begin(...silent: readonly RedisAddress[]): { round: Round; ended: () => Answers | undefined } {
    const round = new Round(ADDRESSES, { wereSilent: new Set(silent), isEnough: ({ epoch }) => epoch > 9 });
    let ended: Answers | undefined;
    void round.answers.then((answers) => {
      ended = answers;
    });
    return { round, ended: () => ended };
  }

  it("waits for whoever is late as long as fewer than half have answered, and from then on a second for the others", async () => {
    const { round, ended } = begin();
    round.note(first, view(1));
    await vi.advanceTimersByTimeAsync(60_000);
    round.note(second, view(1));
    await vi.advanceTimersByTimeAsync(900);
    expect(ended()).toBeUndefined();
    round.note(third, view(2));
    await vi.advanceTimersByTimeAsync(200);
    expect(ended()?.views.map(({ epoch }) => epoch)).toEqual([1, 1, 2]);
    expect(ended()).toMatchObject({ missing: [fourth], failures: "192.0.2.1:4 (has not answered yet)" });
  });

  it("waits for those that were silent before a quarter of a second", async () => {
    const { round, ended } = begin(fourth);
    for (const address of [first, second, third]) round.note(address, view(1));
    await vi.advanceTimersByTimeAsync(200);
    expect(ended()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(100);
    expect(ended()?.missing).toEqual([fourth]);
  });

  it("ends when all have answered, be it with reasons why they cannot", async () => {
    const { round, ended } = begin();
    for (const address of ADDRESSES) round.note(address, failure);
    await vi.advanceTimersByTimeAsync(0);
    expect(ended()).toMatchObject({ views: [], missing: [] });
    expect(ended()?.failures).toMatch(/^192\.0\.2\.1:1 \(It broke\), /);
  });

  it("ends when one has said enough, and hears nothing from then on", async () => {
    const { round, ended } = begin();
    round.note(second, view(10));
    round.note(first, view(11));
    await vi.advanceTimersByTimeAsync(0);
    expect(ended()?.views.map(({ epoch }) => epoch)).toEqual([10]);
  });
});
