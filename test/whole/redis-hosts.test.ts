// Two hosts, each a root with a daemon of its own, on one Redis: what one of them does with a session is what the other sees. The password of the
// server is nowhere to be seen.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connect } from "../../client/connect.ts";
import { runCommandLine } from "../../daemon/cli/command-line.ts";
import { electedPid } from "../../daemon/peer/peer.ts";
import { daemonsOf, freshRoot, killAndWait, removeRoot, until, WorkerProcess } from "../support/processes.ts";
import { describeWithRedis, KEEPING, RedisProcess } from "../support/redis/redis-server.ts";
import { repository } from "../support/repository.ts";

const SECRET = "kept-from-everybody";

/** A machine: a root, and an application with one worker. */
class Host {
  readonly root = freshRoot();
  readonly #worker: WorkerProcess;
  #url = "";

  constructor(redis: string) {
    this.#worker = WorkerProcess.start("test/whole/host-main.js", [this.root], { GAMBAS_SESSION_REDIS: redis });
  }

  async ready(): Promise<void> {
    this.#url = `http://127.0.0.1:${await this.#worker.call<number>("port")}`;
  }

  get daemonPid(): number | undefined {
    return electedPid({ root: this.root, type: "redis" });
  }

  /** A page that is well. */
  async ask(page: string, cookie = ""): Promise<{ readonly value: Record<string, unknown>; readonly cookie: string }> {
    const response = await this.answer(page, cookie);
    const text = await response.text();
    expect([response.status, text]).toEqual([200, text]);
    const [set = ""] = response.headers.getSetCookie();
    return { value: JSON.parse(text), cookie: set.split(";")[0] || cookie };
  }

  answer(page: string, cookie: string): Promise<Response> {
    return fetch(this.#url + page, { headers: { cookie } });
  }

  async close(): Promise<void> {
    await this.#worker.kill();
    await removeRoot(this.root);
  }
}

async function command(...args: readonly string[]): Promise<string> {
  let said = "";
  const hear = (text: string | Uint8Array, ...rest: unknown[]): boolean => {
    said += String(text);
    for (const done of rest) if (typeof done === "function") done();
    return true;
  };
  const streams = [process.stdout, process.stderr].map((one) => vi.spyOn(one, "write").mockImplementation(hear));
  await runCommandLine(args);
  for (const stream of streams) stream.mockRestore();
  return said;
}

describeWithRedis("two hosts on one Redis", () => {
  let redis: RedisProcess;
  let url: string;
  let one: Host;
  let other: Host;

  beforeAll(async () => {
    redis = await RedisProcess.start([...KEEPING, "--requirepass", SECRET]);
    url = `redis://:${SECRET}@127.0.0.1:${redis.port}`;
    [one, other] = [new Host(url), new Host(url)];
    await Promise.all([one.ready(), other.ready()]);
  });

  afterAll(async () => {
    await Promise.all([one.close(), other.close()]);
    await redis.remove();
  });

  test("share a session, in no file, which only Redis has", async () => {
    const { cookie } = await one.ask("/buy");
    expect((await other.ask("/buy", cookie)).cookie).toBe(cookie);
    const { value } = await one.ask("/read", cookie);
    expect(value).toMatchObject({
      type: "redis",
      path: null,
      cart: ["tea", "tea"],
      id: decodeURIComponent(cookie.slice(8)),
    });
    expect(value.size).toBeGreaterThan(20);
    expect([one, other].map(({ root }) => existsSync(join(root, "session")))).toEqual([false, false]);
    expect(readdirSync(one.root).sort()).toEqual(
      ["lock", "log", "pid", "sock"].map((ending) => `sessiond-redis.${ending}`),
    );
  });

  test("count in transactions without losing one, also when a daemon is killed meanwhile", async () => {
    const { cookie } = await one.ask("/count");
    const counts = Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? one : other).ask("/count", cookie));
    const before = one.daemonPid ?? 0;
    await Promise.race(counts);
    await killAndWait(before);
    await Promise.all(counts);
    expect((await one.ask("/read", cookie)).value.n).toBe(61);
    expect((await other.ask("/read", cookie)).value.n).toBe(61);
    expect(one.daemonPid).not.toBe(before);
  });

  test("lose nothing that was acknowledged when the daemons of both are killed", async () => {
    const { cookie } = await one.ask("/buy");
    for (const host of [one, other]) await killAndWait(host.daemonPid ?? 0);
    for (const host of [other, one]) expect((await host.ask("/read", cookie)).value.cart).toEqual(["tea"]);
  });

  test("end a session on both at once, and nothing brings it back", async () => {
    const { cookie } = await one.ask("/buy");
    await other.ask("/read", cookie);
    await one.ask("/end", cookie);
    expect((await other.ask("/read", cookie)).value).toMatchObject({ id: null });
    const again = await other.ask("/buy", cookie);
    expect(again.cookie).not.toBe(cookie);
  });

  test("can be asked by the commands of either, and be ended there", async () => {
    const { cookie } = await one.ask("/buy");
    const id = decodeURIComponent(cookie.slice(8));
    const at = ["--type", "redis", "--root", other.root];
    expect(await command("list", ...at)).toContain(id);
    expect(await command("show", id, ...at)).toMatch(/cart +String\[\] +\["tea"\]/);
    expect(await command("status", ...at)).toMatch(/^type +redis$/m);
    const members = /export interface DaemonStatus \{([^}]*)\}/.exec(readFileSync("client/api.ts", "utf8"))?.[1] ?? "";
    const always = [...members.matchAll(/readonly (\w+):/g)].map(([, name]) => name);
    const status = JSON.parse(await command("status", "--json", ...at));
    expect(Object.keys(status)).toEqual(expect.arrayContaining([...always, "redis"]));
    expect(Object.keys(status)).toHaveLength(always.length + 1);
    expect(await command("top", "--count", "1", "--interval", "0.1", ...at)).toMatch(/COMMITS\/s/);
    expect(await command("sweep", ...at)).toMatch(/session/);
    expect(await command("end", id, ...at)).toContain(id);
    expect((await one.ask("/read", cookie)).value.id).toBeNull();
  });

  test("say which server it is and how it is, to the doctor as well, with and without a daemon", async () => {
    const at = ["doctor", "--type", "redis", "--root", one.root];
    const seen = new RegExp(`Redis \\d+\\.\\d+\\.\\d+ at redis://127\\.0\\.0\\.1:${redis.port}, master, noeviction,`);
    expect((await command(...at)).replace(/\s+/g, " ")).toMatch(seen);
    const empty = freshRoot();
    vi.stubEnv("GAMBAS_SESSION_REDIS", url);
    const without = ["doctor", "--type", "redis", "--root", empty];
    expect((await command(...without)).replace(/\s+/g, " ")).toMatch(seen);
    vi.stubEnv("GAMBAS_SESSION_REDIS", `redis://:wrong@127.0.0.1:${redis.port}`);
    expect(await command(...without)).toMatch(/PROBLEM +redis +Redis at [\s\S]*WRONGPASS/);
    vi.unstubAllEnvs();
    await removeRoot(empty);
  });

  test("have the doctor look at the server that was named as well, and say where it is another one than theirs", async () => {
    const at = ["doctor", "--type", "redis", "--root", one.root];
    const named = await RedisProcess.start(["--save", ""]);
    const ours = `redis://127.0.0.1:${redis.port}`;
    const said = (await command(...at, "--redis", `redis://127.0.0.1:${named.port}`)).replace(/\s+/g, " ");
    expect(said).toContain(`has its sessions in ${ours}, and redis://127.0.0.1:${named.port} was named.`);
    expect(said).toContain(`when its process ends: redis://127.0.0.1:${named.port}.`);
    await named.remove();
    vi.stubEnv("GAMBAS_SESSION_REDIS", `redis://:wrong@127.0.0.1:${redis.port}/3`);
    expect(await command(...at)).toMatch(
      /PROBLEM +redis +Redis at [\s\S]*WRONGPASS[\s\S]*warning +redis +The daemon has/,
    );
    vi.stubEnv("GAMBAS_SESSION_REDIS", url);
    expect((await command(...at)).replace(/\s+/g, " ")).toMatch(new RegExp(`ok redis Redis [^;]* at ${ours},`));
    vi.unstubAllEnvs();
  });

  test("refuse a worker that was configured for another database, and one that sets the type too late", async () => {
    const wrong = connect({ root: one.root, type: "redis", redis: `${url}/3` });
    await expect(wrong).rejects.toThrow(
      `keeps its sessions in redis redis://127.0.0.1:${redis.port}, and this process was configured for redis redis://127.0.0.1:${redis.port}/3.`,
    );
    const known = await connect({ root: one.root, type: "redis", spawn: false });
    expect((await known.status()).type).toBe("redis");
    known.close();
    const { cookie } = await one.ask("/buy");
    expect(await (await one.answer("/retype", cookie)).json()).toMatchObject({
      error: expect.stringContaining('cannot become "file": sessions of type "redis" are in use'),
    });
  });

  test("show the password to nobody: neither in lists of processes, nor in status, log, doctor and errors", async () => {
    const [daemon] = await until(() => daemonsOf(one.root).length === 1 && daemonsOf(one.root));
    const at = ["--type", "redis", "--root", one.root];
    const elsewhere = freshRoot();
    const refusal = connect({
      root: elsewhere,
      daemonPath: join(repository, "dist/daemon/main.js"),
      type: "redis",
      redis: `redis://app:${SECRET}x@127.0.0.1:${redis.port}`,
    });
    const error = await refusal.catch((reason: Error) => reason);
    await removeRoot(elsewhere);
    expect(error).toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" });
    expect(String(error)).toMatch(
      /could not be started: it ended. gambas-sessiond: ERR_BAD_REDIS: Redis at 127.0.0.1:\d+ refuses the user/,
    );
    const shown = [
      readFileSync(`/proc/${daemon}/cmdline`, "utf8"),
      readFileSync(join(one.root, "sessiond-redis.log"), "utf8"),
      await command("status", "--json", ...at),
      await command("doctor", ...at),
      String(error),
    ];
    expect(shown.map((text) => [text === "", text.includes(SECRET)])).toEqual(shown.map(() => [false, false]));
  });
});
