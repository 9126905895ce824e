// The example of a Gambas page beside a page of Node: a browser that goes from one to the other stays in one session, with one cookie.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Browser, readyUrl } from "../support/example.ts";
import { describeGambas, GambasHouse } from "../support/gambas/gambas.ts";
import { interpreter } from "../support/gambas/gambas-version.ts";
import { compiledProgram } from "../support/gambas/program-build.ts";
import { repository } from "../support/repository.ts";

const FOLDER = "client/examples/gambas-beside-node";

describeGambas("the example of a Gambas page beside Node", () => {
  let house: GambasHouse;
  let example: ChildProcess;
  let url: string;
  let browser: Browser;

  beforeAll(async () => {
    house = await GambasHouse.open();
    const program = interpreter(compiledProgram(`${FOLDER}/gambas-page`));
    const env = { PORT: "0", GAMBAS_SESSION_ROOT: undefined, GAMBAS_SESSION_SOCKET: undefined };
    const stdio = ["ignore", "pipe", "inherit"] as const;
    example = house.startNode(join(repository, "dist", FOLDER, "server.js"), program, { env, stdio: [...stdio] });
    url = await readyUrl(example.stdout as Readable);
  });

  afterAll(async () => {
    const ended = once(example, "exit");
    example.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    await house.close();
  });

  beforeEach(() => {
    browser = new Browser(url);
  });

  const page = async (path: string): Promise<string> => (await browser.ask(path)).text();
  const keep = (path: string, note: string): Promise<Response> =>
    browser.ask(path, { method: "POST", body: new URLSearchParams({ note }) });

  describe.each([
    ["Node", "/node", "/gambas"],
    ["Gambas", "/gambas", "/node"],
  ])("a session that begins in %s", (_name, here, there) => {
    it("goes on in the other, under one cookie for the whole host", async () => {
      const first = await browser.ask(here);
      expect(first.headers.getSetCookie()).toEqual([expect.stringMatching(/^GBSESSIONID=.*;path=\/;/i)]);
      const { cookie } = browser;
      await page(there);
      await page(here);
      expect(await page(there)).toContain("Visits: 2 in Node, 2 in Gambas. Note: none.");
      expect([browser.cookie, house.listSessions().length]).toEqual([cookie, 1]);
      await browser.ask("/node", { method: "POST", body: new URLSearchParams({ leave: "" }) });
    });
  });

  it("shows in each page what the other one keeps, and ends for both", async () => {
    await keep("/node", "<Łódź & more>");
    expect(await page("/gambas")).toMatch(/Note: &lt;Łódź &amp; more&gt;\./);
    const sent = await keep("/gambas", "from Gambas");
    expect([sent.status, sent.headers.get("location")]).toEqual([303, "/gambas"]);
    expect(await page("/node")).toContain("Note: from Gambas.");
    const { cookie } = browser;
    await browser.ask("/node", { method: "POST", body: new URLSearchParams({ leave: "" }) });
    expect([browser.cookie, house.listSessions()]).toEqual(["", []]);
    // Somebody who has kept the cookie.
    browser.cookie = cookie;
    expect(await page("/gambas")).toContain("Visits: 0 in Node, 1 in Gambas. Note: none.");
    expect(browser.cookie).not.toBe(cookie);
  });
});
