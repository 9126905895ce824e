// Durability "fsync": the disk lies between the write and the answer, and much may happen meanwhile.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { type RawWorker, valuesOf } from "../../support/daemon/raw-worker.ts";

describe("with durability fsync", () => {
  let lab: Lab;
  let anna: RawWorker;
  let bert: RawWorker;
  let id: string;

  beforeEach(async () => {
    lab = await Lab.open({ durability: "fsync" });
    [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
    id = newId();
    await anna.create(id, { n: 0 });
  });

  afterEach(() => lab.close());

  test("what is acknowledged is in the file", async () => {
    for (let n = 1; n <= 20; n++) {
      await anna.commit(id, { n });
      expect(lab.values(id)).toEqual({ n });
    }
  });

  test("commits that arrive while the disk works go together into the next write, in their order", async () => {
    const commits = Array.from({ length: 100 }, (_, n) => (n % 2 ? anna : bert).commit(id, { [`k${n}`]: n, last: n }));
    await Promise.all(commits);
    const values = lab.values(id);
    expect(Object.keys(values)).toHaveLength(102);
    expect((await anna.status()).writes).toBeLessThan(50);
  });

  test("a commit sent again on a new connection, while it is on its way to the disk, is applied once", async () => {
    for (let round = 0; round < 20; round++) {
      const [one, name] = [newId(), `again${round}`];
      await bert.create(one, { n: 0 });
      const first = await lab.worker(name);
      first.commit(one, { n: 1 }, { sequence: 10 }).catch(() => undefined);
      // Answered at the end of the turn in which the commit was prepared.
      await first.settle();
      await first.close();
      const second = await lab.worker(name);
      const other = bert.commit(one, { n: 2 });
      await bert.settle();
      await second.commit(one, { n: 1 }, { sequence: 10 });
      await other;
      expect(await bert.values(one)).toEqual({ n: 2 });
    }
  });

  test("a creation sent again in that moment is no second one", async () => {
    for (let round = 0; round < 20; round++) {
      const [one, name] = [newId(), `creator${round}`];
      const first = await lab.worker(name);
      const creating = first.commit(one, { n: 1 }, { sequence: 10, options: { create: true } });
      creating.catch(() => undefined);
      await first.settle();
      await first.close();
      const second = await lab.worker(name);
      const answer = await second.commit(one, { n: 1 }, { sequence: 10, options: { create: true } });
      expect(valuesOf(answer) ?? { n: 1 }).toEqual({ n: 1 });
      expect(await bert.values(one)).toEqual({ n: 1 });
    }
  });

  test("an end that arrives while a commit is on its way to the disk ends it all", async () => {
    for (let round = 0; round < 10; round++) {
      const one = newId();
      await anna.create(one, { n: 0 });
      const committing = anna.commit(one, { n: 1 });
      await anna.settle();
      await bert.abandon(one);
      await committing;
      expect(await anna.values(one)).toBeUndefined();
      expect(lab.hasFile(one)).toBe(false);
    }
  });

  test("a lease passes on when its commit is on the disk, and its late commit is refused", async () => {
    for (let round = 0; round < 10; round++) {
      const first = await anna.lease(id);
      const next = bert.lease(id);
      const [fence, n] = [first.fence, Number(valuesOf(first)?.n)];
      await anna.commitLeased(id, { n: n + 1 }, fence);
      const granted = await next;
      expect(valuesOf(granted)).toEqual({ n: n + 1 });
      expect(await codeOf(anna.commitLeased(id, { n: 99 }, fence))).toBe("ERR_LEASE_LOST");
      await bert.commitLeased(id, { n: n + 2 }, granted.fence);
    }
    expect(lab.values(id)).toEqual({ n: 20 });
  });

  test("a save of another program in that moment is not overwritten", async () => {
    for (let n = 1; n <= 30; n++) {
      const committing = anna.commit(id, { n });
      await anna.settle();
      lab.saveAsGambas(id, lab.changed(lab.image(id), { theirs: n }));
      await committing;
      expect(await bert.values(id)).toEqual({ n, theirs: n });
    }
  });

  test("stopping answers what is on its way", async () => {
    const ids = Array.from({ length: 20 }, () => newId());
    const creating = Promise.allSettled(ids.map((one, n) => anna.create(one, { n })));
    await anna.settle();
    await lab.stop();
    const outcomes = await creating;
    for (const [n, { status }] of outcomes.entries()) {
      if (status === "fulfilled") expect(lab.values(ids[n] as string)).toEqual({ n });
    }
    expect(outcomes.some(({ status }) => status === "fulfilled")).toBe(true);
  });
});
