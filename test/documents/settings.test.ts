// The settings in daemon/OPERATING.md are those of protocol/settings.ts. `npx vitest run test/documents/settings.test.ts -u` writes them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeSettings } from "../../daemon/config.ts";
import { repository } from "../support/repository.ts";

const PAGE = join(repository, "daemon/OPERATING.md");
const [BEGIN, END] = ["<!-- settings -->", "<!-- /settings -->"];

test("OPERATING lists every setting with its default and meaning", async () => {
  const [before, rest] = readFileSync(PAGE, "utf8").split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`daemon/OPERATING.md has no ${BEGIN} … ${END}`);
  await expect(`${before}${BEGIN}\n${describeSettings()}\n${END}${after}`).toMatchFileSnapshot(PAGE);
});
