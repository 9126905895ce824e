// Sessions of connect-redis that the server does not let us take over: its user lacks a right, or it is a replica now. What is told says so, nothing
// is half done, and the visitor goes on with what he had once it is put right.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Site, Visit } from "../../../client/http/exchange.ts";
import type { AdoptOptions } from "../../../client/options.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { signedCookie } from "../../support/redis/signed-cookie.ts";
import { SessionHouse } from "../../support/session-house.ts";

const SECRET = "a secret of before";
const USER = "sessions";
const JSON_OF_BEFORE = JSON.stringify({ cookie: { originalMaxAge: null }, visits: 3 });
const COOKIE = `connect.sid=${signedCookie("old", SECRET)}`;
/** What HOSTS.md says that our own keys need. */
const RIGHTS =
  "~gs:* ~gs!* +hello +client|tracking +info +eval +evalsha +time +get +getrange +pttl +set +setrange +pexpire +pexpireat +del +zadd +zcard +zscore +zrange +zrangebyscore +zrandmember +zrem +scan +wait";

describeWithRedis("an adoption that the server refuses", () => {
  let redis: RedisProcess;
  let house: SessionHouse;

  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());
  beforeEach(async () => {
    redis.cli("FLUSHALL");
    redis.cli("SET", "sess:old", JSON_OF_BEFORE, "EX", "86400");
    grant("~sess:*");
    house = await SessionHouse.open({ type: "redis", redis: `redis://${USER}:pw@127.0.0.1:${redis.port}` });
  });
  afterEach(() => house.close());

  function grant(...keys: readonly string[]): void {
    redis.cli("ACL", "SETUSER", USER, "reset", "on", ">pw", ...RIGHTS.split(" "), ...keys);
  }

  function site(adopt: Partial<AdoptOptions> = {}): Site {
    return house.site({ type: "redis", adopt: { secret: SECRET, ...adopt } });
  }

  function visit(to = site()): Promise<Visit> {
    return Promise.resolve(to.find(COOKIE));
  }

  function ourKeys(): string {
    return redis.cli("KEYS", "gs*");
  }

  /** As the visitor has it. */
  async function visitsOf({ id }: Visit): Promise<unknown> {
    return (await house.worker({ type: "redis" }).open(String(id)))?.get("visits");
  }

  test("for want of a right to the old keys says which one, makes nothing, and is done when the right is there", async () => {
    grant();
    const refused = await visit();
    expect([refused.contents, refused.isNews]).toEqual([undefined, false]);
    expect(refused.problem).toMatchObject({ code: "ERR_STORE" });
    expect(refused.problem?.message).toMatch(/NOPERM.*~sess:\*/s);
    expect([ourKeys(), redis.cli("GET", "sess:old")]).toEqual(["", JSON_OF_BEFORE]);
    grant("~sess:*");
    expect(await visitsOf(await visit())).toBe(3);
  });

  test("as one that may only read is refused, too: for Redis that is no right of a script", async () => {
    const to = site({ remove: true });
    grant("%R~sess:*");
    for (const refused of [await visit(to), await visit(to)]) {
      expect([refused.contents, refused.isNews, refused.problem?.message]).toEqual([
        ...[undefined, false],
        expect.stringMatching(/NOPERM.*~sess:\*/s),
      ]);
      expect([ourKeys(), redis.cli("GET", "sess:old")]).toEqual(["", JSON_OF_BEFORE]);
    }
    grant("~sess:*");
    const taken = await visit(to);
    expect([taken.problem, await visitsOf(taken), redis.cli("EXISTS", "sess:old")]).toEqual([undefined, 3, "0"]);
  });

  test("because the server is a replica now says that, makes nothing, and is done when it is a master again", async () => {
    const to = site();
    redis.cli("REPLICAOF", "127.0.0.1", "1");
    const refused = await visit(to);
    expect([refused.contents, refused.isNews]).toEqual([undefined, false]);
    expect(refused.problem).toMatchObject({ code: "ERR_STORE" });
    // One remedy, and no other one in the middle.
    expect(refused.problem?.message).toMatch(
      /is a replica of \S+ and takes no writes: name its master\. Look at the error/,
    );
    expect([ourKeys(), redis.cli("GET", "sess:old")]).toEqual(["", JSON_OF_BEFORE]);
    redis.cli("REPLICAOF", "NO", "ONE");
    expect(await visitsOf(await visit(to))).toBe(3);
  });
});
