// One question the benchmark answers.

import type { Lab } from "../lab.ts";
import type { Row } from "../row.ts";

export interface Case {
  readonly name: string;
  readonly question: string;
  run(lab: Lab): Promise<Row[]>;
}
