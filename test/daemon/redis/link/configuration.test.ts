// What is made of the answers of Sentinels, which need not agree.

import { describe, expect, it } from "vitest";
import { newest, viewOf } from "../../../../daemon/redis/link/configuration.ts";

const told = (others: Readonly<Record<string, string | number>> = {}): Record<string, string | number> => ({
  ...{ name: "m", ip: "192.0.2.1", port: 6379, "config-epoch": 3, "num-other-sentinels": 2 },
  ...others,
});
const here = ["192.0.2.1", "6379"];
const there = ["192.0.2.2", "6379"];

describe("what Sentinels say", () => {
  it("is read from a map and from a list, of text and of bytes", () => {
    const view = { place: { host: "192.0.2.1", port: 6379 }, epoch: 3, isBeingReplaced: false, sentinels: 3 };
    const bytes = Object.fromEntries(Object.entries(told()).map(([name, value]) => [name, Buffer.from(`${value}`)]));
    expect(
      viewOf(
        bytes,
        here.map((word) => Buffer.from(word)),
      ),
    ).toEqual(view);
    expect(viewOf(Object.entries(told()).flat(), here)).toEqual(view);
  });

  it("is nothing of a master that one does not know", () => {
    expect(viewOf(told(), null)).toBeUndefined();
    expect(viewOf(null, here)).toBeUndefined();
    expect(newest([])).toBeUndefined();
  });

  it("is that a master is being replaced from when another one is chosen until that is named", () => {
    const isBeingReplaced = (state: string, named: readonly string[]): boolean | undefined =>
      viewOf(told({ "failover-state": state }), named)?.isBeingReplaced;
    expect(isBeingReplaced("wait_start", here)).toBe(false);
    for (const state of ["select_slave", "send_slaveof_noone", "wait_promotion"]) {
      expect(isBeingReplaced(state, here)).toBe(true);
    }
    for (const state of ["reconf_slaves", "update_config"]) expect(isBeingReplaced(state, there)).toBe(false);
  });

  it("counts where its epoch is the highest, whatever the server is called", () => {
    const view = (epoch: number, host: string, isBeingReplaced = false) => ({
      ...{ place: { host, port: 6379 }, epoch, isBeingReplaced, sentinels: 3 },
    });
    const found = newest([view(9, "a"), view(10, "b"), view(10, "b.example"), view(9, "a", true)]);
    expect(found).toMatchObject({ epoch: 10, isBeingReplaced: false });
    expect(found?.places.map(({ host }) => host)).toEqual(["b", "b.example"]);
    expect(newest([view(10, "b"), view(10, "b", true)])?.isBeingReplaced).toBe(true);
  });
});
