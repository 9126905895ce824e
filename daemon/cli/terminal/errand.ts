// What a command about a daemon or its sessions is given: where, about what, and how to answer.

import type { DaemonOptions } from "../../config.ts";
import type { Say } from "./output.ts";

export interface Errand {
  readonly options: DaemonOptions;
  /** What was typed behind the command and is no flag. */
  readonly operands: readonly string[];
  /** For people, or raw for programs. */
  readonly form: "text" | "json";
  readonly say: Say;
}
