// A worker that goes leaves nobody waiting: who comes after it in a queue has its turn.

import { afterEach, expect, test } from "vitest";
import { Lab, newId } from "./lab.ts";

let lab: Lab;

afterEach(() => lab.close());

test("the unique session of a worker that went while it waited for another's lease keeps no later one of its prefix waiting", async () => {
  lab = await Lab.open();
  const [anna, bert, carl] = [await lab.worker("anna"), await lab.worker("bert"), await lab.worker("carl")];
  const [held, first, second] = [newId("one"), newId("one"), newId("one")];
  await anna.create(held, { n: 0 });
  const { fence } = await anna.lease(held, 60_000);
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
