// What a daemon does between two looks at it. When it has gone, the next look asks whichever daemon is there then.

import type { Places } from "../../../protocol/places.ts";
import { Conversation } from "../../peer/peer.ts";
import { noDaemonOn } from "../terminal/refusals.ts";

interface Percentiles {
  readonly count: number;
  readonly p50?: number;
  readonly p99?: number;
}

interface Uses {
  readonly opens: number;
  readonly commits: number;
  readonly touches: number;
  readonly transactions: number;
}

/** What is used here of what a daemon answers to `watch`. */
export interface Figures {
  readonly version: string;
  readonly pid: number;
  readonly root: string;
  readonly uptimeSeconds: number;
  readonly connections: number;
  readonly waitingCalls: number;
  readonly waitingTurns: number;
  readonly sessionsCached: number;
  readonly sessionsOnDisk: number | null;
  readonly bytesCached: number;
  readonly cacheBytes: number;
  readonly memoryBytes: number | null;
  readonly opens: number;
  readonly commits: number;
  readonly touches: number;
  readonly leases: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly window: {
    readonly ms: number;
    readonly cpuMs: number;
    readonly openMicros: Percentiles;
    readonly commitMicros: Percentiles;
    readonly leaseMicros: Percentiles;
    readonly mostUsed: readonly (Uses & { readonly id: string })[];
  };
}

/** All of these a second. */
export interface Rates extends Uses {
  readonly errors: number;
}

export interface Used extends Uses {
  readonly id: string;
}

/** "first": of this daemon, so that there is nothing yet to compare with. */
export type Sight =
  | { readonly kind: "first"; readonly figures: Figures }
  | {
      readonly kind: "interval";
      readonly figures: Figures;
      readonly rates: Rates;
      /** Of the processor, 1 is all of one core. */
      readonly cpuShare: number;
      readonly mostUsed: readonly Used[];
    };

/** More than a screen has lines. */
const MOST_USED = 100;

export class Watcher {
  readonly #places: Places;
  readonly #leaving: AbortSignal;
  #conversation: Conversation | undefined;
  #before: Figures | undefined;

  /** @param leaving aborted when nobody wants to know any more: then no answer is waited for. */
  constructor(places: Places, leaving: AbortSignal) {
    this.#places = places;
    this.#leaving = leaving;
  }

  /** @throws NoDaemon, SessionError: why nothing can be seen. */
  async look(): Promise<Sight> {
    const figures = (await this.#askAgain()) ?? (await this.#askAnew());
    const before = this.#before;
    this.#before = figures;
    return before === undefined ? { kind: "first", figures } : intervalOf(before, figures);
  }

  close(): void {
    this.#conversation?.close();
    this.#conversation = undefined;
    this.#before = undefined;
  }

  /** Undefined where the daemon that was asked before has gone. */
  async #askAgain(): Promise<Figures | undefined> {
    const conversation = this.#conversation;
    if (conversation === undefined) return undefined;
    try {
      return await ask(conversation);
    } catch (error) {
      this.close();
      if (conversation.isOver) return undefined;
      throw error;
    }
  }

  async #askAnew(): Promise<Figures> {
    const conversation = await Conversation.begin(this.#places, this.#leaving);
    if (conversation === undefined) throw noDaemonOn(this.#places);
    this.#conversation = conversation;
    try {
      return await ask(conversation);
    } catch (error) {
      this.close();
      throw error;
    }
  }
}

async function ask(daemon: Conversation): Promise<Figures> {
  const { json } = await daemon.callAlive("watch", { limit: MOST_USED });
  return JSON.parse(json) as Figures;
}

function intervalOf(before: Figures, figures: Figures): Sight {
  const { ms, cpuMs, mostUsed } = figures.window;
  const perSecond = (count: number): number => (count * 1000) / ms;
  const since = (count: (figures: Figures) => number): number => perSecond(count(figures) - count(before));
  return {
    kind: "interval",
    figures,
    rates: {
      opens: since(({ opens }) => opens),
      commits: since(({ commits }) => commits),
      touches: since(({ touches }) => touches),
      transactions: since(({ leases }) => leases),
      errors: since(({ errors }) => Object.values(errors).reduce((sum, count) => sum + count, 0)),
    },
    cpuShare: cpuMs / ms,
    mostUsed: mostUsed.map(({ id, opens, commits, touches, transactions }) => ({
      id,
      opens: perSecond(opens),
      commits: perSecond(commits),
      touches: perSecond(touches),
      transactions: perSecond(transactions),
    })),
  };
}
