// Holds every import to the arrows of ARROWS.md, which stand there alone, and the few rules of form that can be read off a file's text.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "./support/repository.ts";
import { importsOf, type Source, sourcesOf, withoutComments } from "./support/sources.ts";

/** What nothing in the package may import, whatever the rows say. */
const NOBODY_IMPORTS = ["test/**", "bench/**", "daemon/main"];
const MAX_FILE_LINES = 450;
const MAX_FUNCTION_LINES = 60;
const MAX_FOLDER_FILES = 12;
/** Whatever reaches out of the values it was given: the outside world, the clock, chance. */
const IMPURE =
  /\b(?:process|console|performance|globalThis|Date\.now|Math\.random|set(?:Timeout|Interval|Immediate))\b/;

const protocol = sourcesOf("protocol");
const client = sourcesOf("client");
const daemon = sourcesOf("daemon");
const all = [...protocol, ...client, ...daemon];

function matches(pattern: string, name: string): boolean {
  const expression = pattern.replace(/\*\*|\*/g, (stars) => (stars === "**" ? ".*" : "[^/]*"));
  return new RegExp(`^${expression}$`).test(name);
}

/** One row of ARROWS.md: a folder or a file of a top-level folder, and whom it may import. */
interface Row {
  readonly room: string;
  /** The files that others may import, by name; none: only the room itself may. */
  readonly doors: readonly string[];
  readonly targets: readonly string[];
}

/** The first block of code of the document. A row that begins with spaces goes on with the one before. */
function arrowsOf(document: string): readonly Row[] {
  const block = /```\w*\n([\s\S]*?)```/.exec(document)?.[1] ?? "";
  const lines = block.replace(/\n +(?=\S)/g, " ").split("\n");
  return lines.flatMap((line) => {
    const [, room, doors, targets] = /^(\S+)(?: +\(([^)]*)\))? +-> *(.*)$/.exec(line) ?? [];
    if (room === undefined || targets === undefined) return [];
    return [{ room, doors: listOf(doors ?? ""), targets: listOf(targets) }];
  });
}

function listOf(text: string): readonly string[] {
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

const ARROWS = arrowsOf(readFileSync(join(repository, "test/ARROWS.md"), "utf8"));

function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf("/"));
}

/** The row of a file: its own, or that of its folder. */
function rowOf(name: string, rows: readonly Row[]): Row | undefined {
  return rows.find(({ room }) => room === name) ?? rows.find(({ room }) => room === folderOf(name));
}

/** What an arrow to `target` lets others import: a file or a package by its name, the doors of a folder, or with `/*` all of its files. */
function isReached(imported: string, target: string, rows: readonly Row[]): boolean {
  if (imported === target) return true;
  if (target.endsWith("/*")) return folderOf(imported) === target.slice(0, -2);
  const row = rows.find(({ room }) => room === target);
  return row?.doors.some((door) => imported === `${target}/${door}`) ?? false;
}

/** The imports that no arrow allows, as sentences. */
function strayImports(sources: readonly Source[], rows: readonly Row[]): readonly string[] {
  return sources.flatMap(({ name, imports }) => {
    const row = rowOf(name, rows);
    if (row === undefined) return [`${name} has no row`];
    const stray = imports.filter(({ target }) => {
      if (NOBODY_IMPORTS.some((pattern) => matches(pattern, target))) return true;
      const isNeighbour = row.room === folderOf(name) && folderOf(target) === row.room;
      return !isNeighbour && !row.targets.some((allowed) => isReached(target, allowed, rows));
    });
    return stray.map(({ target }) => `${name} imports ${target}`);
  });
}

/** A ring of imports, types included, or undefined. */
function ringIn(sources: readonly Source[]): readonly string[] | undefined {
  const byName = new Map(sources.map((source) => [source.name, source]));
  const done = new Set<string>();
  const follow = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const { target } of byName.get(name)?.imports ?? []) {
      const ring = follow(target, [...path, name]);
      if (ring !== undefined) return ring;
    }
    done.add(name);
    return undefined;
  };
  for (const name of byName.keys()) {
    const ring = follow(name, []);
    if (ring !== undefined) return ring;
  }
  return undefined;
}

/** The rooms of these files, each with the rooms that its files import. */
function roomsOf(sources: readonly Source[], rows: readonly Row[]): readonly Source[] {
  return rows.map(({ room }) => {
    const inside = sources.filter(({ name }) => rowOf(name, rows)?.room === room);
    const imports = inside.flatMap((one) => one.imports.map(({ target }) => rowOf(target, rows)?.room ?? target));
    return {
      name: room,
      text: "",
      imports: imports.filter((target) => target !== room).map((target) => ({ target, isType: false })),
    };
  });
}

/** Functions that are too long, as sentences. Relies on the formatter: a function ends at the first `}` indented like its head. */
function longFunctions({ name, text }: Source): readonly string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    const isHead = /(?:\)(?:: .+)?|=>) \{$/.test(line) && !/^\s*(?:if|for|while|switch|\} else)\b/.test(line);
    if (!isHead) return [];
    const indent = line.search(/\S/);
    const length = lines.slice(index + 1).findIndex((next) => next.search(/\S/) === indent && next[indent] === "}") + 2;
    return length > MAX_FUNCTION_LINES ? [`${name}:${index + 1} has ${length} lines`] : [];
  });
}

function source(name: string, code: string): Source {
  return { name, text: code, imports: importsOf(`${name}.ts`, code) };
}

describe("the arrows", () => {
  it("name only files and folders that exist, and packages we depend on", () => {
    const manifestOf = (path: string) => JSON.parse(readFileSync(join(repository, path), "utf8"));
    const { name: ours, dependencies, peerDependencies, devDependencies, exports } = manifestOf("package.json");
    // Those of the examples: Express, and what the second suite installs.
    const frameworks = {
      ...manifestOf("test/frameworks/package.json").dependencies,
      ...manifestOf("test/frameworks/next/package.json").dependencies,
      express: devDependencies.express,
    };
    const packages = Object.keys({ ...dependencies, ...peerDependencies, ...frameworks });
    const files = all.map(({ name }) => name);
    const rooms = [...files, ...files.map(folderOf)];
    const known = new Set([
      "node",
      ...Object.keys(exports).map((path) => join(ours, path)),
      ...packages,
      ...rooms,
      ...rooms.map((one) => `${one}/*`),
    ]);
    const named = ARROWS.flatMap(({ room, doors, targets }) => [
      room,
      ...doors.map((door) => `${room}/${door}`),
      ...targets,
    ]);
    expect(named.filter((one) => !known.has(one))).toEqual([]);
    expect(ARROWS.length).toBeGreaterThan(10);
  });

  it("allow every import there is", () => {
    expect(strayImports(all, ARROWS)).toEqual([]);
  });

  it("run in no ring, of files or of folders", () => {
    expect(ringIn(all)).toBeUndefined();
    expect(ringIn(roomsOf(all, ARROWS))).toBeUndefined();
  });

  it("lead through one door into each folder", () => {
    const folders = ARROWS.filter(({ room }) => all.some(({ name }) => folderOf(name) === room));
    expect(folders.filter(({ doors }) => doors.length > 1).map(({ room }) => room)).toEqual([]);
    expect(folders.length).toBeGreaterThan(20);
  });

  it("keep Node and everything else of ours out of the protocol", () => {
    const outside = protocol.flatMap(({ imports }) => imports.map(({ target }) => target));
    expect(outside.filter((target) => !target.startsWith("protocol/") && target !== "msgpackr")).toEqual([]);
    expect(protocol.filter(({ text }) => IMPURE.test(withoutComments(text))).map(({ name }) => name)).toEqual([]);
  });

  it("keep values out of the daemon, which only knows where they end", () => {
    const decoding = daemon.filter(({ text }) => /\bdecode(?:All|Value)\b/.test(withoutComments(text)));
    // The command that shows a session to an operator, in a process of its own: no daemon loads it.
    const shows = "daemon/cli/sessions/show";
    expect(decoding.map(({ name }) => name)).toEqual([shows]);
    const users = daemon.filter(({ imports }) => imports.some(({ target }) => target === shows));
    expect(users.map(({ name }) => name)).toEqual(["daemon/cli/commands"]);
    expect(users.flatMap(({ text }) => text.match(/.*\/show\.ts"/g) ?? [])).toEqual([
      '      const { show } = await import("./sessions/show.ts"',
    ]);
  });

  it("keep the client and the daemon apart, and the daemon's packages out of workers", () => {
    const targetsOf = (sources: readonly Source[]): readonly string[] =>
      sources.flatMap(({ imports }) => imports.map(({ target }) => target));
    expect(targetsOf(daemon).filter((target) => target.startsWith("client/"))).toEqual([]);
    const barred = /^(?:daemon\/|proper-lockfile|chokidar|fs-native-extensions|@redis\/client)/;
    expect(targetsOf(client).filter((target) => barred.test(target))).toEqual([]);
  });
});

describe("the check of the arrows", () => {
  it("sees static, dynamic, re-exporting and type imports, and none in comments", () => {
    const code = [
      'import { a } from "./a.ts";',
      'import type { B } from "../protocol/b.ts";',
      'import { type C } from "./c.ts";',
      'import "./effect.ts";',
      'export * from "./d.ts";',
      'export type { E } from "./e.ts";',
      'import {\n  long,\n} from "node:fs";',
      'const f = await import("./f.ts");',
      'const g = createRequire(import.meta.url)("g") as typeof import("g");',
      '// import "./not.ts"',
      '/* import("./nor.ts") */',
      'const text = "from nowhere";',
    ].join("\n");
    const found = importsOf("client/x.ts", withoutComments(code)).map(({ target, isType }) =>
      isType ? `type ${target}` : target,
    );
    const static_ = ["client/a", "type protocol/b", "client/c", "client/effect", "client/d", "type client/e", "node"];
    expect(found).toEqual([...static_, "client/f", "type g", "g"]);
  });

  it("refuses what no row allows, and a way past a door", () => {
    const rows = arrowsOf(
      [
        "```",
        "client/options  ->",
        "client/copies (cache) -> node,",
        "                         client/options",
        "client/handle -> client/copies, protocol/value/*",
        "```",
      ].join("\n"),
    );
    const stray = strayImports(
      [
        source("client/handle/handle", 'import { Contents } from "../copies/contents.ts";\nimport "./edits.ts";'),
        source("client/handle/edits", 'import type { Cache } from "../copies/cache.ts";\nimport "../options.ts";'),
        source("client/handle/keys", 'import "../../protocol/value/text.ts";\nimport lock from "proper-lockfile";'),
        source("client/copies/cache", 'import "../../daemon/main.ts";\nimport "node:fs";\nimport "../options.ts";'),
        source("client/elsewhere/a", ""),
      ],
      rows,
    );
    expect(stray).toEqual([
      "client/handle/handle imports client/copies/contents",
      "client/handle/edits imports client/options",
      "client/handle/keys imports proper-lockfile",
      "client/copies/cache imports daemon/main",
      "client/elsewhere/a has no row",
    ]);
  });

  it("finds a ring, of types as well", () => {
    const a = source("daemon/a", 'import { b } from "./b.ts";');
    expect(ringIn([a, source("daemon/b", 'import type { C } from "./c.ts";')])).toBeUndefined();
    const ring = ringIn([a, source("daemon/b", 'import type { A } from "./a.ts";')]);
    expect(ring).toEqual(["daemon/a", "daemon/b", "daemon/a"]);
  });

  it("finds a ring of folders whose files are in none", () => {
    const rows = arrowsOf("```\ndaemon/x (a) -> daemon/y\ndaemon/y (b) -> daemon/x\n```");
    const files = [source("daemon/x/a", 'import "../y/b.ts";'), source("daemon/y/c", 'import "../x/d.ts";')];
    expect(ringIn(files)).toBeUndefined();
    expect(ringIn(roomsOf(files, rows))).toEqual(["daemon/x", "daemon/y", "daemon/x"]);
  });

  it("finds a function that is too long", () => {
    const body = "    step();\n".repeat(MAX_FUNCTION_LINES - 1);
    const long = source("client/x", `class X {\n  run(\n    a: A,\n  ): void {\n${body}  }\n}\n`);
    expect(longFunctions(long)).toEqual([`client/x:4 has ${MAX_FUNCTION_LINES + 1} lines`]);
  });
});

describe("every file", () => {
  it("begins by saying what it owns", () => {
    const silent = all.filter(({ text }) => !/^(?:#!.*\n)?\/\/ [A-Z`\w]/.test(text));
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  it("takes what is left until a time from msLeft, which is never negative", () => {
    const bare = all.filter(({ text }) => /(?<!Date\.now\(\)) - performance\.now\(\)/.test(withoutComments(text)));
    expect(bare.map(({ name }) => name)).toEqual([]);
  });

  it(`has at most ${MAX_FILE_LINES} lines`, () => {
    const long = all.filter(({ text }) => text.split("\n").length > MAX_FILE_LINES);
    expect(long.map(({ name }) => name)).toEqual([]);
  });

  it(`has at most ${MAX_FOLDER_FILES - 1} others in its folder`, () => {
    const counts = new Map<string, number>();
    for (const { name } of all) counts.set(folderOf(name), (counts.get(folderOf(name)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > MAX_FOLDER_FILES)).toEqual([]);
  });

  it(`has no function of more than ${MAX_FUNCTION_LINES} lines`, () => {
    expect(all.flatMap(longFunctions)).toEqual([]);
  });
});
