// What becomes of calls when a server, or the way to it, fails: each ends in its time, and says whether it may have been done.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectLink, type Link, type LinkOptions, Script, type Server } from "../../../../daemon/redis/link/link.ts";
import { until } from "../../../support/processes.ts";
import { FaultyWay } from "../../../support/redis/faulty-way.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, KEEPING, RedisProcess } from "../../../support/redis/redis-server.ts";
import { healthy, scriptedServer } from "../../../support/redis/scripted-server.ts";

const APPEND = new Script("return redis.call('APPEND',KEYS[1],'x')");
const GET = new Script("return redis.call('GET',KEYS[1])");

describeWithRedis("a call", () => {
  let redis: RedisProcess;
  let way: FaultyWay;
  const links: Link[] = [];
  const connect = async (url: string, others: Partial<LinkOptions> = {}): Promise<Server> => {
    const link = await connectLink(linkOptions(url, others));
    links.push(link);
    return link.serverOf("gs:a");
  };
  const told = (): unknown[] => {
    const all: unknown[] = [];
    links.at(-1)?.onStale((keys) => all.push(keys));
    return all;
  };
  const failure = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

  beforeEach(async () => {
    redis = await RedisProcess.start();
    way = await FaultyWay.to(redis.port);
  });
  afterEach(async () => {
    for (const link of links.splice(0)) await link.close();
    await way.close();
    await redis.remove();
  });

  it("whose answer is lost is unsure, was done once, and is not done again", async () => {
    const server = await connect(way.url);
    const stale = told();
    await server.run(APPEND, ["gs:a"], []);
    way.mode = "loses";
    expect(await failure(server.run(APPEND, ["gs:a"], []))).toMatchObject({ outcome: "unsure", code: "CUT" });
    way.mode = "passes";
    expect(String(await server.run(GET, ["gs:a"], []))).toBe("xx");
    expect(stale[0]).toBeNull();
  });

  it("of which nothing is heard is unsure after its time, and the connection is not used again", async () => {
    const server = await connect(way.url, { answerMs: 200 });
    const stale = told();
    const { connections } = way;
    way.mode = "holds";
    const calls = [server.run(APPEND, ["gs:a"], []), server.run(APPEND, ["gs:a"], [])];
    for (const call of calls) expect(await failure(call)).toMatchObject({ outcome: "unsure", code: "STALLED" });
    await until(() => way.connections > connections);
    way.mode = "passes";
    expect(await server.barrier()).toBeGreaterThan(1e12);
    expect(stale[0]).toBeNull();
  });

  it("waits for a server that is stopped or killed, and ends when that takes too long", async () => {
    const server = await connect(redis.url, { answerMs: 200 });
    const hasty = await connect(redis.url, { answerMs: 200, waitMs: 400 });
    await server.run(APPEND, ["gs:a"], []);
    redis.signal("SIGSTOP");
    expect(await failure(server.run(GET, ["gs:a"], []))).toMatchObject({ outcome: "unsure", code: "STALLED" });
    expect(await failure(hasty.run(GET, ["gs:a"], []))).toMatchObject({ code: expect.stringMatching(/STALLED|AWAY/) });
    expect(await failure(hasty.run(GET, ["gs:a"], []))).toMatchObject({ outcome: "refused", code: "AWAY" });
    expect(await failure(hasty.barrier())).toMatchObject({ outcome: "refused", code: "AWAY" });
    const waiting = [server.run(GET, ["gs:a"], []), server.barrier()];
    redis.signal("SIGCONT");
    expect(String(await waiting[0])).toBe("x");
    await waiting[1];

    await redis.kill();
    expect(await failure(hasty.run(GET, ["gs:a"], []))).toMatchObject({ outcome: expect.any(String) });
    const later = server.run(GET, ["gs:a"], []).catch(() => server.run(GET, ["gs:a"], []));
    await redis.startAgain();
    expect(String(await later)).toBe("x");
  });

  it("waits while another program's script keeps the server busy", async () => {
    const server = await connect(redis.url);
    redis.cli("CONFIG", "SET", "busy-reply-threshold", "1");
    const blocking = await connect(redis.url, { waitMs: 1, answerMs: 60_000 });
    const endless = failure(blocking.run(new Script("while true do end"), ["gs:b"], []));
    await until(() => redis.isBusy());
    const call = server.run(APPEND, ["gs:a"], []);
    await until(() => redis.isBusy());
    redis.cli("SCRIPT", "KILL");
    expect(await call).toBe(1);
    expect(await endless).toMatchObject({ outcome: "refused" });
  });

  it("is refused where there is no memory or no replica, and reads go on", async () => {
    const server = await connect(redis.url);
    await server.run(APPEND, ["gs:a"], []);
    redis.cli("CONFIG", "SET", "maxmemory", "1");
    expect(await failure(server.run(APPEND, ["gs:a"], []))).toMatchObject({ outcome: "refused", code: "OOM" });
    expect(String(await server.run(GET, ["gs:a"], []))).toBe("x");
    redis.cli("CONFIG", "SET", "maxmemory", "0");
    redis.cli("CONFIG", "SET", "min-replicas-to-write", "1");
    expect(await failure(server.run(APPEND, ["gs:a"], []))).toMatchObject({ outcome: "refused", code: "NOREPLICAS" });
    expect(String(await server.run(GET, ["gs:a"], []))).toBe("x");
  });

  it("waits where its server has been made a replica, and goes on when it is a master again", async () => {
    const server = await connect(redis.url);
    const stale = told();
    redis.cli("REPLICAOF", "127.0.0.1", "1");
    const call = server.run(APPEND, ["gs:a"], []);
    await until(() => stale.length > 0);
    await until(() => /replica/.test(String(links.at(-1)?.report().reason)));
    redis.cli("REPLICAOF", "NO", "ONE");
    expect(await call).toBe(1);
  });

  it("that must be on replicas is unsure where they do not confirm it, and was done once", async () => {
    const server = await connect(redis.url);
    const where = { replicas: 1, ms: 50 };
    redis.cli("CONFIG", "SET", "repl-diskless-sync-delay", "0");
    redis.cli("SCRIPT", "FLUSH");
    const calls = ["gs:a", "gs:b", "gs:c"].map((key) => failure(server.run(APPEND, [key], [], where)));
    for (const call of calls) expect(await call).toMatchObject({ outcome: "unsure", code: "UNREPLICATED" });
    const replica = await RedisProcess.start([...KEEPING, "--replicaof", "127.0.0.1", String(redis.port)]);
    await until(() => /slave0:.*state=online/.test(redis.cli("INFO", "replication")));
    redis.cli("SCRIPT", "FLUSH");
    // The replica confirms once a second by itself, and at once when it is asked.
    const patient = { replicas: 1, ms: 5_000 };
    const again = ["gs:a", "gs:b", "gs:c"].map((key) => server.run(APPEND, [key], [], patient));
    expect(await Promise.all(again)).toEqual([2, 2, 2]);
    expect(["gs:a", "gs:b", "gs:c"].map((key) => replica.cli("GET", key))).toEqual(["xx", "xx", "xx"]);
    await replica.remove();
  });

  it("whose script catches that its server is a replica is made at the next master all the same", async () => {
    const server = await connect(redis.url);
    const caught = new Script("return {redis.pcall('APPEND',KEYS[1],'x')}");
    redis.cli("REPLICAOF", "127.0.0.1", "1");
    const call = server.run(caught, ["gs:a"], []);
    await until(() => /replica/.test(String(links.at(-1)?.report().reason)));
    redis.cli("REPLICAOF", "NO", "ONE");
    expect(await call).toEqual([1]);
  });

  it("of which one part failed says so of that part", async () => {
    const server = await connect(redis.url);
    redis.cli("LPUSH", "gs:list", "x");
    const both = new Script("return {redis.pcall('GET',KEYS[1]),redis.pcall('GET',KEYS[2])}");
    expect(await server.run(both, ["gs:list", "gs:none"], [])).toEqual([
      expect.objectContaining({ outcome: "refused", code: "WRONGTYPE" }),
      null,
    ]);
  });

  it("fails when the link is closed, and later ones are refused", async () => {
    const server = await connect(way.url);
    way.mode = "holds";
    const call = failure(server.run(GET, ["gs:a"], []));
    await links.at(-1)?.close();
    expect(await call).toMatchObject({ outcome: "unsure", code: "CLOSED" });
    expect(await failure(server.run(GET, ["gs:a"], []))).toMatchObject({ outcome: "refused", code: "CLOSED" });
  });

  it("keeps nobody from closing the link, nor does a connection that is being made", async () => {
    const patient = { answerMs: 1_000_000, waitMs: 1_000_000 };
    const server = await connect(way.url, patient);
    way.mode = "holds";
    const { connections } = way;
    const call = failure(server.run(GET, ["gs:a"], []));
    way.cut();
    expect(await call).toMatchObject({ outcome: "unsure", code: "CUT" });
    const waiting = failure(server.run(GET, ["gs:a"], []));
    await until(() => way.connections > connections);
    await links.at(-1)?.close();
    expect(await waiting).toMatchObject({ outcome: "refused", code: "CLOSED" });
  });

  it("ends when the server speaks nonsense, and names no key of it", async () => {
    let isSane = true;
    const answers = (command: string): string | undefined => (isSane ? healthy(command) : "gs:secret\r\n");
    const server = await scriptedServer(answers);
    const broken = await connect(server.url, { waitMs: 300 });
    isSane = false;
    const error = await failure(broken.run(GET, ["gs:secret"], []));
    expect(error).toMatchObject({ outcome: "unsure", code: "CUT" });
    expect(String(error)).not.toContain("gs:secret");
    await server.close();
  });

  it("that the server does not know names nothing that it was called with", async () => {
    const server = await scriptedServer((command) =>
      command.startsWith("EVALSHA") && command.includes("GS:SECRET")
        ? "-ERR unknown command 'EVALSHA', with args beginning with: 'x' '1' 'gs:secret'\r\n"
        : healthy(command),
    );
    const error = await failure((await connect(server.url)).run(GET, ["gs:secret"], []));
    expect(error).toMatchObject({ outcome: "refused", message: "ERR unknown command 'EVALSHA'" });
    await server.close();
  });
});

describe("a server whose connections break at once", () => {
  it("is asked again less and less often", async () => {
    const asked = new Map<unknown, number>();
    const server = await scriptedServer((command, socket) => {
      if (command !== "TIME") return healthy(command);
      // Once while it is admitted, and then by the barrier.
      asked.set(socket, (asked.get(socket) ?? 0) + 1);
      if (asked.get(socket) === 2) socket.destroy();
      return healthy(command);
    });
    const link = await connectLink(linkOptions(server.url, { waitMs: 600 }));
    await expect(link.serverOf("gs:a").barrier()).rejects.toMatchObject({ name: "ServerError" });
    await link.close();
    await server.close();
    // Each pause is twice as long as the one before: without them there would be dozens.
    expect(asked.size).toBeGreaterThan(1);
    expect(asked.size).toBeLessThan(11);
  });

  it("is scanned from the beginning again, for a cursor is its process' own", async () => {
    const cursors: string[] = [];
    const server = await scriptedServer((command, socket) => {
      if (!command.includes("MATCH")) return healthy(command);
      const [, cursor = ""] = command.split(" ");
      cursors.push(cursor);
      if (cursors.length === 2) socket.destroy();
      return cursors.length < 4 ? "*2\r\n$1\r\n7\r\n*0\r\n" : "*2\r\n$1\r\n0\r\n*1\r\n$4\r\ngs:a\r\n";
    });
    const link = await connectLink(linkOptions(server.url));
    const found: string[] = [];
    for await (const key of link.scan("gs:*")) found.push(key);
    expect(found).toEqual(["gs:a"]);
    expect(cursors).toEqual(["0", "7", "7", "0"]);
    await link.close();
    await server.close();
  });
});

describeWithRedis("a push", () => {
  it("is told before the answer that follows it, also when both come at once", async () => {
    const push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\ngs:a\r\n";
    const server = await scriptedServer((command) =>
      command === "TIME" ? `${push}${healthy(command)}` : healthy(command),
    );
    const link = await connectLink(linkOptions(server.url));
    const order: unknown[] = [];
    link.onStale((keys) => order.push(keys));
    await link
      .serverOf("gs:a")
      .barrier()
      .then(() => order.push("answer"));
    expect(order).toEqual([["gs:a"], "answer"]);
    await link.close();
    await server.close();
  });

  it("comes for what other connections change with the server writing in threads, before the barrier's answer", async () => {
    const redis = await RedisProcess.start([...KEEPING, "--io-threads", "4", "--io-threads-do-reads", "yes"]);
    const [mine, other] = await Promise.all([1, 2].map(() => connectLink(linkOptions(redis.url))));
    if (mine === undefined || other === undefined) throw new Error("no link");
    const keys = Array.from({ length: 64 }, (_, at) => `gs:${at}`);
    const stale = new Set<string>();
    mine.onStale((told) => {
      for (const key of told ?? []) stale.add(key);
    });
    const each = (link: Link, script: Script): Promise<unknown> =>
      Promise.all(keys.map((key) => link.serverOf(key).run(script, [key], [])));
    for (let round = 0; round < 20; round++) {
      await each(mine, GET);
      stale.clear();
      await each(other, APPEND);
      await mine.serverOf("gs:0").barrier();
      expect(stale.size).toBe(keys.length);
    }
    for (const link of [mine, other]) await link.close();
    await redis.remove();
  });
});
