// The Sentinels of a target, all asked at once: which server is the master, and whether the one that is followed still is. `configuration.ts` says what
// counts of their answers. Whether a server holds itself for a master is asked elsewhere.
//
//   1. A failover needs the votes of more than half of them, so of half at least one knows of it, or soon will: fewer are not gone by.
//   2. An epoch beyond that of the master that is followed is news whoever says so, and nobody else is waited for.
//   3. The highest epoch that was ever seen is remembered: what is below it is an old master, also where those that know better are away. Only when
//      every one of them says less have they been set up anew.

import { SessionError } from "../../../protocol/errors.ts";
import { msLeft } from "../../../protocol/places.ts";
import { describeAddress, type RedisAddress, type RedisTarget } from "../../../protocol/redis-url.ts";
import { Connection, type ConnectionOptions, ServerError, sentinelAt } from "../server/server.ts";
import { type Configuration, isSame, newest, type Place, type View, viewOf } from "./configuration.ts";
import { type Answer, type Answers, Round } from "./round.ts";

export type Asking = Pick<ConnectionOptions, "answerMs" | "signals">;

/** What each of them may take to answer. */
const MAX_ANSWER_MS = 3_000;
/** Between two looks while it is in doubt which server is the master. */
export const DOUBT_MS = 250;

/** The master that is followed. */
interface Followed {
  readonly epoch: number;
  readonly place: Place;
}

export class Sentinels {
  readonly #target: RedisTarget;
  #followed: Followed | undefined;
  #seenEpoch = Number.NEGATIVE_INFINITY;
  /** Those that were waited for in vain the last time. */
  readonly #silent = new Set<RedisAddress>();
  /** Questions without an answer so far: nobody is asked twice at a time. */
  readonly #underWay = new Map<RedisAddress, Promise<Answer>>();
  /** So many there are, as far as they know themselves. */
  #known = 0;

  constructor(target: RedisTarget) {
    this.#target = target;
  }

  /**
   * Visits the master, which is followed from then on. The signal says that another one is named meanwhile: one that was cut off would be waited
   * for in vain.
   *
   * @throws whatever the visit does; ServerError where it cannot be known which server is the master, SessionError where a Sentinel refuses.
   */
  async follow<T>(how: Asking, visit: (place: Place, moved: AbortSignal) => Promise<T>): Promise<T> {
    const { epoch, places, isBeingReplaced } = await this.#find(how, this.#followed?.epoch);
    const master = { epoch, place: places[0] };
    const where = describeAddress(master.place);
    if (isBeingReplaced) throw away(`Sentinels have chosen another master in the place of ${where}.`);
    const moved = new AbortController();
    const watch = setInterval(async () => {
      if (await this.#isLeft(master, how)) moved.abort();
    }, DOUBT_MS);
    try {
      const visited = await visit(master.place, moved.signal);
      this.#followed = master;
      return visited;
    } catch (error) {
      throw moved.signal.aborted ? away(`Sentinels name another master than ${where}.`) : error;
    } finally {
      clearInterval(watch);
    }
  }

  /** Whether another server has the place of the master that is followed, or was chosen for it. Where that cannot be known it is believed. */
  async hasMoved(how: Asking): Promise<boolean> {
    return this.#followed !== undefined && this.#isLeft(this.#followed, how);
  }

  /** For an operator. */
  report(): Record<string, unknown> {
    const named = this.#target.addresses.length;
    return { named, answering: named - this.#silent.size, known: this.#known, epoch: this.#followed?.epoch ?? null };
  }

  async #isLeft({ epoch, place }: Followed, how: Asking): Promise<boolean> {
    try {
      const { places, isBeingReplaced } = await this.#find(how, epoch);
      return isBeingReplaced || !places.some((one) => isSame(one, place));
    } catch (error) {
      if (error instanceof ServerError || error instanceof SessionError) return false;
      throw error;
    }
  }

  /** @param epoch of the master that is known; undefined: none is. */
  async #find(how: Asking, epoch: number | undefined): Promise<Configuration> {
    const seenEpoch = this.#seenEpoch;
    const isNews = (one: { readonly epoch: number }): boolean =>
      epoch !== undefined && one.epoch > epoch && one.epoch >= this.#seenEpoch;
    const { views, failures, refusal } = await this.#ask(how, isNews);
    const found = newest(views);
    const named = this.#target.addresses.length;
    if (found === undefined || (!isNews(found) && 2 * views.length < named)) {
      const what = `Only ${views.length} of ${named} Sentinels name a master, and at least half must: ${failures}.`;
      throw refusal ?? away(what);
    }
    if (found.epoch >= this.#seenEpoch) return found;
    // Others may have heard of another one while these were asked.
    const areAnew = views.length === named && this.#seenEpoch === seenEpoch;
    if (!areAnew) {
      const what = `The Sentinels that answer name a former master (epoch ${found.epoch}, and there was ${this.#seenEpoch})`;
      throw away(failures === "" ? `${what}.` : `${what}: ${failures}.`);
    }
    this.#seenEpoch = found.epoch;
    return found;
  }

  async #ask(how: Asking, isEnough: (view: View) => boolean): Promise<Answers> {
    const { addresses } = this.#target;
    const round = new Round(addresses, { wereSilent: new Set(this.#silent), isEnough });
    const asked = addresses.map(async (address) => round.note(address, await this.#answerOf(address, how)));
    const answers = await Promise.race([round.answers, Promise.all(asked).then(() => round.answers)]);
    for (const address of answers.missing) this.#silent.add(address);
    return answers;
  }

  #answerOf(address: RedisAddress, how: Asking): Promise<Answer> {
    const underWay = this.#underWay.get(address);
    if (underWay !== undefined) return underWay;
    const answer = this.#askOne(address, how).finally(() => this.#underWay.delete(address));
    this.#underWay.set(address, answer);
    return answer;
  }

  async #askOne(address: RedisAddress, how: Asking): Promise<Answer> {
    try {
      const view = await viewAt(address, this.#target, how);
      this.#silent.delete(address);
      if (view === undefined) return away(`knows no master named ${this.#target.service}`);
      this.#seenEpoch = Math.max(this.#seenEpoch, view.epoch);
      this.#known = view.sentinels;
      return view;
    } catch (error) {
      if (!(error instanceof ServerError || error instanceof SessionError)) throw error;
      this.#silent.add(address);
      return error instanceof ServerError ? (refusalOf(address, error) ?? error) : error;
    }
  }
}

/** Undefined: it knows no master of this name. */
async function viewAt(address: RedisAddress, target: RedisTarget, how: Asking): Promise<View | undefined> {
  const answerMs = Math.min(how.answerMs, MAX_ANSWER_MS);
  const untilMs = performance.now() + answerMs;
  const options = { answerMs, signals: how.signals, tracks: false, onInvalidated: () => {} };
  const late = new ServerError("unsure", "STALLED", `did not answer for ${answerMs} ms`);
  let connection: Connection | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    const opened = await Connection.open(await sentinelAt(address, target), options);
    connection = opened;
    timer = setTimeout(() => opened.close(late), msLeft(untilMs, performance.now()));
    const questions = ["MASTER", "GET-MASTER-ADDR-BY-NAME"].map((what) => ["SENTINEL", what, target.service]);
    const [told, named] = await Promise.all(questions.map((question) => opened.call(question)));
    return viewOf(told, named);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (/no such master/i.test(error.message)) return undefined;
    throw error.code === "STALLED" ? late : error;
  } finally {
    clearTimeout(timer);
    connection?.close();
  }
}

/** Undefined: it may answer the next time. */
function refusalOf(address: RedisAddress, error: ServerError): SessionError | undefined {
  const { code } = error;
  const where = `The Sentinel at ${describeAddress(address)}`;
  if (code === "NOPERM") {
    const what = `${where} does not give its user the rights (NOPERM): +sentinel|master +sentinel|get-master-addr-by-name (before Redis 7: +sentinel).`;
    return new SessionError("ERR_BAD_REDIS", what, { cause: error });
  }
  if (!["NOAUTH", "WRONGPASS"].includes(code)) return undefined;
  const what = `${where} refuses the user or the password (${code}): give sentinelUsername and sentinelPassword, or sentinelPasswordFile, in the URL's query.`;
  return new SessionError("ERR_BAD_REDIS", what, { cause: error });
}

function away(what: string): ServerError {
  return new ServerError("refused", "AWAY", what);
}
