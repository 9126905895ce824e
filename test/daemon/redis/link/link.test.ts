// A link to one real server: scripts, what is pushed, barriers, and what becomes of calls when the connection breaks.

import { afterAll, beforeAll, expect, it } from "vitest";
import { connectLink, type Link, Script, ServerError } from "../../../../daemon/redis/link/link.ts";
import { until } from "../../../support/processes.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, RedisProcess } from "../../../support/redis/redis-server.ts";

const SET = new Script("redis.call('SET',KEYS[1],ARGV[1]) redis.call('GETRANGE',KEYS[1],0,0) return 1");
const GET = new Script("return redis.call('GET',KEYS[1])");

describeWithRedis("a link to a server", () => {
  let redis: RedisProcess;
  const links: Link[] = [];
  const connect = async (url: string): Promise<Link> => {
    const link = await connectLink(linkOptions(url));
    links.push(link);
    return link;
  };
  const serverOf = (link: Link) => link.serverOf("gs:a");
  const text = async (answer: Promise<unknown>) => String(await answer);

  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(async () => {
    for (const link of links) await link.close();
    await redis.remove();
  });

  it("runs scripts over TCP and over a Unix socket, also those that the server does not know yet", async () => {
    const [near, far] = [await connect(redis.socketUrl), await connect(redis.url)];
    redis.cli("SCRIPT", "FLUSH");
    expect(await serverOf(near).run(SET, ["gs:a"], [Buffer.from([0, 255])])).toBe(1);
    expect(await serverOf(far).run(GET, ["gs:a"], [])).toEqual(Buffer.from([0, 255]));
  });

  it("tells what others wrote before a barrier that follows is answered, and not what it wrote itself", async () => {
    const [mine, other] = [await connect(redis.socketUrl), await connect(redis.url)];
    const told: unknown[] = [];
    mine.onStale((keys) => told.push(keys));
    for (let round = 0; round < 50; round++) {
      await serverOf(mine).run(SET, ["gs:b"], ["mine"]);
      await serverOf(other).run(SET, ["gs:b"], [String(round)]);
      await serverOf(mine).barrier();
      expect(told).toEqual(Array.from({ length: round + 1 }, () => ["gs:b"]));
      expect(await text(serverOf(mine).run(GET, ["gs:b"], []))).toBe(String(round));
    }
    redis.cli("FLUSHDB");
    await serverOf(mine).barrier();
    expect(told.at(-1)).toBeNull();
  });

  it("connects again when the connection breaks, and says first that nothing is certain any more", async () => {
    const link = await connect(redis.url);
    const told: unknown[] = [];
    link.onStale((keys) => told.push(keys));
    await serverOf(link).run(SET, ["gs:c"], ["1"]);
    redis.cli("CLIENT", "KILL", "TYPE", "normal");
    await until(() => told.length > 0);
    expect(told[0]).toBeNull();
    expect(await text(serverOf(link).run(GET, ["gs:c"], []))).toBe("1");
    expect(link.report()).toMatchObject({ isConnected: true, reconnects: 1 });
    redis.cli("SET", "gs:c", "2");
    await serverOf(link).barrier();
    expect(told.at(-1)).toEqual(["gs:c"]);
  });

  it("says of an error whether the call may have been done", async () => {
    const link = await connect(redis.url);
    const wrong = new Script("return redis.call('GET',KEYS[1])");
    redis.cli("LPUSH", "gs:list", "x");
    const failure = await serverOf(link)
      .run(wrong, ["gs:list"], [])
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ServerError);
    expect(failure).toMatchObject({ outcome: "refused", code: "WRONGTYPE" });
  });

  it("finds the keys of a pattern", async () => {
    const link = await connect(redis.url);
    for (const key of ["gs:x1", "gs:x2", "other:x3"]) redis.cli("SET", key, "1");
    const keys = new Set<string>();
    for await (const key of link.scan("gs:x*")) keys.add(key);
    expect([...keys].sort()).toEqual(["gs:x1", "gs:x2"]);
  });
});
