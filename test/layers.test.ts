// Holds the import arrows of ARCHITECTURE.md, and the few rules of form that can be read off a file's text.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "./support/repository.ts";
import { importsOf, type Source, sourcesOf, withoutComments } from "./support/sources.ts";

/**
 * Who may import whom, by path without `.ts`: `*` is any name of one folder, `**` any path. All rows that match a file count together.
 * "type" before a name allows what is gone after compilation only. A package may be imported only where a row names it.
 */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  "protocol/*": ["protocol/errors"],
  "protocol/frame": ["msgpackr"],
  "protocol/operations": ["protocol/shape"],
  "protocol/describe": ["protocol/operations"],
  "protocol/value*": ["protocol/value*"],
  "protocol/delta": ["protocol/value*"],
  "protocol/image*": ["protocol/value*", "protocol/delta", "protocol/image*"],

  "client/*": ["node", "protocol/*", "type client/options"],
  "client/index": ["client/session", "client/http", "client/connect", "type client/*"],
  "client/session": [
    "client/context",
    "client/handle",
    "client/request",
    "client/run-options",
    "client/visit",
    "client/options",
    "type client/client",
  ],
  "client/run-options": ["client/request"],
  "client/http": [
    "client/context",
    "client/client",
    "client/handle",
    "client/cookies",
    "client/request",
    "client/response-gate",
    "client/visit",
    "client/options",
  ],
  "client/response-gate": ["client/http1-outlet", "client/http2-outlet", "client/call-outlet", "client/outlet"],
  "client/*-outlet": ["client/outlet"],
  "client/visit": ["client/cookies", "type client/client"],
  "client/connect": ["client/context", "client/client"],
  "client/context": ["client/client", "client/options", "client/scope"],
  "client/scope": ["type client/client", "type client/handle"],
  "client/client": [
    "client/transactions",
    "client/handle",
    "client/cache",
    "client/contents",
    "client/connection",
    "client/options",
    "client/scope",
  ],
  "client/transactions": [
    "client/handle",
    "client/scope",
    "client/unsaved",
    "type client/client",
    "type client/contents",
  ],
  "client/handle": [
    "client/contents",
    "client/keys",
    "client/late-changes",
    "client/live-objects",
    "client/options",
    "client/scope",
    "client/unsaved",
    "type client/client",
  ],
  "client/live-objects": ["client/unsaved"],
  "client/contents": ["type client/unsaved"],
  "client/cache": ["client/open-files", "client/loose-copies", "type client/contents"],
  "client/loose-copies": ["type client/contents"],
  "client/connection": ["client/spawn", "client/socket-owner", "client/pending-calls"],
  "client/examples/*": ["node", "gambas-session", "express", "client/examples/*"],

  "daemon/**": [
    "node",
    "protocol/errors",
    "protocol/frame",
    "protocol/image",
    "protocol/operations",
    "protocol/session-id",
    "protocol/shape",
  ],
  "daemon/*": ["type daemon/config", "type daemon/log", "type daemon/metrics", "type daemon/store/store"],
  "daemon/main": ["daemon/start", "daemon/ask", "daemon/join", "daemon/config"],
  "daemon/start": ["daemon/*", "daemon/store/*", "daemon/store/gambas-file/*"],
  "daemon/ask": ["daemon/config", "daemon/election"],
  "daemon/server": ["daemon/connection", "daemon/config"],
  "daemon/dispatch": ["type daemon/connection", "type daemon/handlers"],
  "daemon/handlers": ["daemon/sessions", "daemon/applied-commits", "type daemon/turn", "type daemon/dispatch"],
  "daemon/sweep": ["type daemon/sessions", "type daemon/tombstones"],
  "daemon/reconcile": ["type daemon/sessions"],
  "daemon/sessions": [
    "daemon/session",
    "daemon/cache",
    "daemon/contents",
    "daemon/applied-commits",
    "daemon/repair",
    "daemon/lease-waits",
    "type daemon/inherited-changes",
    "type daemon/journal",
    "type daemon/lease",
    "type daemon/recent-values",
    "type daemon/tombstones",
    "type daemon/turn",
  ],
  "daemon/lease-waits": ["type daemon/turn"],
  "daemon/cache": ["daemon/contents", "daemon/session", "daemon/shelf", "type daemon/sessions"],
  "daemon/shelf": ["daemon/shelf-index", "type daemon/contents"],
  "daemon/journal": ["type daemon/recent-values"],
  "daemon/inherited-changes": ["type daemon/journal"],
  "daemon/session": [
    "daemon/contents",
    "daemon/repair",
    "daemon/lease",
    "daemon/lock-gaps",
    "daemon/store/store",
    "type daemon/sessions",
    "type daemon/shelf",
    "type daemon/turn",
  ],
  "daemon/contents": ["daemon/store/store"],
  "daemon/repair": ["daemon/recent-values", "type daemon/sessions"],
  "daemon/version": ["gambas-session/package.json"],
  "daemon/election": ["proper-lockfile", "daemon/store/gambas-file/native"],
  "daemon/store/*": ["type daemon/store/store"],
  "daemon/store/gambas-file/*": ["daemon/store/gambas-file/*", "daemon/store/store", "type daemon/log"],
  "daemon/store/gambas-file/native": ["fs-native-extensions"],
  "daemon/store/gambas-file/watch": ["chokidar"],
};

/** What nothing in the package may import, whatever the rows say. */
const NOBODY_IMPORTS = ["test/**", "bench/**", "daemon/main"];
const MAX_FILE_LINES = 500;
const MAX_FUNCTION_LINES = 60;
/** Each is one idea that would not become clearer in two files: a session's state on either side. */
const LONGER_FILES: Readonly<Record<string, number>> = { "daemon/session": 800, "client/handle": 800 };
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

function allowedFor(name: string): readonly string[] {
  return Object.entries(ARROWS).flatMap(([pattern, targets]) => (matches(pattern, name) ? targets : []));
}

/** The imports that no arrow allows, as sentences. */
function strayImports(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ name, imports }) => {
    const allowed = allowedFor(name);
    const stray = imports.filter(({ target, isType }) => {
      if (NOBODY_IMPORTS.some((pattern) => matches(pattern, target))) return true;
      const names = allowed.flatMap((row) => (row.startsWith("type ") ? (isType ? [row.slice(5)] : []) : [row]));
      return !names.some((pattern) => matches(pattern, target));
    });
    return stray.map(({ target, isType }) => `${name} imports ${isType ? "type " : ""}${target}`);
  });
}

/** A ring of imports that are there at run time, or undefined. */
function ringIn(sources: readonly Source[]): readonly string[] | undefined {
  const byName = new Map(sources.map((source) => [source.name, source]));
  const done = new Set<string>();
  const follow = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const { target, isType } of byName.get(name)?.imports ?? []) {
      const ring = isType ? undefined : follow(target, [...path, name]);
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

/** The first block of code below the heading "Arrows" of ARCHITECTURE.md, read as the rows it holds. */
function arrowsInDocument(): Record<string, readonly string[]> {
  const document = readFileSync(join(repository, "ARCHITECTURE.md"), "utf8");
  const block = /\n## Arrows\n[\s\S]*?```\w*\n([\s\S]*?)```/.exec(document)?.[1] ?? "";
  const rows: Record<string, readonly string[]> = {};
  let left = "";
  for (const line of block.split("\n").filter((text) => text.trim() !== "")) {
    const [before, after] = line.includes("->") ? line.split("->") : [left, line];
    left = before?.trim() ?? "";
    const targets = (after ?? "").split(",").map((target) => target.trim());
    rows[left] = [...(rows[left] ?? []), ...targets.filter((target) => target !== "")];
  }
  return rows;
}

function source(name: string, code: string): Source {
  return { name, text: code, imports: importsOf(`${name}.ts`, code) };
}

describe("the arrows", () => {
  it("are those of ARCHITECTURE.md", () => {
    expect(arrowsInDocument()).toEqual(ARROWS);
  });

  it("name only files that exist and packages we depend on", () => {
    const {
      name: ours,
      dependencies,
      devDependencies,
    } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    const packages = Object.keys({ ...dependencies, express: devDependencies.express });
    const known = ["node", ours, `${ours}/package.json`, ...packages, ...all.map(({ name }) => name)];
    const patterns = Object.entries(ARROWS).flatMap(([left, right]) => [left, ...right]);
    const unknown = patterns.filter((row) => !known.some((name) => matches(row.replace(/^type /, ""), name)));
    expect(unknown).toEqual([]);
  });

  it("allow every import there is", () => {
    expect(strayImports(all)).toEqual([]);
  });

  it("run in no ring", () => {
    expect(ringIn(all)).toBeUndefined();
  });

  it("keep Node and everything else of ours out of the protocol", () => {
    const outside = protocol.flatMap(({ imports }) => imports.map(({ target }) => target));
    expect(outside.filter((target) => !target.startsWith("protocol/") && target !== "msgpackr")).toEqual([]);
    expect(protocol.filter(({ text }) => IMPURE.test(withoutComments(text))).map(({ name }) => name)).toEqual([]);
  });

  it("keep values out of the daemon, which only knows where they end", () => {
    const decoding = daemon.filter(({ text }) => /\bdecode(?:All|Value)\b/.test(withoutComments(text)));
    expect(decoding.map(({ name }) => name)).toEqual([]);
  });

  it("keep the client and the daemon apart, and the daemon's packages out of workers", () => {
    const targetsOf = (sources: readonly Source[]): readonly string[] =>
      sources.flatMap(({ imports }) => imports.map(({ target }) => target));
    expect(targetsOf(daemon).filter((target) => target.startsWith("client/"))).toEqual([]);
    const barred = /^(?:daemon\/|proper-lockfile|chokidar|fs-native-extensions)/;
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

  it("refuses what no row allows, and a type arrow for a value", () => {
    const stray = strayImports([
      source("client/handle", 'import { Client } from "./client.ts";\nimport type { Contents } from "./contents.ts";'),
      source("client/cache", 'import { startDaemon } from "../daemon/start.ts";'),
      source("daemon/start", 'import "./main.ts";\nimport lock from "proper-lockfile";'),
      source("protocol/value", 'import { readFileSync } from "node:fs";'),
    ]);
    expect(stray).toEqual([
      "client/handle imports client/client",
      "client/cache imports daemon/start",
      "daemon/start imports daemon/main",
      "daemon/start imports proper-lockfile",
      "protocol/value imports node",
    ]);
  });

  it("finds a ring, but not one of types", () => {
    const a = source("daemon/a", 'import { b } from "./b.ts";');
    expect(ringIn([a, source("daemon/b", 'import type { A } from "./a.ts";')])).toBeUndefined();
    const ring = ringIn([a, source("daemon/b", 'import { a } from "./a.ts";')]);
    expect(ring).toEqual(["daemon/a", "daemon/b", "daemon/a"]);
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

  it(`has at most ${MAX_FILE_LINES} lines, but for those named here`, () => {
    const long = all.filter(({ name, text }) => text.split("\n").length > (LONGER_FILES[name] ?? MAX_FILE_LINES));
    expect(long.map(({ name }) => name)).toEqual([]);
  });

  it(`has no function of more than ${MAX_FUNCTION_LINES} lines`, () => {
    expect(all.flatMap(longFunctions)).toEqual([]);
  });
});
