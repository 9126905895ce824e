// Where a client looks for the daemon's program, and with what it starts it.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DaemonProgram } from "../../../client/link/daemon-program.ts";

const PLACES = { root: "/somewhere", socket: "/somewhere/sessiond.sock", type: "file" } as const;

let home: string;
const [directory, script] = [process.cwd(), process.argv[1]];

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "gs-program-")));
  process.chdir(home);
  process.argv[1] = join(home, "server.js");
});
afterEach(() => {
  process.chdir(directory);
  if (script !== undefined) process.argv[1] = script;
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

/** As a package manager would, without anything inside. */
function install(folder: string): string {
  const place = join(folder, "node_modules/gambas-session");
  mkdirSync(join(place, "dist/daemon"), { recursive: true });
  writeFileSync(join(place, "package.json"), '{ "name": "gambas-session" }');
  writeFileSync(join(place, "dist/daemon/main.js"), "");
  return join(place, "dist/daemon/main.js");
}

/** As the package in a bundle does. */
function find(named?: string): ReturnType<DaemonProgram["get"]> {
  return new DaemonProgram(PLACES, {}, named, join(home, "server.js")).get();
}

describe("the program of the daemon", () => {
  it("is where the option says, seen from the working directory", () => {
    writeFileSync("daemon.js", "");
    expect(find("daemon.js")).toEqual({ path: join(home, "daemon.js") });
  });

  it("is where the variable says, unless there is an option", () => {
    writeFileSync("daemon.js", "");
    vi.stubEnv("GAMBAS_SESSIOND", join(home, "daemon.js"));
    expect(find()).toEqual({ path: join(home, "daemon.js") });
    expect(find("other.js")).toMatchObject({ problem: expect.stringContaining(join(home, "other.js")) });
  });

  it("is that of the package in the working directory, if none lies beside this file", () => {
    const path = install(home);
    expect(find()).toEqual({ path });
  });

  it("is that of the package of the script that runs, wherever that was started", () => {
    const application = join(home, "application");
    const path = install(application);
    process.argv[1] = join(application, "dist/server.js");
    expect(find()).toEqual({ path });
  });

  it("may be a link, as package managers make them", () => {
    symlinkSync(install(home), "gambas-sessiond");
    expect(find("gambas-sessiond")).toEqual({ path: join(home, "gambas-sessiond") });
  });

  it("that was found and is gone is not looked for elsewhere: its release was removed", () => {
    install(home);
    writeFileSync("daemon.js", "");
    const program = new DaemonProgram(PLACES, {}, "daemon.js");
    expect(program.wasRemoved).toBe(false);
    rmSync("daemon.js");
    expect([program.wasRemoved, program.get()]).toEqual([
      true,
      { problem: `${join(home, "daemon.js")} is not there any more` },
    ]);
  });

  it("that comes later is found later", () => {
    const program = new DaemonProgram(PLACES, {}, undefined);
    expect(program.get()).toMatchObject({ problem: expect.any(String) });
    writeFileSync("daemon.js", "");
    vi.stubEnv("GAMBAS_SESSIOND", join(home, "daemon.js"));
    expect(program.get()).toEqual({ path: join(home, "daemon.js") });
  });

  it.each(["client/link/daemon-program.js", "entries/shared/client.js"])(
    "is never that of another package, if its own is whole but for its daemon: dist/%s",
    (name) => {
      install(home);
      const own = join(home, "own/dist", name);
      mkdirSync(join(own, ".."), { recursive: true });
      writeFileSync(own, "");
      const missing = {
        problem: expect.stringContaining(join(home, "own/dist/daemon/main.js")),
        // A build may have left it out.
        advice: expect.stringMatching(/restart.*standalone.*daemonPath.*GAMBAS_SESSIOND.*install the package again/),
      };
      expect(new DaemonProgram(PLACES, {}, undefined, own).get()).toEqual(missing);
    },
  );

  it("that is nowhere is reported with every place, the option and the variable", () => {
    expect(find()).toMatchObject({
      problem: expect.stringMatching(/beside the package.*the working directory.*the script that runs/),
      advice: expect.stringMatching(/daemonPath.*GAMBAS_SESSIOND/),
    });
  });
});

describe("it is started", () => {
  it("with its places, with the settings that were given, and with a log in its root", () => {
    const { args } = new DaemonProgram(PLACES, { idleExitMs: 5, gambas: "3.18" }, undefined);
    expect(args).toEqual([
      "--root",
      "/somewhere",
      "--socket",
      "/somewhere/sessiond.sock",
      "--gambas=3.18",
      "--idle-exit-ms=5",
      "--log-file=/somewhere/sessiond.log",
    ]);
  });

  it("as a daemon of files as ever, whatever this process says of other sessions in its environment", () => {
    const { env } = new DaemonProgram(PLACES, {}, undefined);
    expect(env).toEqual({ GAMBAS_SESSION_TYPE: undefined, GAMBAS_SESSION_REDIS: undefined });
  });

  it("with what may be a secret in its environment alone", () => {
    const places = { root: "/somewhere", socket: "/somewhere/sessiond-redis.sock", type: "redis" } as const;
    const settings = { redis: "redis://app:hidden@db", acceptLoss: true, acceptEviction: false, maxStaleMs: 50 };
    const { args, env } = new DaemonProgram(places, settings, undefined);
    expect(args.slice(4)).toEqual([
      ...["--type", "redis", "--max-stale-ms=50", "--accept-loss", "--log-file=/somewhere/sessiond-redis.log"],
    ]);
    expect(args.join()).not.toContain("hidden");
    expect(env.GAMBAS_SESSION_REDIS).toBe("redis://app:hidden@db");
  });

  it("with a log whose path is that of the client's working directory, as the daemon has another one", () => {
    const { args } = new DaemonProgram(PLACES, { logFile: "-log" }, undefined);
    expect(args).toContain(`--log-file=${join(home, "-log")}`);
  });
});
