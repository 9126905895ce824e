// Reading sessions in turn: the operation of both get cases.

import type { Subject } from "../contenders/contender.ts";
import type { Operation } from "../crew/drive.ts";
import { SIZES } from "../session-values.ts";
import type { Slot } from "./store-case.ts";

/** Every slot reads all sessions, each beginning elsewhere. */
export async function readInTurn(subject: Subject, { share, slot, slots }: Slot): Promise<Operation> {
  const { ids } = share;
  const expected = Object.keys(SIZES[share.size]).length;
  let at = Math.floor((slot * ids.length) / slots);
  const operation = async (): Promise<void> => {
    const id = ids[at++ % ids.length] ?? "";
    const count = await subject.get(id);
    if (count !== expected) throw new Error(`${count} values of ${expected} came back`);
  };
  // Everybody has seen every session once: what may be kept is kept.
  for (let count = 0; count < ids.length; count++) await operation();
  return operation;
}
