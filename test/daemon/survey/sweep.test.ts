// Sweeps that callers ask for, beside those that come by themselves, over a store that counts.

import { afterEach, describe, expect, it, vi } from "vitest";
import type { SweepCount } from "../../../daemon/backend/backend.ts";
import { Sweep } from "../../../daemon/survey/survey.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { newImage } from "../../../protocol/image/image.ts";
import { newId } from "../../support/daemon/lab.ts";
import { until } from "../../support/processes.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const ALIVE = newImage({ nowMs: NOW_MS, timeoutSeconds: 60 });
const OVER = newImage({ nowMs: NOW_MS - 1_000_000, timeoutSeconds: 60 });

/** What the file of a session is like. */
type Kind = "alive" | "over" | "short" | "damaged" | "barred" | "held" | "stuck" | "gone";

class House {
  readonly sessions: Map<string, Kind>;
  readonly sweep: Sweep;
  readonly log: string[] = [];
  /** Those that were to end, in that order. */
  readonly ending: string[] = [];
  sweeps = 0;
  problem: Error | undefined;
  /** Called when it looks at the next session. */
  onLook: (() => void) | undefined;

  constructor(kinds: readonly Kind[], pauseMs = 0) {
    this.sessions = new Map(kinds.map((kind) => [newId("sweep"), kind]));
    const store = {
      ids: () => this.#ids(),
      header: (id: string) => this.#header(id),
      stat: (id: string) =>
        this.sessions.get(id) === "gone" ? undefined : { ino: 1, size: OVER.length, mtimeMs: NOW_MS },
      load: (id: string) => this.#load(id),
    };
    const note = (event: string): void => void this.log.push(event);
    const log = { warn: note } as unknown as ConstructorParameters<typeof Sweep>[0]["log"];
    const tombstones = { has: () => false, prune: () => undefined };
    const sessions = { endIfExpired: (id: string) => this.#end(id) };
    const now = (): number => NOW_MS;
    this.sweep = new Sweep({ store, sessions, tombstones, maxSessionBytes: 1_000, log, now }, pauseMs);
  }

  ask(does: "end" | "look", owner: object = {}): Promise<SweepCount> {
    return new Promise((answer, fail) => this.sweep.request({ caller: { owner, client: "anna" }, does, answer, fail }));
  }

  async *#ids(): AsyncGenerator<string> {
    this.sweeps += 1;
    if (this.problem !== undefined) throw this.problem;
    yield* [...this.sessions.keys()];
  }

  #header(id: string): Buffer | undefined {
    const { onLook } = this;
    this.onLook = undefined;
    onLook?.();
    const kind = this.sessions.get(id);
    if (kind === "barred") throw new SessionError("ERR_UNREADABLE", "Barred.");
    if (kind === "gone" || kind === "short") return undefined;
    return kind === "alive" ? ALIVE : OVER;
  }

  #load(id: string) {
    if (this.sessions.get(id) === "damaged") throw new SessionError("ERR_UNREADABLE", "Damaged.");
    const revision = { ino: 1, size: OVER.length, mtimeMs: NOW_MS };
    return { image: OVER, revision, isFleeting: false, changedMs: NOW_MS };
  }

  async #end(id: string): Promise<boolean> {
    this.ending.push(id);
    const kind = this.sessions.get(id);
    if (kind === "damaged") throw new SessionError("ERR_UNREADABLE", "Damaged.");
    if (kind === "stuck") return new Promise(() => undefined);
    if (kind === "held") throw new SessionError("ERR_SESSION_BUSY", "Held.");
    return this.sessions.delete(id);
  }
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("a sweep that is asked for", () => {
  const kinds: readonly Kind[] = ["alive", "over", "short", "damaged", "barred", "held", "gone"];

  it("goes on soon where the process was stopped for an hour in the middle of a look", async () => {
    vi.useFakeTimers();
    const house = new House(Array.from({ length: 100 }, () => "alive"));
    house.onLook = () => vi.advanceTimersByTime(HOUR_MS);
    let count: SweepCount | undefined;
    void house.ask("look").then((told) => (count = told));
    house.sweep.start();
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(count?.seen).toBe(100);
    vi.useRealTimers();
    await house.sweep.stop();
  });

  it("tells what became of every session, and leaves the damaged ones", async () => {
    const house = new House(kinds);
    house.sweep.start();
    expect(await house.ask("end")).toEqual({ seen: 6, ended: 1, unreadable: 3, failed: 1 });
    expect(house.sessions.size).toBe(6);
    expect(house.sweep.onDisk).toBe(5);
    await house.sweep.stop();
  });

  it("tells what would become of them, and ends none", async () => {
    const house = new House(kinds);
    house.sweep.start();
    expect(await house.ask("look")).toEqual({ seen: 6, ended: 2, unreadable: 3, failed: 0 });
    expect([house.ending, house.sessions.size, house.sweep.onDisk]).toEqual([[], 7, 6]);
    await house.sweep.stop();
  });

  it("is one for all who asked before it began, and none for those who have gone", async () => {
    const house = new House(["alive", "over"]);
    house.sweep.start();
    const gone = {};
    const looks = Array.from({ length: 20 }, () => house.ask("look"));
    const ends = Array.from({ length: 20 }, () => house.ask("end"));
    for (let n = 0; n < 20; n++) void house.ask("end", gone);
    house.sweep.forget(gone);
    for (const count of await Promise.all(looks)) expect(count).toMatchObject({ seen: 2, ended: 1 });
    for (const count of await Promise.all(ends)) expect(count).toMatchObject({ seen: 2, ended: 1 });
    expect(house.sweeps).toBe(2);
    await house.sweep.stop();
  });

  it("puts off no sweep that comes by itself, however often it only looks", async () => {
    const house = new House(["alive", "over"], 1);
    house.sweep.start();
    while (house.sessions.size > 1) await house.ask("look");
    await house.sweep.stop();
  });

  it("waits for no time that is over, when it comes between two looks at the clock", async () => {
    // Each look is 1.5 ms after the one before, and a sweep is due 2 ms after the last: between the second look and the third.
    let presentMs = 0;
    vi.spyOn(performance, "now").mockImplementation(() => (presentMs += 1.5));
    const timers = vi.spyOn(globalThis, "setTimeout");
    const house = new House(["alive"], 2);
    house.sweep.start();
    await until(() => house.sweeps > 3);
    const delays = timers.mock.calls.map(([, ms = 0]) => ms);
    await house.sweep.stop();
    expect(delays.filter((ms) => ms < 0)).toEqual([]);
  });

  it("fails with what keeps the sessions from being named, and the next one may go well", async () => {
    const house = new House(["over"]);
    house.problem = new Error("EIO: i/o error, opendir");
    house.sweep.start();
    const failed = house.ask("end");
    await expect(failed).rejects.toMatchObject({ code: "ERR_STORE", message: expect.stringContaining("EIO") });
    expect(house.log).toEqual(["sweep-failed"]);
    house.problem = undefined;
    expect(await house.ask("end")).toMatchObject({ seen: 1, ended: 1 });
    await house.sweep.stop();
  });

  it("is refused where the daemon leaves first, also while a session waits for the lock of another program", async () => {
    const house = new House(["stuck"]);
    house.sweep.start();
    const refusals = [house.ask("end"), house.ask("look")].map((asked) =>
      expect(asked).rejects.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" }),
    );
    await until(() => house.ending.length === 1);
    await house.sweep.stop();
    await Promise.all([
      ...refusals,
      expect(house.ask("end")).rejects.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE" }),
    ]);
  });
});
