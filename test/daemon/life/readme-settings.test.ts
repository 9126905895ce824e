// The settings in README.md are those of daemon/config.ts. `npx vitest run test/daemon/life/readme-settings.test.ts -u` writes them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeSettings } from "../../../daemon/config.ts";
import { repository } from "../../support/repository.ts";

const README = join(repository, "README.md");
const [BEGIN, END] = ["<!-- settings -->", "<!-- /settings -->"];

test("README lists every setting with its default and meaning", async () => {
  const [before, rest] = readFileSync(README, "utf8").split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  await expect(`${before}${BEGIN}\n${describeSettings()}\n${END}${after}`).toMatchFileSnapshot(README);
});
