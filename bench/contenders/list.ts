// Everything that is measured, by name. A contender's packages are loaded by the processes that use it, not here.

import { FOR_SQLITE } from "../servers/optional-packages.ts";
import type { Contender, Entry } from "./contender.ts";

const gambas = async (): Promise<Entry> => (await import("./gambas-session.ts")).gambasSession;
const onRedis = async (): Promise<Entry> => (await import("./gambas-session.ts")).onRedis;
const onRedisStale = async (): Promise<Entry> => (await import("./gambas-session.ts")).onRedisStale;
const onSqlite = async (): Promise<Entry> => (await import("./gambas-session.ts")).onSqlite;
const everyKey = async (): Promise<Entry> => (await import("./gambas-session.ts")).gambasSessionEveryKey;
const fileStore = async (): Promise<Entry> => (await import("./session-file-store.ts")).sessionFileStore;
const ioredis = async (): Promise<Entry> => (await import("./ioredis.ts")).plain;
const nodeRedis = async (): Promise<Entry> => (await import("./node-redis.ts")).plain;
const exchange = async (): Promise<Entry> => (await import("./floor-file.ts")).fileExchange;
const socket = async (): Promise<Entry> => (await import("./floor-socket.ts")).floorSocket;
const sqlite = async (): Promise<Entry> => (await import("./floor-sqlite.ts")).floorSqlite;
const inPlace = async (): Promise<Entry> => (await import("./floor-file.ts")).fileInPlace;

export const CONTENDERS: readonly Contender[] = [
  { name: "gambas-session", server: "daemon", load: gambas },
  { name: "gambas-session tmpfs", server: "daemon-tmpfs", fileSystem: "tmpfs", load: gambas },
  { name: "gambas-session, every key", server: "daemon", load: everyKey },
  {
    name: "gambas-session memory",
    server: "daemon-memory",
    load: async () => (await import("./gambas-session.ts")).onMemory,
  },
  { name: "gambas-session sqlite", server: "daemon-sqlite", packages: FOR_SQLITE, load: onSqlite },
  {
    name: "gambas-session sqlite tmpfs",
    server: "daemon-sqlite-tmpfs",
    fileSystem: "tmpfs",
    packages: FOR_SQLITE,
    load: onSqlite,
  },
  { name: "gambas-session redis", server: "daemon-redis", load: onRedis },
  { name: "gambas-session redis, 50 ms", server: "daemon-redis-stale", load: onRedisStale },
  {
    name: "gambas-session redis, backend",
    server: "redis-aof",
    load: async () => (await import("./gambas-backend.ts")).redisBackend,
  },
  { name: "connect-redis/ioredis", server: "redis", load: ioredis },
  { name: "connect-redis/ioredis AOF", server: "redis-aof", load: ioredis },
  {
    name: "ioredis AOF, WATCH/MULTI",
    server: "redis-aof",
    load: async () => (await import("./ioredis.ts")).watched,
  },
  { name: "ioredis AOF, Lua", server: "redis-aof", load: async () => (await import("./ioredis.ts")).scripted },
  { name: "connect-redis/node-redis", server: "redis", load: nodeRedis },
  { name: "connect-redis/node-redis AOF", server: "redis-aof", load: nodeRedis },
  {
    name: "node-redis AOF, WATCH/MULTI",
    server: "redis-aof",
    load: async () => (await import("./node-redis.ts")).watched,
  },
  { name: "node-redis AOF, Lua", server: "redis-aof", load: async () => (await import("./node-redis.ts")).scripted },
  { name: "session-file-store", load: fileStore },
  { name: "session-file-store tmpfs", fileSystem: "tmpfs", load: fileStore },
  {
    name: "better-sqlite3",
    packages: ["better-sqlite3"],
    load: async () => (await import("./better-sqlite3.ts")).betterSqlite,
  },
  {
    name: "connect-memcached",
    server: "memcached",
    load: async () => (await import("./connect-memcached.ts")).connectMemcached,
  },
  { name: "MemoryStore", isLocal: true, load: async () => (await import("./memory-store.ts")).memoryStore },
  { name: "no session", isFloor: true, load: async () => (await import("./no-session.ts")).noSession },
  {
    name: "floor: Map",
    isFloor: true,
    isLocal: true,
    load: async () => (await import("./floor-map.ts")).floorMap,
  },
  { name: "floor: socket echo", server: "echo", isFloor: true, load: socket },
  { name: "floor: daemon in C", server: "floor-daemon", isFloor: true, load: socket },
  { name: "floor: file exchange", isFloor: true, load: exchange },
  { name: "floor: file exchange tmpfs", fileSystem: "tmpfs", isFloor: true, load: exchange },
  { name: "floor: file in place", isFloor: true, load: inPlace },
  { name: "floor: file in place tmpfs", fileSystem: "tmpfs", isFloor: true, load: inPlace },
  {
    name: "floor: SQLite tmpfs",
    fileSystem: "tmpfs",
    packages: FOR_SQLITE,
    isFloor: true,
    load: sqlite,
  },
];

export function contenderNamed(name: string): Contender {
  const found = CONTENDERS.find((contender) => contender.name === name);
  if (found === undefined) throw new Error(`There is no contender "${name}".`);
  return found;
}
