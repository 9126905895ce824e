// What the option redis may say, and that no message shows what must not be seen.

import { describe, expect, it } from "vitest";
import { SessionError } from "../../protocol/errors.ts";
import { describeRedis, parseRedisUrl } from "../../protocol/redis-url.ts";

function refusalOf(url: string): string {
  try {
    parseRedisUrl(url);
  } catch (error) {
    expect(error).toBeInstanceOf(SessionError);
    expect(error).toMatchObject({ code: "ERR_BAD_OPTION" });
    return (error as Error).message;
  }
  throw new Error(`${url} was taken`);
}

describe("the URL of a Redis", () => {
  it("names a server, with a port, a database, a user and a password", () => {
    expect(parseRedisUrl("redis://u%40x:p%2Fw@h.example/3")).toMatchObject({
      kind: "server",
      addresses: [{ host: "h.example", port: 6379 }],
      database: 3,
      credentials: { username: "u@x", password: "p/w" },
      tls: undefined,
    });
    expect(parseRedisUrl("REDIS://:pw@[::1]:7000")).toMatchObject({
      addresses: [{ host: "::1", port: 7000 }],
      database: 0,
      credentials: { username: undefined, password: "pw" },
    });
  });

  it("takes a password with an unescaped @, for the last one counts", () => {
    expect(parseRedisUrl("redis://:a@b@host")).toMatchObject({ credentials: { password: "a@b" } });
  });

  it("names the files of TLS and the name that the certificate is for", () => {
    const url = "rediss://u@host?passwordFile=/run/pw&ca=/ca.pem&cert=/c.pem&key=/k.pem&servername=redis.internal";
    expect(parseRedisUrl(url)).toMatchObject({
      credentials: { username: "u", password: undefined, passwordFile: "/run/pw" },
      tls: { ca: "/ca.pem", cert: "/c.pem", key: "/k.pem", servername: "redis.internal" },
    });
  });

  it("names a Unix socket", () => {
    expect(parseRedisUrl("unix:///run/redis%20one/s?db=2")).toMatchObject({
      addresses: [{ path: "/run/redis one/s" }],
      database: 2,
    });
  });

  it("names Sentinels and what they watch", () => {
    const url = "redis+sentinel://:pw@a:1,[::2]:2,c/mymaster/4?sentinelUsername=s&sentinelPasswordFile=/run/s";
    expect(parseRedisUrl(url)).toMatchObject({
      kind: "sentinel",
      addresses: [
        { host: "a", port: 1 },
        { host: "::2", port: 2 },
        { host: "c", port: 26379 },
      ],
      service: "mymaster",
      database: 4,
      credentials: { password: "pw" },
      sentinelCredentials: { username: "s", password: undefined, passwordFile: "/run/s" },
    });
  });

  it("names nodes of a cluster, with commas or spaces between", () => {
    for (const between of [",", ", ", " ", "\n"]) {
      expect(parseRedisUrl(["redis://:p,w@a:1", "redis://:p,w@b:2"].join(between))).toMatchObject({
        kind: "cluster",
        addresses: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
        ],
        credentials: { password: "p,w" },
      });
    }
  });

  it("is refused with a word on what is wrong", () => {
    const cases: Readonly<Record<string, RegExp>> = {
      "": /no scheme/,
      "localhost:6379": /no scheme/,
      "http://localhost": /no scheme/,
      "redis://": /host and port/,
      "redis://host:0": /host and port/,
      "redis://host:70000": /host and port/,
      "redis://host/x": /database that is not a number/,
      "redis://%zz@host": /two hexadecimal digits/,
      "redis://user@host": /user and no password/,
      "redis://host?ca=/x": /query/,
      "rediss://host?cert=/x": /belong together/,
      "rediss://host?ca=": /empty ca/,
      "redis://:a@host?passwordFile=/x": /only one of them/,
      "unix://relative/path": /absolute/,
      "unix:///": /absolute/,
      "redis+sentinel://host": /name of what they watch/,
      "redis://a,unix:///b": /nodes of a cluster/,
      "redis://a/1,redis://b/1": /a cluster has only 0/,
      "redis://a,rediss://b": /different/,
    };
    for (const [url, why] of Object.entries(cases))
      expect([url, refusalOf(url)]).toEqual([url, expect.stringMatching(why)]);
  });

  it("is shown without user, password and files, and not at all when it cannot be read", () => {
    const secret = "geheim";
    const shown: readonly string[] = [
      `redis://${secret}:${secret}@host:1/2`,
      `rediss://:${secret}@host?ca=/${secret}&servername=${secret}`,
      `redis+sentinel://:${secret}@a,b/name/1?sentinelPassword=${secret}`,
      `redis://:${secret}@a,redis://:${secret}@b`,
      `unix:///s?db=1&passwordFile=/${secret}`,
      "unix:///a%3F%25b",
    ].map((url) => describeRedis(parseRedisUrl(url)));
    expect(shown).toEqual([
      "redis://host:1/2",
      "rediss://host:6379",
      "redis+sentinel://a:26379,b:26379/name/1",
      "redis://a:6379,redis://b:6379",
      "unix:///s?db=1",
      "unix:///a%3F%25b",
    ]);
    const unreadable = [
      `redis://:${secret}`,
      `redis://:a/${secret}@host`,
      `redis://:a?${secret}@host`,
      `redis://:a#${secret}@host`,
      `redis://:a,redis://${secret}@host`,
      `${secret}`,
      `redis://:${secret}%@host`,
      `redis://host?${secret}`,
      `redis://host?password=${secret}`,
      `redis://host/${secret}`,
    ];
    for (const url of unreadable) {
      try {
        expect(describeRedis(parseRedisUrl(url))).not.toContain(secret);
      } catch (error) {
        expect(String(error)).not.toContain(secret);
      }
    }
  });
});
