// The page of `TYPE=sqlite npm start` in a headless Chromium, wide and narrow, light and dark. Needs Chromium, and what type "sqlite" needs.

import { expect, test } from "vitest";
import { describeSqlite } from "../../support/sqlite.ts";
import { factsOn, showExample } from "./shown.ts";

describeSqlite("the page on databases", () => {
  const example = showExample({ TYPE: "sqlite" });

  test.each([1280, 390])(
    "says which type it is of, and what becomes of a daemon that is killed, %d pixels wide",
    async (width) => {
      const tab = await example.visit(width);
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
      await example.expectReadable(tab, `sqlite-first-visit-${width}`);
      await tab.see("document.getElementById('kill-daemon').click()");
      await tab.shows("document.querySelector('.report h3')?.textContent.startsWith('The daemon')");
      expect(await factsOn(tab)).toMatchObject({ Answered: "20 of 20", Lost: "0" });
      await example.expectReadable(tab, `sqlite-daemon-killed-${width}`);
      expect(tab.console).toEqual([]);
    },
  );
});
