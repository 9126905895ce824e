// What waits for its turn on a session: a call, whose it is, and the way back to it. Knows nothing of what a turn does.

import type { ParsedDelta } from "../../protocol/image/image.ts";
import type { CommitOptions, State } from "../../protocol/wire/operations.ts";

/** Who waits for an answer. `owner` is the connection; `client` the worker behind it. */
export interface Caller {
  readonly owner: object;
  readonly client: string;
}

export interface Waiting {
  readonly caller: Caller;
  readonly fail: (error: unknown) => void;
  /** Fences of leases that end only after this call is answered. */
  readonly held?: readonly number[] | null | undefined;
}

export interface ReadTurn extends Waiting {
  readonly known: number;
  readonly answer: (state: State) => void;
}

export interface CommitTurn extends Waiting {
  readonly type: "commit";
  readonly sequence: number;
  readonly base: number;
  readonly delta: Buffer;
  readonly parsed: ParsedDelta;
  readonly options: CommitOptions;
  /** performance.now() of its arrival. */
  readonly arrivedMs: number;
  readonly answer: (state: State) => void;
}

export interface TouchTurn extends Waiting {
  readonly type: "touch";
  readonly base: number;
  readonly answer: (state: State) => void;
}

export interface EndTurn extends Waiting {
  readonly type: "end";
  readonly answer: () => void;
}

export interface LeaseTurn extends Waiting {
  readonly type: "lease";
  readonly leaseMs: number;
  readonly known: number;
  readonly answer: (fence: number, state: State) => void;
}

export type Turn = CommitTurn | TouchTurn | EndTurn | LeaseTurn;
