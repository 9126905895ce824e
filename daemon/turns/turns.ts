// The door: how calls wait for their turns on a session, and the leases among them, the same for every backend.

export {
  answerUnwritten,
  answerWritten,
  badId,
  busy,
  type Caller,
  type CommitTurn,
  closed,
  type Ending,
  type EndTurn,
  gone,
  idTaken,
  isCreation,
  isSuccession,
  type LeaseTurn,
  leaseLost,
  nobodyReads,
  type Origin,
  overtaken,
  type ReadTurn,
  storeError,
  type TouchTurn,
  type Turn,
  Turns,
  type Waiting,
} from "./calls.ts";
export { Leases } from "./leases.ts";
