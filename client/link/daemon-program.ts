// Where the program of the daemon is, and with which arguments it is started. It is never imported: a worker that only uses sessions loads
// nothing of it. As a rule it lies beside this package. In an application that is bundled this file is a part of the bundle, nothing lies beside
// it, and the package is looked for as the application's own imports would be.

import { existsSync } from "node:fs";
import nodeModule from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { daemonPath, type Places } from "../../protocol/places.ts";
import { settingFlags } from "../../protocol/settings.ts";
import { DEFAULT_TYPE } from "../../protocol/types.ts";
import type { DaemonSettings } from "../options.ts";

const VARIABLE = "GAMBAS_SESSIOND";
const HOW = `with the option daemonPath or the variable ${VARIABLE}: <package>/dist/daemon/main.js of gambas-session.`;
const ADVICE = `Say where it is ${HOW}`;
/** Nobody imports the daemon, so a build that copies what it has traced leaves it out. */
const ADVICE_ON_PARTS = `If a new release was installed, restart this process from it. If a build has copied a part of the package, as that of Next.js with output: "standalone" does, say where it is ${HOW} Otherwise install the package again.`;
/** What this file is called in the sources, and where it is in the package (client/entries.config.mjs): from either the daemon is as far. */
const OWN_NAME = /[\\/](?:client[\\/]link[\\/]daemon-program\.[jt]s|dist[\\/]entries[\\/]shared[\\/]client\.js)$/;

/** One place where the program may be. */
interface Place {
  readonly path: string | undefined;
  /** For who reads that it is not there. */
  readonly words: string;
  /** It belongs to the package that runs: whoever installs that has it. */
  readonly isOurs?: boolean;
}

export class DaemonProgram {
  readonly #places: Places;
  readonly #settings: DaemonSettings;
  readonly #named: string | undefined;
  readonly #own: string | undefined;
  /** Where it was when it was there last; undefined: nowhere yet. */
  #path: string | undefined;

  /**
   * @param named the option `daemonPath`.
   * @param own the path of this file, or what a bundler has put in its place.
   */
  constructor(
    places: Places,
    settings: DaemonSettings,
    named: string | undefined,
    own: string | undefined = ownPath(),
  ) {
    this.#places = places;
    this.#settings = settings;
    this.#named = named;
    this.#own = own;
    this.#path = this.#find()?.path;
  }

  /** The path of the program, or why there is none. */
  get(): { readonly path: string } | { readonly problem: string; readonly advice?: string } {
    if (this.#path !== undefined) {
      return existsSync(this.#path) ? { path: this.#path } : { problem: `${this.#path} is not there any more` };
    }
    const found = this.#find();
    this.#path = found?.path;
    if (found !== undefined) return found;
    const looked = [...placesOf(this.#named, this.#own)];
    const problem = `its program was not found: ${looked.map(({ words }) => words).join("; ")}`;
    return { problem, advice: looked.every(({ isOurs }) => isOurs === true) ? ADVICE_ON_PARTS : ADVICE };
  }

  /** It was there and is missing now: its release was removed while this process went on. */
  get wasRemoved(): boolean {
    return this.#path !== undefined && !existsSync(this.#path);
  }

  /** What the program is started with. Anybody can read it: nothing secret may be among it. */
  get args(): string[] {
    const { root, socket, type } = this.#places;
    const { redis: _, ...settings } = this.#settings;
    const logFile = resolve(settings.logFile || daemonPath(this.#places, ".log"));
    const given = new Map<string, unknown>(Object.entries({ ...settings, logFile }));
    const flags = settingFlags().flatMap(({ name, setting, kind }) => {
      const value = given.get(setting);
      if (kind === "boolean") return value === true ? [`--${name}`] : [];
      return value === undefined ? [] : [`--${name}=${value}`];
    });
    return ["--root", root, "--socket", socket, ...(type === DEFAULT_TYPE ? [] : ["--type", type]), ...flags];
  }

  /** Variables of the program, instead of those that this process has: only its own user can read them. Undefined: it has none. */
  get env(): Readonly<Record<string, string | undefined>> {
    return { GAMBAS_SESSION_TYPE: undefined, GAMBAS_SESSION_REDIS: this.#settings.redis };
  }

  #find(): { readonly path: string } | undefined {
    for (const { path } of placesOf(this.#named, this.#own))
      if (path !== undefined && existsSync(path)) return { path };
    return undefined;
  }
}

/** Where to look, in this order. Whoever names a place means it: then nothing else is looked at. */
function* placesOf(named: string | undefined, own: string | undefined): Generator<Place> {
  const variable = process.env[VARIABLE];
  if (named !== undefined) yield namedPlace(named, "option daemonPath");
  else if (variable) yield namedPlace(variable, `variable ${VARIABLE}`);
  else {
    yield besidePlace(own);
    // A package that is whole but for its daemon starts no other one.
    if (own !== undefined && isInPackage(own) && existsSync(own)) return;
    yield installedPlace(() => join(process.cwd(), "index.js"), "the working directory");
    yield installedPlace(() => resolve(process.argv[1] ?? ""), "the script that runs");
  }
}

function namedPlace(named: string, by: string): Place {
  // The daemon's own working directory is another one.
  const path = resolve(named);
  return { path, words: `${path} (${by}) is not there` };
}

/** The path of this file, or what a bundler has put in its place: the path of the bundle, that of this file at the time of the build, or nothing. */
function ownPath(): string | undefined {
  const url: unknown = import.meta.url;
  return typeof url === "string" && url.startsWith("file:") ? fileURLToPath(url) : undefined;
}

function isInPackage(own: string): boolean {
  return OWN_NAME.test(own);
}

/** Bundlers take a URL that is made of `import.meta.url` for a file to be copied, and fail; a path is left alone. */
function besidePlace(own: string | undefined): Place {
  if (own === undefined || !isInPackage(own)) {
    return { path: undefined, words: `nothing lies beside the package, which is bundled${own ? ` into ${own}` : ""}` };
  }
  const path = join(dirname(own), "..", "..", "daemon", "main.js");
  return { path, words: `${path} (beside the package) is not there`, isOurs: true };
}

/** The program of the package that a file would import. */
function installedPlace(file: () => string, name: string): Place {
  try {
    const from = file();
    // Under its usual name bundlers would carry out the call.
    // Of a named import webpack warns that it cannot follow the call.
    const resolver = nodeModule.createRequire(from);
    const path = join(dirname(resolver.resolve("gambas-session/package.json")), "dist", "daemon", "main.js");
    return { path, words: `${path} (of ${name}) is not there` };
  } catch {
    // Whatever the reason is, the package cannot be imported from there.
    return { path: undefined, words: `no package gambas-session can be imported from ${name}` };
  }
}
