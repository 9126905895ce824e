// Sessions of connect-redis in the same Redis, which workers take over: their JSON is handed out as bytes, and it is kept in mind which were adopted,
// for as long as they are there: longer than any tombstone, so that nobody who has signed off is signed in again.

import { SessionError } from "../../protocol/errors.ts";
import type { AdoptionTurn, FoundTurn } from "../backend/backend.ts";
import type { Answer, Calls } from "./calls/calls.ts";
import { Script, ServerError } from "./link/link.ts";
import { unanswered, unstored } from "./sessions/sessions.ts";

const MAX_KEY_BYTES = 1_024;

/** ARGV: bytes at most. Answers what is there, nothing, or a number where it is more. */
const FIND: Script = new Script(`
local found = redis.call('GETRANGE', KEYS[1], 0, ARGV[1])
if #found > tonumber(ARGV[1]) then return #found end
return found`);

/** For how many ms Redis keeps what is there; below 0: for ever, or nothing is there. */
const LEFT: Script = new Script("return redis.call('PTTL', KEYS[1])");

/** ARGV: for how many ms it is kept in mind; below 0: for ever. Of what is kept in mind already nothing is written: Redis may be full. */
const NOTE: Script = new Script(`
if redis.call('GET', KEYS[1]) then return end
if tonumber(ARGV[1]) < 0 then return redis.call('SET', KEYS[1], '1') end
return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])`);

const REMOVE: Script = new Script("return redis.call('DEL', KEYS[1])");
const ABSENT = -2;

export interface AdoptionParts {
  readonly calls: Calls;
  /** Where it is kept in mind that the session of this id was adopted. */
  readonly noteOf: (id: string) => string;
  /** Whether a key is one of ours. */
  readonly isOurs: (key: string) => boolean;
  readonly maxBytes: number;
}

export class Adoption {
  readonly #parts: AdoptionParts;
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: AdoptionParts) {
    this.#parts = parts;
  }

  /** Answers undefined where nothing is there, or it was adopted before. @throws SessionError ERR_BAD_OPTION. */
  find(turn: FoundTurn): void {
    this.#checkKey(turn.key);
    this.#run(turn, unanswered, async () => turn.answer(await this.#find(turn)));
  }

  /** @throws SessionError ERR_BAD_OPTION. */
  note(turn: AdoptionTurn): void {
    this.#checkKey(turn.key);
    this.#run(turn, unstored, async () => {
      await this.#note(turn);
      turn.answer();
    });
  }

  async stop(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #find({ id, key }: FoundTurn): Promise<Buffer | undefined> {
    const { calls, noteOf, maxBytes } = this.#parts;
    const note = await calls.run(FIND, noteOf(id), [String(maxBytes)]);
    if (!Buffer.isBuffer(note) || note.length > 0) return undefined;
    const answer = (await calls.run(FIND, key, [String(maxBytes)])) as Answer;
    if (answer instanceof ServerError) throw answer;
    if (Buffer.isBuffer(answer)) return answer.length === 0 ? undefined : answer;
    const what = `The session that was to be adopted as ${id} has more than ${maxBytes} bytes, and no more are read.`;
    throw new SessionError("ERR_TOO_LARGE", what);
  }

  async #note({ id, key, does }: AdoptionTurn): Promise<void> {
    const { calls, noteOf } = this.#parts;
    if (does === "remove") {
      await calls.run(REMOVE, key, []);
      return;
    }
    const leftMs = Number(await calls.run(LEFT, key, []));
    if (leftMs !== ABSENT && leftMs !== 0) await calls.run(NOTE, noteOf(id), [String(leftMs)]);
  }

  #run(turn: FoundTurn | AdoptionTurn, asError: typeof unanswered, act: () => Promise<void>): void {
    const mine = act()
      .catch((error: unknown) =>
        turn.fail(barred(error) ?? (error instanceof SessionError ? error : asError(turn.id, error))),
      )
      .finally(() => this.#underWay.delete(mine));
    this.#underWay.add(mine);
  }

  #checkKey(key: string): void {
    if (!this.#parts.isOurs(key) && Buffer.byteLength(key) <= MAX_KEY_BYTES) return;
    const what = `The key of a session that is to be adopted is none of ours, and has at most ${MAX_KEY_BYTES} bytes.`;
    throw new SessionError("ERR_BAD_OPTION", what);
  }
}

/** The rights to our own keys are tried at each connect; those to other keys nobody knows before. */
function barred(error: unknown): SessionError | undefined {
  if (!(error instanceof ServerError) || error.code !== "NOPERM") return undefined;
  const what = `A session that was to be adopted could not be taken over, for want of a right of our user: ${error.message}.`;
  const remedy =
    "Give this user the right to the keys of the old sessions, too: ACL SETUSER NAME ~sess:*, with the prefix that they have. Until then nothing of them is lost.";
  return new SessionError("ERR_STORE", what, { cause: error, remedy });
}
