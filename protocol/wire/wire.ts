// The door to what travels over the socket: frames, the messages in them, and the table of operations that says what they mean.

export { FrameReader, FrameWriter, readMessage } from "./frame.ts";
export {
  failureOf,
  isFailure,
  type OutgoingCall,
  olderVersion,
  readAnswer,
  readRequest,
  writeAnswer,
  writeCall,
  writeFailure,
} from "./message.ts";
export {
  type AnswerOf,
  type CallOf,
  type CommitOptions,
  KIND,
  type ListedSession,
  OPERATOR,
  type OperationName,
  operationName,
  PROTOCOL_VERSION,
  type RequestOf,
  type ResponseOf,
  type State,
} from "./operations.ts";
export { PendingCall, PendingCalls } from "./pending-calls.ts";
