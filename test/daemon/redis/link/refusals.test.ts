// Servers that must not keep sessions, and users that may not do enough, are refused before the first session, with what to do.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectLink, type LinkOptions, Script } from "../../../../daemon/redis/link/link.ts";
import { freePort } from "../../../support/free-port.ts";
import { makeCertificates } from "../../../support/redis/certificates.ts";
import { linkOptions } from "../../../support/redis/link-options.ts";
import { describeWithRedis, KEEPING, RedisProcess } from "../../../support/redis/redis-server.ts";
import { type Answers, healthy, scriptedServer } from "../../../support/redis/scripted-server.ts";

/** "" when it is taken. */
async function refusalOf(url: string, others: Partial<LinkOptions> = {}): Promise<string> {
  try {
    const link = await connectLink(linkOptions(url, others));
    await link.close();
    return "";
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code} ${message}`;
  }
}

describeWithRedis("a Redis server", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());

  it("that evicts is refused, unless that is accepted", async () => {
    redis.cli("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    expect(await refusalOf(redis.url)).toMatch(
      /^ERR_BAD_REDIS .*evicts \(maxmemory-policy volatile-lru\).*acceptEviction/,
    );
    expect(await refusalOf(redis.url, { acceptEviction: true })).toBe("");
    redis.cli("CONFIG", "SET", "maxmemory-policy", "noeviction");
    expect(await refusalOf(redis.url)).toBe("");
  });

  it("that forgets with its process is refused, unless that is accepted", async () => {
    redis.cli("CONFIG", "SET", "appendonly", "no");
    expect(await refusalOf(redis.url)).toMatch(/^ERR_BAD_REDIS .*appendonly no.*acceptLoss/);
    expect(await refusalOf(redis.url, { acceptLoss: true })).toBe("");
    redis.cli("CONFIG", "SET", "appendonly", "yes");
  });

  it("that is a replica is refused, with the name of its master", async () => {
    redis.cli("REPLICAOF", "127.0.0.1", "1");
    expect(await refusalOf(redis.url)).toMatch(/^ERR_BAD_REDIS .*is a replica of 127\.0\.0\.1:1 and takes no writes/);
    redis.cli("REPLICAOF", "NO", "ONE");
  });

  it("that stands alone is refused where several are named", async () => {
    expect(await refusalOf(`${redis.url},${redis.url}`)).toMatch(/^ERR_BAD_REDIS .*no node of a cluster/);
  });

  it("that has no such database says so", async () => {
    expect(await refusalOf(`${redis.url}/99`)).toMatch(/^ERR_BAD_REDIS .*DB index is out of range/);
    expect(await refusalOf(`${redis.url}/3`)).toBe("");
    expect(await refusalOf(`${redis.socketUrl}?db=3`)).toBe("");
  });

  it("that is a node of a cluster is refused where one is named", async () => {
    const node = await RedisProcess.start([...KEEPING, "--cluster-enabled", "yes"]);
    expect(await refusalOf(node.url)).toMatch(/^ERR_BAD_REDIS .*is a node of a cluster: name two of its nodes/);
    // From Valkey 9 on a cluster may have databases; by default it has one.
    expect(await refusalOf(`${node.url}/1`)).toMatch(
      /^ERR_BAD_REDIS .*(is a node of a cluster|DB index is out of range)/,
    );
    await node.remove();
  });

  it("that is a Sentinel is refused where a server is named", async () => {
    const sentinel = await RedisProcess.startSentinel([`sentinel monitor m 127.0.0.1 ${redis.port} 1`]);
    expect(await refusalOf(sentinel.url)).toMatch(/^ERR_BAD_REDIS .*redis\+sentinel:/);
    const found = `redis+sentinel://127.0.0.1:${sentinel.port}`;
    expect(await refusalOf(`${found}/m`)).toBe("");
    expect(await refusalOf(`${found}/other`, { waitMs: 100 })).toMatch(/^ERR_STORE .*knows no master named other/);
    await sentinel.remove();
  });

  it("is not found where a Sentinel refuses the password, which is not the server's", async () => {
    const watched = [`sentinel monitor m 127.0.0.1 ${redis.port} 1`, "requirepass geheim"];
    const sentinel = await RedisProcess.startSentinel(watched);
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/m`;
    for (const query of ["", "?sentinelPassword=falsch"]) {
      expect(await refusalOf(`${url}${query}`)).toMatch(/^ERR_BAD_REDIS .*give sentinelUsername and sentinelPassword/);
    }
    expect(await refusalOf(`${url}?sentinelPassword=geheim`)).toBe("");
    await sentinel.remove();
  });

  it("is not found where the user of a Sentinel may not ask it, and the rights are named, which are enough", async () => {
    const named = "+sentinel|get-master-addr-by-name";
    const users = [`few on >geheim -@all +hello ${named}`, `enough on >geheim -@all +hello ${named} +sentinel|master`];
    const watched = [`sentinel monitor m 127.0.0.1 ${redis.port} 1`, ...users.map((user) => `user ${user}`)];
    const sentinel = await RedisProcess.startSentinel(watched);
    const as = (user: string): string =>
      `redis+sentinel://127.0.0.1:${sentinel.port}/m?sentinelUsername=${user}&sentinelPassword=geheim`;
    expect(await refusalOf(as("few"))).toMatch(
      /^ERR_BAD_REDIS .*Sentinel at 127\.0\.0\.1:\d+ does not give.*\+sentinel\|master \+sentinel\|get-master-addr-by-name/,
    );
    expect(await refusalOf(as("enough"))).toBe("");
    await sentinel.remove();
  });

  it("that is not there is waited for, and then named", async () => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    expect(await refusalOf(url, { waitMs: 50 })).toMatch(
      /^ERR_STORE .*127\.0\.0\.1:\d+ cannot be used: .*ECONNREFUSED/,
    );
    const socket = `unix://${redis.folder}/none`;
    expect(await refusalOf(socket, { waitMs: 50 })).toMatch(/^ERR_STORE .*ENOENT/);
  });
});

const secret = "geheim geheim";
const user = "hidden";

describeWithRedis("the user of a Redis server", () => {
  let redis: RedisProcess;
  let url: string;
  beforeAll(async () => {
    redis = await RedisProcess.start();
    url = `redis://${user}:${encodeURIComponent(secret)}@127.0.0.1:${redis.port}`;
  });
  afterAll(() => redis.remove());
  const grant = (rights: string): string =>
    redis.cli("ACL", "SETUSER", user, "reset", "on", `>${secret}`, ...rights.split(" "));
  const needed =
    "~gs:* ~gs!* +hello +client|tracking +info +eval +evalsha +time +get +getrange +pttl +set +setrange +pexpire +pexpireat +del +zadd +zcard +zscore +zrange +zrangebyscore +zrandmember +zrem +scan +wait";

  it("needs exactly the rights that the error names, and each that is missing is named", async () => {
    grant("+@all");
    const all = /all that it needs: (.*)\. Change/.exec(await refusalOf(url))?.[1] ?? "";
    expect(all).toBe(needed);
    grant(all);
    expect(await refusalOf(url)).toBe("");
    for (const right of all.split(" ")) {
      grant(all.replace(right, "").replace(/ +/g, " ").trim());
      const named = /the right to (.*?);/.exec(await refusalOf(url))?.[1];
      // From 7 on everybody may say HELLO; 6.2 wants a right for it.
      if (right !== "+hello") expect([right, named]).toEqual([right, right]);
    }
    grant(all);
    expect(await refusalOf(`${url}/1`)).toMatch(/the right to \+select;.*\+select/);
    grant(`${all} +select`);
    expect(await refusalOf(`${url}/1`)).toBe("");
  });

  it("uses with these rights everything that there is", async () => {
    grant(needed);
    const link = await connectLink(linkOptions(url));
    const server = link.serverOf("gs:a");
    const set = new Script("return redis.call('SET',KEYS[1],ARGV[1])");
    expect(await server.run(set, ["gs:a"], ["x"], { replicas: 0, ms: 10 })).toBe("OK");
    expect(await server.barrier()).toBeGreaterThan(1e12);
    for await (const key of link.scan("gs:*")) expect(key).toBe("gs:a");
    await link.close();
  });

  it("is refused with a wrong password, and none of what was given is shown", async () => {
    grant(needed);
    // Without one the default user takes any.
    redis.cli("CONFIG", "SET", "requirepass", "needed");
    const wrong = [
      `redis://${user}:${secret}x@127.0.0.1:${redis.port}`,
      `redis://nobody:${secret}@127.0.0.1:${redis.port}`,
      `redis://:${secret}@127.0.0.1:${redis.port}`,
    ];
    for (const one of wrong) {
      const refusal = await refusalOf(one);
      expect(refusal).toMatch(/^ERR_BAD_REDIS .*refuses the user or the password/);
      expect(refusal).not.toMatch(/geheim|hidden|nobody/);
    }
    expect(await refusalOf(redis.url)).toMatch(/^ERR_BAD_REDIS .*refuses the user or the password \(NOAUTH\)/);
    redis.cli("--no-auth-warning", "-a", "needed", "CONFIG", "SET", "requirepass", "");
  });

  it("has the password that a file holds at the time", async () => {
    grant(needed);
    const folder = mkdtempSync(join(tmpdir(), "gs-"));
    const passwordFile = join(folder, "password");
    const withFile = `redis://${user}@127.0.0.1:${redis.port}?passwordFile=${passwordFile}`;
    expect(await refusalOf(withFile)).toMatch(/^ERR_BAD_OPTION .*cannot be read: ENOENT/);
    writeFileSync(passwordFile, `${secret}\n`);
    expect(await refusalOf(withFile)).toBe("");
    rmSync(folder, { recursive: true });
  });

  it("that speaks no TLS is asked about, where the URL says that it does", async () => {
    const quick = { waitMs: 50, answerMs: 200 };
    const said = await refusalOf(`rediss://127.0.0.1:${redis.port}`, quick);
    expect(said).toMatch(
      /^ERR_(?:STORE|BAD_REDIS) .*Does it speak TLS at that port\? If not, the URL begins with redis:\/\//,
    );
  });
});

describeWithRedis("a Redis server behind TLS", () => {
  let redis: RedisProcess;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "gs-"));
    const { ca, cert, key } = makeCertificates(folder);
    const files = ["--tls-ca-cert-file", ca, "--tls-cert-file", cert, "--tls-key-file", key];
    redis = await RedisProcess.startTls([...KEEPING, ...files, "--tls-auth-clients", "yes"]);
  });
  afterAll(async () => {
    await redis.remove();
    rmSync(folder, { recursive: true });
  });
  const at = (host: string, query: string): string =>
    `rediss://${host.includes(":") ? host : `${host}:${redis.port}`}?${query.replaceAll("/", `${folder}/`)}`;
  const client = "ca=/ca.pem&cert=/own.pem&key=/own.key";

  it("is used with its authority and a client's certificate", async () => {
    expect(await refusalOf(at("localhost", client))).toBe("");
    expect(await refusalOf(at("127.0.0.1", client))).toBe("");
    expect(await refusalOf(at("127.0.0.1", `${client}&servername=localhost`))).toBe("");
  });

  it("is found by Sentinels that speak TLS as well", async () => {
    const port = await freePort();
    const pem = ["ca-cert-file ca.pem", "cert-file own.pem", "key-file own.key"].map(
      (line) => `tls-${line.replace(" ", ` ${folder}/`)}`,
    );
    const watched = [`sentinel monitor m 127.0.0.1 ${redis.port} 1`, `tls-port ${port}`, "tls-replication yes", ...pem];
    const sentinel = await RedisProcess.startSentinel(watched);
    expect(await refusalOf(at(`127.0.0.1:${port}/m`, client).replace("rediss:", "rediss+sentinel:"))).toBe("");
    await sentinel.remove();
  });

  it("is refused where one does not trust the other, or neither speaks TLS", async () => {
    expect(await refusalOf(at("localhost", "cert=/own.pem&key=/own.key"))).toMatch(
      /^ERR_BAD_REDIS .*\(TLS\).*Look at ca/,
    );
    expect(await refusalOf(at("127.0.0.1", `${client}&servername=other.example`))).toMatch(/^ERR_BAD_REDIS .*\(TLS\)/);
    expect(await refusalOf(at("localhost", "ca=/ca.pem"), { waitMs: 50 })).toMatch(
      /^ERR_(?:BAD_REDIS .*\(TLS\)|STORE)/,
    );
    expect(await refusalOf(at("localhost", "ca=/none.pem"))).toMatch(/^ERR_BAD_OPTION .*none\.pem/);
    expect(await refusalOf(`redis://localhost:${redis.port}`, { waitMs: 50 })).toMatch(/^ERR_STORE .*TLS/);
  });
});

describe("what answers for a Redis server", () => {
  const refusalWith = async (answers: Answers, others: Partial<LinkOptions> = {}): Promise<string> => {
    const server = await scriptedServer(answers);
    const refusal = await refusalOf(server.url, others);
    await server.close();
    return refusal;
  };
  const instead =
    (name: string, answer: string): Answers =>
    (command) =>
      command.startsWith(name) ? answer : healthy(command);
  const info = (text: string): string => `$${text.length}\r\n${text}\r\n`;

  it("is taken when it is healthy", async () => {
    expect(await refusalWith(healthy)).toBe("");
  });

  it("is refused when it is too old, speaks no RESP3, or does not tell what changes", async () => {
    expect(await refusalWith(instead("INFO", info("redis_version:6.0.16\r\nrole:master\r\n")))).toMatch(
      /^ERR_BAD_REDIS .*is Redis 6\.0\.16, and Redis 6\.2 or Valkey is needed/,
    );
    for (const error of ["-ERR unknown command `HELLO`, with args beginning with: `3`\r\n", "-NOPROTO sorry\r\n"]) {
      expect(await refusalWith(instead("HELLO", error))).toMatch(/^ERR_BAD_REDIS .*RESP3/);
    }
    expect(await refusalWith(instead("CLIENT", "-ERR unknown subcommand 'TRACKING'\r\n"))).toMatch(
      /^ERR_BAD_REDIS .*does not tell what changes/,
    );
  });

  it("is refused when it does not tell whether it keeps sessions", async () => {
    const silent = info("redis_version:7.2.0\r\nredis_mode:standalone\r\nrole:master\r\n");
    expect(await refusalWith(instead("INFO", silent))).toMatch(/does not tell whether it evicts/);
    expect(await refusalWith(instead("INFO", silent), { acceptEviction: true })).toMatch(
      /does not tell whether it keeps/,
    );
    expect(await refusalWith(instead("INFO", silent), { acceptEviction: true, acceptLoss: true })).toBe("");
  });

  it("is waited for while it is loading, and then named", async () => {
    const loading = "-LOADING Redis is loading the dataset in memory\r\n";
    expect(await refusalWith(instead("EVAL", loading), { waitMs: 50 })).toMatch(/^ERR_STORE .*LOADING/);
    let left = 3;
    const soon: Answers = (command) => (command.startsWith("CLIENT") && left-- > 0 ? loading : healthy(command));
    expect(await refusalWith(soon)).toBe("");
  });

  it("may be no Redis at all, or say nothing", async () => {
    const quick = { waitMs: 50, answerMs: 100 };
    expect(await refusalWith(() => "HTTP/1.1 400 Bad Request\r\n\r\n", quick)).toMatch(/^ERR_STORE .*RESP/);
    expect(await refusalWith(() => undefined, quick)).toMatch(/^ERR_STORE .*did not answer for 100 ms/);
    expect(await refusalWith((_, socket) => void socket.destroy(), quick)).toMatch(/^ERR_STORE .*broke/);
  });
});
