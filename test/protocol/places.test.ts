// Where client and daemon look for a root and its socket, and how many files they may keep open.

import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { findPlaces, MAX_SOCKET_PATH_BYTES, maxOpenFiles } from "../../protocol/places.ts";

const alone = { env: {}, uid: 1000, toAbsolute: (path: string) => resolve("/home", path) };

describe("root and socket are", () => {
  test("the user's own, where nobody names them", () => {
    expect(findPlaces({}, alone)).toEqual({
      root: "/tmp/gambas.1000",
      socket: "/tmp/gambas.1000/sessiond.sock",
      type: "file",
    });
  });

  test("those of user 0 on a system without users", () => {
    expect(findPlaces({}, { ...alone, uid: undefined }).root).toBe("/tmp/gambas.0");
  });

  test("those of the environment, unless a variable is empty", () => {
    const env = { GAMBAS_SESSION_ROOT: "/var/sessions", GAMBAS_SESSION_SOCKET: "" };
    expect(findPlaces({}, { ...alone, env })).toEqual({
      root: "/var/sessions",
      socket: "/var/sessions/sessiond.sock",
      type: "file",
    });
  });

  test("those that are named, whatever the environment says, as absolute paths", () => {
    const env = { GAMBAS_SESSION_ROOT: "/var/sessions", GAMBAS_SESSION_SOCKET: "/run/s" };
    const places = findPlaces({ root: "mine", socket: "mine/s" }, { ...alone, env });
    expect(places).toEqual({ root: "/home/mine", socket: "/home/mine/s", type: "file" });
  });

  test("of each other type of sessions named by it, as the environment or somebody says", () => {
    const env = { GAMBAS_SESSION_TYPE: "Redis" };
    const socket = "/tmp/gambas.1000/sessiond-redis.sock";
    expect(findPlaces({}, { ...alone, env })).toEqual({ root: "/tmp/gambas.1000", socket, type: "redis" });
    expect(findPlaces({ type: "MEMORY" }, { ...alone, env }).socket).toBe("/tmp/gambas.1000/sessiond-memory.sock");
    expect(findPlaces({ type: "file" }, { ...alone, env }).socket).toBe("/tmp/gambas.1000/sessiond.sock");
    expect(() => findPlaces({}, { ...alone, env: { GAMBAS_SESSION_TYPE: "paper" } })).toThrow(/Unknown session type/);
  });

  test("a socket in the root of the file system, if that is the root", () => {
    expect(findPlaces({ root: "/" }, alone).socket).toBe("/sessiond.sock");
  });
});

test("a socket path is measured in bytes, and one that is too long is refused with its length", () => {
  const longest = `/${"ü".repeat((MAX_SOCKET_PATH_BYTES - 1) / 2)}`;
  expect(findPlaces({ socket: longest }, alone).socket).toBe(longest);
  expect(() => findPlaces({ socket: `${longest}s` }, alone)).toThrow(/has 108 bytes; at most 107 /);
});

describe("the number of open files is", () => {
  test("the soft limit that Linux tells of this process", () => {
    const line = "Max open files            1024                 524288               files\n";
    expect(maxOpenFiles(() => `Max processes  7  8  processes\n${line}`)).toBe(1024);
  });

  test("unknown where there is no limit, or no such file", () => {
    expect(maxOpenFiles(() => "Max open files            unlimited            unlimited            files\n")).toBe(
      undefined,
    );
    const missing = (): string => {
      throw new Error("ENOENT");
    };
    expect(maxOpenFiles(missing)).toBe(undefined);
  });
});
