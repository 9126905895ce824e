// OPERATING's table of what bounds memory is computed from the settings. `npx vitest run test/documents/memory.test.ts -u` writes it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MAX_TEMPLATE_BYTES } from "../../client/copies/original.ts";
import { DEFAULTS } from "../../client/options.ts";
import { resolveConfig } from "../../daemon/config.ts";
import { boundBytes, MEMORY_BOUNDS } from "../support/memory-bounds.ts";
import { repository } from "../support/repository.ts";

const PAGE = join(repository, "daemon/OPERATING.md");
const [BEGIN, END] = ["<!-- memory -->", "<!-- /memory -->"];
/** Under load: code, stacks, and garbage that is not collected yet. */
const NODE_BYTES = 110 * 1024 * 1024;

test("OPERATING says what bounds the memory of workers and daemon, and what it adds up to", async () => {
  const [before, rest] = readFileSync(PAGE, "utf8").split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`daemon/OPERATING.md has no ${BEGIN} … ${END}`);
  await expect(`${before}${BEGIN}\n${table()}\n${END}${after}`).toMatchFileSnapshot(PAGE);
});

function table(): string {
  const settings = resolveConfig({ root: "/", socket: "/s" });
  const daemon = MEMORY_BOUNDS.map(({ what, setting, each }) =>
    rowOf("daemon", what, `${costOf(each)}\`${setting}\``, each * Number(settings[setting])),
  );
  const { cacheBytes } = DEFAULTS;
  return [
    "| of | what | bounded by | by default, MB |",
    "|---|---|---|---|",
    rowOf("worker", "a busy Node process by itself", "", NODE_BYTES),
    rowOf("worker", "contents, as bytes and decoded, of each client", "`cacheBytes`", cacheBytes),
    rowOf("worker", "objects that were read more than once, to be copied", "fixed", MAX_TEMPLATE_BYTES),
    rowOf("worker", "**all**", "", NODE_BYTES + cacheBytes + MAX_TEMPLATE_BYTES),
    rowOf("daemon", "a busy Node process by itself", "", NODE_BYTES),
    ...daemon,
    rowOf("daemon", "**all**", "", NODE_BYTES + boundBytes(settings)),
  ].join("\n");
}

function costOf(each: number): string {
  return each === 1 ? "" : each < 1 ? `1/${1 / each} of ` : `${each} bytes × `;
}

function rowOf(of: string, what: string, bound: string, bytes: number): string {
  return `| ${of} | ${what} | ${bound} | ${Math.round(bytes / 1024 / 1024)} |`;
}
