// Moves all sessions of a root from one type to another, byte for byte, tombstones included. Each is in the new place before it is removed from the old
// one, so that a conversion that was interrupted and is done again ends as one that was not:
//
//   1. killed before the new place has it      the session is where it was
//   2. killed before the old place is rid of it   it is in both; found the same, it is removed from the old one
//   3. killed after that                       it has moved
//
// No daemon of the old type serves meanwhile, and none can begin. Knows no type.

import { existsSync } from "node:fs";
import { SessionError } from "../../protocol/errors.ts";
import type { SessionType } from "../../protocol/types.ts";
import type { Held, Holdings, OpenHoldings } from "../backend/backend.ts";
import { type Config, checkMayStart, type DaemonOptions, prepareRoot, resolveConfig, TYPES } from "../config.ts";
import { HOLDINGS } from "../engines.ts";
import { type Election, elect } from "../life/life.ts";
import { electedPid } from "../peer/peer.ts";
import { Log } from "../report/report.ts";

/** Sessions under way at once: enough that no side waits for the other. */
const AT_ONCE = 64;

export interface Conversion {
  readonly from: SessionType;
  readonly to: SessionType;
  /** Those that one type alone has are left out for the other. */
  readonly options: DaemonOptions;
  /** "look": nothing is moved. */
  readonly does: "move" | "look";
  /** Told after each session. */
  readonly onProgress: (counts: Counts) => void;
  /** Told of a session that could not be moved. */
  readonly onFailure: (id: string, error: SessionError) => void;
}

/** What became of the sessions, or would; `seen` is the sum of the others but tombstones. */
export interface Counts {
  readonly seen: number;
  readonly moved: number;
  /** Left: their ids are in use in the new place, with other contents. */
  readonly taken: number;
  /** Left: they have ended in the new place. */
  readonly ended: number;
  /** Left: their time is over, or they had ended and were brought back. */
  readonly over: number;
  /** Left: damaged. */
  readonly unreadable: number;
  /** Left: another program kept them locked, or changed them. */
  readonly failed: number;
  /** Those that the new place did not have. */
  readonly tombstones: number;
}

type Fate = Exclude<keyof Counts, "seen" | "tombstones">;

function holdingsOf(type: SessionType): () => Promise<OpenHoldings> {
  const holdings = HOLDINGS[type];
  if (holdings !== undefined) return holdings;
  throw new SessionError("ERR_BAD_OPTION", `Sessions of type ${type} cannot be moved in this version.`);
}

/** @throws SessionError ERR_DAEMON_RUNNING where a daemon serves; ERR_BAD_ROOT, ERR_BAD_OPTION, ERR_BAD_REDIS, ERR_STORE. */
export async function convert(how: Conversion): Promise<Counts> {
  const { durability: _ofTheNewPlace, ...others } = how.options;
  for (const type of [how.from, how.to]) holdingsOf(type);
  const [from, to] = [configOf(others, how.from), configOf(how.options, how.to)];
  if (TYPES[how.from].isInFiles && !existsSync(from.root)) throw noRoot(from.root);
  prepareRoot(from.root);
  const log = new Log("warn");
  const closing: (() => Promise<void>)[] = [];
  const open = async (config: Config): Promise<Holdings> => {
    const holdings = await (await holdingsOf(config.type as SessionType)())(config, log);
    closing.push(() => holdings.close());
    return holdings;
  };
  try {
    let lost: SessionError | undefined;
    for (const config of [from, to]) {
      // What is in the root may be changed by its one daemon alone; elsewhere those of other hosts are at work anyhow.
      if (config !== from && !TYPES[config.type].isInFiles) continue;
      const place = await takePlace(config, (reason) => {
        lost = new SessionError("ERR_DAEMON_RUNNING", `Another daemon has taken ${config.root}: ${reason}.`);
      });
      closing.push(() => place.resign());
    }
    const work = new Work(await open(from), await open(to), how);
    return await work.run(() => lost);
  } finally {
    for (const close of closing.reverse()) await log.attempt("stop-failed", close);
  }
}

class Work {
  readonly #from: Holdings;
  readonly #to: Holdings;
  readonly #how: Conversion;
  readonly #counts = { seen: 0, moved: 0, taken: 0, ended: 0, over: 0, unreadable: 0, failed: 0, tombstones: 0 };

  constructor(from: Holdings, to: Holdings, how: Conversion) {
    this.#from = from;
    this.#to = to;
    this.#how = how;
  }

  async run(problem: () => SessionError | undefined): Promise<Counts> {
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    try {
      for await (const held of this.#from.held()) {
        failure ??= problem();
        if (failure !== undefined) break;
        const one = this.#take(held)
          .catch((error: unknown) => {
            failure ??= error;
          })
          .finally(() => underWay.delete(one));
        underWay.add(one);
        if (underWay.size >= AT_ONCE) await Promise.race(underWay);
      }
    } finally {
      await Promise.all(underWay);
    }
    if (failure !== undefined) throw failure;
    return this.#counts;
  }

  async #take(held: Held): Promise<void> {
    if (held.kind === "ended") return this.#end(held.id, held.forgetMs);
    const fate = await this.#move(held.id).catch((error: unknown) => this.#failed(held.id, error));
    if (fate === undefined) return;
    this.#counts.seen += 1;
    this.#counts[fate] += 1;
    this.#how.onProgress(this.#counts);
  }

  async #end(id: string, forgetMs: number): Promise<void> {
    if (this.#how.does === "look" || (await this.#to.end(id, forgetMs))) this.#counts.tombstones += 1;
  }

  async #move(id: string): Promise<Fate | undefined> {
    let fate: Fate = "taken";
    const lent = await this.#from.lend(id, async (image) => {
      const found = await (this.#how.does === "look" ? this.#to.find(id, image) : this.#to.keep(id, image));
      const isThere = found === "nothing" || found === "same";
      fate = isThere ? "moved" : found === "ended" ? "ended" : "taken";
      return isThere && this.#how.does === "move" ? "remove" : "keep";
    });
    return lent === "absent" ? undefined : lent === "over" ? "over" : fate;
  }

  /** @throws what would meet the next session, too. */
  #failed(id: string, error: unknown): Fate {
    if (!(error instanceof SessionError)) throw error;
    if (error.code !== "ERR_UNREADABLE" && error.code !== "ERR_SESSION_BUSY") throw error;
    this.#how.onFailure(id, error);
    return error.code === "ERR_UNREADABLE" ? "unreadable" : "failed";
  }
}

/** A setting of the other type means nothing to this one. */
function configOf(options: DaemonOptions, type: SessionType): Config {
  const others: readonly string[] = Object.entries(TYPES).flatMap(([name, { own }]) => (name === type ? [] : own));
  const own: readonly string[] = TYPES[type].own;
  const known = Object.entries(options).filter(([name]) => own.includes(name) || !others.includes(name));
  const config = resolveConfig({ ...Object.fromEntries(known), type });
  checkMayStart(config);
  return config;
}

async function takePlace(config: Config, onLost: (reason: string) => void): Promise<Election> {
  const election = await elect(config, onLost);
  if (election !== undefined) return election;
  const pid = electedPid(config) ?? "unknown";
  const flags = `--root ${config.root} --type ${config.type}`;
  const what = `The daemon (pid ${pid}) of type ${config.type} serves ${config.root}, and whoever needs it starts it again. End the application and what else starts it, then: gambas-sessiond stop ${flags}`;
  throw new SessionError("ERR_DAEMON_RUNNING", what);
}

function noRoot(root: string): SessionError {
  return new SessionError("ERR_BAD_ROOT", `There is no root directory ${root}: no sessions are there.`);
}
