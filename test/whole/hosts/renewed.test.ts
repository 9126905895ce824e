// A transaction on one host beside a session that goes on under another id on another one.

import { afterEach, beforeEach, expect, test } from "vitest";
import type { Client, Handle } from "../../../client/index.ts";
import { WRITE } from "../../../daemon/redis/calls/scripts.ts";
import { LossyProxy } from "../../support/redis/lossy-proxy.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { SessionHouse } from "../../support/session-house.ts";

/** Every change of a session is a call of one script. */
function isWrite(request: Buffer): boolean {
  return request.includes(WRITE.digest) || request.includes("'PXAT'");
}

describeWithRedis("two hosts on one Redis", () => {
  let redis: RedisProcess;
  let proxy: LossyProxy;
  const houses: SessionHouse[] = [];

  async function workerOn(url: string): Promise<Client> {
    const options = { type: "redis", redis: url } as const;
    const house = await SessionHouse.open(options);
    houses.push(house);
    return house.worker(options);
  }

  beforeEach(async () => {
    redis = await RedisProcess.start();
    proxy = await LossyProxy.open(redis.socket, "p");
  });
  afterEach(async () => {
    proxy.unblock();
    for (const house of houses.splice(0)) await house.close();
    await proxy.close();
    await redis.remove();
  });

  // 1. Anna's commit is stored, and its answer lost.   2. Bert gives the session another id, with her change in it.
  // 3. Her daemon looks, finds a tombstone and her mark in it, and says that she has no session any more.
  test("tell a transaction that it is done, whose change has gone on under another id", async () => {
    const [anna, bert] = [await workerOn(proxy.url), await workerOn(redis.socketUrl)];
    const made = bert.create({ prefix: "renewed" });
    made.set("n", 0);
    await made.save();
    const handle = (await anna.open(made.id as string)) as Handle;
    const cut = proxy.loseAnswer(isWrite);
    const done = handle.transaction((session) => {
      session.set("n", 1);
      return "ran";
    });
    await cut;
    const other = (await bert.open(made.id as string)) as Handle;
    await other.regenerate();
    proxy.unblock();
    expect(await done).toBe("ran");
    // What owns the handle saves at its own end: it must not try that under the id that is gone.
    await handle.save();
    expect(handle.id).toBeNull();
    expect((await bert.open(other.id as string))?.get("n")).toBe(1);
  });
});
