// The command `end`: ends sessions by their ids, or all of a prefix, and says of each what became of it.

import { isCode } from "../../../protocol/errors.ts";
import { checkPrefix, isSessionId } from "../../../protocol/session-id.ts";
import { KIND } from "../../../protocol/wire/wire.ts";
import type { Conversation } from "../../peer/peer.ts";
import type { Errand } from "../terminal/errand.ts";
import { countOf } from "../terminal/figures.ts";
import { JsonList } from "../terminal/output.ts";
import { WrongUsage } from "../terminal/refusals.ts";
import { safeText } from "../terminal/safe-text.ts";
import { pagesOf, withDaemon } from "./asking.ts";

export interface How {
  /** Undefined: the sessions that were named. */
  readonly prefix: string | undefined;
  /** Whether sessions end, or it is only looked which there are. */
  readonly does: "end" | "look";
}

/** What became of a session. "found": it is there, and stays. */
type Fate = "ended" | "found" | "absent";

const WORDS: Readonly<Record<Fate, string>> = { ended: "ended", found: "would end", absent: "not there" };

/** Resolves to false where a session that was named is not there. */
export function end(errand: Errand, { prefix, does }: How): Promise<boolean> {
  for (const id of errand.operands) {
    if (isSessionId(id)) continue;
    throw new WrongUsage(`${JSON.stringify(id)} is no session id: <prefix>:<24 upper-case hex digits>.`, {
      cause: "end",
    });
  }
  const exact = prefix === undefined ? undefined : checkPrefix(prefix);
  return withDaemon(errand, async (daemon) => {
    const told = new Told(errand);
    const ids = exact === undefined ? errand.operands : idsOf(daemon, exact);
    for await (const id of ids) await told.add(id, await fateOf(daemon, id, does));
    await told.end();
    return told.counts.absent === 0 || exact !== undefined;
  });
}

async function* idsOf(daemon: Conversation, prefix: string): AsyncGenerator<string> {
  for await (const page of pagesOf(daemon, prefix)) for (const { id } of page) yield id;
}

async function fateOf(daemon: Conversation, id: string, does: How["does"]): Promise<Fate> {
  if (!(await isThere(daemon, id))) return "absent";
  if (does === "look") return "found";
  await daemon.call("abandon", { sid: id });
  return "ended";
}

/** One that cannot be read is there, and may be in the way. */
async function isThere(daemon: Conversation, id: string): Promise<boolean> {
  try {
    return (await daemon.call("open", { sid: id, known: 0 })).kind !== KIND.absent;
  } catch (error) {
    if (isCode(error, "ERR_UNREADABLE")) return true;
    throw error;
  }
}

class Told {
  readonly counts: Record<Fate, number> = { ended: 0, found: 0, absent: 0 };
  readonly #errand: Errand;
  readonly #json: JsonList;

  constructor(errand: Errand) {
    this.#errand = errand;
    this.#json = new JsonList(errand.say);
  }

  async add(id: string, fate: Fate): Promise<void> {
    this.counts[fate] += 1;
    if (this.#errand.form === "json") await this.#json.add({ id, fate });
    else await this.#errand.say(`${WORDS[fate].padEnd(11)}${safeText(id)}\n`);
  }

  async end(): Promise<void> {
    if (this.#errand.form === "json") {
      await this.#json.end();
      return;
    }
    const { ended, found, absent } = this.counts;
    const done = found > 0 ? `${countOf(found, "session")} would end` : `${countOf(ended, "session")} ended`;
    await this.#errand.say(`${done}${absent > 0 ? `, ${countOf(absent, "was", "were")} not there` : ""}.\n`);
  }
}
