// A change whose answer is lost, and whose session has ended when it is sent again: it was carried out, and there is nothing left to be saved.

import { afterEach, beforeEach, expect, test } from "vitest";
import type { Client, Handle } from "../../../client/index.ts";
import { Interposer } from "../../support/daemon/interposer.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { codeOf } from "../../support/static-house.ts";

let house: SessionHouse;
let interposer: Interposer;
/** Her answers may get lost. */
let anna: Client;
let bert: Client;

beforeEach(async () => {
  house = await SessionHouse.open();
  interposer = await Interposer.open(`${house.root}/between.sock`, `${house.root}/sessiond.sock`);
  anna = house.worker({ socket: interposer.socket });
  bert = house.worker();
  await Promise.all([anna.ready(), bert.ready()]);
});
afterEach(async () => {
  await interposer.close();
  await house.close();
});

/** Her next commit is carried out, and she hears nothing until `meanwhile` is over. */
async function unheard<T>(commit: () => Promise<T>, meanwhile: () => Promise<unknown>): Promise<T> {
  let isCut = false;
  let isOver = false;
  const cut = new Promise<void>((resolve) => {
    interposer.judge = (name) => {
      if (name === "hello" && isCut && !isOver) {
        resolve();
        return "cut";
      }
      if (name !== "commit" || isCut) return "pass";
      isCut = true;
      return "cut after";
    };
  });
  const done = commit();
  await cut;
  await meanwhile();
  isOver = true;
  return done;
}

/** The session goes on under another id, as after a sign-in. Resolves to that. */
async function renew(id: string): Promise<string> {
  const other = (await bert.open(id)) as Handle;
  await other.regenerate();
  return other.id as string;
}

test("a transaction has what its function returned, and its change is in the session under its next id", async () => {
  const id = await house.make({ n: 0 });
  const handle = (await anna.open(id)) as Handle;
  let next = "";
  const transact = () =>
    handle.transaction((session) => {
      session.set("n", 1);
      return "ran";
    });
  const value = await unheard(transact, async () => {
    next = await renew(id);
  });
  expect(value).toBe("ran");
  expect(await house.stored(next, "n")).toBe(1);
  // Nothing is left to be saved under an id that is gone.
  expect(handle.id).toBeNull();
  await handle.save();
});

test("a save is done", async () => {
  const id = await house.make({ n: 0 });
  const handle = (await anna.open(id)) as Handle;
  handle.set("n", 1);
  let next = "";
  await unheard(
    () => handle.save(),
    async () => {
      next = await renew(id);
    },
  );
  expect(await house.stored(next, "n")).toBe(1);
  expect(handle.id).toBeNull();
});

test("whoever has made a session is told that it is gone", async () => {
  const handle = anna.create({ prefix: "made" });
  handle.set("n", 1);
  const id = handle.id as string;
  expect(
    await codeOf(() =>
      unheard(
        () => handle.save(),
        () => bert.abandon(id),
      ),
    ),
  ).toBe("ERR_SESSION_GONE");
});
