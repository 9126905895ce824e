// `top` and `status --watch` without a terminal: a line for each look, also when its daemon leaves and another one comes.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { top } from "../../../../daemon/cli/live/top.ts";
import { watchStatus } from "../../../../daemon/cli/live/watch-status.ts";
import type { Errand } from "../../../../daemon/cli/terminal/errand.ts";
import { NoDaemon } from "../../../../daemon/cli/terminal/refusals.ts";
import { Lab, newId } from "../../../support/daemon/lab.ts";

const ALWAYS = { everyMs: 1, times: Number.POSITIVE_INFINITY };
let lab: Lab;

beforeEach(async () => {
  lab = await Lab.open();
});

afterEach(() => lab.close());

/** @param hear what becomes of each line; resolves to whether it was the last. */
function errand(form: "text" | "json", hear: (line: string) => Promise<boolean>): Errand {
  return { options: { root: lab.root }, operands: [], form, say: async (line) => !(await hear(line)) };
}

describe("top without a terminal", () => {
  test("is a table with a row for each look", async () => {
    const rows: string[] = [];
    const hear = async (line: string): Promise<boolean> => rows.push(line) < 0;
    expect(await top(errand("text", hear), { everyMs: 1, times: 2 }, undefined)).toBe(true);
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatch(/^ {4}TIME COMMITS\/s .* HOTTEST\n$/);
    expect(rows[1]).toMatch(/^\d\d:\d\d:\d\d +0 +0 +0 +- +- +\d+ % +[\d.]+ MB +0 {2}-\n$/);
  });

  test("is a line of JSON for each look, with the sessions that were used most", async () => {
    const worker = await lab.worker();
    const id = newId();
    const hear = async (line: string): Promise<boolean> => {
      const told = JSON.parse(line);
      if (told.mostUsed.length === 0) {
        await worker.open(id);
        return false;
      }
      expect(told).toMatchObject({
        mostUsed: [{ id, commits: 0 }],
        status: { root: lab.root, connections: 1 },
        cpuShare: expect.any(Number),
      });
      expect(told.perSecond.opens).toBeGreaterThan(0);
      expect(told.mostUsed[0].opens).toBeGreaterThan(0);
      expect(told.openMicros.p99).toBeGreaterThan(0);
      return true;
    };
    await top(errand("json", hear), ALWAYS, undefined);
  });

  test.each(["text", "json"] as const)(
    "says once that its daemon has gone, and goes on with the next one, as %s",
    async (form) => {
      const story: string[] = [];
      const hear = async (line: string): Promise<boolean> => {
        const what = /No daemon answers|has left/.test(line) ? "gone" : /is there/.test(line) ? "back" : "row";
        if (story.at(-1) !== what) story.push(what);
        else return false;
        if (what === "gone") await lab.start();
        else if (what === "row" && story.includes("gone")) return true;
        else if (what === "row") await lab.stop();
        return false;
      };
      // The head of the table is a row that says nothing: the next one is heard in its place.
      const rowsOnly = errand(form, (line) => (/TIME/.test(line) ? Promise.resolve(false) : hear(line)));
      await top(rowsOnly, ALWAYS, undefined);
      expect(story).toEqual(form === "text" ? ["row", "gone", "back", "row"] : ["row", "gone", "row"]);
    },
  );

  test.each([
    ["top", top],
    ["status --watch", watchStatus],
  ])("%s ends where there is no daemon at the start", async (_name, command) => {
    await lab.stop();
    const hear = async (): Promise<boolean> => false;
    await expect(command(errand("text", hear), ALWAYS, undefined)).rejects.toThrow(NoDaemon);
  });
});

describe("the status that is watched without a terminal", () => {
  test("is a line of JSON for each look, and says that its daemon has gone", async () => {
    const told: Record<string, unknown>[] = [];
    const hear = async (line: string): Promise<boolean> => {
      told.push(JSON.parse(line));
      if (told.length === 2) await lab.stop();
      return told.length === 3;
    };
    await watchStatus(errand("json", hear), ALWAYS, undefined);
    expect(told).toMatchObject([
      { root: lab.root, connections: 0 },
      { root: lab.root },
      { problem: expect.stringContaining("No daemon") },
    ]);
  });

  test("is the text of the status, one behind the other", async () => {
    let said = "";
    const hear = async (text: string): Promise<boolean> => {
      said += text;
      return false;
    };
    await watchStatus(errand("text", hear), { everyMs: 1, times: 2 }, undefined);
    expect(said.match(/^connections +0$/gm)).toHaveLength(2);
    expect(said).toMatch(/\n\nversion /);
  });
});
