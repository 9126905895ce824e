// `TYPE=redis npm start`: two hosts on one Redis that the example starts, one of them cut off and healed, and nothing left afterwards.

import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Browser, EXAMPLE, Example, type SessionJson } from "../support/example.ts";
import { freshRoot, isAlive, removeRoot } from "../support/processes.ts";
import { describeWithRedis } from "../support/redis/redis-server.ts";

const TEMPORARY = /^gs-(?:host|example-redis)-/;
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

function leftovers(): string[] {
  return readdirSync(tmpdir()).filter((name) => TEMPORARY.test(name));
}

function urlOfOther(page: string): string {
  return /href="(http:\/\/127\.0\.0\.1:\d+\/)"/.exec(page)?.[1] ?? expect.fail();
}

function tokenOf(page: string): string {
  return /name="token" value="(\w+)"/.exec(page)?.[1] ?? expect.fail();
}

describeWithRedis("two hosts", () => {
  test("share a session; one that is cut off answers an error and comes back, and nothing is lost", async () => {
    const before = leftovers();
    example = await Example.start(root, { TYPE: "redis", GAMBAS_SESSION_REDIS: "" });
    const browser = new Browser(example.url);
    const page = await browser.page();
    const other = new Browser(urlOfOther(page));
    other.cookie = browser.cookie;
    await other.page();
    expect((await browser.session()).visits).toBe(2);
    expect(await (await browser.ask("/session.txt")).text()).toContain("visits");
    await browser.submit("/cut-host", { token: tokenOf(page) });
    const sessions: readonly SessionJson[] = [await browser.session(), await other.session()];
    for (const { keys, path } of sessions) {
      expect(path).toBeNull();
      expect(keys.report?.value).toMatchObject({
        Lost: "0",
        Visits: "2 before, 23 after",
        "Here meanwhile": "20 of 20",
        "Host 2, cut off": expect.stringMatching(/^error 503 after/),
      });
    }
    expect(await example.signalAll("SIGINT")).toBe(0);
    expect(leftovers()).toEqual(before);
  });

  test("take the button from their own page alone", async () => {
    example = await Example.start(root, { TYPE: "redis", GAMBAS_SESSION_REDIS: "" });
    const browser = new Browser(example.url);
    const token = tokenOf(await browser.page());
    const post = (body: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> =>
      browser.ask("/cut-host", { method: "POST", body: new URLSearchParams(body), headers });
    for (const sent of [{}, { token: "" }, { token: `${token.slice(1)}0` }])
      expect((await post(sent)).status).toBe(403);
    expect((await browser.ask(`/cut-host?token=${token}`)).status).toBe(405);
    const stranger = new Browser(example.url);
    await stranger.page();
    const asked = { method: "POST", body: new URLSearchParams({ token }) };
    expect((await stranger.ask("/cut-host", asked)).status).toBe(403);
    await browser.page();
    expect((await browser.session()).keys.report).toBeUndefined();
  });
});

test("where no redis-server is installed it says what to install", async () => {
  const env = { ...process.env, GAMBAS_SESSION_ROOT: root, TYPE: "redis", GAMBAS_SESSION_REDIS: "", PATH: "/nowhere" };
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [EXAMPLE], { env }, (error, _stdout, stderr) => resolve(`${error?.code} ${stderr}`));
  });
  expect(said).toMatch(
    /^1 TYPE=redis needs a Redis\. Install redis-server \(Debian, Ubuntu: apt install redis-server;/,
  );
});
