// What a case works with: the plan, stages, progress, and the list of what could not be measured.

import type { Contender } from "./contenders/contender.ts";
import { contenderNamed } from "./contenders/list.ts";
import type { Plan } from "./plan.ts";
import type { Progress } from "./report/progress.ts";
import { Stage, whyMissing } from "./stage.ts";

export interface Skipped {
  readonly case: string;
  readonly contender: string;
  readonly reason: string;
}

export class Lab {
  readonly plan: Plan;
  readonly progress: Progress;
  readonly skipped: Skipped[] = [];
  readonly #only: readonly string[];
  #stage: Stage | undefined;

  /** @param only contenders to measure; empty: all. */
  constructor(plan: Plan, progress: Progress, only: readonly string[]) {
    this.plan = plan;
    this.progress = progress;
    this.#only = only;
  }

  /** Runs `use` with a stage that is closed afterwards, whatever happens. */
  async onStage<T>(use: (stage: Stage) => Promise<T>): Promise<T> {
    const stage = new Stage();
    this.#stage = stage;
    try {
      return await use(stage);
    } finally {
      await stage.close();
      this.#stage = undefined;
    }
  }

  /** Those of the names that can be measured here; the others are noted with the reason. */
  present(caseName: string, names: readonly string[]): Contender[] {
    const wanted = names.filter((name) => this.#only.length === 0 || this.#only.includes(name)).map(contenderNamed);
    return wanted.filter((contender) => {
      const isLeftOut = this.#only.length === 0 && this.#leavesOut(caseName, contender.name);
      const reason = isLeftOut ? `left out with --${this.plan.mode}` : whyMissing(contender);
      if (reason !== undefined) this.skip(caseName, contender.name, reason);
      return reason === undefined;
    });
  }

  #leavesOut(caseName: string, contender: string): boolean {
    return this.plan.leavesOut.some((entry) => entry === contender || entry === `${caseName}: ${contender}`);
  }

  wants(name: string): boolean {
    return this.#only.length === 0 || this.#only.includes(name);
  }

  skip(caseName: string, contender: string, reason: string): void {
    if (this.skipped.some((known) => known.case === caseName && known.contender === contender)) return;
    this.skipped.push({ case: caseName, contender, reason });
    this.progress.say(`  skipped: ${contender} (${reason})`);
  }

  /** For Ctrl-C and failures: ends every process at once. */
  kill(): void {
    this.#stage?.kill();
  }
}
