// The commands on the page for operators are those of daemon/cli/commands.ts. `npx vitest run test/daemon/cli/commands-page.test.ts -u` writes them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMANDS } from "../../../daemon/cli/commands.ts";
import { repository } from "../../support/repository.ts";

const PAGE = join(repository, "daemon/OPERATING.md");
const [BEGIN, END] = ["<!-- commands -->", "<!-- /commands -->"];

/** Every command as a Markdown table. */
function describeCommands(): string {
  const rows = Object.values(COMMANDS).map(({ forms, meaning, more }) => {
    // The row of the default command has its name, too.
    const typed = forms.map((form) => `\`${form.replace(/^\[(\w+)\]/, "$1").replaceAll("|", "\\|")}\``).join("<br>");
    return `| ${typed} | ${meaning}.${more === undefined ? "" : ` ${more}`} |`;
  });
  return ["| command | what it does |", "|---|---|", ...rows].join("\n");
}

test("the page for operators lists every command with its forms and what it does", async () => {
  const [before, rest] = readFileSync(PAGE, "utf8").split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
  await expect(`${before}${BEGIN}\n${describeCommands()}\n${END}${after}`).toMatchFileSnapshot(PAGE);
});
