// The example on a page in a headless Chromium, started once for the tests of a describe.

import { afterAll, beforeAll } from "vitest";
import { Chromium, type Tab } from "../../support/chromium.ts";
import { Example } from "../../support/example.ts";
import { PATIENCE_MS } from "../../support/installed.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";
import { expectReadable, loadAxe } from "./readable.ts";

export interface Shown {
  /** A tab of this width with the first visit on it. */
  visit(width: number): Promise<Tab>;
  /** @param state names the pictures. */
  expectReadable(tab: Tab, state: string): Promise<void>;
  readonly url: string;
}

export function showExample(environment: NodeJS.ProcessEnv): Shown {
  let axe: string;
  let chromium: Chromium;
  let root: string;
  let example: Example;

  beforeAll(async () => {
    axe = loadAxe();
    chromium = await Chromium.start();
    root = freshRoot();
    example = await Example.start(root, environment);
  }, PATIENCE_MS);

  afterAll(async () => {
    await chromium.end();
    await example.signalAll("SIGINT");
    await removeRoot(root);
  });

  return {
    get url() {
      return example.url;
    },
    async visit(width) {
      const tab = await chromium.tab();
      await tab.size(width);
      await tab.open(example.url);
      await tab.shows("document.querySelector('#printed')?.textContent.includes('visits')");
      return tab;
    },
    expectReadable: (tab, state) => expectReadable(tab, axe, state),
  };
}

/** What the report of an experiment says, by its labels. */
export function factsOn(tab: Tab): Promise<Readonly<Record<string, string>>> {
  return tab.see(
    "Object.fromEntries([...document.querySelectorAll('.facts div')].map((fact) => [...fact.children].map((one) => one.textContent)))",
  );
}
