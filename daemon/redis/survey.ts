// What goes through all sessions of a Redis, by SCAN and a few bytes of each: lists and sweeps. Sessions that are over Redis forgets by itself: a sweep
// counts them, and makes tombstones of those that are still there.

import { isCode, SessionError } from "../../protocol/errors.ts";
import { isPast, startupMs, timeoutSeconds } from "../../protocol/image/image.ts";
import type { ListedSession } from "../../protocol/wire/wire.ts";
import type { ListPage, ListTurn, SweepCount, SweepTurn } from "../backend/backend.ts";
import type { Log } from "../report/report.ts";
import { IdPages } from "../survey/survey.ts";
import { storeError } from "../turns/turns.ts";
import type { Answer } from "./calls/calls.ts";
import type { Link } from "./link/link.ts";
import { type Keys, reasonOf, type Sessions } from "./sessions/sessions.ts";
import { headerIn, imageBytesOf, kindOf, VERSION_BYTES } from "./value/value.ts";

/** Sessions that are looked at together. */
const KEYS_PER_LOOK = 240;

export interface SurveyParts {
  readonly sessions: Pick<Sessions, "calls" | "end">;
  readonly link: Pick<Link, "scan">;
  readonly keys: Keys;
  readonly log: Log;
}

interface Found extends ListedSession {
  readonly version: Buffer;
  readonly isOver: boolean;
}

type Asked = { readonly list: ListTurn } | { readonly sweep: SweepTurn };

export class Survey {
  readonly #parts: SurveyParts;
  /** SCAN may name an id twice. */
  readonly #pages: IdPages = new IdPages((prefix) => this.#ids(prefix));
  /** However many are asked for, one goes through the sessions at a time: other calls are not kept waiting, and no more ids are kept. */
  #waiting: Asked[] = [];
  #working: Promise<void> | undefined;
  #isStopped = false;

  constructor(parts: SurveyParts) {
    this.#parts = parts;
  }

  list(turn: ListTurn): void {
    this.#ask({ list: turn });
  }

  sweep(turn: SweepTurn): void {
    this.#ask({ sweep: turn });
  }

  /** A connection is closed: nobody reads what it has asked for. */
  forget(owner: object): void {
    this.#waiting = this.#waiting.filter((asked) => turnOf(asked).caller.owner !== owner);
    this.#pages.forget(owner);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const asked of this.#waiting.splice(0)) turnOf(asked).fail(leaving());
    await this.#working;
  }

  #ask(asked: Asked): void {
    if (this.#isStopped) turnOf(asked).fail(leaving());
    else {
      this.#waiting.push(asked);
      this.#begin();
    }
  }

  #begin(): void {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      if (this.#waiting.length > 0) this.#begin();
    });
  }

  async #work(): Promise<void> {
    // What is asked for in one turn of the event loop is done together.
    await new Promise((resolve) => setImmediate(resolve));
    for (let asked = this.#waiting.shift(); asked !== undefined; asked = this.#waiting.shift()) {
      if ("list" in asked) await this.#page(asked.list).then(asked.list.answer, failing(asked.list));
      else await this.#sweepFor(asked.sweep);
    }
  }

  async #page(turn: ListTurn): Promise<ListPage> {
    const { ids, next } = await this.#pages.page(turn);
    const sessions: ListedSession[] = [];
    for (const found of await this.#look(ids)) {
      if (found === undefined || found === "unreadable" || found.isOver) continue;
      const { id, size, startupMs, timeoutSeconds } = found;
      sessions.push({ id, size, startupMs, timeoutSeconds });
    }
    return { sessions, next };
  }

  async *#ids(prefix: string | null): AsyncGenerator<string> {
    const { link, keys } = this.#parts;
    const pattern = prefix === null ? "*" : `${prefix.replace(/[*?[\]\\^-]/g, "\\$&")}:*`;
    for await (const key of link.scan(keys.of(pattern))) {
      if (this.#isStopped) throw leaving();
      const id = keys.idOf(key);
      if (id !== undefined) yield id;
    }
  }

  /** One sweep for all that have asked for the same until it begins. */
  async #sweepFor(turn: SweepTurn): Promise<void> {
    const same = this.#waiting.flatMap((asked) =>
      "sweep" in asked && asked.sweep.does === turn.does ? [asked.sweep] : [],
    );
    this.#waiting = this.#waiting.filter((asked) => !("sweep" in asked) || !same.includes(asked.sweep));
    const turns = [turn, ...same];
    await this.#sweep(turn.does).then(
      (count) => {
        for (const { answer } of turns) answer(count);
      },
      (error: unknown) => {
        for (const one of turns) failing(one)(error);
      },
    );
  }

  async #sweep(does: SweepTurn["does"]): Promise<SweepCount> {
    const count = { seen: 0, ended: 0, unreadable: 0, failed: 0 };
    let some = new Set<string>();
    for await (const id of this.#ids(null)) {
      some.add(id);
      if (some.size < KEYS_PER_LOOK) continue;
      await this.#sweepSome([...some], does, count);
      some = new Set();
    }
    await this.#sweepSome([...some], does, count);
    return count;
  }

  async #sweepSome(
    ids: readonly string[],
    does: SweepTurn["does"],
    count: { -readonly [K in keyof SweepCount]: number },
  ): Promise<void> {
    for (const found of await this.#look(ids)) {
      if (found === undefined) continue;
      count.seen += 1;
      if (found === "unreadable") count.unreadable += 1;
      else if (found.isOver) {
        const fate = does === "look" ? "ended" : await this.#end(found);
        if (fate !== "kept") count[fate] += 1;
      }
    }
  }

  async #end({ id, version }: Found): Promise<"ended" | "failed" | "kept"> {
    try {
      await this.#parts.sessions.end(id, { version, caller: { owner: this, client: "" }, held: undefined });
      return "ended";
    } catch (error) {
      if (isCode(error, "ERR_CONFLICT")) return "kept";
      this.#parts.log.warn("sweep-failed", { error: reasonOf(error) });
      return "failed";
    }
  }

  /** Undefined for what is no session any more. */
  async #look(ids: readonly string[]): Promise<readonly (Found | "unreadable" | undefined)[]> {
    const { calls } = this.#parts.sessions;
    const looks = await calls.look(ids.map((id) => this.#parts.keys.of(id)));
    return looks.map((summary, n) => this.#found(ids[n] ?? "", summary));
  }

  #found(id: string, summary: Answer): Found | "unreadable" | undefined {
    if (!Buffer.isBuffer(summary)) return "unreadable";
    if (summary.length === 0) return undefined;
    const kind = kindOf(summary);
    if (kind !== "session") return kind === "other" ? undefined : "unreadable";
    const header = headerIn(summary);
    const [stamp, seconds] = [startupMs(header), timeoutSeconds(header)];
    const isOver = isPast(stamp, seconds, this.#parts.sessions.calls.clockOf(this.#parts.keys.of(id)).nowMs);
    const size = imageBytesOf(summary);
    const version = summary.subarray(0, VERSION_BYTES);
    return { id, size, startupMs: stamp, timeoutSeconds: seconds, version, isOver };
  }
}

function turnOf(asked: Asked): ListTurn | SweepTurn {
  return "list" in asked ? asked.list : asked.sweep;
}

function failing({ fail }: Pick<ListTurn, "fail">): (error: unknown) => void {
  return (error) => fail(error instanceof SessionError ? error : storeError("(all)", error));
}

function leaving(): SessionError {
  const what = "The daemon leaves before it has looked at every session.";
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy: "Ask the next one." });
}
