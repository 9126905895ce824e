// Which context the functions of transactions run in, and what they begin.
import { expect, it } from "vitest";
import { currentContext, type Held, runHolding, runInContext } from "../../client/scope.ts";
import { deferred } from "../support/deferred.ts";

it("a function from outside of every context is in none, whoever drives it", async () => {
  const [driving, outside] = [{}, {}];
  const held: Held = {
    grant: { fence: 1, life: 1, isOver: false },
    handle: outside,
    outer: undefined,
    confirm: () => undefined,
  };
  const later = deferred<unknown>();
  const begun = (): unknown => {
    setImmediate(() => later.resolve(currentContext()));
    return currentContext();
  };
  const atOnce = runInContext({ handle: driving }, () => runHolding(held, undefined, begun, outside));
  expect([atOnce, await later.promise]).toEqual([undefined, undefined]);
});
