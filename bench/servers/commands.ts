// How each server is started: on a Unix socket in a directory of its own, with the settings that its users would have.

import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { userInfo } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ServerName } from "../contenders/contender.ts";
import type { Command } from "./server-process.ts";

const DAEMON = fileURLToPath(new URL("../../daemon/main.js", import.meta.url));
const ECHO = fileURLToPath(new URL("./echo-main.js", import.meta.url));
/** In the sources, also when this runs from dist. */
const FLOOR_DAEMON = fileURLToPath(new URL("./floor-daemon.c", import.meta.url.replace("/dist/bench/", "/bench/")));
const MEMCACHED_MB = 1024;

/** @param extra further arguments of the daemon. */
export function commandOf(name: ServerName, directory: string, extra: readonly string[] = []): Command {
  const socket = join(directory, "s");
  switch (name) {
    case "daemon":
    case "daemon-tmpfs":
    case "daemon-memory":
    case "daemon-sqlite":
    case "daemon-sqlite-tmpfs":
    case "daemon-redis":
    case "daemon-redis-stale": {
      const args = ["--root", directory, "--socket", socket, "--log-level", "warn", ...extra];
      return { program: process.execPath, args: [...profiling(), DAEMON, ...args], socket };
    }
    case "redis":
      return { program: "redis-server", args: redisArgs(socket, directory, "no"), socket };
    case "redis-aof":
      return { program: "redis-server", args: redisArgs(socket, directory, "yes"), socket };
    case "memcached": {
      // The client takes a path for a host and wants a port behind it.
      const named = `${socket}:11211`;
      const args = ["-s", named, "-m", String(MEMCACHED_MB), "-u", userInfo().username];
      return { program: "memcached", args, socket: named };
    }
    case "echo":
      return { program: process.execPath, args: [ECHO, socket], socket };
    case "floor-daemon": {
      const program = join(directory, "floor-daemon");
      execFileSync("cc", ["-O2", "-o", program, FLOOR_DAEMON]);
      return { program, args: [socket, directory], socket };
    }
  }
}

/** Undefined when the server can be started here; else what is missing. */
export function missingProgram(name: ServerName): string | undefined {
  const program = {
    redis: "redis-server",
    "redis-aof": "redis-server",
    memcached: "memcached",
    "floor-daemon": "cc",
  }[name as string];
  return program === undefined || isInstalled(program) ? undefined : program;
}

function redisArgs(socket: string, directory: string, appendOnly: "yes" | "no"): string[] {
  const place = ["--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", directory];
  const quiet = ["--daemonize", "no", "--loglevel", "warning", "--logfile", join(directory, "log")];
  return [...place, ...quiet, "--save", "", "--appendonly", appendOnly, "--appendfsync", "everysec"];
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** GAMBAS_SESSION_BENCH_PROFILE names a directory: the daemon leaves a CPU profile there. */
function profiling(): string[] {
  const target = process.env.GAMBAS_SESSION_BENCH_PROFILE;
  return target === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", target, "--cpu-prof-interval", "200"];
}
