// Moves all sessions of a root from one type to another, tombstones included. Each is in the new place before it is removed from the old one, so that a
// conversion that was interrupted and is done again ends as one that was not:
//
//   1. killed before the new place has it      the session is where it was
//   2. killed before the old place is rid of it   it is in both; found the same, it is removed from the old one
//   3. killed after that                       it has moved
//
// As long as nobody says otherwise what is in the new place is on its disk as well before the old one is rid of it, so a power cut is no more than a kill.
//
// No daemon of the old type serves meanwhile, and none can begin. Gambas programs may run: where one changes a session between the two steps, the new
// place gives it back, and it is moved as it is now. Where a place knows several ids as one session, an id is neither made up (original-ids.ts) nor
// given up: sessions that would become one stay two. Knows no type.

import { existsSync } from "node:fs";
import { isCode, SessionError } from "../../protocol/errors.ts";
import { type SessionType, sessionTypes } from "../../protocol/types.ts";
import type { Held, Holdings, Lending, Lent } from "../backend/backend.ts";
import { type Config, checkMayStart, type DaemonOptions, prepareRoot, resolveConfig, TYPES } from "../config.ts";
import { HOLDINGS } from "../engines.ts";
import { type Election, elect } from "../life/life.ts";
import { electedPid } from "../peer/peer.ts";
import { Log } from "../report/report.ts";
import { type Destination, Destinations } from "./destinations.ts";
import { OriginalIds } from "./original-ids.ts";

/** Sessions under way at once: enough that no side waits for the other. */
const AT_ONCE = 64;
/** So often a session is moved that another program changes meanwhile, before it is left. */
const MOVES = 5;

export interface Conversion {
  readonly from: SessionType;
  readonly to: SessionType;
  /** Those that one type alone has are left out for the other. */
  readonly options: DaemonOptions;
  /** "look": nothing is moved. */
  readonly does: "move" | "look";
  /** How ids begin whose names in the old place do not tell that, as `OriginalIds` takes it. */
  readonly prefixes?: string | undefined;
  /** Told after each session. */
  readonly onProgress: (counts: Counts) => void;
  /** Told of a session that stays, and why, where somebody can do something about it. */
  readonly onLeft: (id: string, why: string) => void;
}

/** What became of the sessions, or would; `seen` is the sum of `moved` and of those that were left. */
export interface Counts {
  readonly seen: number;
  readonly moved: number;
  /** Of those that moved: their names were read as addresses. */
  readonly asAddress: number;
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
  /** Left: the old place does not know which id they were made with. */
  readonly unnamed: number;
  /** Left: in the new place several ids would be one session. */
  readonly alike: number;
  /** Those that the new place did not have. */
  readonly tombstones: number;
  /** Left, for the last two reasons. */
  readonly tombstonesLeft: number;
}

type Fate = Exclude<keyof Counts, "seen" | "asAddress" | "tombstones" | "tombstonesLeft">;

/** @throws SessionError ERR_DAEMON_RUNNING where a daemon serves; ERR_BAD_ROOT, ERR_BAD_OPTION, ERR_BAD_REDIS, ERR_STORE. */
export async function convert(how: Conversion): Promise<Counts> {
  checkMeaning(how);
  const { durability: _ofTheNewPlace, ...others } = how.options;
  const originals = new OriginalIds(how.prefixes);
  const [from, to] = [configOf(others, how.from), configOf({ ...flushedIn(how.to), ...how.options }, how.to)];
  if (TYPES[how.from].isInFiles && !existsSync(from.root)) throw noRoot(from.root);
  prepareRoot(from.root);
  const log = new Log("warn");
  const closing: (() => Promise<void>)[] = [];
  const open = async (config: Config): Promise<Holdings> => {
    const holdings = await (await HOLDINGS[config.type as SessionType]())(config, log);
    closing.push(() => holdings.close());
    return holdings;
  };
  let [counts, failure]: [Counts?, unknown?] = [];
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
    const places = { from: await open(from), to: await open(to) };
    if (how.prefixes !== undefined && places.from.nameOf === undefined) throw knowsIds(how.from);
    const destinations = await Destinations.between({ ...places, originals });
    counts = await new Work({ ...places, destinations }, how).run(() => lost);
  } catch (error) {
    failure = error;
  }
  // Tombstones may be written last: that they could not be is a failure like any other.
  for (const close of closing.reverse()) {
    await close().catch((error: unknown) => {
      failure ??= error;
    });
  }
  if (counts === undefined || failure !== undefined) throw failure;
  return counts;
}

/** One try to move a session. */
interface Passage {
  fate: Fate;
  /** What the new place has of it. */
  kept: Lent | undefined;
}

interface Parts {
  readonly from: Holdings;
  readonly to: Holdings;
  readonly destinations: Destinations;
}

class Work {
  readonly #parts: Parts;
  readonly #how: Conversion;
  readonly #counts = {
    ...{ seen: 0, moved: 0, asAddress: 0, taken: 0, ended: 0, over: 0, unreadable: 0, failed: 0, unnamed: 0, alike: 0 },
    ...{ tombstones: 0, tombstonesLeft: 0 },
  };

  constructor(parts: Parts, how: Conversion) {
    this.#parts = parts;
    this.#how = how;
  }

  async run(problem: () => SessionError | undefined): Promise<Counts> {
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    try {
      for await (const held of this.#parts.from.held()) {
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
    if (held.kind === "stranger") {
      this.#how.onLeft(held.name, "it has the name of no session id.");
      return this.#count("unnamed");
    }
    const fate = await this.#move(held.id).catch((error: unknown) => this.#failed(held.id, error));
    if (fate !== undefined) this.#count(fate);
  }

  #count(fate: Fate): void {
    this.#counts.seen += 1;
    this.#counts[fate] += 1;
    this.#how.onProgress(this.#counts);
  }

  async #end(name: string, forgetMs: number): Promise<void> {
    const { id } = this.#parts.destinations.of(name);
    if (id === undefined) this.#counts.tombstonesLeft += 1;
    else if (this.#how.does === "look" || (await this.#parts.to.end(id, forgetMs))) this.#counts.tombstones += 1;
  }

  /** @param name the id as the old place knows it. */
  async #move(name: string): Promise<Fate | undefined> {
    const destination = this.#parts.destinations.of(name);
    for (let move = 0; move < MOVES; move++) {
      const passage: Passage = { fate: "taken", kept: undefined };
      const lending = await this.#pass(name, destination, passage);
      if (lending === "absent") return undefined;
      if (lending === "over") return "over";
      if (lending === "lent") return this.#fateOf(name, passage.fate, destination);
    }
    throw new SessionError("ERR_SESSION_BUSY", `Another program changes session ${name} all the time.`);
  }

  /** What the new place has kept in vain, because the session was changed meanwhile or cannot be removed now, is taken back: it would be in the way. */
  async #pass(name: string, destination: Destination, passage: Passage): Promise<Lending> {
    const { from, to } = this.#parts;
    let lending: Lending | undefined;
    try {
      lending = await from.lend(name, (lent) => this.#hand(lent, destination, passage));
      return lending;
    } catch (error) {
      // Then nothing was removed.
      if (isCode(error, "ERR_SESSION_BUSY")) lending = "changed";
      throw error;
    } finally {
      const { id } = destination;
      if (lending === "changed" && id !== undefined && passage.kept !== undefined) await to.takeBack(id, passage.kept);
    }
  }

  async #hand(lent: Lent, destination: Destination, passage: Passage): Promise<"keep" | "remove"> {
    if (destination.id === undefined) {
      passage.fate = destination.fate;
      return "keep";
    }
    passage.fate = await this.#offer(destination.id, lent);
    if (passage.fate !== "moved" || this.#how.does === "look") return "keep";
    passage.kept = lent;
    return "remove";
  }

  async #offer(id: string, lent: Lent): Promise<Fate> {
    const { to } = this.#parts;
    const found = await (this.#how.does === "look" ? to.find(id, lent) : to.keep(id, lent));
    return found === "nothing" || found === "same" ? "moved" : found === "ended" ? "ended" : "taken";
  }

  #fateOf(name: string, fate: Fate, destination: Destination): Fate {
    if (destination.id === undefined) this.#how.onLeft(name, destination.why);
    else if (fate === "moved" && destination.isAddress) this.#counts.asAddress += 1;
    return fate;
  }

  /** @throws what would meet the next session, too. */
  #failed(name: string, error: unknown): Fate {
    if (!isCode(error, "ERR_UNREADABLE", "ERR_SESSION_BUSY")) throw error;
    this.#how.onLeft(name, error.what);
    return error.code === "ERR_UNREADABLE" ? "unreadable" : "failed";
  }
}

/** A setting that neither type has would be dropped in silence. */
function checkMeaning({ options, from, to }: Conversion): void {
  for (const name of Object.keys(options)) {
    const owners = sessionTypes().filter((type) => (TYPES[type].own as readonly string[]).includes(name));
    if (owners.length === 0 || owners.includes(from) || owners.includes(to)) continue;
    const what = `The setting ${name} is for sessions of type ${owners.join(", ")}; these are of type ${from} and become those of type ${to}.`;
    throw new SessionError("ERR_BAD_OPTION", what);
  }
}

/** What is removed from the old place may be gone from the disk before what was written to the new one is there: a power cut would lose it. */
function flushedIn(type: SessionType): DaemonOptions {
  const durabilities: readonly string[] = TYPES[type].durabilities;
  return durabilities.includes("fsync") ? { durability: "fsync" } : {};
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
  const what = `The daemon (pid ${pid}) of type ${config.type} serves ${config.root}, and whoever needs it starts it again.`;
  const remedy = `End the application and what else starts it, then: gambas-sessiond stop ${flags}`;
  throw new SessionError("ERR_DAEMON_RUNNING", what, { remedy });
}

function knowsIds(type: SessionType): SessionError {
  const what = `Sessions of type ${type} are known by their ids: there are no prefixes to be named.`;
  return new SessionError("ERR_BAD_OPTION", what);
}

function noRoot(root: string): SessionError {
  return new SessionError("ERR_BAD_ROOT", `There is no root directory ${root}: no sessions are there.`);
}
