// What the pages name exists, and what exists is named in them: flags, commands, options, settings, variables, members, errors, figures, events.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../client/options.ts";
import { COMMANDS, GENERAL_FLAGS } from "../../daemon/cli/commands.ts";
import { settingFlags } from "../../daemon/config.ts";
import { ERRORS } from "../../protocol/errors.ts";
import { repository } from "../support/repository.ts";
import { sourcesOf, withoutComments } from "../support/sources.ts";
import { codeWordsOf, type Page, readPages, type Table } from "./pages.ts";

/** Flags in the pages that are another program's. */
const FLAGS_OF_OTHERS: Readonly<Record<string, string>> = {
  "--ignore-scripts": "npm",
  "--omit": "npm",
  "--init": "docker",
  "--exclude": "tar",
  "--quick": "npm run bench",
  "--full": "npm run bench",
  "--draw": "npm run bench",
  "--watch": "node",
};
/** The users' pages: what is about the inside has names of its own. */
const pages = readPages().filter(({ path }) => !/^(?:ARCHITECTURE|protocol\/GAMBAS)\.md$|\/README\.md$/.test(path));
const everything = pages.map(({ text }) => text).join("\n");
const tables = pages.flatMap((page) => page.tables);
const sources = ["client", "daemon", "protocol"].flatMap(sourcesOf).filter(({ name }) => !name.includes("/examples/"));
const surface = readFileSync(join(repository, "test/client/public-api.md"), "utf8");

/** The members of an interface, as its declaration names them. */
function membersOf(text: string, name: string): readonly string[] {
  const body = new RegExp(`interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`there is no interface ${name}`);
  return [...body.matchAll(/^ {2,4}(?:readonly )?(\w+)\??[:(<]/gm)].map(([, member = ""]) => member);
}

function sourceOf(name: string): string {
  return sources.find((one) => one.name === name)?.text ?? "";
}

/** Each name of the tables that have such a head, with the page. */
function namedInTables(
  isHead: (head: string) => boolean,
): readonly { readonly name: string; readonly where: string }[] {
  return tables.flatMap((table) => (isHead(table.heads[0] ?? "") ? namedIn(table) : []));
}

function namedIn({ page, line, rows }: Table): { name: string; where: string }[] {
  return rows.flatMap(([cell = ""], index) =>
    codeWordsOf(cell).map((name) => ({ name, where: `${page}:${line + 2 + index}: ${name}` })),
  );
}

/** Where a pattern's first group is not one of these. */
function strays(of: readonly Page[], pattern: RegExp, known: ReadonlySet<string>): readonly string[] {
  return of.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)]
      .map(([, name = ""]) => name)
      .flatMap((name) => (known.has(name) ? [] : [`${path}: ${name}`])),
  );
}

/** Those of these names that no table with such a head has a row for. */
function undocumented(known: Iterable<string>, isHead: (head: string) => boolean): readonly string[] {
  const named = new Set(namedInTables(isHead).map(({ name }) => name));
  return [...known].filter((name) => !named.has(name));
}

/** A default as pages write it. */
function shown(value: string | number | boolean): string {
  if (typeof value === "string") return `\`"${value}"\``;
  if (typeof value === "boolean") return `\`${value}\``;
  const MIB = 1024 * 1024;
  return value % MIB === 0 ? `${value / MIB} MiB` : String(value).replace(/(?=(?:\d{3})+$)/g, " ");
}

describe("of the command line", () => {
  const all = [...Object.values(COMMANDS).flatMap(({ flags }) => flags), ...GENERAL_FLAGS].map(
    ({ name }) => `--${name}`,
  );
  const ofSettings = settingFlags().map(({ name }) => `--${name}`);

  it("every flag in the pages is one, and every flag is in them", () => {
    const known = new Set([...all, ...Object.keys(FLAGS_OF_OTHERS)]);
    expect(strays(pages, /(?<![\w-])(--[a-z][a-z-]*)/g, known)).toEqual([]);
    const bench = readFileSync(join(repository, "bench/options.ts"), "utf8");
    const ofBench = Object.keys(FLAGS_OF_OTHERS).filter((flag) => FLAGS_OF_OTHERS[flag] === "npm run bench");
    expect(ofBench.filter((flag) => !bench.includes(flag))).toEqual([]);
    // Those of settings are said once, for all of them; one is for clients alone.
    const quiet = [...ofSettings, "--ready-fd"];
    expect([...new Set(all)].filter((flag) => !quiet.includes(flag) && !everything.includes(flag))).toEqual([]);
  });

  it("every command has a row, and every row is a command", () => {
    const isHead = (head: string) => head === "command";
    const named = namedInTables(isHead).map(({ name, where }) => ({ name: name.split(" ", 1)[0] ?? "", where }));
    expect(named.filter(({ name }) => !Object.hasOwn(COMMANDS, name)).map(({ where }) => where)).toEqual([]);
    expect(Object.keys(COMMANDS).filter((name) => !named.some((one) => one.name === name))).toEqual([]);
  });
});

describe("of the options", () => {
  const options = sourceOf("client/options");
  const ofConnect = membersOf(options, "ConnectOptions");
  const ofSession = [...ofConnect, ...membersOf(options, "HttpOptions"), ...membersOf(options, "SessionOptions")];
  const ofOthers = [
    ...membersOf(sourceOf("client/express/rules"), "ExpressSessionOptions"),
    ...membersOf(sourceOf("client/express/store/gambas-store"), "GambasStoreOptions"),
    ...membersOf(sourceOf("client/http/fetch/fetch-site"), "FetchOptions"),
  ];

  it("every row is one, and every option has a row", () => {
    const isHead = (head: string) => /^option\b/.test(head);
    const known = [...ofSession, ...ofOthers];
    expect(
      namedInTables(isHead)
        .filter(({ name }) => !known.includes(name))
        .map(({ where }) => where),
    ).toEqual([]);
    expect(undocumented(ofSession, isHead)).toEqual([]);
    expect(ofOthers.filter((name) => !everything.includes(`\`${name}`))).toEqual([]);
  });

  it("the defaults in the pages are those of the code", () => {
    const rows = tables
      .filter(({ heads }) => heads[0] === "option" && heads[1] === "default")
      .flatMap((table) => table.rows);
    const told = rows.map(([cell = "", text = ""]) => [codeWordsOf(cell)[0] ?? "", text] as const);
    // This one is a property of the process, which has the default.
    const known = Object.entries(DEFAULTS).filter(([name]) => name !== "timeout");
    expect(told.length).toBeGreaterThan(known.length);
    const wrong = known.filter(([name, value]) => !told.some(([one, text]) => one === name && text === shown(value)));
    expect(wrong).toEqual([]);
  });

  it("those in examples of a few words are some, too", () => {
    const inline = pages.flatMap(({ path, prose }) =>
      codeWordsOf(prose).flatMap((code) => {
        const [, names = ""] = /^(?:app\.use\()?(?:session|connect|gambasSession)\(\{([^{}]*)\}\)/.exec(code) ?? [];
        return [...names.matchAll(/(?:^|,)\s*(\w+)/g)].map(([, name = ""]) => ({ path, name }));
      }),
    );
    const known = new Set([...ofSession, ...ofOthers]);
    expect(inline.filter(({ name }) => !known.has(name))).toEqual([]);
  });

  it("every variable of the environment in the pages is read, and what is read is in them", () => {
    const read = new Set(
      sources.flatMap(({ text }) => [...withoutComments(text).matchAll(/\b(GAMBAS_[A-Z_]+)\b/g)].map(([name]) => name)),
    );
    expect(read.size).toBeGreaterThan(2);
    expect(strays(pages, /\b(GAMBAS_SESSION(?!_TEST_)[A-Z_]*)\b/g, read)).toEqual([]);
    // What Gambas calls its cookie is no variable.
    expect([...read].filter((name) => name !== "GAMBAS_COOKIE" && !everything.includes(name))).toEqual([]);
  });
});

describe("of the interface", () => {
  it("every member of Session in the pages is one, and every member has a row", () => {
    const members = membersOf(surface, "SessionStatic");
    const known = new Set(members);
    expect(strays(pages, /\bSession\.([A-Z]\w+)/g, known)).toEqual([]);
    expect(
      members.filter((name) => !everything.includes(`Session.${name}`) && !everything.includes(`\`.${name}(`)),
    ).toEqual([]);
  });

  it("every error in the pages has a row in the table of errors", () => {
    expect(strays(pages, /\b(ERR_[A-Z_]+)\b/g, new Set(Object.keys(ERRORS)))).toEqual([]);
  });
});

describe("of operating", () => {
  it("every figure of the status has a row, and every row is one", () => {
    const figures = membersOf(surface, "DaemonStatus");
    const named = namedInTables((head) => head === "figures");
    expect(named.filter(({ name }) => !figures.includes(name)).map(({ where }) => where)).toEqual([]);
    expect(undocumented(figures, (head) => head === "figures")).toEqual([]);
  });

  it("every event of the log has a row, and every row is one", () => {
    const daemon = sources
      .filter(({ name }) => name.startsWith("daemon/"))
      .map(({ text }) => text)
      .join("\n");
    const events = [...daemon.matchAll(/\.(?:info|warn|error|attempt)\(\s*"([a-z-]+)"/g)].map(([, name = ""]) => name);
    expect(events.length).toBeGreaterThan(20);
    expect(undocumented(new Set(events), (head) => head === "event")).toEqual([]);
    const named = namedInTables((head) => head === "event");
    expect(named.filter(({ name }) => !daemon.includes(`"${name}"`)).map(({ where }) => where)).toEqual([]);
  });
});
