// What waits for its turn on a session: a call, whose it is, and the way back to it. The wire's calls are turns as they are.

export type {
  Caller,
  CommitTurn,
  EndTurn,
  LeaseTurn,
  ReadTurn,
  TouchTurn,
  Turn,
  Waiting,
} from "../backend/backend.ts";
