// The public surface, as the compiler declares it, against test/client/public-api.md: whatever is there cannot be changed without notice, and
// whatever is not there can. `npx vitest run test/client/public-api.test.ts -u` writes it.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { declarationsOf } from "../support/declarations.ts";
import { repository } from "../support/repository.ts";

const ENTRIES = { "gambas-session": "client/index", "gambas-session/daemon": "daemon/start" } as const;
/** Interfaces would not do: applications ask `instanceof`. */
const CLASSES = ["SessionError"];
/** Names that only the inside of a client or a handle may know; some of what was public once. */
const INTERNALS = [
  "apply",
  "lease",
  "release",
  "isInForce",
  "noteSaved",
  "adopt",
  "loseTransaction",
  "begin",
  "unsaved",
  "settle",
  "endInVain",
];

function printed(): string {
  const parts = Object.entries(ENTRIES).map(([name, entry]) => {
    const all = declarationsOf(entry);
    const [exported, computed] = [all.filter((one) => one.isExported), all.filter((one) => !one.isExported)];
    const code = exported.map(({ text }) => text).join("\n\n");
    const rest = computed.map(({ text }) => text).join("\n\n");
    const inside =
      rest === ""
        ? ""
        : `\nTypes above are computed from these, which cannot be imported:\n\n\`\`\`ts\n${rest}\n\`\`\`\n`;
    return `\n## ${name}\n\n\`\`\`ts\n${code}\n\`\`\`\n${inside}`;
  });
  const head =
    "# The public surface\n\nPrinted from the declarations of the package by `test/client/public-api.test.ts`, without comments.\n";
  return `${head}${parts.join("")}`;
}

describe("the public surface", () => {
  it("is what the repository says it is", async () => {
    await expect(printed()).toMatchFileSnapshot(join(repository, "test/client/public-api.md"));
  });

  for (const [name, entry] of Object.entries(ENTRIES)) {
    it(`of ${name} reaches no interface or class that cannot be imported from it`, () => {
      const hidden = declarationsOf(entry).filter(
        ({ kind, isExported }) => !isExported && /class|interface/.test(kind),
      );
      expect(hidden.map((one) => one.name)).toEqual([]);
    });

    it(`of ${name} has interfaces instead of classes, but for errors`, () => {
      const classes = declarationsOf(entry).filter(({ kind }) => kind === "class");
      expect(classes.map((one) => one.name).filter((one) => !CLASSES.includes(one))).toEqual([]);
    });

    it(`of ${name} shows nothing of the inside`, () => {
      const text = declarationsOf(entry)
        .map((one) => one.text)
        .join("\n");
      expect(INTERNALS.filter((internal) => new RegExp(`\\b${internal}\\b\\s*[(:<]`).test(text))).toEqual([]);
    });
  }

  it("would be seen to reach the inside, as the linked client does", () => {
    const hidden = declarationsOf("client/link/client").filter(
      ({ kind, isExported }) => !isExported && kind === "class",
    );
    expect(hidden.map((one) => one.name)).toEqual(expect.arrayContaining(["Contents", "Handle", "Transactions"]));
  });

  it("has these values at run time, and no others", async () => {
    const client = await import(join(repository, "dist/entries/index.js"));
    const daemon = await import(join(repository, "dist/daemon/start.js"));
    expect(Object.keys(client).sort()).toEqual(["Session", "SessionError", "connect", "session", "sessionOf", "typed"]);
    expect(Object.keys(daemon)).toEqual(["startDaemon"]);
  });
});
