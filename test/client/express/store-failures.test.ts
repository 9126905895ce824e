// What goes through all sessions of a store, and fails: whoever called is told, once, and nothing is left that nobody waits for.
import { expect, it } from "vitest";
import { SessionStore } from "../../../client/express/store/session-store.ts";
import { StoreSids } from "../../../client/express/store/sids.ts";
import type { Client } from "../../../client/index.ts";
import { deferred } from "../../support/deferred.ts";

const sids = new StoreSids("sess");
const row = (sid: string) => ({ id: sids.idOf(sid), bytes: 1, lastUsed: new Date(0), expires: new Date(0) });

/** A daemon that is gone when the second page is asked for, and the session of the first page, too. */
function goneInBetween(atSecondPage: () => Promise<unknown>): Client {
  const gone = (what: string): Promise<never> => Promise.reject(new Error(`gone: ${what}`));
  const client = {
    ready: async () => undefined,
    open: () => gone("a session"),
    abandon: () => gone("a session"),
    async *list() {
      yield row("a");
      await atSecondPage();
      await gone("the second page");
    },
  };
  return client as unknown as Client;
}

it.each(["all", "clear"] as const)("%s tells it, and is no unhandled rejection", async (name) => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): unknown => unhandled.push(error);
  process.on("unhandledRejection", note);
  const told = deferred<unknown>();
  // Node looks for rejections that nobody handles when a turn of the event loop is over.
  const client = goneInBetween(() => new Promise((resolve) => setImmediate(resolve)));
  const store = new SessionStore({ client, sids, seconds: undefined });
  store[name]((error: unknown) => told.resolve(error));
  expect(await told.promise).toMatchObject({ message: expect.stringMatching(/^gone/) });
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});
