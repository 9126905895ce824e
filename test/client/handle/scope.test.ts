// Which context the functions of transactions run in, and what they begin.
import { expect, it } from "vitest";
import { currentContext, type Held, runHolding, runInContext } from "../../../client/handle/scope.ts";
import { Client, type Grant } from "../../../client/link/client.ts";
import { deferred } from "../../support/deferred.ts";

it("a function from outside of every context is in none, whoever drives it", async () => {
  const client = new Client({ spawn: false });
  const [driving, outside] = [client.create(), client.create()];
  const held: Held = { grant: { isOver: false } as Grant, handle: outside, outer: undefined };
  const later = deferred<unknown>();
  const begun = (): unknown => {
    setImmediate(() => later.resolve(currentContext()));
    return currentContext();
  };
  const atOnce = runInContext({ handle: driving }, () => runHolding(held, undefined, begun, outside));
  expect([atOnce, await later.promise]).toEqual([undefined, undefined]);
  client.close();
});
