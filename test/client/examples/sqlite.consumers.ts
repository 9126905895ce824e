// The page of `TYPE=sqlite npm start` in a headless Chromium, wide and narrow, light and dark. Needs Chromium, and what type "sqlite" needs.

import { afterAll, beforeAll, expect, test } from "vitest";
import { Chromium } from "../../support/chromium.ts";
import { Example } from "../../support/example.ts";
import { PATIENCE_MS } from "../../support/installed.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { expectReadable, loadAxe } from "./readable.ts";

describeSqlite("the page on databases", () => {
  let axe: string;
  let chromium: Chromium;
  let root: string;
  let example: Example;

  beforeAll(async () => {
    axe = loadAxe();
    chromium = await Chromium.start();
    root = freshRoot();
    example = await Example.start(root, { TYPE: "sqlite" });
  }, PATIENCE_MS);

  afterAll(async () => {
    await chromium.end();
    await example.signalAll("SIGINT");
    await removeRoot(root);
  });

  test.each([1280, 390])(
    "says which type it is of, and what becomes of a daemon that is killed, %d pixels wide",
    async (width) => {
      const tab = await chromium.tab();
      await tab.size(width);
      await tab.open(example.url);
      await tab.shows("document.querySelector('#printed')?.textContent.includes('visits')");
      const lines = await tab.see(
        "Object.fromEntries([...document.querySelectorAll('#session dt')].map((dt) => [dt.textContent, dt.nextElementSibling.textContent]))",
      );
      expect(lines).toMatchObject({
        Type: "sqlite",
        Database: expect.stringMatching(/^\w+_[0-9A-F]{24}\.db in \/.*\/session$/),
      });
      expect(await tab.see("document.querySelector('header p').textContent")).toBe(
        "Four workers, one session, one database.",
      );
      await expectReadable(tab, axe, `sqlite-first-visit-${width}`);
      await tab.see("document.getElementById('kill-daemon').click()");
      await tab.shows("document.querySelector('.report h3')?.textContent.startsWith('The daemon')");
      const facts = await tab.see(
        "Object.fromEntries([...document.querySelectorAll('.facts div')].map((fact) => [...fact.children].map((one) => one.textContent)))",
      );
      expect(facts).toMatchObject({ Answered: "20 of 20", Lost: "0" });
      await expectReadable(tab, axe, `sqlite-daemon-killed-${width}`);
      expect(tab.console).toEqual([]);
    },
  );
});
