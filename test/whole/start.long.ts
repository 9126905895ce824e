// What `npm start` runs, used as people use it: a browser's cookie jar against four workers, and Ctrl-C.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Browser, Example } from "../support/example.ts";
import { daemonPid, daemonsOf, freshRoot, isAlive, killAndWait, removeRoot, until } from "../support/processes.ts";
import { repository } from "../support/repository.ts";

let root: string;
let example: Example | undefined;

beforeEach(() => {
  root = freshRoot();
});

afterEach(async () => {
  if (example !== undefined && isAlive(example.pid)) await example.signalAll("SIGKILL");
  example = undefined;
  await removeRoot(root);
});

/** What of ours is left: processes, and files that only a running daemon has. */
function leftOf(root: string, pids: readonly number[]): readonly (string | number)[] {
  const files = readdirSync(root).filter((name) => /\.(?:sock|lock|pid)$/.test(name));
  return [...files, ...daemonsOf(root), ...pids.filter(isAlive)];
}

/** As a browser would be led here by a site whose name is somebody else's. */
async function statusUnderAnotherName(url: string, cookie: string, form: string): Promise<number | undefined> {
  const headers = { cookie, host: "elsewhere.example", "content-type": "application/x-www-form-urlencoded" };
  const asked = request(url, { method: "POST", headers }).end(form);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

describe("npm start", () => {
  test("shares one session between four workers, and Ctrl-C leaves nothing", async () => {
    example = await Example.start(root);
    const browser = new Browser(example.url);
    for (let visit = 0; visit < 8; visit++) await browser.page();
    await browser.submit("/sign-in", { name: 'Ana <b>&"' });
    await browser.submit("/cart", { dish: "ajillo", change: "1" });
    await browser.submit("/cart", { dish: "ajillo", change: "1" });
    await browser.submit("/cart", { dish: "pan", change: "1" });
    const page = await browser.submit("/cart", { dish: "pan", change: "-1" });
    expect(page).toContain("Ana &#60;b&#62;&#38;&#34;");

    const sessions = await browser.sessionByWorker();
    expect(new Set(sessions.map(({ pid }) => pid)).size).toBe(4);
    for (const session of sessions) {
      expect(session).toMatchObject({ visits: 13, user: 'Ana <b>&"', cart: { ajillo: 2 }, totalCents: 1900 });
      expect(session.answers.reduce((sum, count) => sum + count)).toBe(13);
      expect(session.path).toBe(join(root, "session", session.id ?? ""));
    }
    const types = Object.entries(sessions[0]?.keys ?? {}).map(([key, { type }]) => [key, type]);
    expect(Object.fromEntries(types)).toEqual({
      ...{ visits: "Integer", answers: "Integer[]", firstVisit: "Date", lastVisit: "Date" },
      ...{ user: "String", cart: "Collection" },
    });

    const pids = [example.pid, ...sessions.map(({ pid }) => pid)];
    expect(await example.signalAll("SIGINT")).toBe(0);
    expect(leftOf(root, pids)).toEqual([]);
  });

  test("counts exactly while browsers ask at the same time, a worker is killed and the daemon as well", async () => {
    example = await Example.start(root);
    const browser = new Browser(example.url);
    await browser.page();
    const [first] = await browser.sessionByWorker();
    const rounds = Array.from({ length: 8 }, async (_, place) => {
      for (let visit = 0; visit < 10; visit++) {
        await browser.page();
        if (place === 0 && visit === 3) await killAndWait(await until(() => daemonPid(root)));
      }
    });
    await Promise.all(rounds);
    await example.killWorker(first?.pid ?? 0);
    expect((await browser.session()).visits).toBe(81);
    const again = await browser.sessionByWorker();
    expect(again.map(({ visits }) => visits)).toEqual([81, 81, 81, 81]);
    expect(again[0]?.pid).not.toBe(first?.pid);
    expect(await example.signalAll("SIGINT")).toBe(0);
    await until(() => leftOf(root, []).length === 0);
  });

  test("abandons a session for good", async () => {
    example = await Example.start(root);
    const browser = new Browser(example.url);
    await browser.page();
    const old = browser.cookie;
    const { id } = await browser.session();
    await browser.ask("/abandon", { method: "POST" });
    expect(browser.cookie).toBe("");
    const other = new Browser(example.url);
    other.cookie = old;
    expect((await other.sessionByWorker()).map((session) => session.id)).toEqual([null, null, null, null]);
    expect(readdirSync(join(root, "session"))).not.toContain(id);
    await browser.page();
    expect(await browser.session()).toMatchObject({ visits: 1, cart: {} });
    expect(browser.cookie).not.toBe(old);
  });

  test("refuses what is no request of its own, and changes nothing", async () => {
    example = await Example.start(root);
    const browser = new Browser(example.url);
    await browser.page();
    const before = await browser.session();
    const form = (body: string): RequestInit => ({
      method: "POST",
      body,
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    const statusOf = async (path: string, init?: RequestInit): Promise<number> =>
      (await browser.ask(path, init)).status;
    expect(await statusOf("/nothing")).toBe(404);
    expect(await statusOf("/cart")).toBe(405);
    expect(await statusOf("/", { method: "DELETE" })).toBe(405);
    expect(await statusOf("/cart", { method: "POST", body: "{}" })).toBe(415);
    expect(await statusOf("/cart", form("dish=__proto__&change=1"))).toBe(400);
    expect(await statusOf("/cart", form("dish=pan&change=1e9"))).toBe(400);
    expect(await statusOf("/sign-in", form("name=+"))).toBe(400);
    expect(await statusOf("/sign-in", form("name=%00"))).toBe(400);
    expect(await statusOf("/sign-in", form(`name=${"a".repeat(5000)}`))).toBe(413);
    expect((await browser.session()).keys).toEqual(before.keys);
  });

  test("kills for the page of a session only, and nothing but its own workers and daemon", async () => {
    example = await Example.start(root);
    const browser = new Browser(example.url);
    const other = new Browser(example.url);
    const tokenOf = async (of: Browser): Promise<string> =>
      /name="token" value="(\w+)"/.exec(await of.page())?.[1] ?? "";
    const [token, foreign] = [await tokenOf(browser), await tokenOf(other)];
    const daemon = daemonPid(root);
    const kill = async (path: string, fields: Record<string, string>): Promise<number> =>
      (await browser.ask(path, { method: "POST", body: new URLSearchParams(fields) })).status;
    expect(await kill("/kill-daemon", {})).toBe(403);
    expect(await kill("/kill-daemon", { token: "" })).toBe(403);
    expect(await kill("/kill-daemon", { token: foreign })).toBe(403);
    expect(await statusUnderAnotherName(`${example.url}kill-daemon`, browser.cookie, `token=${token}`)).toBe(403);
    expect((await browser.ask(`/kill-daemon?token=${token}`)).status).toBe(405);
    for (const pid of [example.pid, daemon, process.pid, -1, 0, Number.NaN])
      expect(await kill("/kill-worker", { token, number: "1", pid: String(pid) })).toBe(409);
    expect([daemonPid(root), isAlive(example.pid)]).toEqual([daemon, true]);
    expect((await browser.sessionByWorker()).length).toBe(4);

    expect(await kill("/kill-daemon", { token })).toBe(303);
    expect(isAlive(daemon ?? 0)).toBe(false);
    expect(await browser.session()).toMatchObject({ visits: 21, report: { facts: { Lost: "0" } } });
    expect(await example.signalAll("SIGINT")).toBe(0);
    expect(leftOf(root, [])).toEqual([]);
  });

  test("leaves a daemon running that was there before", async () => {
    const daemon = spawn(process.execPath, [join(repository, "dist/daemon/main.js"), "--root", root], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await once(daemon.stdout, "data");
    example = await Example.start(root);
    const browser = new Browser(example.url);
    const page = await browser.page();
    expect(page).not.toContain('action="/kill-daemon"');
    const body = new URLSearchParams({ token: /name="token" value="(\w+)"/.exec(page)?.[1] ?? "" });
    expect((await browser.ask("/kill-daemon", { method: "POST", body })).status).toBe(403);
    expect(await example.signal("SIGTERM")).toBe(0);
    expect(daemonPid(root)).toBe(daemon.pid);
  });

  test("says so and leaves nothing when its port is taken", async () => {
    example = await Example.start(root);
    const second = new Example(root, new URL(example.url).port);
    expect(await second.exited).toBe(1);
    expect((await new Browser(example.url).ask("/")).status).toBe(200);
  });
});
