// The page of `npm start` in a headless Chromium: wide and narrow, light and dark, by keyboard alone, while workers and the daemon are killed.
// GAMBAS_SESSION_TEST_PICTURES names a folder for pictures of it. Needs Chromium, and installs axe-core: `npm run test:consumers`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Chromium, type Tab } from "../../support/chromium.ts";
import { Example } from "../../support/example.ts";
import { PATIENCE_MS } from "../../support/installed.ts";
import { daemonPid, freshRoot, isAlive, killAndWait, removeRoot } from "../../support/processes.ts";
import { loadAxe } from "./readable.ts";
import { factsOn } from "./shown.ts";

const PICTURES = process.env.GAMBAS_SESSION_TEST_PICTURES;
const SMALLEST_TARGET = 44;
const NAME = "Ana <b>x</b>";
const MAX_TABS = 60;
const WIDTHS = [1280, 390];
const COLOURS = ["light", "dark"] as const;
/** In the order in which Tab comes to them, on the first page. */
const STOPS = [
  ...["again", "twenty-visits", "kill-worker", "kill-daemon"],
  ...["add-ajillo", "add-pan", "add-bravas", "add-horchata", "name", "sign", "abandon", "keys", "elsewhere"],
];

let axe: string;
let chromium: Chromium;
let root: string;
let example: Example;
let tab: Tab;

beforeAll(async () => {
  axe = loadAxe();
  chromium = await Chromium.start();
}, PATIENCE_MS);

afterAll(() => chromium.end());

beforeEach(async () => {
  root = freshRoot();
  example = await Example.start(root);
  tab = await chromium.tab();
  await tab.size(1280);
});

afterEach(async () => {
  if (isAlive(example.pid)) await example.signalAll("SIGKILL");
  await removeRoot(root);
});

// -- what the page says

const textOf = (selector: string): Promise<string> =>
  tab.see(`document.querySelector(${JSON.stringify(selector)}).textContent`);

const visits = async (): Promise<number> => Number(await textOf("#visits strong"));

/** The control that has the keyboard: its id, or that of the part it belongs to. */
const focused = (): Promise<string> =>
  tab.see(
    "document.activeElement.id || document.activeElement.name || document.activeElement.closest('section')?.id || ''",
  );

const said = (): Promise<string> => textOf("#said");

/** Until an experiment's report begins so, and its session is printed below. */
async function reported(title: string): Promise<void> {
  await tab.shows(`document.querySelector('.report h3')?.textContent.startsWith(${JSON.stringify(title)})`);
  await tab.shows(
    "document.querySelector('#printed')?.textContent.includes(document.querySelectorAll('.facts dd')[2].textContent)",
  );
}

// -- what people do

/** Goes on with Tab until a control has the keyboard. */
async function go(id: string): Promise<void> {
  for (let tabs = 0; tabs < MAX_TABS; tabs++) {
    if ((await focused()) === id) return;
    await tab.press("Tab");
  }
  throw new Error(`Tab never comes to ${id}`);
}

/** Presses a button by keyboard; whatever answers is another page, so that its parts are others. */
async function use(id: string): Promise<void> {
  await go(id);
  await tab.see("document.querySelector('main').isOld = true");
  await tab.press("Enter");
  await tab.shows("document.readyState === 'complete' && document.querySelector('main')?.isOld === undefined");
}

// -- what must hold of any page

const violations = async (): Promise<unknown> => {
  await tab.see(`if (typeof axe === "undefined") { ${axe} }; undefined`);
  return tab.see(`axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
    [id, ...nodes.map(({ html, failureSummary }) => html.slice(0, 120) + " " + failureSummary)]))`);
};

const smallTargets = (): Promise<unknown> =>
  tab.see(`[...document.querySelectorAll("button, .button, input:not([type=hidden])")].flatMap((target) => {
    const { width, height } = target.getBoundingClientRect();
    return Math.min(width, height) < ${SMALLEST_TARGET} ? [[target.outerHTML, width, height]] : [];
  })`);

const isWiderThanItsWindow = (): Promise<unknown> =>
  tab.see("document.documentElement.scrollWidth > document.documentElement.clientWidth");

async function expectGood(state: string, width: number): Promise<void> {
  for (const colours of COLOURS) {
    await tab.colours(colours);
    if (PICTURES !== undefined) {
      mkdirSync(PICTURES, { recursive: true });
      await tab.picture(join(PICTURES, `${state.replaceAll(" ", "-")}-${width}-${colours}.png`));
    }
    const found = [await violations(), await smallTargets(), await isWiderThanItsWindow()];
    expect([state, colours, ...found]).toEqual([state, colours, [], [], false]);
  }
}

describe.each(WIDTHS)("%d pixels wide", (width) => {
  test("nothing is hard to read, to hit or to reach in any state, light or dark", async () => {
    await tab.size(width);
    await tab.open(example.url);
    await tab.shows("document.querySelector('#printed')?.textContent.includes('visits')");
    await expectGood("first visit", width);
    await use("add-ajillo");
    await use("add-pan");
    await expectGood("cart", width);
    await go("name");
    await tab.type(NAME);
    await use("sign");
    await expectGood("signed in", width);
    await use("twenty-visits");
    await reported("Twenty visits");
    await expectGood("twenty visits", width);
    await use("kill-worker");
    await reported("A worker");
    await expectGood("worker killed", width);
    await use("kill-daemon");
    await reported("The daemon");
    await expectGood("daemon killed", width);
    expect(tab.console).toEqual([]);
    await tab.open(new URL("/nothing", example.url).href);
    await expectGood("404", width);
    expect(tab.console.filter((message) => !message.includes("404"))).toEqual([]);
  });
});

test("the keyboard alone reaches everything, sees where it is, and stays there", async () => {
  await tab.open(example.url);
  const seen: string[] = [];
  for (const _ of STOPS) {
    await tab.press("Tab");
    seen.push(await focused());
    expect(await tab.see("Number.parseFloat(getComputedStyle(document.activeElement).outlineWidth)")).toBeGreaterThan(
      1,
    );
  }
  expect(seen).toEqual(STOPS);

  await use("add-ajillo");
  expect([await focused(), await said()]).toEqual(["add-ajillo", "1 Gambas al ajillo, Total € 9.50"]);
  await use("add-ajillo");
  expect([await focused(), await said()]).toEqual(["add-ajillo", "2 Gambas al ajillo, Total € 19.00"]);
  await tab.press("Tab", 8);
  await use("less-ajillo");
  expect(await focused()).toBe("less-ajillo");
  await use("less-ajillo");
  // It can take no more: its neighbour is next.
  expect([await focused(), await said()]).toEqual(["add-ajillo", "Total € 0.00"]);

  await go("name");
  await tab.type(NAME);
  await use("name");
  expect([await focused(), await said(), await textOf("#you p")]).toEqual(["sign", `Hola, ${NAME}!`, `Hola, ${NAME}!`]);
  await use("sign");
  expect([await focused(), await said()]).toEqual(["sign", "Nobody is signed in"]);
  await use("again");
  expect([await focused(), await said()]).toEqual([
    "again",
    expect.stringMatching(/^\d+ visits, answered by worker \d$/),
  ]);
  await use("abandon");
  expect([await focused(), await said(), await visits()]).toEqual(["abandon", "A new session", 1]);
  expect(tab.console).toEqual([]);
});

test("twenty visits at once, a killed worker and a killed daemon lose nothing, and the page says what happened", async () => {
  await tab.open(example.url);
  await use("twenty-visits");
  await reported("Twenty visits");
  expect(await factsOn(tab)).toMatchObject({ Answered: "20 of 20", Visits: "1 before, 21 after", Lost: "0" });
  expect([await visits(), await focused()]).toEqual([22, "twenty-visits"]);
  expect(await said()).toContain("Lost: 0");

  const worker = Number(await tab.see("document.querySelector('[name=pid]').value"));
  await use("kill-worker");
  await reported("A worker");
  const ofWorker = await factsOn(tab);
  expect(ofWorker).toMatchObject({
    Died: expect.stringContaining(`pid ${worker}`),
    Answered: "20 of 20",
    Visits: "22 before, 42 after",
    Lost: "0",
  });
  expect(isAlive(worker)).toBe(false);
  expect(isAlive(Number(/^pid (\d+), ready after /.exec(ofWorker.Successor ?? "")?.[1]))).toBe(true);
  expect([await visits(), await focused()]).toEqual([43, "kill-worker"]);

  const daemon = daemonPid(root);
  await use("kill-daemon");
  await reported("The daemon");
  const ofDaemon = await factsOn(tab);
  expect(ofDaemon).toMatchObject({
    Died: `pid ${daemon}`,
    Answered: "20 of 20",
    Visits: "43 before, 63 after",
    Lost: "0",
  });
  expect(ofDaemon.Successor).toBe(`pid ${daemonPid(root)}`);
  expect(isAlive(daemon ?? 0)).toBe(false);
  expect([await visits(), await focused()]).toEqual([64, "kill-daemon"]);
  expect(tab.console).toEqual([]);
});

test("without scripts it does the same, and the keyboard goes on where it was", async () => {
  await tab.withoutScripts();
  await tab.open(example.url);
  await use("add-pan");
  await tab.shows("document.activeElement.id === 'add-pan'");
  expect(await textOf("#cart output")).toBe("0");
  expect(await textOf(".chosen output")).toBe("1");
  await go("name");
  await tab.type(NAME);
  await use("name");
  expect(await textOf("#you p")).toBe(`Hola, ${NAME}!`);
  for (const [button, title] of [
    ["twenty-visits", "Twenty visits"],
    ["kill-worker", "A worker"],
    ["kill-daemon", "The daemon"],
  ] as const) {
    await use(button);
    expect(await textOf(".report h3")).toContain(title);
    expect(await factsOn(tab)).toMatchObject({ Answered: "20 of 20", Lost: "0" });
  }
  await go("elsewhere");
  await tab.press("Tab");
  await tab.press("Enter");
  await tab.shows("location.pathname === '/session.txt' && document.body.textContent.includes('visits')");
});

test("what is killed from outside is missed by nobody", async () => {
  await tab.open(example.url);
  await killAndWait(daemonPid(root) ?? 0);
  await use("again");
  expect(await visits()).toBe(2);
  await example.killWorker(Number(await tab.see("document.querySelector('[name=pid]').value")));
  await use("again");
  expect(await visits()).toBe(3);
  expect(tab.console).toEqual([]);
});
