// A worker process: opens one contender and runs one case's operations on it when told to.

import { storeCaseNamed } from "../cases/store-cases.ts";
import type { Subject } from "../contenders/contender.ts";
import { contenderNamed } from "../contenders/list.ts";
import { SIZES } from "../session-values.ts";
import { answerCalls } from "./calls.ts";
import { driveAlone, driveTogether, type Operation } from "./drive.ts";
import type { WorkerCalls } from "./worker-calls.ts";

const WARM_AT_ONCE = 16;

let subject: Subject | undefined;
let operations: readonly Operation[] = [];
let isAlone = false;

answerCalls<WorkerCalls>(
  {
    async open({ contender, places, keepsCopies }) {
      const entry = await contenderNamed(contender).load();
      if (entry.open === undefined) throw new Error(`${contender} is for HTTP only`);
      subject = await entry.open(places, { keepsCopies });
      return undefined;
    },
    async create({ count, size, isCounter }) {
      const values = isCounter ? { ...SIZES[size], n: 0 } : SIZES[size];
      const ids: string[] = [];
      while (ids.length < count) ids.push(await opened().create(values));
      return ids;
    },
    async prepare(share) {
      const { prepare } = storeCaseNamed(share.case);
      const { index, procs, concurrency } = share;
      const slots = Array.from({ length: concurrency }, (_, slot) => ({
        share,
        slot: index * concurrency + slot,
        slots: procs * concurrency,
      }));
      operations = await Promise.all(slots.map((slot) => prepare(opened(), slot)));
      isAlone = procs * concurrency === 1;
      return undefined;
    },
    run({ ms, isWarmUp }) {
      const [only] = operations;
      if (!isAlone || only === undefined) return driveTogether(operations, ms);
      // Code is compiled by use: what is measured one at a time is used many at a time first, which takes a fraction of the time.
      return isWarmUp
        ? driveTogether(
            Array.from({ length: WARM_AT_ONCE }, () => only),
            ms,
          )
        : driveAlone(only, ms);
    },
    counter: async (id) => (await opened().counter?.(id)) ?? Number.NaN,
  },
  async () => {
    await subject?.close();
  },
);

function opened(): Subject {
  if (subject === undefined) throw new Error("no contender is open");
  return subject;
}
