// The sessions of a Redis, at rest, and its tombstones. Other hosts may use that Redis: what they change is never overwritten.

import { SessionError } from "../../../protocol/errors.ts";
import { isExpired, isSameButStamp, layoutOf, timeoutSeconds } from "../../../protocol/image/image.ts";
import { isSessionId } from "../../../protocol/session-id.ts";
import type { Found, Held, Holdings, Lending, Lent, OpenHoldings } from "../../backend/backend.ts";
import type { Config } from "../../config.ts";
import { type Answer, Calls, type Order } from "../calls/calls.ts";
import { type Link, Script, ServerError } from "../link/link.ts";
import { ANSWER_MS, connect, indexOn, KEYS } from "../redis.ts";
import { complete, forgetAt, unanswered, unstored } from "../sessions/sessions.ts";
import {
  endedValue,
  NO_MARKS,
  NO_VERSION,
  NOBODY,
  readValue,
  type Stored,
  type StoredEnd,
  type StoredSession,
  sessionValue,
} from "../value/value.ts";

/** Keys that are looked at together. */
const KEYS_PER_LOOK = 240;

/** For how many ms Redis keeps what is there. */
const LEFT: Script = new Script("return redis.call('PTTL', KEYS[1])");

/** ARGV: a version. Removes the value if that is its version, and answers whether it was. */
const REMOVE: Script = new Script(`
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

export const redisHoldings: OpenHoldings = async (config, log) => {
  const holdings = new RedisHoldings(await connect(config, log), config);
  try {
    await holdings.begin();
    return holdings;
  } catch (error) {
    await holdings.close();
    throw error;
  }
};

class RedisHoldings implements Holdings {
  readonly nameOf = undefined;
  readonly #link: Link;
  readonly #calls: Calls;
  readonly #index: ReturnType<typeof indexOn>;
  readonly #config: Config;
  #isFlushDue = false;

  constructor(link: Link, config: Config) {
    this.#link = link;
    this.#config = config;
    const replicas = config.durability === "replica" ? 1 : 0;
    this.#calls = new Calls(link, { replicas, replicaWaitMs: ANSWER_MS / 2, requestFlush: () => this.#requestFlush() });
    this.#index = indexOn(this.#calls);
  }

  begin(): Promise<void> {
    return this.#calls.setClocks();
  }

  async *held(): AsyncGenerator<Held> {
    let some = new Set<string>();
    for await (const id of this.ids()) {
      some.add(id);
      if (some.size < KEYS_PER_LOOK) continue;
      yield* await this.#heldOf([...some]);
      some = new Set();
    }
    yield* await this.#heldOf([...some]);
  }

  async *ids(): AsyncGenerator<string> {
    for await (const key of this.#link.scan(KEYS.of("*"))) {
      const id = KEYS.idOf(key);
      if (isSessionId(id)) yield id;
    }
  }

  async lend(id: string, use: (lent: Lent) => Promise<"keep" | "remove">): Promise<Lending> {
    const stored = await this.#read(id);
    if (stored?.kind !== "session") return "absent";
    if (isExpired(stored.image, this.#nowMs(id))) return "over";
    layoutOf(stored.image);
    if ((await use({ image: stored.image, hasDialect: true })) === "remove") await this.#remove(id, stored);
    return "lent";
  }

  async keep(id: string, { image }: Lent): Promise<Found> {
    try {
      await this.#index.add(id, timeoutSeconds(image));
      const bytes = sessionValue(image, { marks: NO_MARKS });
      const answer = await this.#write(id, { what: "c", bytes, number: forgetAt(image) });
      return answer === 1 ? "nothing" : foundIn(id, answer, image);
    } catch (error) {
      throw unstored(id, error);
    }
  }

  async find(id: string, { image }: Lent): Promise<Found> {
    return foundIn(id, await this.#answered(id, this.#calls.read(KEYS.of(id), NO_VERSION)), image);
  }

  async takeBack(id: string, { image }: Lent): Promise<void> {
    const stored = await this.#read(id);
    if (stored?.kind !== "session" || !isSameButStamp(stored.image, image)) return;
    await this.#answered(id, this.#calls.run(REMOVE, KEYS.of(id), [stored.version]) as Promise<Answer>);
  }

  async end(id: string, forgetMs: number): Promise<boolean> {
    // What cannot be read here ends as well.
    const stored = await this.#read(id).catch(() => undefined);
    if (stored?.kind === "ended" || forgetMs <= this.#nowMs(id)) return false;
    try {
      await this.#write(id, { what: "x", bytes: endedValue("ended", NO_MARKS), number: Math.ceil(forgetMs) });
      return true;
    } catch (error) {
      throw unstored(id, error);
    }
  }

  async close(): Promise<void> {
    await this.#calls.settled();
    await this.#link.close();
  }

  async #heldOf(ids: readonly string[]): Promise<readonly Held[]> {
    const all = await Promise.all(ids.map((id) => this.#heldUnder(id)));
    return all.flat();
  }

  /** What cannot be read is a session that is to be told of. */
  async #heldUnder(id: string): Promise<readonly Held[]> {
    const stored = await this.#read(id).catch((error: unknown) => {
      if (isUnreadable(error)) return "unreadable" as const;
      throw error;
    });
    if (stored === undefined) return [];
    if (stored === "unreadable" || stored.kind === "session") return [{ kind: "session", id }];
    return stored.kind === "ended" ? this.#heldOfEnd(id, stored) : [];
  }

  /** One that was killed on its way to another id goes on there first, as a daemon would have it. */
  async #heldOfEnd(id: string, stored: StoredEnd): Promise<readonly Held[]> {
    try {
      const { departure } = stored;
      if (departure !== undefined) await complete(id, stored, this.#roads());
      const leftMs = Number(await this.#calls.run(LEFT, KEYS.of(id), []));
      const ended: Held = { kind: "ended", id, forgetMs: this.#nowMs(id) + leftMs };
      return [...(leftMs > 0 ? [ended] : []), ...(departure === undefined ? [] : [sessionOf(departure.successor)])];
    } catch (error) {
      throw unanswered(id, error);
    }
  }

  #roads(): Parameters<typeof complete>[2] {
    const { maxSessionBytes, timeoutSeconds, tombstoneSeconds } = this.#config;
    const limits = { maxSessionBytes, timeoutSeconds };
    const tombstoneMs = 1000 * tombstoneSeconds;
    return { calls: this.#calls, limits, tombstoneMs, keyOf: KEYS.of, noteChanged: () => undefined };
  }

  async #remove(id: string, { version }: StoredSession): Promise<void> {
    const answer = await this.#answered(id, this.#calls.run(REMOVE, KEYS.of(id), [version]) as Promise<Answer>);
    if (Number(answer) === 1) return;
    const what = `Session ${id} was changed while it was moved: a daemon of another host uses this Redis.`;
    throw new SessionError("ERR_DAEMON_RUNNING", what, { remedy: "End those of all hosts first." });
  }

  /** @throws SessionError ERR_UNREADABLE, ERR_STORE. */
  async #read(id: string): Promise<Stored | undefined> {
    const value = await this.#answered(id, this.#calls.read(KEYS.of(id), NO_VERSION));
    return Buffer.isBuffer(value) && value.length > 0 ? readValue(id, value) : undefined;
  }

  async #write(id: string, order: Pick<Order, "what" | "bytes" | "number">): Promise<Answer> {
    const answer = await this.#calls.write(KEYS.of(id), { version: NO_VERSION, holder: NOBODY, ...order });
    if (answer instanceof ServerError) throw answer;
    return answer;
  }

  async #answered(id: string, call: Promise<Answer>): Promise<Answer> {
    const answer = await call.catch((error: unknown) => error as ServerError);
    if (answer instanceof Error) throw unanswered(id, answer);
    return answer;
  }

  #nowMs(id: string): number {
    return this.#calls.clockOf(KEYS.of(id)).nowMs;
  }

  #requestFlush(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      this.#calls.flush();
    });
  }
}

function sessionOf(id: string): Held {
  return { kind: "session", id };
}

/** A number is a lease of another host: there is something. */
function foundIn(id: string, answer: Answer, image: Buffer): Found {
  if (!Buffer.isBuffer(answer)) return "other";
  if (answer.length === 0) return "nothing";
  try {
    const stored = readValue(id, answer);
    if (stored.kind === "ended") return "ended";
    return stored.kind === "session" && isSameButStamp(stored.image, image) ? "same" : "other";
  } catch (error) {
    if (isUnreadable(error)) return "other";
    throw error;
  }
}

function isUnreadable(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ERR_UNREADABLE";
}
