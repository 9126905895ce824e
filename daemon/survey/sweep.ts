// Ends sessions whose time is over and undoes resurrections, by reading headers only. Takes a small share of the daemon's time,
// however many files there are.
//
//   RESTING   --it is time, or somebody asks-->   SWEEPING   all that asked for the same until now are answered by it
//   SWEEPING  --every session was looked at--->   RESTING
//   any       --stop-------------------------->   STOPPED    who has not been answered is refused

import { isCode, SessionError } from "../../protocol/errors.ts";
import { isExpired } from "../../protocol/image/image.ts";
import { msLeft } from "../../protocol/places.ts";
import type { SweepTurn } from "../backend/backend.ts";
import type { Log } from "../report/report.ts";
import type { SessionFiles } from "../store/store.ts";
import { namesIn } from "./names.ts";
import { type Fate, Tally } from "./tally.ts";

const FILES_PER_SLICE = 32;
/** The first sweep begins soon: it removes sessions that expired while no daemon ran, and counts the others. */
const FIRST_PAUSE_MS = 1_000;
/** After a slice the sweep rests this many times as long as its own work took. */
const REST_FACTOR = 40;
/** And no longer, whatever the time of the slice was: it may be that of a process which was stopped, or of a disk. */
const MAX_REST_MS = 60_000;

export interface SweepParts {
  readonly store: Pick<SessionFiles, "ids" | "header" | "stat" | "load">;
  /** Ends a session whose time is over, in its turn. Resolves to whether there is none afterwards. */
  readonly sessions: { endIfExpired(id: string): Promise<boolean> };
  readonly tombstones: { has(id: string): boolean; prune(nowMs: number): void };
  readonly maxSessionBytes: number;
  readonly log: Log;
  readonly now: () => number;
}

type Does = SweepTurn["does"];

export class Sweep {
  readonly #parts: SweepParts;
  readonly #pauseMs: number;
  /** performance.now() of when the next sweep comes by itself: one that only looks puts it off for nobody. */
  #dueMs: number;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;
  #tally: Tally | undefined;
  /** Those who wait for a sweep that begins after they have asked. */
  #waiting: SweepTurn[] = [];
  /** Sessions that the last complete sweep has left; null before there was one. */
  onDisk: number | null = null;

  /** @param pauseMs between two sweeps that come by themselves; 0: none does. */
  constructor(parts: SweepParts, pauseMs: number) {
    this.#parts = parts;
    this.#pauseMs = pauseMs === 0 ? Number.POSITIVE_INFINITY : pauseMs;
    this.#dueMs = performance.now() + (pauseMs === 0 ? this.#pauseMs : Math.min(FIRST_PAUSE_MS, pauseMs));
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** A sweep besides those that come by themselves. */
  request(turn: SweepTurn): void {
    this.#waiting.push(turn);
    if (this.#isStopped) this.#refuseWaiting();
    else if (this.#tally === undefined) this.#wake?.();
  }

  /** A connection is closed: nobody waits for the sweeps that it has asked for. */
  forget(owner: object): void {
    this.#waiting = this.#waiting.filter(({ caller }) => caller.owner !== owner);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    this.#tally?.giveUp();
    await this.#running;
    this.#refuseWaiting();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const leftMs = msLeft(this.#dueMs, performance.now());
      const [first] = this.#waiting;
      if (leftMs === 0) await this.#sweep("end");
      else if (first !== undefined) await this.#sweep(first.does);
      else await this.#rest(leftMs);
    }
  }

  async #sweep(does: Does): Promise<void> {
    const callers = this.#takeWaiting(does);
    const tally = new Tally();
    this.#tally = tally;
    const problem = await this.#lookAtAll(does, tally).then(noProblem, problemOf);
    await tally.close();
    this.#tally = undefined;
    if (does === "end") this.#dueMs = performance.now() + this.#pauseMs;
    // Cut short, it knows nothing.
    if (this.#isStopped) refuse(callers, leaving());
    else if (problem !== undefined) {
      this.#parts.log.warn("sweep-failed", { error: String(problem) });
      refuse(callers, problem);
    } else {
      const { count } = tally;
      this.onDisk = count.seen - (does === "end" ? count.ended : 0);
      for (const { answer } of callers) answer(count);
    }
  }

  /** Everybody who wants this, so that a sweep answers them all. */
  #takeWaiting(does: Does): readonly SweepTurn[] {
    const taken = this.#waiting.filter((turn) => turn.does === does);
    this.#waiting = this.#waiting.filter((turn) => turn.does !== does);
    return taken;
  }

  async #lookAtAll(does: Does, tally: Tally): Promise<void> {
    const { store, tombstones, now } = this.#parts;
    tombstones.prune(now());
    let [count, workedMs] = [0, 0];
    for await (const id of namesIn(store)) {
      if (this.#isStopped) return;
      // Not the time between two files: a busy daemon does other things then.
      const beganMs = performance.now();
      this.#look(id, does, tally);
      workedMs += performance.now() - beganMs;
      count += 1;
      if (count % FILES_PER_SLICE !== 0) continue;
      await this.#rest(Math.min(MAX_REST_MS, REST_FACTOR * workedMs));
      workedMs = 0;
    }
  }

  #look(id: string, does: Does, tally: Tally): void {
    try {
      const fate = this.#fateOf(id, does);
      if (fate === "over") tally.await(this.#end(id));
      else tally.note(fate);
    } catch (error) {
      tally.note(this.#told(id, error));
    }
  }

  /** "over": it is to be ended, and what becomes of that is told later. One that has ended and was brought back ends again, readable or not. */
  #fateOf(id: string, does: Does): Fate | "over" {
    const { store, tombstones, maxSessionBytes, now } = this.#parts;
    if (tombstones.has(id)) return does === "end" ? "over" : "ended";
    const header = store.header(id);
    if (header === undefined) return store.stat(id) === undefined ? "vanished" : "unreadable";
    if (!isExpired(header, now())) return "kept";
    if (does === "end") return "over";
    // The first bytes of a damaged one may look like a time long ago: that one would be left.
    return store.load(id, maxSessionBytes) === undefined ? "vanished" : "ended";
  }

  #end(id: string): Promise<Fate> {
    return this.#parts.sessions.endIfExpired(id).then(
      (isGone) => (isGone ? "ended" : "kept"),
      (error: unknown) => this.#told(id, error),
    );
  }

  #told(id: string, error: unknown): Fate {
    this.#parts.log.warn("sweep-failed", { session: id, error: String(error) });
    return isCode(error, "ERR_UNREADABLE") ? "unreadable" : "failed";
  }

  #refuseWaiting(): void {
    refuse(this.#waiting.splice(0), leaving());
  }

  /** Ends early when somebody wakes it. */
  async #rest(ms: number): Promise<void> {
    if (this.#isStopped) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (ms === Number.POSITIVE_INFINITY) return;
      this.#timer = setTimeout(resolve, ms);
      this.#timer.unref();
    });
    clearTimeout(this.#timer);
    this.#wake = undefined;
  }
}

function noProblem(): undefined {
  return undefined;
}

function problemOf(error: unknown): unknown {
  return error;
}

function refuse(callers: readonly SweepTurn[], problem: unknown): void {
  for (const { fail } of callers) fail(problem);
}

function leaving(): SessionError {
  const what = "The daemon leaves before it has looked at every session.";
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy: "Ask the next one." });
}
