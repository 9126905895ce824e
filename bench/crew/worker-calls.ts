// What a worker of a store case can be asked.

import type { Places } from "../contenders/contender.ts";
import type { SizeName } from "../session-values.ts";
import type { Sample } from "./sample.ts";

export interface Share {
  /** Which case's operations. */
  readonly case: string;
  readonly ids: readonly string[];
  readonly size: SizeName;
  /** This worker's place among `procs`, each with `concurrency` operations at once. */
  readonly index: number;
  readonly procs: number;
  readonly concurrency: number;
}

export interface WorkerCalls {
  open: {
    readonly request: { readonly contender: string; readonly places: Places; readonly keepsCopies: boolean };
    readonly reply: undefined;
  };
  create: {
    readonly request: { readonly count: number; readonly size: SizeName; readonly isCounter: boolean };
    readonly reply: string[];
  };
  prepare: { readonly request: Share; readonly reply: undefined };
  run: { readonly request: { readonly ms: number; readonly isWarmUp: boolean }; readonly reply: Sample };
  counter: { readonly request: string; readonly reply: number };
}
