// What a person cannot read or reach on a page of the example, in both colours. Pictures of it are kept where GAMBAS_SESSION_TEST_PICTURES names a folder.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Tab } from "../../support/chromium.ts";
import { installed } from "../../support/installed.ts";

const PICTURES = process.env.GAMBAS_SESSION_TEST_PICTURES;

/** The source of axe, which is installed. */
export function loadAxe(): string {
  return readFileSync(join(installed("axe", { "axe-core": "4.14.1" }), "node_modules/axe-core/axe.min.js"), "utf8");
}

/** @param state names the pictures. */
export async function expectReadable(tab: Tab, axe: string, state: string): Promise<void> {
  for (const colours of ["light", "dark"] as const) {
    await tab.colours(colours);
    if (PICTURES !== undefined) {
      mkdirSync(PICTURES, { recursive: true });
      await tab.picture(join(PICTURES, `${state}-${colours}.png`));
    }
    await tab.see(`if (typeof axe === "undefined") { ${axe} }; undefined`);
    const violations = await tab.see(`axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
      [id, ...nodes.map(({ html }) => html.slice(0, 120))]))`);
    const isTooWide = await tab.see("document.documentElement.scrollWidth > document.documentElement.clientWidth");
    expect([state, colours, violations, isTooWide]).toEqual([state, colours, [], false]);
  }
}
