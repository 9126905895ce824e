// A session that a request uses for the first time when nobody will save it any more: the change is told, never lost in silence.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import { deferred } from "../../../support/deferred.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";
import { SessionHouse } from "../../../support/session-house.ts";

let house: SessionHouse;
let cookie: string;
let told: string[];

function note(warning: Error & { code?: string }): void {
  if (warning.code === "ERR_NOT_SAVED") told.push(warning.message);
}

beforeAll(async () => {
  house = await SessionHouse.open();
  const handle = house.worker().create({ prefix: "10.0.0.1" });
  handle.set("n", 1);
  await handle.save();
  cookie = `SESSION=${handle.id}`;
});
beforeEach(() => {
  told = [];
  process.on("warning", note);
});
afterEach(() => {
  process.off("warning", note);
});
afterAll(() => house.close());

it("is told after the response, with its key and its request", async () => {
  const changed = deferred();
  const bind = session(house.options);
  const server = await HttpHouse.open((req, res) =>
    bind(req, res, async () => {
      res.end("done");
      await once(res, "close");
      setImmediate(() => {
        Session.late = 1;
        changed.resolve();
      });
    }),
  );
  await server.ask("/late?secret=1", { cookie });
  await changed.promise;
  await expect
    .poll(() => told)
    .toEqual([expect.stringContaining("Session.late was changed after the response (GET /late)")]);
  await server.close();
});

it("is told after the call of next, of a request that came without a response", async () => {
  const bind = session(house.options);
  const req = { headers: { cookie }, method: "GET", url: "/chat" } as unknown as IncomingMessage;
  const changed = deferred();
  bind(req, {} as ServerResponse, () => {
    setImmediate(() => {
      Session.late = 1;
      changed.resolve();
    });
  });
  await changed.promise;
  await expect.poll(() => told).toEqual([expect.stringContaining("Session.late was changed after the call of next")]);
});
