// A unique session ends the others of its prefix, and waits for whoever holds one of them: but not for ever, and not in a ring.

import { afterEach, expect, test } from "vitest";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";

let lab: Lab;

afterEach(() => lab.close());

const LEASE_MS = 60_000;

test("the unique session of a worker that went while it waited for another's lease keeps no later one of its prefix waiting", async () => {
  lab = await Lab.open();
  const [anna, bert, carl] = [await lab.worker("anna"), await lab.worker("bert"), await lab.worker("carl")];
  const [held, first, second] = [newId("one"), newId("one"), newId("one")];
  await anna.create(held, { n: 0 });
  const { fence } = await anna.lease(held, LEASE_MS);
  const cut = bert.create(first, { n: 1 }, { unique: true }).catch(() => undefined);
  while ((await anna.values(first)) === undefined);
  await bert.close();
  await cut;
  while ((await anna.status()).connections !== 2);
  await anna.call("release", held, fence);
  await carl.create(second, { n: 2 }, { unique: true });
  expect(await Promise.all([held, first, second].map((id) => carl.values(id)))).toEqual([
    undefined,
    undefined,
    { n: 2 },
  ]);
});

test("a unique session that would end one whose holder waits for who makes it is refused, and the other goes on", async () => {
  lab = await Lab.open();
  const [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
  const [hers, his, unique] = [newId("hers"), newId("one"), newId("one")];
  await anna.create(hers, { n: 0 });
  await bert.create(his, { n: 0 });
  const [annas, berts] = [await anna.lease(hers, LEASE_MS), await bert.lease(his, LEASE_MS)];
  const second = bert.call("lease", hers, LEASE_MS, 0, [berts.fence]);
  await bert.settle();
  expect(await codeOf(anna.create(unique, { n: 1 }, { unique: true, held: [annas.fence] }))).toBe("ERR_DEADLOCK");
  await anna.call("release", hers, annas.fence);
  expect((await second).fence).toBeGreaterThan(berts.fence);
});

test("of one that makes a unique session and one whose session that ends, who ask for each other's at once, one is refused", async () => {
  lab = await Lab.open();
  const [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
  const [hers, his, unique] = [newId("hers"), newId("one"), newId("one")];
  await anna.create(hers, { n: 0 });
  await bert.create(his, { n: 0 });
  const [annas, berts] = [await anna.lease(hers, LEASE_MS), await bert.lease(his, LEASE_MS)];
  const created = anna.create(unique, { n: 1 }, { unique: true, held: [annas.fence] });
  while ((await bert.values(unique)) === undefined);
  const asked = bert.call("lease", hers, LEASE_MS, 0, [berts.fence]);
  expect(await codeOf(Promise.race([created, asked]))).toBe("ERR_DEADLOCK");
  await anna.call("release", hers, annas.fence);
  await bert.call("release", his, berts.fence);
  await Promise.allSettled([created, asked]);
});

test("one that is made inside a transaction of another of its prefix is refused at once", async () => {
  lab = await Lab.open();
  const anna = await lab.worker("anna");
  const [older, newer] = [newId("one"), newId("one")];
  await anna.create(older, { n: 0 });
  const { fence } = await anna.lease(older, LEASE_MS);
  expect(await codeOf(anna.create(newer, { n: 1 }, { unique: true, held: [fence] }))).toBe("ERR_DEADLOCK");
});
