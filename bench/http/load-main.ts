// The load generator: browsers that ask for one page after the other, all at once, in a process of its own.

import { answerCalls } from "../crew/calls.ts";
import { driveTogether } from "../crew/drive.ts";
import { Browser } from "./browser.ts";
import type { LoadCalls } from "./load-calls.ts";

const sites = new Map<string, { readonly browsers: Browser[]; visitsAtLogin: number }>();

answerCalls<LoadCalls>(
  {
    async open({ site, port, connections }) {
      const browsers = await Promise.all(Array.from({ length: connections }, () => Browser.open(port)));
      for (const browser of browsers) await browser.get("/login");
      sites.set(site, { browsers, visitsAtLogin: await visitsOf(browsers) });
      return undefined;
    },
    run: ({ site, path, ms }) =>
      driveTogether(
        browsersOf(site).map((browser) => () => browser.get(path)),
        ms,
      ),
    visits: async (site) => (await visitsOf(browsersOf(site))) - (sites.get(site)?.visitsAtLogin ?? 0),
  },
  () => {
    for (const { browsers } of sites.values()) for (const browser of browsers) browser.close();
  },
);

function browsersOf(site: string): readonly Browser[] {
  return sites.get(site)?.browsers ?? [];
}

async function visitsOf(browsers: readonly Browser[]): Promise<number> {
  const pages = await Promise.all(browsers.map((browser) => browser.get("/read")));
  return pages.reduce((sum, page) => sum + Number(JSON.parse(page).visits), 0);
}
