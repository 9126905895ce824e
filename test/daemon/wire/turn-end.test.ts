// The end of a turn of the event loop: what was asked for many times happens once, and answers leave with the run that gave them.

import { expect, test } from "vitest";
import { TurnEnd } from "../../../daemon/wire/turn-end.ts";

/** What the runs did, in order; `during` is done while the work of the first run is being done. */
function observed(during: (turnEnd: TurnEnd) => void = () => undefined): { turnEnd: TurnEnd; steps: string[] } {
  const [turnEnd, steps] = [new TurnEnd(), [] as string[]];
  const flush = (): void => {
    if (!steps.includes("work")) during(turnEnd);
    steps.push("work");
  };
  turnEnd.begin({ flush }, { flush: () => void steps.push("send") });
  return { turnEnd, steps };
}

/** Longer than any run that was asked for, and any run that such a run has asked for. */
async function threeTurns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("works first and sends then, once, however often it is asked", async () => {
  const { turnEnd, steps } = observed();
  turnEnd.requestWork();
  turnEnd.requestSend();
  turnEnd.requestWork();
  expect(steps).toEqual([]);
  await threeTurns();
  expect(steps).toEqual(["work", "send"]);
});

test("sends what is answered while it works, without a run more", async () => {
  const { turnEnd, steps } = observed((end) => end.requestSend());
  turnEnd.requestWork();
  await threeTurns();
  expect(steps).toEqual(["work", "send"]);
});

test("comes again for work that is left over", async () => {
  const { turnEnd, steps } = observed((end) => end.requestWork());
  turnEnd.requestWork();
  await threeTurns();
  expect(steps).toEqual(["work", "send", "work", "send"]);
});

test("comes for an answer that no work has given", async () => {
  const { turnEnd, steps } = observed();
  turnEnd.requestSend();
  await threeTurns();
  expect(steps).toEqual(["work", "send"]);
});
