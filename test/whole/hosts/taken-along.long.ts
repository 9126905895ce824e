// Sessions that are taken along to a cluster, and to a master of Sentinels: by `convert` from files and back, and from connect-redis at their first use.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RedisStore } from "connect-redis";
import express, { type Request, type Response } from "express";
import expressSession from "express-session";
import { createClient, createCluster } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { session } from "../../../client/http/node/middleware.ts";
import { Session } from "../../../client/static/session.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";
import { applyDelta, newImage } from "../../../protocol/image/image.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { deltaOf, RawWorker } from "../../support/daemon/raw-worker.ts";
import { HttpHouse } from "../../support/http/http-house.ts";
import { freshRoot, removeRoot, until } from "../../support/processes.ts";
import { startBehindSentinels } from "../../support/redis/behind-sentinels.ts";
import { startCluster } from "../../support/redis/cluster.ts";
import { describeWithRedis, type RedisProcess } from "../../support/redis/redis-server.ts";
import { repository } from "../../support/repository.ts";
import { SessionHouse } from "../../support/session-house.ts";

/** Servers that are one to an application. */
interface Servers {
  readonly url: string;
  /** Those that have keys. */
  readonly masters: readonly RedisProcess[];
  remove(): Promise<void>;
}

interface StoreClient {
  connect(): Promise<unknown>;
  destroy(): void;
}

interface Place {
  readonly name: string;
  start(): Promise<Servers>;
  /** What an application with connect-redis has. */
  client(servers: Servers): StoreClient;
}

const PLACES: readonly Place[] = [
  {
    name: "a cluster",
    start: () => startCluster({ hasReplica: false }),
    client: ({ masters }) => createCluster({ rootNodes: masters.map(({ url }) => ({ url })) }),
  },
  {
    name: "a master of Sentinels",
    async start() {
      const { master, url, remove } = await startBehindSentinels(1);
      return { url, masters: [master], remove };
    },
    client: ({ masters: [master] }) => createClient({ url: master?.url ?? "" }),
  },
];

let root: string;
const ends: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  root = freshRoot();
  mkdirSync(join(root, "session"), { mode: 0o700 });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await removeRoot(root);
});

function pathOf(id: string): string {
  return join(root, "session", id);
}

function write(id: string, values: Readonly<Record<string, unknown>>): Buffer {
  const nowMs = Date.now();
  const image = applyDelta(newImage({ nowMs, timeoutSeconds: 86_400 }), { delta: deltaOf(values), nowMs });
  writeFileSync(pathOf(id), image, { mode: 0o600 });
  return image;
}

/** Names in `session/` but those of locks. */
function filesThere(): string[] {
  return readdirSync(join(root, "session")).filter((name) => !name.endsWith(".lock"));
}

/** What the command says, in a process of its own. */
function begin(url: string, from: string, to: string, ...flags: readonly string[]) {
  const args = ["convert", "--from", from, "--to", to, "--root", root, "--redis", url, "--json", ...flags];
  const child = spawn(process.execPath, [join(repository, "dist/daemon/main.js"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [said, told] = ["", ""];
  child.stdout.on("data", (text) => {
    said += String(text);
  });
  child.stderr.on("data", (text) => {
    told += String(text);
  });
  const closed = once(child, "close");
  return { child, ended: closed.then(([code]) => ({ code: code as number | null, said, told })) };
}

async function converted(url: string, from: string, to: string, ...flags: readonly string[]): Promise<unknown> {
  const { said, told } = await begin(url, from, to, ...flags).ended;
  if (said === "") throw new Error(told);
  return JSON.parse(said);
}

async function serve(url: string | undefined): Promise<{ worker: RawWorker; stop(): Promise<void> }> {
  const own = url === undefined ? { type: "file", sweepMs: 0 } : { type: "redis", redis: url };
  const daemon: Daemon = await startDaemon({ root, ...own, logLevel: "silent" } as Parameters<typeof startDaemon>[0]);
  const worker = await RawWorker.connect(daemon.socket);
  const stop = async (): Promise<void> => {
    await worker.close();
    await daemon.stop();
  };
  return { worker, stop };
}

describeWithRedis("sessions that are taken along", () => {
  describe.each(PLACES)("to $name", ({ start, client }) => {
    let servers: Servers;
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => servers.remove());
    beforeEach(() => {
      for (const master of servers.masters) master.cli("FLUSHALL");
    });
    const keys = (pattern: string): string[] =>
      servers.masters.flatMap((master) => master.cli("KEYS", pattern).split("\n")).filter(Boolean);

    test("from files are the same after the way there and back, with what was changed there, and what has ended stays ended", async () => {
      const files = new Map(
        Array.from({ length: 120 }, (_, n) => {
          const id = newId(`192.0.2.${n % 3}`);
          return [id, write(id, { n, text: "ä".repeat((n % 5) * 1_000) })] as const;
        }),
      );
      const [changed = "", ended = ""] = [...files.keys()];
      const early = newId();
      const before = await serve(undefined);
      await before.worker.commit(early, { n: 1 }, { options: { create: true } });
      await before.worker.call("abandon", early);
      await before.stop();

      expect(await converted(servers.url, "file", "redis")).toMatchObject({ moved: 120, tombstones: 1, failed: 0 });
      expect(filesThere()).toEqual([]);
      const there = await serve(servers.url);
      const { sessions } = await there.worker.call("list", "", null, 1_000);
      expect(sessions.map(({ id }) => id).sort()).toEqual([...files.keys()].sort());
      await there.worker.commit(changed, { large: "x".repeat(8_000) });
      await there.worker.commit(changed, { n: "another" });
      const values = await there.worker.values(changed);
      await there.worker.call("abandon", ended);
      for (const id of [early, ended])
        expect(await codeOf(there.worker.commit(id, { n: 2 }, { options: { create: true } }))).toBe("ERR_ID_TAKEN");
      const unique = newId("192.0.2.1");
      await there.worker.commit(unique, { n: 9 }, { options: { create: true, unique: true } });
      await there.stop();

      const left = [...files.keys()].filter((id) => !id.startsWith("192.0.2.1:") && id !== ended);
      expect(await converted(servers.url, "redis", "file")).toMatchObject({ moved: left.length + 1, failed: 0 });
      expect(filesThere().sort()).toEqual([...left, unique].sort());
      for (const id of left.filter((one) => one !== changed)) expect(readFileSync(pathOf(id))).toEqual(files.get(id));
      const back = await serve(undefined);
      expect(await back.worker.values(changed)).toEqual(values);
      expect(await codeOf(back.worker.commit(ended, { n: 3 }, { options: { create: true } }))).toBe("ERR_ID_TAKEN");
      await back.stop();
    });

    test("are all there, each once, when the conversion was killed on the way", async () => {
      const ids = Array.from({ length: 200 }, () => newId());
      for (const id of ids) write(id, { text: "x".repeat(500) });
      const { child, ended } = begin(servers.url, "file", "redis");
      await until(() => filesThere().length <= ids.length - 20);
      child.kill("SIGKILL");
      await ended;
      await converted(servers.url, "file", "redis");
      expect(filesThere()).toEqual([]);
      expect(keys("gs:*").sort()).toEqual(ids.map((id) => `gs:${id}`).sort());
    });

    test("from connect-redis go on at their first use, on every host, and end for good", async () => {
      const secret = "a secret of before";
      const store = client(servers);
      await store.connect();
      ends.push(async () => store.destroy());
      const app = express();
      app.use(
        expressSession({ secret, resave: false, saveUninitialized: false, store: new RedisStore({ client: store }) }),
      );
      app.get("/", (req: Request, res: Response) => {
        Object.assign(req.session, { user: { id: 7, name: "Zoë" } });
        res.end("in");
      });
      const old = await HttpHouse.open(app);
      ends.push(() => old.close());
      const cookies: string[] = [];
      // Their keys, ours and the notes are on all nodes.
      for (let n = 0; n < 12; n++) cookies.push((await old.ask("/")).cookie);
      const hosts: HttpHouse[] = [];
      for (let n = 0; n < 2; n++) {
        const house = await SessionHouse.open({ type: "redis", redis: servers.url });
        ends.push(() => house.close());
        const enter = session({ ...house.options, type: "redis", adopt: { secret } });
        const host = await HttpHouse.open((req, res) =>
          enter(req, res, async (problem?: unknown) => {
            if (problem !== undefined) return void res.writeHead(500).end(String(problem));
            if (req.url === "/out") await Session.Abandon();
            res.end(JSON.stringify({ id: Session.Id, user: Session.get("user") ?? null }));
          }),
        );
        ends.push(() => host.close());
        hosts.push(host);
      }
      for (const cookie of cookies) {
        const answers = await Promise.all(hosts.map((host) => host.ask("/", { cookie })));
        const [first, second] = answers.map(({ text }) => JSON.parse(text));
        expect(first).toEqual({ id: expect.stringMatching(/^adopted:/), user: { id: 7, name: "Zoë" } });
        expect(second).toEqual(first);
        await hosts[0]?.ask("/out", { cookie });
        expect(JSON.parse((await hosts[1]?.ask("/", { cookie }))?.text ?? "")).toEqual({ id: null, user: null });
      }
      expect(keys("sess:*")).toHaveLength(cookies.length);
    });
  });

  test("to a master that dies on the way are all there, each once, on the next one", async () => {
    const servers = await startBehindSentinels(2);
    ends.push(() => servers.remove());
    const ids = Array.from({ length: 2_000 }, () => newId());
    for (const id of ids) write(id, { text: "x".repeat(500) });
    const flags = ["--durability", "replica"];
    const { ended } = begin(servers.url, "file", "redis", ...flags);
    await until(() => filesThere().length <= ids.length - 100);
    servers.master.signal("SIGKILL");
    let { code } = await ended;
    for (let again = 0; code !== 0 && again < 5; again++) {
      ({ code } = await begin(servers.url, "file", "redis", ...flags).ended);
    }
    expect([code, filesThere()]).toEqual([0, []]);
    const there = await serve(servers.url);
    const { sessions } = await there.worker.call("list", "", null, 10_000);
    expect(sessions.map(({ id }) => id).sort()).toEqual([...ids].sort());
    await there.stop();
  });
});
