// The page of `TYPE=redis npm start` in a headless Chromium: two hosts, one of which is cut off from Redis and healed. Wide and narrow, light and
// dark. GAMBAS_SESSION_TEST_PICTURES names a folder for pictures of it. Needs Chromium and redis-server, and installs axe-core.

import { expect, test } from "vitest";
import { describeWithRedis } from "../../support/redis/redis-server.ts";
import { factsOn, showExample } from "./shown.ts";

describeWithRedis("the page on two hosts", () => {
  const example = showExample({ TYPE: "redis", GAMBAS_SESSION_REDIS: "" });

  test.each([1280, 390])(
    "shows both to one visitor, and what becomes of one that is cut off, %d pixels wide",
    async (width) => {
      const tab = await example.visit(width);
      await example.expectReadable(tab, `hosts-first-visit-${width}`);
      // The other host, by the link, with the same cookie.
      await tab.see("document.querySelector('.parts a').click()");
      await tab.shows(
        `document.readyState === "complete" && !location.href.startsWith(${JSON.stringify(example.url)})`,
      );
      expect(await tab.see("document.querySelector('#visits strong').textContent")).toBe("2");
      expect(await tab.see("document.querySelector('.parts').textContent")).toContain("You are on host 2");
      await tab.see("document.getElementById('cut-host').click()");
      await tab.shows("document.getElementById('said').textContent.includes('Host 1 is cut off')");
      await tab.shows("document.querySelector('.report h3')?.textContent.includes('cut off from Redis')");
      expect(await factsOn(tab)).toMatchObject({
        Lost: "0",
        Visits: "2 before, 23 after",
        "Here meanwhile": "20 of 20",
        "Host 1, cut off": expect.stringMatching(/^error 503 after \d/),
        "Healed, it answered": expect.stringMatching(/^after \d/),
      });
      await example.expectReadable(tab, `hosts-cut-off-${width}`);
      expect(tab.console).toEqual([]);
    },
  );
});
