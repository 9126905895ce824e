// A daemon comes to its end, whatever its workers do meanwhile and whoever has its place by then.

import { afterEach, expect, test } from "vitest";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";

const LEASE_MS = 60_000;
const CLOSED = "Error: the daemon closed the connection";
const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function open(options: Parameters<typeof Lab.open>[0] = {}): Promise<Lab> {
  const lab = await Lab.open(options);
  endings.push(() => lab.close());
  return lab;
}

/** The outcome of a call that the daemon may never answer. */
function outcomeOf(call: Promise<unknown>): Promise<string> {
  return codeOf(call).catch(() => "answered");
}

test("one that leaves takes no more calls, which would never end: the next one answers them", async () => {
  const lab = await open();
  const [anna, bert, carl] = [await lab.worker(), await lab.worker(), await lab.worker()];
  const [held, unique, other] = [newId("one"), newId("one"), newId("other")];
  await anna.create(held, { n: 0 });
  await carl.create(other, { n: 0 });
  const { fence } = await anna.lease(held, LEASE_MS);
  const created = bert.create(unique, { n: 1 }, { unique: true });
  while ((await carl.values(unique)) === undefined);
  const stopped = lab.daemon.stop();
  // Until the unique session has ended the one that is held.
  const late = outcomeOf(carl.commit(other, { n: 1 }));
  await anna.commitLeased(held, { n: 1 }, fence);
  await anna.call("release", held, fence);
  await created;
  await stopped;
  expect(await late).toBe(CLOSED);
  expect(lab.values(other)).toEqual({ n: 0 });
});
