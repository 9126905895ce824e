// Commits that an earlier daemon was about to make visible when it was killed, to sessions that another program has had for itself since: whether they were
// published is found out when that lets us look. Until then nothing is committed to such a session, by whoever it is: the next commit of ours takes away
// what tells.

import type { JournaledCommit } from "../once/once.ts";
import { StoreBusy } from "../store/store.ts";
import { busy } from "../turns/turns.ts";

/** Between two looks while a commit waits for it. */
const LOOK_MS = 20;

export interface Recalled {
  /** That were applied. */
  readonly commits: readonly JournaledCommit[];
  /** That may have been. */
  readonly undecided: readonly JournaledCommit[];
  /** Each of which it had to be found out was. */
  readonly areAllPublished: boolean;
  /** Whether one of those was published, and what follows from that. @throws StoreBusy while it cannot be told. */
  wasPublished(commit: JournaledCommit): boolean;
}

export interface UndecidedParts {
  readonly lockWaitMs: number;
  readonly noteDecided: (commit: JournaledCommit, wasPublished: boolean) => void;
}

export class UndecidedCommits {
  readonly #parts: UndecidedParts;
  #left: readonly JournaledCommit[] = [];
  #wasPublished: Recalled["wasPublished"] = () => false;

  constructor(parts: UndecidedParts) {
    this.#parts = parts;
  }

  recall({ undecided, wasPublished }: Recalled): void {
    this.#left = undecided;
    this.#wasPublished = wasPublished;
  }

  /** Resolves when it is known of all commits that concern these sessions; undefined: it is. Rejects with ERR_SESSION_BUSY. */
  whenDecided(...ids: readonly (string | undefined)[]): Promise<void> | undefined {
    if (this.#left.length === 0) return undefined;
    const concerned = this.#left.filter(({ id, origin }) => ids.includes(id) || (origin && ids.includes(origin)));
    return concerned.length === 0 || this.#look(concerned) === undefined ? undefined : this.#wait(concerned);
  }

  async #wait(concerned: readonly JournaledCommit[]): Promise<void> {
    const beganMs = performance.now();
    for (let inTheWay = this.#look(concerned); inTheWay !== undefined; inTheWay = this.#look(concerned)) {
      const waitedMs = Math.round(performance.now() - beganMs);
      const [first] = concerned;
      if (first !== undefined && waitedMs > this.#parts.lockWaitMs) throw busy(first.id, waitedMs, inTheWay.message);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** What keeps us from knowing; undefined: it is known of all of them now. */
  #look(concerned: readonly JournaledCommit[]): StoreBusy | undefined {
    try {
      for (const commit of concerned) if (this.#left.includes(commit)) this.#decide(commit);
      return undefined;
    } catch (error) {
      if (error instanceof StoreBusy) return error;
      throw error;
    }
  }

  #decide(commit: JournaledCommit): void {
    const wasPublished = this.#wasPublished(commit);
    this.#left = this.#left.filter((other) => other !== commit);
    this.#parts.noteDecided(commit, wasPublished);
  }
}
