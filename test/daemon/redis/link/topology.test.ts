// Who has which slot of a cluster, by what its nodes say, which need not be true any more.

import { describe, expect, it } from "vitest";
import { mastersIn, merged, SLOTS, slotOf, tagOf } from "../../../../daemon/redis/link/topology.ts";

describe("the slots of a cluster", () => {
  it("are those of the specification", () => {
    // Its own example.
    expect(slotOf("123456789")).toBe(0x31c3 % SLOTS);
    expect(slotOf("a{123456789}b{c}")).toBe(slotOf("123456789"));
    expect(slotOf("{}a")).not.toBe(slotOf("a"));
    expect(slotOf("")).toBe(0);
  });

  it("have each a tag that leads to it", () => {
    for (const slot of [0, 1, 8191, SLOTS - 1]) expect(slotOf(`gs!${tagOf((one) => one === slot)}`)).toBe(slot);
    expect(tagOf(() => false)).toBeUndefined();
  });

  it("belong to the node with the highest epoch", () => {
    const line = (id: string, port: number, flags: string, epoch: number, slots: string): string =>
      `${id} 127.0.0.1:${port}@1${port},name${port} ${flags} - 0 0 ${epoch} connected ${slots}`;
    const asked = { host: "seed", port: 1 };
    const cutOff = mastersIn(`${line("a", 1, "myself,master", 1, "0-99 [93-<-c]")}\n`, asked, false);
    const rest = mastersIn(
      [
        line("a", 1, "master,fail", 1, ""),
        line("b", 2, "myself,master", 7, "0-49 51-99"),
        line("c", 3, "slave", 7, ""),
      ].join("\n"),
      asked,
      true,
    );
    const { masters, owners } = merged([cutOff, rest]);
    expect(masters.map(({ id }) => id)).toEqual(["a", "b"]);
    expect([0, 50, 99].map((slot) => owners[slot]?.id)).toEqual(["b", "a", "b"]);
    expect(owners[100]).toBeUndefined();
    expect(rest[1]?.host).toBe("name2");
    expect(mastersIn("a :1@2 myself,master - 0 0 1 connected 5", asked, false)).toMatchObject([
      { host: "seed", port: 1, ranges: [[5, 5]] },
    ]);
  });
});
